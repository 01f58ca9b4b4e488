import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// Whose word counts of what an operator holds up.
struct OperationHoldsTests {
    private let first = NodeID(high: 1, low: 1)
    private let second = NodeID(high: 1, low: 2)
    private let worker = NodeID(high: 2, low: 1)
    private let collection = CollectionID(high: 3, low: 1)
    private var shard: ShardID { ShardID(collection: collection, index: 4) }

    private func reply(_ coordinator: NodeID, _ revision: UInt64, isHeld: Bool) -> HeartbeatReply {
        HeartbeatReply(
            clusterID: NodeID(high: 9, low: 9),
            epoch: Epoch(1),
            coordinator: coordinator,
            revision: revision,
            heldCollections: isHeld ? [collection] : [],
            heldCopies: isHeld ? [HeldCopy(shard: shard, worker: worker)] : []
        )
    }

    private func isHeld(_ holds: OperationHolds) -> Bool {
        let copy = holds.holdsCopy(of: shard, to: worker)
        #expect(holds.holdsCodebook(of: collection) == copy)
        return copy
    }

    @Test func theNewestRecordsCount() {
        let holds = OperationHolds()
        #expect(!isHeld(holds))
        holds.heard(reply(first, 7, isHeld: true))
        #expect(isHeld(holds))
        #expect(!holds.holdsCopy(of: shard, to: first), "a copy for another worker goes on")
        // Another has not heard of it yet, or is of a build that says nothing of it.
        holds.heard(reply(second, 6, isHeld: false))
        #expect(isHeld(holds))
        holds.heard(reply(second, 7, isHeld: false))
        #expect(isHeld(holds))
        holds.heard(reply(second, 8, isHeld: false))
        #expect(!isHeld(holds))
        holds.heard(reply(first, 7, isHeld: true))
        #expect(!isHeld(holds))
    }

    /// A store that was put back has lower revisions: its coordinator counts once nobody else is heard of.
    @Test func whoIsSilentIsForgotten() {
        let holds = OperationHolds()
        let start = ContinuousClock.now
        holds.heard(reply(first, 7, isHeld: true), now: start)
        holds.heard(reply(second, 3, isHeld: false), now: start + .seconds(5))
        #expect(isHeld(holds))
        holds.heard(reply(second, 3, isHeld: false), now: start + .seconds(11))
        #expect(!isHeld(holds))
    }
}
