import ClusterModel
import NIOCore
import PortHolding
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct PeerClientTests {
    @Test func oneConnectionServesManyCallers() async throws {
        let configuration = Fixture.configuration { $0.connectionLimit = 1 }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let client = Fixture.peerClient(server.address)
            try await withThrowingTaskGroup(of: UInt64.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        try await client.call(DeleteCollection(name: "\(number)"), deadline: Fixture.soon).faceCount
                    }
                }
                let sum = try await group.reduce(0, +)
                #expect(sum == 49 * 50 / 2)
            }
            await client.close()
        }
    }

    @Test func aRestartedNodeIsReachedAgain() async throws {
        // Its own, so that a call that strays to another test's server is refused there.
        let token = "secret \(UInt64.random(in: 0 ... .max))"
        let first = try await WireServer.start(
            Fixture.configuration { $0.token = token },
            handler: Fixture.counting,
            group: Fixture.group
        )
        let client = Fixture.peerClient(first.address, token: token)
        #expect(try await client.call(DeleteCollection(name: "1"), deadline: Fixture.soon).faceCount == 1)
        await first.shutdown(gracePeriod: .zero)
        let heldPort = HeldPort(first.address.port) { Issue.record("\($0)") }
        defer { withExtendedLifetime(heldPort) {} }
        // While it is away calls fail, and fail fast.
        let clock = ContinuousClock()
        let start = clock.now
        for number in 0..<20 {
            let status = await Fixture.status { () async throws(WireStatus) in
                try await client.call(DeleteCollection(name: "1"), deadline: Fixture.soon)
            }
            #expect(status?.code == .unavailable)
            // The first may have gone out before the end of its connection was heard of.
            #expect(status?.hasNoEffect == true || number == 0)
        }
        #expect(clock.now - start < .seconds(5))
        let second = try await WireServer.start(
            Fixture.configuration {
                $0.listen = first.address
                $0.token = token
            },
            handler: Fixture.counting,
            group: Fixture.group
        )
        var answer: CollectionDeleted?
        for _ in 0..<500 where answer == nil {
            answer = try? await client.call(DeleteCollection(name: "2"), deadline: Fixture.soon)
            if answer == nil { try await Task.sleep(for: .milliseconds(10)) }
        }
        #expect(answer?.faceCount == 2)
        await client.close()
        await second.shutdown(gracePeriod: .zero)
    }

    /// At the address of one that is gone: what it answers is not that one's.
    @Test func anotherNodeAtTheAddressIsNotTakenForTheOneThatWas() async throws {
        try await Fixture.withServer(Fixture.counting, Fixture.configuration()) { server in
            for (node, isIt) in [(Fixture.node, true), (NodeID(high: 9, low: 9), false)] {
                let client = PeerClient(
                    address: server.address,
                    node: node,
                    role: .coordinator,
                    token: Fixture.token,
                    tls: nil,
                    group: Fixture.group,
                    agent: "test/1"
                )
                let status = await Fixture.status { () async throws(WireStatus) in
                    try await client.call(DeleteCollection(name: "1"), deadline: Fixture.soon)
                }
                #expect((status == nil) == isIt)
                if !isIt {
                    #expect(status?.code == .unavailable && status?.hasNoEffect == true)
                    #expect(status?.message.contains("answers at") == true, "\(String(describing: status))")
                }
                await client.close()
            }
        }
    }

    @Test func aFreshFailureIsToldAtOnceWithTheTimeToWait() async throws {
        let server = try await WireServer.start(
            Fixture.configuration(),
            handler: Fixture.counting,
            group: Fixture.group
        )
        await server.shutdown(gracePeriod: .zero)
        let heldPort = HeldPort(server.address.port) { Issue.record("\($0)") }
        defer { withExtendedLifetime(heldPort) {} }
        let client = Fixture.peerClient(server.address)
        for _ in 0..<2 {
            let status = await Fixture.status { () async throws(WireStatus) in
                try await client.call(DeleteCollection(name: "1"), deadline: Fixture.soon)
            }
            #expect(status?.code == .unavailable)
            #expect(status?.message.contains("\(server.address)") == true)
        }
    }

    @Test func waitingForAConnectionEndsWithTheDeadlineAndWithCancellation() async throws {
        let port = try RawPeer.listen { peer in while let bytes = try? peer.readNow(), !bytes.isEmpty {} }
        let client = Fixture.peerClient(NodeAddress(host: "127.0.0.1", port: port))
        let late = await Fixture.status { () async throws(WireStatus) in
            try await client.call(DeleteCollection(name: "1"), deadline: .after(.milliseconds(60)))
        }
        #expect(late?.code == .deadlineExceeded)
        let task = Task {
            await Fixture.status { () async throws(WireStatus) in
                try await client.call(DeleteCollection(name: "1"), deadline: .none)
            }
        }
        try await Task.sleep(for: .milliseconds(30))
        task.cancel()
        #expect(await task.value?.code == .cancelled)
        let waiting = Task {
            await Fixture.status { () async throws(WireStatus) in
                try await client.call(DeleteCollection(name: "1"), deadline: .none)
            }
        }
        try await Task.sleep(for: .milliseconds(30))
        await client.close()
        #expect(await waiting.value?.code == .unavailable)
    }

    /// Nothing was sent, so that another one can be asked.
    @Test func aConnectionIsWaitedForNoLongerThanItsCallerWants() async throws {
        let port = try RawPeer.listen { peer in while let bytes = try? peer.readNow(), !bytes.isEmpty {} }
        let client = Fixture.peerClient(NodeAddress(host: "127.0.0.1", port: port))
        let status = await Fixture.status { () async throws(WireStatus) in
            try await client.call(
                DeleteCollection(name: "1"),
                deadline: .none,
                connectingBy: .after(.milliseconds(60))
            )
        }
        #expect(status?.code == .unavailable && status?.isOfConnection == true && status?.hasNoEffect == true)
        #expect(!client.isConnected)
        await client.close()
    }

    @Test func aClosedClientStaysClosed() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let client = Fixture.peerClient(server.address)
            _ = try await client.call(DeleteCollection(name: "1"), deadline: Fixture.soon)
            await client.close()
            let status = await Fixture.status { () async throws(WireStatus) in
                try await client.call(DeleteCollection(name: "1"), deadline: Fixture.soon)
            }
            #expect(status?.code == .unavailable)
        }
    }
}
