import ClusterModel
import ClusterState
import FaceModel
import Testing

struct OlderRecordsTests {
    let first = ClusterScript.worker(1)
    let second = ClusterScript.worker(2)

    private func older(_ view: ClusterView, by group: ReplicaGroup, on worker: NodeID) -> ClusterView {
        var view = view
        for shard in view.observations[worker]!.replicas.keys {
            view.observations[worker]!.replicas[shard]!.groupVersion = group.version + 1
        }
        return view
    }

    @Test func aShardThatWorkersKnowBetterIsLeftAlone() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        let shards = record.placements.map(\.shard)
        // The second worker is silent, and holds what would be hosted anew.
        var reports = ClusterScript.serving(record)
        reports[first]!.replicas[shards[0]]!.epoch = Epoch(0)
        var view = ClusterScript.view([record], reports: reports)
        #expect(ReconcilePlanner.plan(view).actions == [.host(record.placements[0], worker: first)])
        view = older(view, by: record.placements[0].group, on: first)
        var records = OlderRecords(patience: .zero)
        records.observe(view, now: .zero)
        #expect(records.shards == [shards[0]])
        (view.olderShards, view.suspectShards) = (records.shards, records.suspects)
        #expect(ReconcilePlanner.plan(view) == .init(problems: [.olderRecord(shards[0])]))
        #expect("\(ReconcileProblem.olderRecord(shards[0]))".contains("put back to an earlier state"))
    }

    @Test func nobodyTakesOverByARecordThatMayBeOlder() {
        let record = ClusterScript.replicated(1, on: [first, second])
        let failed = ClusterScript.view([record], reports: ClusterScript.serving(record), live: [second])
        #expect(!ReconcilePlanner.plan(failed).actions.isEmpty, "it would take over")
        var view = older(failed, by: record.placements[0].group, on: second)
        var records = OlderRecords(patience: .seconds(3))
        records.observe(view, now: .zero)
        (view.olderShards, view.suspectShards) = (records.shards, records.suspects)
        #expect(ReconcilePlanner.plan(view) == .init())
    }

    /// The record is the newest, and its replicas serve by it.
    @Test func aShardWithAReplicaThatPromisedMoreIsToldOfAndSteered() {
        let record = ClusterScript.replicated(1, on: [first, second])
        let shard = record.placements[0].shard
        let equal = ClusterScript.view([record], reports: ClusterScript.serving(record))
        var ahead = equal
        let promised = Epoch(record.placements[0].epoch.number + 1)
        ahead.observations[second]!.replicas[shard]!.promisedEpoch = promised
        #expect(ahead.isHosted(record.placements[0], on: second) == equal.isHosted(record.placements[0], on: second))
        #expect(ReconcilePlanner.plan(ahead).actions == ReconcilePlanner.plan(equal).actions)
        var records = OlderRecords(patience: .seconds(3))
        records.observe(ahead, now: .seconds(1))
        #expect(records.promisedShards.isEmpty, "a record may have been read a moment before")
        records.observe(ahead, now: .seconds(4))
        #expect(records.promisedShards == [shard] && records.shards.isEmpty && records.suspects.isEmpty)
        records.observe(equal, now: .seconds(5))
        #expect(records.promisedShards.isEmpty)
        // Until it is told of its group, a replica goes by an epoch of before, and has promised that of the record.
        ahead.observations[second]!.replicas[shard]!.epoch = Epoch(0)
        ahead.observations[second]!.replicas[shard]!.promisedEpoch = record.placements[0].epoch
        records.observe(ahead, now: .seconds(6))
        records.observe(ahead, now: .seconds(10))
        #expect(records.promisedShards.isEmpty)
    }

    @Test func aDifferenceCountsWhenItLasts() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        let equal = ClusterScript.view([record], reports: ClusterScript.serving(record))
        let behind = older(equal, by: record.placements[0].group, on: first)
        var records = OlderRecords(patience: .seconds(3))
        records.observe(behind, now: .seconds(1))
        records.observe(behind, now: .seconds(3))
        #expect(records.shards.isEmpty)
        #expect(records.suspects == [record.placements[0].shard])
        records.observe(behind, now: .seconds(4))
        #expect(records.shards == [record.placements[0].shard])
        // The store knows again.
        records.observe(equal, now: .seconds(5))
        #expect(records.shards.isEmpty && records.suspects.isEmpty)
        records.observe(behind, now: .seconds(6))
        #expect(records.shards.isEmpty, "it begins anew")
    }
}
