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

    private func reply(
        _ revision: UInt64,
        _ coordinators: [NodeID: NodeAddress],
        by coordinator: NodeID? = nil
    ) -> HeartbeatReply {
        HeartbeatReply(
            clusterID: NodeID(high: 9, low: 9),
            epoch: Epoch(1),
            coordinator: coordinator ?? first,
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

    /// The records have moved to another store, or the store was put back to an earlier copy.
    @Test func aCoordinatorThatIsAddedOnLowerRevisionsIsTold() {
        var list = CoordinatorList()
        list.heard(reply(2000, [:]))
        list.heard(reply(5, [first: home]))
        list.heard(reply(7, [first: home, second: away]))
        #expect(list.addresses(besides: [.init(address: home, reached: first)]) == [away])
        // And one that is gone by the records as they are is told no more.
        list.heard(reply(6, [first: home]))
        #expect(list.addresses(besides: [.init(address: home, reached: first)]) == [])
    }

    /// One of them may be cut off from the store.
    @Test func everyOnesWordCountsUntilItIsSilentForLong() {
        var list = CoordinatorList()
        let start = ContinuousClock.now
        let configured = [CoordinatorList.Configured(address: home, reached: first)]
        list.heard(reply(9, [first: home, second: away], by: second), now: start)
        list.heard(reply(3, [first: home, second: elsewhere]), now: start + .seconds(1))
        #expect(list.addresses(besides: configured) == [away, elsewhere])
        list.heard(reply(3, [first: home, second: elsewhere]), now: start + CoordinatorList.patience)
        #expect(list.addresses(besides: configured) == [elsewhere])
    }

    @Test func addressesAreBounded() {
        var list = CoordinatorList()
        for number in 0..<200 as Range<UInt64> {
            let named = (0..<200 as Range<UInt64>).map { low in
                (NodeID(high: number, low: low), NodeAddress(host: "10.0.\(number).\(low)", port: 1))
            }
            let names = Dictionary(uniqueKeysWithValues: named)
            list.heard(reply(number, names, by: NodeID(high: 3, low: number)))
        }
        #expect(list.addresses(besides: []).count == CoordinatorList.limit)
        list.heard(reply(0, [second: away]), now: ContinuousClock.now + .seconds(61))
        #expect(list.addresses(besides: []) == [away])
    }

    @Test func whereThereIsOneNobodyIsNamed() {
        var list = CoordinatorList()
        list.heard(reply(3, [:]))
        #expect(list.addresses(besides: [.init(address: home, reached: first)]) == [])
    }
}
