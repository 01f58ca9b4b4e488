import ClusterModel
import ClusterState
import FaceModel
import Testing

struct ReconcilePlannerTests {
    let first = ClusterScript.worker(1)
    let second = ClusterScript.worker(2)

    @Test func newShardsAreHostedOnLiveWorkersOnly() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second], isEstablished: false)
        let view = ClusterScript.view([record], reports: [first: WorkerObservation()])
        #expect(
            ReconcilePlanner.plan(view) == .init(actions: [.host(record.placements[0], worker: first)])
        )
    }

    @Test func aCollectionIsEstablishedOnceAllItsShardsAreHosted() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second], isEstablished: false)
        var reports = ClusterScript.serving(record)
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions
                == [.establish(record.collection.id)]
        )
        reports[second]!.replicas[record.placements[1].shard]!.state = .opening
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)) == .init())
    }

    @Test func aReplicaThatItsWorkerHasLostIsReportedAndNeverReplaced() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        let plan = ReconcilePlanner.plan(ClusterScript.view([record], reports: [first: WorkerObservation()]))
        #expect(plan == .init(problems: [.lostReplica(record.placements[0].shard, worker: first)]))
    }

    @Test func aReplicaUnderAnOlderEpochIsHostedAnew() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        var reports = ClusterScript.serving(record)
        reports[first]!.replicas[record.placements[0].shard]!.epoch = Epoch(0)
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions
                == [.host(record.placements[0], worker: first)]
        )
    }

    @Test func replicasOfDeletedCollectionsAreDroppedWhenTheirWorkerIsThere() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        let shards = record.placements.map(\.shard)
        let reports = ClusterScript.serving(record)
        let deletions = [record.collection.id: Epoch(5)]
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([], reports: reports, live: [first], deletions: deletions))
                == .init(actions: [.drop(shards[0], epoch: Epoch(5), worker: first)])
        )
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([], reports: reports, deletions: deletions)).actions
                == [
                    .drop(shards[0], epoch: Epoch(5), worker: first), .drop(shards[1], epoch: Epoch(5), worker: second),
                ]
        )
    }

    @Test func replicasThatNoRecordNamesAreLeftAlone() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        let plan = ReconcilePlanner.plan(ClusterScript.view([], reports: ClusterScript.serving(record)))
        #expect(plan == .init(problems: [.unnamedReplica(record.placements[0].shard, worker: first)]))
    }

    @Test func failedReplicasAreReportedAndNotTouched() {
        let record = ClusterScript.record(1, shards: 1, on: [first], codebook: 1)
        var reports = ClusterScript.serving(record)
        reports[first]!.replicas[record.placements[0].shard]!.state = .failed
        let plan = ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
        #expect(plan == .init(problems: [.failedReplica(record.placements[0].shard, worker: first)]))
    }

    @Test func replicasWithoutTheCodebookGetIt() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second], codebook: 3)
        var reports = ClusterScript.serving(record, generation: 2)
        reports[first]!.replicas[record.placements[0].shard]!.generation = 3
        let plan = ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
        #expect(plan == .init(actions: [.install(record.placements[1], generation: 3, worker: second)]))
    }

    @Test func aReplicaWithTwoGenerationsIsNotGivenAThird() {
        let record = ClusterScript.record(1, shards: 1, on: [first], codebook: 3)
        var reports = ClusterScript.serving(record, generation: 2)
        reports[first]!.replicas[record.placements[0].shard]!.olderGeneration = 1
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)) == .init())
        reports[first]!.replicas[record.placements[0].shard]!.olderGeneration = 0
        let plan = ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
        #expect(plan == .init(actions: [.install(record.placements[0], generation: 3, worker: first)]))
    }

    @Test func aClusterThatIsAsAgreedNeedsNothing() {
        let record = ClusterScript.record(1, shards: 5, on: [first, second], codebook: 1)
        let reports = ClusterScript.serving(record, faceCount: 9, generation: 1)
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)) == .init())
    }
}
