import ClusterModel
import FaceModel
import Testing
import WorkerService

/// How much of the log is on its way to replicas at most.
struct EntriesUnderWayTests {
    private let shard = ShardID(collection: CollectionID(high: 1, low: 1), index: 0)
    private let other = ShardID(collection: CollectionID(high: 1, low: 1), index: 1)
    private let worker = NodeID(high: 2, low: 1)

    /// What hangs is sent the same again and again.
    @Test func whatIsTooMuchIsLost() {
        let entries = EntriesUnderWay()
        var shares: [EntriesUnderWay.Share] = []
        for _ in 0..<100 {
            if let share = entries.share(of: 4 << 20, to: shard, on: worker) { shares.append(share) }
        }
        #expect(shares.count == 8 && entries.byteCount == EntriesUnderWay.byteLimit)
        // Nor does it cost others anything, and word of who is there goes on.
        #expect(entries.share(of: 4 << 20, to: shard, on: NodeID(high: 2, low: 2)) != nil)
        #expect(entries.share(of: 4 << 20, to: other, on: worker) != nil)
        #expect(entries.share(of: 0, to: shard, on: worker) != nil)
        shares.removeLast()
        #expect(entries.byteCount == 28 << 20)
        #expect(entries.share(of: 5 << 20, to: shard, on: worker) == nil)
        shares.removeAll()
        #expect(entries.byteCount == 0)
    }

    @Test func oneMessageThatIsLargerGoesAlone() {
        let entries = EntriesUnderWay()
        let large = entries.share(of: EntriesUnderWay.byteLimit + 1, to: shard, on: worker)
        #expect(large != nil)
        #expect(entries.share(of: 1, to: shard, on: worker) == nil)
        withExtendedLifetime(large) {}
    }
}
