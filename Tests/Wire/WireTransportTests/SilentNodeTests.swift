import ClusterModel
import FaceModel
import NIOCore
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Calls to a node that has said hello, and then nothing more.
struct SilentNodeTests {
    @Test func aNodeThatFallsSilentIsGivenUp() async throws {
        let connection = try await Self.connectToSilentNode(keepAlive: .milliseconds(60))
        let status = await Fixture.status { () async throws(WireStatus) in
            try await connection.call(ListCollections(), deadline: .none)
        }
        #expect(status?.code == .unavailable)
        #expect(status?.message.contains("no sign of life") == true)
    }

    @Test func aNodeThatLetsACallPassAndDoesNotAnswerAPingIsGivenUp() async throws {
        let connection = try await Self.connectToSilentNode(keepAlive: .seconds(60))
        let status = await Fixture.status { () async throws(WireStatus) in
            try await connection.call(ListCollections(), deadline: .after(.milliseconds(20)))
        }
        #expect(status?.code == .deadlineExceeded)
        #expect(connection.isOpen)
        try await Fixture.waitUntil { !connection.isOpen }
    }

    /// By a node that hangs: they are in memory for longer than anybody waits for an answer.
    @Test func whatCountsTheBytesOfARequestIsHeldUntilTheyAreWritten() async throws {
        let (shares, over) = (SharesThereAre(), SharesThereAre())
        defer { over.count.store(1, ordering: .relaxed) }
        let connection = try await Self.connectToSilentNode(keepAlive: .seconds(60)) { peer in
            peer.keep { over.count.load(ordering: .relaxed) == 0 }
        }
        // More than the system's buffers take.
        let message = EnrolFaces(
            collection: "c",
            embeddingModel: "m",
            key: .random(),
            rows: (0..<10_000).map { EnrolRow(id: FaceID(high: 0, low: $0), metadata: FaceMetadata()) },
            embeddings: EmbeddingMatrix(dimension: 512, values: [Float](repeating: 0.5, count: 512 * 10_000))
        )
        let status = await Fixture.status { () async throws(WireStatus) in
            try await connection.call(
                message,
                deadline: .after(.milliseconds(300)),
                holding: CountedShare(shares)
            )
        }
        #expect(status?.code == .deadlineExceeded)
        #expect(shares.count.load(ordering: .relaxed) == 1)
        await connection.close()
        try await Fixture.waitUntil { shares.count.load(ordering: .relaxed) == 0 }
        // And no longer: where it is refused at once, or answered.
        let refused = await Fixture.status { () async throws(WireStatus) in
            try await connection.call(ListCollections(), deadline: Fixture.soon, holding: CountedShare(shares))
        }
        #expect(refused?.code == .unavailable)
        try await Fixture.waitUntil { shares.count.load(ordering: .relaxed) == 0 }
        try await Fixture.withServer(Fixture.counting) { server in
            let connection = try await Fixture.connect(server)
            let request = DeleteCollection(name: "1")
            _ = try await connection.call(request, deadline: Fixture.soon, holding: CountedShare(shares))
            try await Fixture.waitUntil { shares.count.load(ordering: .relaxed) == 0 }
        }
    }

    @Test func aNodeThatIsSilentWhileItHasCallsIsGivenUp() async throws {
        let connection = try await Self.connectToSilentNode(
            keepAlive: .seconds(60),
            silenceLimit: .milliseconds(60)
        )
        let status = await Fixture.status { () async throws(WireStatus) in
            try await connection.call(ListCollections(), deadline: .none)
        }
        #expect(status?.code == .unavailable && status?.hasNoEffect == false)
        #expect(status?.message.contains("no sign of life") == true)
    }

    /// One that is there answers pings until its calls have ended.
    @Test(arguments: [false, true])
    func aNodeThatFallsSilentWhileItStopsIsGivenUp(hasSilenceLimit: Bool) async throws {
        let goAway = try Fixture.frame(GoAway(), stream: 0)
        let connection = try await Self.connectToSilentNode(
            keepAlive: hasSilenceLimit ? .seconds(60) : .milliseconds(60),
            silenceLimit: hasSilenceLimit ? .milliseconds(60) : nil
        ) { peer in
            _ = try? peer.readFramesNow { frames in frames.contains { $0.header.type == .listCollections } }
            try? peer.sendNow(goAway)
            while let bytes = try? peer.readNow(), !bytes.isEmpty {}
        }
        let status = await Fixture.status { () async throws(WireStatus) in
            try await connection.call(ListCollections(), deadline: Fixture.soon)
        }
        #expect(status?.code == .unavailable)
        #expect(status?.message.contains("no sign of life") == true, "\(String(describing: status))")
    }

    /// It is at work, however long a call takes.
    @Test func aNodeThatAnswersPingsIsWaitedFor() async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let connection = try await WireConnection.connect(
                to: server.address,
                as: .client,
                token: Fixture.token,
                tls: nil,
                on: Fixture.group.next(),
                agent: "test",
                timeout: .seconds(10),
                keepAlive: .seconds(60),
                silenceLimit: .seconds(3)
            )
            async let answer = connection.call(DeleteCollection(name: "long"), deadline: .none)
            let call = try await held.call("long")
            // Until another one has been asked and given up that was called later.
            let silent = try await Self.connectToSilentNode(keepAlive: .seconds(60), silenceLimit: .seconds(3))
            let status = await Fixture.status { () async throws(WireStatus) in
                try await silent.call(ListCollections(), deadline: .none)
            }
            #expect(status?.code == .unavailable)
            #expect(connection.isOpen)
            call.reply(CollectionDeleted(faceCount: 5))
            #expect(try await answer.faceCount == 5)
        }
    }

    private static func connectToSilentNode(
        keepAlive: Duration,
        silenceLimit: Duration? = nil,
        afterHello body: @escaping @Sendable (RawPeer) -> Void = { peer in
            while let bytes = try? peer.readNow(), !bytes.isEmpty {}
        }
    ) async throws -> WireConnection {
        let reply = try Fixture.frame(
            HelloReply(
                version: 1,
                features: 0,
                role: .worker,
                node: Fixture.node,
                limits: WireLimits(),
                agent: "silent"
            )
        )
        let port = try RawPeer.listen { peer in
            try? peer.sendNow(reply)
            body(peer)
        }
        return try await WireConnection.connect(
            to: NodeAddress(host: "127.0.0.1", port: port),
            as: .client,
            token: "",
            tls: nil,
            on: Fixture.group.next(),
            agent: "test",
            timeout: .seconds(5),
            keepAlive: keepAlive,
            silenceLimit: silenceLimit
        )
    }
}
