import ClusterModel
import Testing
import WireProtocol
import WorkerService

struct CoordinatorListTests {
    private let home = NodeAddress(host: "10.0.0.1", port: 7400)
    private let away = NodeAddress(host: "10.0.0.2", port: 7400)
    private let elsewhere = NodeAddress(host: "10.0.0.2", port: 7500)
    private let first = NodeID(high: 1, low: 1)
    private let second = NodeID(high: 1, low: 2)

    private func reply(_ revision: UInt64, _ coordinators: [NodeID: NodeAddress]) -> HeartbeatReply {
        HeartbeatReply(
            clusterID: NodeID(high: 9, low: 9),
            epoch: Epoch(1),
            coordinator: first,
            revision: revision,
            coordinators: coordinators.map { .init(id: $0.key, address: $0.value) }
        )
    }

    @Test func oneThatIsReachedWhereItIsConfiguredIsNotToldTwice() {
        var list = CoordinatorList()
        list.heard(reply(1, [first: elsewhere, second: away]))
        #expect(list.addresses(besides: [.init(address: home, reached: first)]) == [away])
        // It is known by another address than the one it gives itself.
        #expect(
            list.addresses(besides: [.init(address: home, reached: first), .init(address: away, reached: nil)]) == []
        )
    }

    @Test func oneThatHasMovedIsToldWhereTheOthersHaveIt() {
        var list = CoordinatorList()
        let configured = { (isReached: Bool) in
            [
                CoordinatorList.Configured(address: home, reached: first),
                CoordinatorList.Configured(address: away, reached: isReached ? second : nil),
            ]
        }
        list.heard(reply(1, [first: home, second: away]))
        #expect(list.addresses(besides: configured(true)) == [])
        list.heard(reply(2, [first: home, second: elsewhere]))
        #expect(list.addresses(besides: configured(false)) == [elsewhere])
    }

    @Test func olderRepliesHaveNoSay() {
        var list = CoordinatorList()
        list.heard(reply(5, [second: elsewhere]))
        list.heard(reply(4, [second: away]))
        #expect(list.addresses(besides: [.init(address: home, reached: first)]) == [elsewhere])
    }

    @Test func whereThereIsOneNobodyIsNamed() {
        var list = CoordinatorList()
        list.heard(reply(3, [:]))
        #expect(list.addresses(besides: [.init(address: home, reached: first)]) == [])
    }
}
