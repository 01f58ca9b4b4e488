import ClusterModel
import FaceModel
import NIOCore
import PortHolding
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Calls over one connection: multiplexing, deadlines, cancellation, and how they end.
struct WireConnectionTests {
    @Test func answersMayComeInAnyOrder() async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let connection = try await Fixture.connect(server)
            async let first = connection.call(DeleteCollection(name: "first"), deadline: Fixture.soon)
            async let second = connection.call(DeleteCollection(name: "second"), deadline: Fixture.soon)
            async let third = connection.call(DeleteCollection(name: "third"), deadline: Fixture.soon)
            for (name, count) in [("third", 3), ("first", 1), ("second", 2)] as [(String, UInt64)] {
                try await held.call(name).reply(CollectionDeleted(faceCount: count))
            }
            #expect(try await [first.faceCount, second.faceCount, third.faceCount] == [1, 2, 3])
        }
    }

    @Test func aPingIsAnsweredOnItsStream() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let connection = try await Fixture.connect(server)
            let answer = try await connection.call(Ping(), deadline: Fixture.soon)
            #expect(answer == Pong())
        }
    }

    @Test func aThousandCallsAtOnceGetEachItsOwnAnswer() async throws {
        let handler = ClosureHandler { request, call in
            guard case .deleteCollection(let message) = request else { return call.fail(Fixture.unexpected) }
            // Half are answered from tasks on the loop, half at once.
            guard let count = UInt64(message.name) else { return call.fail(Fixture.unexpected) }
            if count % 2 == 0 { return call.reply(CollectionDeleted(faceCount: count)) }
            call.run {
                try await Task.sleep(for: .milliseconds(Int(count % 7)))
                return CollectionDeleted(faceCount: count)
            }
        }
        try await Fixture.withServer(handler) { server in
            let connection = try await Fixture.connect(server)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        let answer = try await connection.call(
                            DeleteCollection(name: "\(number)"),
                            deadline: .after(.seconds(20))
                        )
                        return answer.faceCount == UInt64(number)
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test func callsAboveTheGrantedStreamsAreOverloaded() async throws {
        let held = HeldCalls()
        let configuration = Fixture.configuration { $0.limits.streamCount = 1 }
        try await Fixture.withServer(held.handler, configuration) { server in
            let connection = try await Fixture.connect(server)
            async let first = connection.call(DeleteCollection(name: "first"), deadline: Fixture.soon)
            let call = try await held.call("first")
            let status = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(DeleteCollection(name: "second"), deadline: Fixture.soon)
            }
            #expect(status?.code == .overloaded && status?.hasNoEffect == true)
            call.reply(CollectionDeleted(faceCount: 1))
            #expect(try await first.faceCount == 1)
        }
    }

    @Test func aDeadlineEndsTheCallOnBothSides() async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let connection = try await Fixture.connect(server)
            let clock = ContinuousClock()
            let start = clock.now
            async let patient = connection.call(DeleteCollection(name: "patient"), deadline: Fixture.soon)
            let status = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(DeleteCollection(name: "hasty"), deadline: .after(.milliseconds(80)))
            }
            #expect(status?.code == .deadlineExceeded && status?.hasNoEffect == false)
            #expect(clock.now - start >= .milliseconds(75))
            let hasty = try await held.call("hasty")
            #expect(hasty.deadline.remaining <= .milliseconds(80))
            try await Fixture.waitUntil { hasty.isCancelled }
            hasty.reply(CollectionDeleted(faceCount: 9))
            let call = try await held.call("patient")
            #expect(!call.isCancelled && call.deadline.remaining > .seconds(5))
            call.reply(CollectionDeleted(faceCount: 1))
            #expect(try await patient.faceCount == 1)
        }
    }

    @Test func aCallWithoutADeadlineArrivesWithoutOne() async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let connection = try await Fixture.connect(server)
            async let answer = connection.call(DeleteCollection(name: "a"), deadline: .none)
            let call = try await held.call("a")
            #expect(call.deadline.isNone && !call.deadline.hasPassed)
            call.reply(CollectionDeleted(faceCount: 1))
            #expect(try await answer.faceCount == 1)
        }
    }

    @Test func aPassedDeadlineIsNotSent() async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let connection = try await Fixture.connect(server)
            let status = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(DeleteCollection(name: "late"), deadline: .after(.zero))
            }
            #expect(status?.code == .deadlineExceeded && status?.hasNoEffect == true)
            #expect(held.count == 0)
        }
    }

    @Test func cancellingTheTaskCancelsTheCallAndItsHandlersTask() async throws {
        let state = Atomic<Int>(0)
        let handler = ClosureHandler { _, call in
            call.run {
                state.store(1, ordering: .sequentiallyConsistent)
                do {
                    try await Task.sleep(for: .seconds(60))
                } catch {
                    state.store(call.isCancelled ? 2 : 3, ordering: .sequentiallyConsistent)
                }
                return CollectionDeleted(faceCount: 1)
            }
        }
        try await Fixture.withServer(handler) { server in
            let connection = try await Fixture.connect(server)
            let task = Task {
                await Fixture.status { () async throws(WireStatus) in
                    try await connection.call(DeleteCollection(name: "a"), deadline: .none)
                }
            }
            try await Fixture.waitUntil { state.load(ordering: .sequentiallyConsistent) == 1 }
            task.cancel()
            #expect(await task.value?.code == .cancelled)
            try await Fixture.waitUntil { state.load(ordering: .sequentiallyConsistent) == 2 }
            #expect(connection.isOpen)
        }
    }

    @Test func aCancelledTaskSendsNothing() async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let connection = try await Fixture.connect(server)
            let task = Task {
                while !Task.isCancelled { await Task.yield() }
                return await Fixture.status { () async throws(WireStatus) in
                    try await connection.call(DeleteCollection(name: "a"), deadline: .none)
                }
            }
            task.cancel()
            #expect(await task.value?.code == .cancelled)
            #expect(held.count == 0)
        }
    }

    @Test func callsOfAConnectionThatClosesAreCancelled() async throws {
        let held = HeldCalls()
        try await Fixture.withServer(held.handler) { server in
            let connection = try await Fixture.connect(server)
            let task = Task {
                await Fixture.status { () async throws(WireStatus) in
                    try await connection.call(DeleteCollection(name: "a"), deadline: .none)
                }
            }
            let call = try await held.call("a")
            await connection.close()
            #expect(await task.value?.code == .unavailable)
            try await Fixture.waitUntil { call.isCancelled }
            let later = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(DeleteCollection(name: "b"), deadline: .none)
            }
            #expect(later?.code == .unavailable)
        }
    }

    @Test func aConnectionThatIsLetGoCloses() async throws {
        let configuration = Fixture.configuration { $0.connectionLimit = 1 }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            var connection: WireConnection? = try await Fixture.connect(server)
            #expect(connection?.isOpen == true)
            await #expect(throws: WireStatus.self) { try await Fixture.connect(server) }
            connection = nil
            for _ in 0..<200 where connection == nil {
                connection = try? await Fixture.connect(server)
            }
            #expect(connection?.isOpen == true)
        }
    }

    @Test func aCallLetGoWithoutAnAnswerIsAnsweredAsADefect() async throws {
        try await Fixture.withServer(ClosureHandler { _, _ in }) { server in
            let connection = try await Fixture.connect(server)
            let status = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(ListCollections(), deadline: Fixture.soon)
            }
            #expect(status?.code == .internalError)
        }
    }

    @Test func onlyTheFirstAnswerCounts() async throws {
        let handler = ClosureHandler { _, call in
            call.reply(CollectionDeleted(faceCount: 1))
            call.reply(CollectionDeleted(faceCount: 2))
            call.fail(Fixture.unexpected)
        }
        try await Fixture.withServer(handler) { server in
            let connection = try await Fixture.connect(server)
            for _ in 0..<3 {
                let answer = try await connection.call(DeleteCollection(name: "a"), deadline: Fixture.soon)
                #expect(answer.faceCount == 1)
            }
        }
    }

    private struct StorageTrouble: WireStatusConvertible {
        var wireStatus: WireStatus { WireStatus(.storageFull, "the disk is full", retryAfterMilliseconds: 9) }
    }

    private struct OtherTrouble: Error {
        let detail = "what nobody outside may read"
    }

    @Test func thrownErrorsBecomeStatuses() async throws {
        let handler = ClosureHandler { request, call in
            call.run {
                switch request {
                case .listCollections: throw StorageTrouble()
                case .getClusterStatus: throw CancellationError()
                default: throw OtherTrouble()
                }
            }
        }
        try await Fixture.withServer(handler) { server in
            let connection = try await Fixture.connect(server)
            let known = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(ListCollections(), deadline: Fixture.soon)
            }
            #expect(known == WireStatus(.storageFull, "the disk is full", retryAfterMilliseconds: 9))
            let cancelled = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(GetClusterStatus(), deadline: Fixture.soon)
            }
            #expect(cancelled?.code == .cancelled)
            let other = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(DeleteCollection(name: "a"), deadline: Fixture.soon)
            }
            #expect(other?.code == .internalError)
            #expect(other?.message.contains("nobody") == false)
        }
    }

    @Test func anAnswerAboveTheLimitBecomesAStatus() async throws {
        let handler = ClosureHandler { _, call in
            call.reply(
                EmbeddingSample(
                    embeddings: EmbeddingMatrix(dimension: 1024, values: [Float](repeating: 0, count: 1024 * 64))
                )
            )
        }
        let configuration = Fixture.configuration { $0.limits.payloadByteCount = 64 << 10 }
        try await Fixture.withServer(handler, configuration) { server in
            let connection = try await Fixture.connect(server)
            let status = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(
                    SampleEmbeddings(
                        route: ShardRoute(
                            shard: ShardID(collection: CollectionID(high: 1, low: 1), index: 0),
                            epoch: Epoch(1)
                        ),
                        count: 64,
                        seed: 1
                    ),
                    deadline: Fixture.soon
                )
            }
            #expect(status?.code == .limitExceeded)
            #expect(status?.message.contains("65536") == true)
            #expect(connection.isOpen)
        }
    }

    @Test func aRequestAboveTheLimitFailsHereAndTheConnectionGoesOn() async throws {
        let configuration = Fixture.configuration { $0.limits.payloadByteCount = 64 << 10 }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let connection = try await Fixture.connect(server)
            let ids = (0..<5000).map { FaceID(high: 1, low: $0) }
            let status = await Fixture.status { () async throws(WireStatus) in
                try await connection.call(
                    DeleteFaces(collection: "c", key: .random(), ids: ids),
                    deadline: Fixture.soon
                )
            }
            #expect(status?.code == .limitExceeded && status?.hasNoEffect == true)
            let answer = try await connection.call(DeleteCollection(name: "3"), deadline: Fixture.soon)
            #expect(answer.faceCount == 3)
        }
    }

    @Test func batchesOfMegabytesArriveWhole() async throws {
        let values = (0..<512 * 1000).map { Float($0) }
        let handler = ClosureHandler { request, call in
            guard case .enrolFaces(let message) = request else { return call.fail(Fixture.unexpected) }
            let isRight = message.embeddings.values == values && message.rows.count == 1000
            call.reply(
                FacesEnrolled(
                    outcomes: [isRight ? .accepted : .superseded],
                    token: ConsistencyToken(collection: CollectionID(high: 1, low: 1), sequences: [:])
                )
            )
        }
        try await Fixture.withServer(handler) { server in
            let connection = try await Fixture.connect(server)
            let message = EnrolFaces(
                collection: "c",
                embeddingModel: "m",
                key: .random(),
                rows: (0..<1000).map { EnrolRow(id: FaceID(high: 0, low: $0), metadata: FaceMetadata()) },
                embeddings: EmbeddingMatrix(dimension: 512, values: values)
            )
            for _ in 0..<5 {
                let answer = try await connection.call(message, deadline: Fixture.soon)
                #expect(answer.outcomes == [.accepted])
            }
        }
    }

    @Test func aStoppingNodeFinishesWhatIsUnderWayAndTakesNothingMore() async throws {
        let held = HeldCalls()
        let server = try await WireServer.start(
            Fixture.configuration(),
            handler: held.handler,
            group: Fixture.group
        )
        let connection = try await Fixture.connect(server)
        async let answer = connection.call(DeleteCollection(name: "a"), deadline: Fixture.soon)
        let call = try await held.call("a")
        async let stopped: Void = server.shutdown(gracePeriod: .seconds(10))
        try await Fixture.waitUntil { !connection.isOpen }
        let refused = await Fixture.status { () async throws(WireStatus) in
            try await connection.call(DeleteCollection(name: "b"), deadline: Fixture.soon)
        }
        #expect(refused?.code == .unavailable)
        call.reply(CollectionDeleted(faceCount: 5))
        #expect(try await answer.faceCount == 5)
        await stopped
    }

    @Test func aStoppingNodeWaitsNoLongerThanTheGracePeriod() async throws {
        let held = HeldCalls()
        let server = try await WireServer.start(
            Fixture.configuration(),
            handler: held.handler,
            group: Fixture.group
        )
        let connection = try await Fixture.connect(server)
        let task = Task {
            await Fixture.status { () async throws(WireStatus) in
                try await connection.call(DeleteCollection(name: "a"), deadline: .none)
            }
        }
        let call = try await held.call("a")
        await server.shutdown(gracePeriod: .milliseconds(50))
        #expect(await task.value?.code == .unavailable)
        #expect(call.isCancelled)
    }

    @Test func pingsKeepAnIdleConnectionThatTheNodeWouldClose() async throws {
        let configuration = Fixture.configuration {
            // Many pings long: some may be late on a busy machine.
            $0.idleTimeout = .seconds(6)
            $0.checkInterval = .milliseconds(50)
        }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let pinging = try await Fixture.connect(server, keepAlive: .milliseconds(400))
            let silent = try await Fixture.connect(server, keepAlive: .seconds(60))
            try await Fixture.waitUntil { !silent.isOpen }
            #expect(pinging.isOpen)
        }
    }

    @Test func aNodeThatDoesNotAnswerTheHelloIsGivenUp() async throws {
        let port = try RawPeer.listen { peer in while let bytes = try? peer.readNow(), !bytes.isEmpty {} }
        let status = await Fixture.status { () async throws(WireStatus) in
            try await WireConnection.connect(
                to: NodeAddress(host: "127.0.0.1", port: port),
                as: .client,
                token: "",
                tls: nil,
                on: Fixture.group.next(),
                agent: "test",
                timeout: .milliseconds(100)
            )
        }
        #expect(status?.code == .unavailable)
        #expect(status?.message.contains("hello") == true)
    }

    @Test func aServerThatIsNotMienIsNamedAsSuch() async throws {
        let port = try RawPeer.listen { peer in
            _ = try? peer.readNow()
            try? peer.sendNow(Array("HTTP/1.1 400 Bad Request\r\n\r\n and more than a header's bytes".utf8))
        }
        let status = await Fixture.status { () async throws(WireStatus) in
            try await WireConnection.connect(
                to: NodeAddress(host: "127.0.0.1", port: port),
                as: .client,
                token: "",
                tls: nil,
                on: Fixture.group.next(),
                agent: "test",
                timeout: .seconds(5)
            )
        }
        #expect(status?.code == .malformedFrame)
    }

    @Test func anUnreachableNodeIsNamed() async throws {
        let server = try await WireServer.start(
            Fixture.configuration(),
            handler: Fixture.counting,
            group: Fixture.group
        )
        await server.shutdown(gracePeriod: .zero)
        let heldPort = HeldPort(server.address.port) { Issue.record("\($0)") }
        defer { withExtendedLifetime(heldPort) {} }
        let status = await Fixture.status { () async throws(WireStatus) in
            try await WireConnection.connect(
                to: server.address,
                as: .client,
                token: "",
                tls: nil,
                on: Fixture.group.next(),
                agent: "test",
                timeout: .seconds(5)
            )
        }
        #expect(status?.code == .unavailable)
        #expect(status?.message == "cannot reach \(server.address): Connection refused")
    }

    // MARK: Peers of other builds

    /// Fields that messages got after the first revision are sent to whoever offered to take them, and to nobody else.
    @Test(arguments: [true, false], [true, false])
    func anEarlierBuildIsSentWhatItKnows(callerIsEarlier: Bool, nodeIsEarlier: Bool) async throws {
        let node = ClosureHandler { request, call in
            guard case .heartbeat = request else { return call.fail(Fixture.unexpected) }
            call.reply(
                HeartbeatReply(
                    clusterID: Fixture.node,
                    epoch: Epoch(1),
                    coordinator: Fixture.node,
                    recordAge: 5,
                    heldCollections: [CollectionID(high: 1, low: 2)]
                )
            )
        }
        let configuration = Fixture.configuration { $0.features = nodeIsEarlier ? .traceContext : .known }
        try await Fixture.withServer(node, configuration) { server in
            let connection = try await WireConnection.connect(
                to: server.address,
                as: .worker,
                token: Fixture.token,
                tls: nil,
                on: Fixture.group.next(),
                agent: "test/1",
                timeout: .seconds(10),
                features: callerIsEarlier ? [] : .known
            )
            let heartbeat = Heartbeat(
                worker: Fixture.node,
                address: server.address,
                clusterID: nil,
                report: WorkerReport(
                    replicas: [],
                    trainings: [],
                    residentByteCount: 1,
                    freeDiskByteCount: 2,
                    kernelLevel: "scalar"
                )
            )
            let reply = try await connection.call(heartbeat, deadline: Fixture.soon)
            #expect(reply.recordAge == 5)
            #expect(reply.heldCollections.isEmpty == (callerIsEarlier || nodeIsEarlier))
            await connection.close()
        }
    }
}
