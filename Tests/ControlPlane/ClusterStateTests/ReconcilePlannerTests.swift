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

    // MARK: Several replicas

    let third = ClusterScript.worker(3)

    private func regroupings(
        _ record: CollectionRecord,
        _ view: ClusterView,
        copies: Int = 1
    ) -> [ReconcileAction.Regrouping] {
        ReconcilePlanner.plan(view, limits: .init(copiesPerWorker: copies)).actions.flatMap {
            action -> [ReconcileAction.Regrouping] in
            guard case .regroup(record.collection.id, let regroupings) = action else { return [] }
            return regroupings
        }
    }

    @Test func everyMemberIsHostedBeforeACollectionIsEstablished() {
        let record = ClusterScript.replicated(1, on: [first, second], isEstablished: false)
        var reports: [NodeID: WorkerObservation] = [first: .init(), second: .init()]
        let placement = record.placements[0]
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions
                == [.host(placement, worker: first), .host(placement, worker: second)]
        )
        reports[first] = ClusterScript.serving(record)[first]
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions
                == [.host(placement, worker: second)]
        )
        reports[second] = ClusterScript.serving(record)[second]
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions
                == [.establish(record.collection.id)]
        )
    }

    @Test func aMemberThatGoesByAnOlderGroupIsToldTheNewOne() {
        let record = ClusterScript.replicated(1, on: [first, second])
        var reports = ClusterScript.serving(record)
        reports[second]!.replicas[record.placements[0].shard]!.groupVersion = 2
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
                == .init(actions: [.host(record.placements[0], worker: second)])
        )
    }

    @Test func aLearnerIsHostedEmptyAndAReplicaInSyncNever() {
        let record = ClusterScript.replicated(1, on: [first, second], learners: [third], copies: 3, minimum: 2)
        let shard = record.placements[0].shard
        var reports = ClusterScript.serving(record)
        reports[third] = WorkerObservation()
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
                == .init(actions: [.host(record.placements[0], worker: third)])
        )
        reports[second]!.replicas[shard] = nil
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
                == .init(
                    actions: [.host(record.placements[0], worker: third)],
                    problems: [.lostReplica(shard, worker: second)]
                )
        )
    }

    @Test func aPrimaryThatHasNotWhatItLeadsGivesWayToOneThatHas() throws {
        let record = ClusterScript.replicated(1, on: [first, second])
        let shard = record.placements[0].shard
        var reports = ClusterScript.serving(record)
        reports[first]!.replicas[shard] = nil
        let lost = ReconcileProblem.lostReplica(shard, worker: first)
        // Of a shard that took others' place it makes something anew: its disk went back.
        for state in [nil, .copying, .following, .failed("no source")] as [SuccessorObservation.State?] {
            reports[first]!.successors[shard] = state.map { SuccessorObservation(state: $0) }
            let plan = ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
            #expect(plan.problems == [lost])
            let next = try #require(record.placements[0].group.failingOver(to: second))
            let regroup = ReconcileAction.regroup(
                record.collection.id,
                [.init(shard: shard, version: next.version - 1, group: next)]
            )
            // It is told that the shard is in force, so that it makes it from what it has.
            let tells = state == nil ? [] : [ReconcileAction.host(record.placements[0], worker: first)]
            #expect(plan.actions == [regroup] + tells)
        }
        reports[first]!.successors[shard] = SuccessorObservation(state: .sealed([shard: 7]))
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
                == .init(actions: [.host(record.placements[0], worker: first)])
        )
    }

    @Test func aPrimaryWhoseDiskHangsGivesWayToOneThatWrites() throws {
        let record = ClusterScript.replicated(1, on: [first, second, third])
        let shard = record.placements[0].shard
        var reports = ClusterScript.serving(record)
        reports[first]!.replicas[shard]!.isStuck = true
        reports[second]!.replicas[shard]!.isStuck = true
        let next = try #require(record.placements[0].group.handingOver(to: third))
        let regroup = ReconcileAction.regroup(
            record.collection.id,
            [.init(shard: shard, version: next.version - 1, group: next)]
        )
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions == [regroup])
        // Nobody would do better.
        reports[third]!.replicas[shard]!.isStuck = true
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)) == .init())
        // One that hangs and is none that others wait for stays.
        reports[first]!.replicas[shard]!.isStuck = false
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)) == .init())
    }

    @Test func whoIsNoMemberAnyMoreDropsItsReplicaWhenItIsThere() {
        let record = ClusterScript.replicated(1, on: [first, second])
        let shard = record.placements[0].shard
        var reports = ClusterScript.serving(record)
        reports[third] = WorkerObservation(
            replicas: [shard: ReplicaObservation(epoch: Epoch(1), groupVersion: 2, state: .serving)]
        )
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
                == .init(actions: [.drop(shard, epoch: Epoch(2), worker: third)])
        )
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports, live: [first, second])) == .init()
        )
        // By a newer group than this it may be a member.
        reports[third]!.replicas[shard]!.groupVersion = 4
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)) == .init())
    }

    /// The metadata store was put back to before the shard was moved, and the worker knows of no newer version: what it
    /// has may be all that there is.
    @Test func whatNobodyElseHasIsNotDropped() {
        let record = ClusterScript.replicated(1, on: [first, second])
        let shard = record.placements[0].shard
        let left = ReplicaObservation(epoch: Epoch(1), groupVersion: 0, state: .serving, sequence: 70)
        var reports = ClusterScript.serving(record)
        reports[third] = WorkerObservation(replicas: [shard: left])
        var plan = ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
        #expect(plan == .init(problems: [.leftReplica(shard, worker: third)]), "it has more")
        reports[second]!.replicas[shard]!.sequence = 70
        let drop = ReconcileAction.drop(shard, epoch: Epoch(2), worker: third)
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions == [drop])
        // Whoever has been listened to for a moment has not heard of all there is.
        let young = ClusterScript.view([record], reports: reports, isSettled: false)
        #expect(ReconcilePlanner.plan(young).actions.isEmpty)
        reports[second]!.replicas[shard]!.epoch = Epoch(1)
        let early = ClusterScript.view([record], reports: reports, live: [first, third])
        #expect(!ReconcilePlanner.plan(early).actions.contains(drop))
        (reports[first], reports[second]) = (WorkerObservation(), WorkerObservation())
        plan = ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
        #expect(!plan.actions.contains(drop))
        #expect(plan.problems.contains(.leftReplica(shard, worker: third)))
        #expect("\(ReconcileProblem.leftReplica(shard, worker: third))".contains("put back to an earlier state"))
    }

    /// An operator had others go on without it, or it was found to be damaged: what it has beyond them is given up.
    @Test func whatIsKnownToBeOfBeforeIsDroppedWhateverItHas() {
        let record = ClusterScript.replicated(1, on: [first, second], minimum: 2)
        let shard = record.placements[0].shard
        var reports = ClusterScript.serving(record)
        let left = ReplicaObservation(epoch: Epoch(1), groupVersion: 2, state: .serving, sequence: 70)
        reports[third] = WorkerObservation(replicas: [shard: left])
        let drop = ReconcileAction.drop(shard, epoch: Epoch(2), worker: third)
        #expect(ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions == [drop])
        (reports[first], reports[second]) = (WorkerObservation(), WorkerObservation())
        #expect(!ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).actions.contains(drop))
    }

    @Test func everyMemberGetsTheCodebook() {
        let record = ClusterScript.replicated(1, on: [first, second], codebook: 1)
        var reports = ClusterScript.serving(record)
        reports[first]!.replicas[record.placements[0].shard]!.generation = 1
        #expect(
            ReconcilePlanner.plan(ClusterScript.view([record], reports: reports))
                == .init(actions: [.install(record.placements[0], generation: 1, worker: second)])
        )
    }

    @Test func theFurthestReplicaTakesOverFromASilentOrFailedPrimary() {
        let record = ClusterScript.replicated(1, on: [first, second, third])
        let shard = record.placements[0].shard
        var reports = ClusterScript.serving(record)
        reports[third]!.replicas[shard]!.sequence = 5
        let expected = record.placements[0].group.failingOver(to: third)!
        let silent = ClusterScript.view([record], reports: reports, live: [second, third])
        #expect(regroupings(record, silent) == [.init(shard: shard, version: 3, group: expected)])
        reports[first]!.replicas[shard]!.state = .failed
        #expect(regroupings(record, ClusterScript.view([record], reports: reports)).map(\.group) == [expected])
        // One that its live worker does not know any more orders nothing either.
        reports[first]!.replicas[shard] = nil
        #expect(regroupings(record, ClusterScript.view([record], reports: reports)).map(\.group) == [expected])
    }

    @Test func nobodyTakesOverBeforeSilenceMeansSomething() {
        let record = ClusterScript.replicated(1, on: [first, second])
        let view = ClusterScript.view(
            [record],
            reports: ClusterScript.serving(record),
            live: [second],
            gone: [first],
            isSettled: false
        )
        #expect(ReconcilePlanner.plan(view) == .init())
    }

    @Test func nobodyTakesThePlaceOfASingleCopy() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        let reports = ClusterScript.serving(record).merging([second: .init()]) { first, _ in first }
        let view = ClusterScript.view([record], reports: reports, live: [second], gone: [first])
        #expect(ReconcilePlanner.plan(view) == .init())
    }

    @Test func whoIsGoneIsReplacedByTheWorkerWithTheFewestReplicas() {
        let record = ClusterScript.replicated(1, on: [first, second], minimum: 2)
        let other = ClusterScript.record(2, shards: 2, on: [third])
        let fourth = ClusterScript.worker(4)
        let reports = ClusterScript.serving(record).merging(ClusterScript.serving(other)) { first, _ in first }
            .merging([fourth: .init()]) { first, _ in first }
        let live: Set = [first, third, fourth]
        let silent = ClusterScript.view([record, other], reports: reports, live: live)
        #expect(regroupings(record, silent) == [])
        let gone = ClusterScript.view([record, other], reports: reports, live: live, gone: [second])
        #expect(regroupings(record, gone).map(\.group) == [record.placements[0].group.adding(learner: fourth)])
    }

    /// The first led, the second led after it, and both are away: what the first has may be all that comes back.
    @Test func nobodyLeavesWhileNobodyInSyncIsThere() {
        let record = ClusterScript.replicated(1, on: [second], learners: [first, third], copies: 2)
        let group = record.placements[0].group
        var reports = ClusterScript.serving(record)
        let without = ClusterScript.view([record], reports: reports, live: [third], gone: [first])
        #expect(regroupings(record, without) == [])
        let with = ClusterScript.view([record], reports: reports, live: [second, third], gone: [first])
        #expect(regroupings(record, with).map(\.group) == [group.removing(learner: first)])
        // One that is out of service has nothing that could be read.
        reports[second]!.replicas[record.placements[0].shard]!.state = .failed
        let failed = ClusterScript.view([record], reports: reports, live: [second, third], gone: [first])
        #expect(regroupings(record, failed) == [])
    }

    @Test func whatOneLeavesBehindIsSpreadOverTheOthers() {
        let workers = (1...5).map { ClusterScript.worker(UInt64($0)) }
        let records = (1...8).map { ClusterScript.replicated(UInt64($0), on: [workers[0], workers[1]], minimum: 2) }
        var reports = workers.reduce(into: [:]) { $0[$1] = WorkerObservation() }
        for record in records {
            for (worker, report) in ClusterScript.serving(record) {
                reports[worker]!.replicas.merge(report.replicas) { first, _ in first }
            }
        }
        let view = ClusterScript.view(
            records,
            reports: reports,
            live: Set(workers.filter { $0 != workers[1] }),
            gone: [workers[1]]
        )
        let newcomers = records.flatMap { regroupings($0, view, copies: 8).flatMap(\.group.learners) }
        #expect(newcomers.count == 8)
        #expect(workers.map { worker in newcomers.count { $0 == worker } } == [0, 0, 3, 3, 2])
    }

    /// What a worker leaves behind is not all copied at once, and what writes wait for comes first.
    @Test func aWorkerHasPartInAsManyCopiesAsItMay() {
        let workers = (1...5).map { ClusterScript.worker(UInt64($0)) }
        let (left, gone) = (workers[0], workers[1])
        var records = (1...4).map { ClusterScript.replicated(UInt64($0), on: [left, gone], minimum: 1) }
        records.append(ClusterScript.replicated(5, on: [left, gone], minimum: 2))
        records.append(ClusterScript.replicated(6, on: [workers[2], gone], minimum: 1))
        var reports = workers.reduce(into: [:]) { $0[$1] = WorkerObservation() }
        for record in records {
            for (worker, report) in ClusterScript.serving(record) {
                reports[worker]!.replicas.merge(report.replicas) { first, _ in first }
            }
        }
        var view = ClusterScript.view(
            records,
            reports: reports,
            live: Set(workers.filter { $0 != gone }),
            gone: [gone]
        )
        func grown() -> [CollectionRecord] { records.filter { !regroupings($0, view).isEmpty } }
        // From the one that has most, that which is short; from the other one beside it, to others.
        #expect(grown().map(\.collection.id) == [records[4], records[5]].map(\.collection.id))
        let newcomers = grown().flatMap { regroupings($0, view).flatMap(\.group.learners) }
        #expect(Set(newcomers).count == 2 && Set(newcomers).isDisjoint(with: [left, workers[2]]))

        // Until they are there nobody else begins; what has come counts no more.
        for record in grown() {
            let index = records.firstIndex { $0.collection.id == record.collection.id }!
            records[index].placements[0].group = regroupings(record, view)[0].group
            view.metadata.collections[record.collection.id] = records[index]
        }
        #expect(grown().isEmpty && view.copiedNewcomers.count == 2)
        for newcomer in view.copiedNewcomers {
            let record = records.first { $0.placements[0].shard == newcomer.shard }!
            view.observations[newcomer.worker]!.replicas.merge(
                ClusterScript.serving(record)[newcomer.worker]!.replicas
            ) { first, _ in first }
        }
        #expect(view.copiedNewcomers.isEmpty && grown().count == 1)
    }

    @Test func aShardIsServedOnceItsPrimaryLeads() {
        let record = ClusterScript.replicated(1, on: [first, second])
        let placement = record.placements[0]
        var reports = ClusterScript.serving(record, faceCount: 7)
        #expect(ClusterScript.view([record], reports: reports).isHosted(placement))
        reports[first]!.replicas[placement.shard]!.role = .waiting
        let view = ClusterScript.view([record], reports: reports)
        #expect(!view.isHosted(placement) && view.reader(of: placement) == second)
        #expect(view.replica(of: placement)?.faceCount == 7)
    }

    @Test func theFurthestReplicaSpeaksForASilentPrimary() {
        let record = ClusterScript.replicated(1, on: [first, second, third])
        let placement = record.placements[0]
        var reports = ClusterScript.serving(record)
        for (worker, sequence) in [(first, UInt64(9)), (second, 4), (third, 6)] {
            reports[worker]!.replicas[placement.shard]!.sequence = sequence
            reports[worker]!.replicas[placement.shard]!.faceCount = sequence
        }
        func faceCount(live: Set<NodeID>) -> UInt64? {
            ClusterScript.view([record], reports: reports, live: live).replica(of: placement)?.faceCount
        }
        #expect(faceCount(live: [first, second, third]) == 9)
        #expect(faceCount(live: [second, third]) == 6)
        #expect(faceCount(live: []) == 9)
        #expect(ClusterScript.view([record], reports: reports, live: [second, third]).lag(of: placement) == 2)
    }
}
