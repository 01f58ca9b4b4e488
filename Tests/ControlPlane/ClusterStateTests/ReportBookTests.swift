import ClusterModel
import ClusterState
import FaceModel
import Testing

struct ReportBookTests {
    let worker = ClusterScript.worker(1)
    let group = ReplicaGroup(
        epoch: Epoch(2),
        version: 1,
        primary: ClusterScript.worker(1),
        inSync: [ClusterScript.worker(1)],
        minimumInSync: 1
    )
    let shard = ClusterScript.record(1, shards: 1, on: [ClusterScript.worker(1)]).placements[0].shard

    @Test func aReportThatIsBehindDoesNotUndoAHostedReplica() {
        var book = ReportBook(overlap: .seconds(3))
        book.report(WorkerObservation(), by: worker, now: .zero)
        book.hosted(shard, group, on: worker, now: .seconds(1))
        book.report(WorkerObservation(), by: worker, now: .seconds(2))
        #expect(
            book.observations[worker]?.replicas[shard]
                == ReplicaObservation(epoch: Epoch(2), groupVersion: 1, state: .serving)
        )
        book.report(WorkerObservation(), by: worker, now: .seconds(5))
        #expect(book.observations[worker]?.replicas[shard] == nil)
    }

    @Test func aReportThatKnowsTheStepReplacesTheNote() {
        var book = ReportBook(overlap: .seconds(3))
        book.report(WorkerObservation(), by: worker, now: .zero)
        book.hosted(shard, group, on: worker, now: .seconds(1))
        let reported = ReplicaObservation(epoch: Epoch(2), groupVersion: 1, state: .serving, faceCount: 7)
        book.report(WorkerObservation(replicas: [shard: reported]), by: worker, now: .seconds(2))
        #expect(book.observations[worker]?.replicas[shard] == reported)
        // From here on a missing replica is believed at once.
        book.report(WorkerObservation(), by: worker, now: .seconds(2))
        #expect(book.observations[worker]?.replicas[shard] == nil)
    }

    @Test func anInstalledCodebookIsNotInstalledAgainForAnOldReport() {
        var book = ReportBook(overlap: .seconds(3))
        let old = WorkerObservation(
            replicas: [shard: ReplicaObservation(epoch: Epoch(2), state: .serving, faceCount: 7)])
        book.report(old, by: worker, now: .zero)
        book.installed(4, in: shard, on: worker, now: .seconds(1))
        book.report(old, by: worker, now: .seconds(2))
        #expect(book.observations[worker]?.replicas[shard]?.generation == 4)
        #expect(book.observations[worker]?.replicas[shard]?.faceCount == 7)
    }

    /// What the replica said of the codebook before must not speak for yet another.
    @Test func aNewCodebookIsNotJudgedByTheOneBefore() {
        var book = ReportBook(overlap: .seconds(3))
        let fit = CodebookFit(recentRowCount: 9000, energyRatio: 0.5, imbalanceRatio: 9)
        let old = ReplicaObservation(epoch: Epoch(2), state: .serving, generation: 3, fit: fit)
        book.report(WorkerObservation(replicas: [shard: old]), by: worker, now: .zero)
        book.installed(4, in: shard, on: worker, now: .seconds(1))
        var expected = old
        (expected.generation, expected.olderGeneration, expected.fit) = (4, 3, .unknown)
        #expect(book.observations[worker]?.replicas[shard] == expected)
        book.report(WorkerObservation(replicas: [shard: old]), by: worker, now: .seconds(2))
        #expect(book.observations[worker]?.replicas[shard] == expected)
        // From here on the worker's word counts again.
        var new = old
        (new.generation, new.olderGeneration, new.fit) = (4, 0, fit)
        book.report(WorkerObservation(replicas: [shard: new]), by: worker, now: .seconds(2))
        #expect(book.observations[worker]?.replicas[shard] == new)
    }

    @Test func aGroupThatAWorkerWasToldIsNotToldAgainForAnOldReport() {
        var book = ReportBook(overlap: .seconds(3))
        let old = ReplicaObservation(epoch: Epoch(2), groupVersion: 1, role: .secondary, state: .serving, sequence: 9)
        book.report(WorkerObservation(replicas: [shard: old]), by: worker, now: .zero)
        var newer = group
        newer.version = 2
        book.hosted(shard, newer, on: worker, now: .seconds(1))
        book.report(WorkerObservation(replicas: [shard: old]), by: worker, now: .seconds(2))
        var expected = old
        expected.groupVersion = 2
        #expect(book.observations[worker]?.replicas[shard] == expected)
        // One that does not know it later has been told in vain.
        book.report(WorkerObservation(replicas: [shard: old]), by: worker, now: .seconds(5))
        #expect(book.observations[worker]?.replicas[shard] == old)
    }

    @Test func aDroppedReplicaIsForgotten() {
        var book = ReportBook(overlap: .seconds(3))
        book.report(WorkerObservation(), by: worker, now: .zero)
        book.hosted(shard, group, on: worker, now: .zero)
        book.dropped(shard, on: worker)
        #expect(book.observations[worker]?.replicas == [:])
        book.report(WorkerObservation(), by: worker, now: .seconds(1))
        #expect(book.observations[worker]?.replicas == [:])
    }
}
