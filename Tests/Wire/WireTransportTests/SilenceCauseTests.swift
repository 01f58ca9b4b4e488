import ClusterModel
import PortHolding
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// What calling a silent worker comes to.
struct SilenceCauseTests {
    /// Longer than a busy machine takes to connect; whole only where nobody answers.
    private static let patience = Duration.seconds(3)

    private func cause(
        of worker: NodeID = Fixture.node,
        at address: NodeAddress,
        token: String = Fixture.token
    ) async -> SilenceCause {
        await WorkerClients(token: token, tls: nil, agent: "test/1")
            .silenceCause(of: worker, at: address, on: Fixture.group, timeout: Self.patience)
    }

    @Test func aPortThatRefusesTellsThatTheProcessIsGone() async throws {
        let server = try await WireServer.start(
            Fixture.configuration(),
            handler: Fixture.counting,
            group: Fixture.group
        )
        await server.shutdown(gracePeriod: .zero)
        let heldPort = HeldPort(server.address.port) { Issue.record("\($0)") }
        #expect(await cause(at: server.address) == .notRunning)
        withExtendedLifetime(heldPort) {}
    }

    @Test func aConnectionOnWhichNothingIsSaidTellsThatItHangs() async throws {
        let isOver = Flag()
        let port = try RawPeer.listen { peer in peer.keep { !isOver.isSet } }
        #expect(await cause(at: NodeAddress(host: "127.0.0.1", port: port)) == .hanging)
        isOver.set()
    }

    @Test func aConnectionThatIsClosedIsToldFromOneThatIsKept() async throws {
        let port = try RawPeer.listen { _ in }
        #expect(await cause(at: NodeAddress(host: "127.0.0.1", port: port)) == .closed)
    }

    /// Without a token, which goes nowhere else in clear.
    @Test func anAddressThatLeadsNowhereIsUnreachable() async throws {
        let address = NodeAddress(host: "no-such-host.invalid", port: 7401)
        #expect(await cause(at: address, token: "") == .unreachable)
    }

    @Test func aWorkerThatAnswersIsKnownByItsIdentity() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            #expect(await cause(at: server.address) == .answering)
            let other = NodeID(high: 1, low: 2)
            #expect(await cause(of: other, at: server.address) == .replaced)
        }
    }

    @Test func aWorkerThatRefusesTheHelloSaysSo() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            #expect(await cause(at: server.address, token: "another token") == .refused)
        }
    }

    @Test func everyCauseButNoneHasAClause() {
        #expect(SilenceCause.allCases.filter { $0.clause == nil } == [.unknown])
        #expect(Set(SilenceCause.allCases.compactMap(\.clause)).count == SilenceCause.allCases.count - 1)
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)

        var isSet: Bool { value.load(ordering: .acquiring) }
        func set() { value.store(true, ordering: .releasing) }
    }
}
