import ClusterModel
import FaceModel
import NIOCore
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// What a server does with authenticated peers that break the rules, and that the others do not notice.
struct WireServerBadInputTests {
    /// A peer that has said hello and read the reply.
    private func peer(_ server: WireServer, receiveBufferByteCount: Int32? = nil) async throws -> RawPeer {
        let peer = try await RawPeer.connect(
            port: server.address.port,
            receiveBufferByteCount: receiveBufferByteCount
        )
        try await peer.send(Fixture.helloFrame())
        let frames = try await peer.readFrames(1)
        #expect(frames.first?.header.type == .helloReply)
        return peer
    }

    private func status(_ frame: Frame) throws -> WireStatus { try frame.decode(WireStatus.self, limits: WireLimits()) }

    @Test func wellFramedNonsenseIsAnsweredAndTheConnectionGoesOn() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let peer = try await peer(server)
            var bytes = try RawFrame.bytes(type: 0x7abc, stream: 10, payload: [1, 2, 3])
            bytes += try RawFrame.bytes(type: MessageType.ping.rawValue, flags: 4, stream: 11)
            bytes += try RawFrame.bytes(type: MessageType.deleteCollection.rawValue, stream: 12, payload: [9, 0, 1])
            bytes += try RawFrame.bytes(
                type: MessageType.deleteCollection.rawValue,
                stream: 13,
                payload: DeleteCollection(name: "1").payload + [0]
            )
            bytes += try Fixture.frame(DeleteCollection(name: "44"), stream: 14)
            try await peer.send(bytes)
            let frames = try await peer.readFrames(5)
            #expect(frames.map(\.header.stream) == [10, 11, 12, 13, 14])
            #expect(try frames[..<4].map { try status($0).code } == Array(repeating: .invalidRequest, count: 4))
            #expect(try frames[4].decode(CollectionDeleted.self, limits: WireLimits()).faceCount == 44)
        }
    }

    /// A request that is said to be traced, and has nothing of a trace; without a field it could be read all the same.
    @Test func aTracedRequestThatIsTooShortIsRefusedAndTheConnectionGoesOn() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let peer = try await RawPeer.connect(port: server.address.port)
            let hello = Hello(
                lowestVersion: 1,
                highestVersion: 1,
                features: WireFeatures.traceContext.rawValue,
                role: .client,
                token: Fixture.token,
                agent: "raw"
            )
            try await peer.send(Fixture.frame(hello))
            #expect(try await peer.readFrames(1).first?.header.type == .helloReply)
            var bytes = try RawFrame.bytes(type: MessageType.ping.rawValue, flags: 1, stream: 11)
            bytes += try RawFrame.bytes(
                type: MessageType.listCollections.rawValue,
                flags: 1,
                stream: 12,
                payload: [UInt8](repeating: 0, count: 31)
            )
            bytes += try Fixture.frame(DeleteCollection(name: "44"), stream: 13)
            try await peer.send(bytes)
            let frames = try await peer.readFrames(3)
            #expect(frames.map(\.header.stream) == [11, 12, 13])
            for frame in frames[..<2] {
                let status = try status(frame)
                #expect(status.code == .invalidRequest && status.message.contains("name the trace"), "\(status)")
            }
            #expect(frames[2].header.type == .collectionDeleted)
        }
    }

    @Test func limitsAreAnsweredByNameAndBound() async throws {
        let configuration = Fixture.configuration { $0.limits.batchRowCount = 10 }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let connection = try await Fixture.connect(server)
            let ids = [FaceID](repeating: FaceID(high: 1, low: 1), count: 11)
            let status = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(
                    DeleteFaces(collection: "c", key: .random(), ids: ids),
                    deadline: Fixture.soon
                )
            }
            #expect(status == WireStatus(.limitExceeded, "ids: 11 is above the limit of 10").withoutEffect)
            #expect(connection.isOpen)
        }
    }

    @Test func anOversizeFrameIsRefusedByNameAndBoundThenClosed() async throws {
        let configuration = Fixture.configuration { $0.limits.payloadByteCount = 64 << 10 }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let peer = try await peer(server)
            try await peer.send(
                RawFrame.bytes(
                    payloadByteCount: UInt32.max,
                    type: MessageType.enrolFaces.rawValue,
                    payload: [1, 2, 3]
                )
            )
            let frame = try RawFrame.first(try await peer.readToEnd())
            #expect(try status(frame).code == .limitExceeded)
            #expect(try status(frame).message.contains("4294967295 bytes on stream 5 is above the limit of 65536"))
        }
    }

    @Test func aWrongPayloadChecksumIsToldThenTheConnectionCloses() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let peer = try await peer(server)
            var bytes = try Fixture.frame(DeleteCollection(name: "44"), stream: 3)
            bytes[bytes.count - 1] ^= 1
            try await peer.send(bytes)
            let told = try status(RawFrame.first(try await peer.readToEnd()))
            #expect(told.code == .unavailable && told.message.contains("nothing of it was done"))
        }
    }

    @Test func aWrongHeaderChecksumClosesAtOnce() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let peer = try await peer(server)
            var bytes = try Fixture.frame(DeleteCollection(name: "44"), stream: 3)
            bytes[9] ^= 1
            try await peer.send(bytes)
            #expect(try await peer.readToEnd() == [])
        }
    }

    @Test func messagesOfTheWrongSideCloseTheConnection() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            for message in try [Fixture.frame(CollectionDeleted(faceCount: 1)), Fixture.helloFrame()] {
                let peer = try await peer(server)
                try await peer.send(message)
                #expect(try status(RawFrame.first(try await peer.readToEnd())).code == .malformedFrame)
            }
        }
    }

    @Test func aStreamUnderWayCannotBeUsedAgain() async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let peer = try await peer(server)
            try await peer.send(Fixture.frame(DeleteCollection(name: "a"), stream: 9))
            let call = try await held.call("a")
            try await peer.send(Fixture.frame(DeleteCollection(name: "b"), stream: 9))
            #expect(try status(RawFrame.first(try await peer.readToEnd())).code == .malformedFrame)
            try await Fixture.waitUntil { call.isCancelled }
        }
    }

    @Test func requestsAboveTheStreamLimitAreOverloadedAndTheRestGoOn() async throws {
        let held = HeldCalls()
        let configuration = Fixture.configuration { $0.limits.streamCount = 2 }
        try await Fixture.withServer(held.handler, configuration) { server in
            let peer = try await peer(server)
            for stream in 10...12 as ClosedRange<UInt64> {
                try await peer.send(Fixture.frame(DeleteCollection(name: "\(stream)"), stream: stream))
            }
            let refused = try #require(try await peer.readFrames(1).first)
            #expect(refused.header.stream == 12)
            #expect(try status(refused).code == .overloaded)
            #expect(try status(refused).retryAfterMilliseconds > 0)
            try await held.call("10").reply(CollectionDeleted(faceCount: 1))
            #expect(try await peer.readFrames(1).first?.header.stream == 10)
            try await peer.send(Fixture.frame(DeleteCollection(name: "13"), stream: 13))
            try await held.call("13").reply(CollectionDeleted(faceCount: 1))
            #expect(try await peer.readFrames(1).first?.header.stream == 13)
        }
    }

    @Test(arguments: [86_400_000_001, 1 << 63, UInt64.max])
    func aDeadlineYearsAwayIsReadAsADay(microseconds: UInt64) async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let peer = try await peer(server)
            try await peer.send(
                RawFrame.bytes(
                    type: MessageType.deleteCollection.rawValue,
                    deadlineMicroseconds: microseconds,
                    payload: DeleteCollection(name: "far").payload
                )
            )
            let call = try await held.call("far")
            #expect(!call.deadline.isNone && !call.isCancelled)
            #expect(call.deadline.remaining <= .seconds(86_400) && call.deadline.remaining > .seconds(86_000))
            call.reply(CollectionDeleted(faceCount: 1))
            #expect(try await peer.readFrames(1).count == 1)
        }
    }

    @Test func aFrameThatDoesNotEndClosesItsConnection() async throws {
        let configuration = Fixture.configuration {
            $0.frameTimeout = .milliseconds(100)
            $0.checkInterval = .milliseconds(20)
        }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            for byteCount in [1, 31, 33] {
                let peer = try await peer(server)
                try await peer.send(Array(Fixture.frame(DeleteCollection(name: "44"), stream: 3)[..<byteCount]))
                #expect(try await peer.readToEnd() == [])
            }
        }
    }

    @Test func anIdleConnectionIsClosedButNotOneWithACallUnderWay() async throws {
        let held = HeldCalls()
        let configuration = Fixture.configuration {
            // Longer than a busy machine may stand still.
            $0.idleTimeout = .seconds(4)
            $0.checkInterval = .milliseconds(20)
        }
        try await Fixture.withServer(held.handler, configuration) { server in
            let busy = try await peer(server)
            try await busy.send(Fixture.frame(DeleteCollection(name: "a"), stream: 3))
            let call = try await held.call("a")
            let idle = try await peer(server)
            #expect(try await idle.readToEnd() == [])
            #expect(!call.isCancelled)
            call.reply(CollectionDeleted(faceCount: 5))
            #expect(try await busy.readFrames(1).count == 1)
        }
    }

    @Test func aPeerThatDoesNotReadIsClosedAndItsRequestsAreNotReadMeanwhile() async throws {
        let held = HeldCalls()
        let answered = Mutex<ServerCall?>(nil)
        let handler = ClosureHandler { request, call in
            guard case .listFaces(let message) = request else { return held.handler.handle(request, call: call) }
            let embedding = [Float](repeating: 1, count: 2048)
            call.reply(
                FaceList(
                    faces: (0..<message.limit).map {
                        StoredFace(
                            id: FaceID(high: 0, low: UInt64($0)),
                            metadata: FaceMetadata(),
                            version: FaceVersion(epoch: 1, sequence: 1),
                            embedding: embedding
                        )
                    }
                )
            )
            answered.withLock { $0 = call }
        }
        let configuration = Fixture.configuration {
            // Longer than a busy machine may stand still.
            $0.slowReaderTimeout = .seconds(3)
            $0.checkInterval = .milliseconds(20)
        }
        try await Fixture.withServer(handler, configuration) { server in
            let slow = try await peer(server, receiveBufferByteCount: 4096)
            let list = ListFaces(collection: "c", after: nil, limit: 2000, includesEmbeddings: true)
            try await slow.send(Fixture.frame(list, stream: 3))
            // The answer (16 MB) fills every buffer between here and there before the loop does anything else.
            let call = try await Fixture.eventually { answered.withLock(\.self) }
            try await call.eventLoop.submit {}.get()
            try await slow.send(Fixture.frame(DeleteCollection(name: "late"), stream: 4))
            let connection = try await Fixture.connect(server)
            async let other = connection.call(DeleteCollection(name: "other"), deadline: Fixture.soon)
            try await held.call("other").reply(CollectionDeleted(faceCount: 1))
            #expect(try await other.faceCount == 1)
            // Only what fitted into the sockets' buffers comes, then the end.
            try await Fixture.waitUntil { configuration.metrics.activity.connectionCount == 1 }
            let received = try? await slow.readToEnd().count
            #expect((received ?? 0) < 16 << 20)
            #expect(held.count == 1)
        }
    }
}
