import ClusterModel
import ClusterState
import FaceModel
import Testing

struct ShardRecoveryTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }
    private let now = Timestamp(milliseconds: 99)

    /// A shard with the first two workers in sync, a learner if wanted, and what there is of it by worker.
    private func view(
        learner: NodeID? = nil,
        serving: [NodeID: UInt64] = [:],
        failed: Set<NodeID> = [],
        live: Set<NodeID>,
        minimum: Int = 2,
        isSettled: Bool = true
    ) -> (record: CollectionRecord, view: ClusterView) {
        let record = ClusterScript.replicated(
            1,
            on: [workers[0], workers[1]],
            learners: learner.map { [$0] } ?? [],
            copies: 2,
            minimum: minimum
        )
        let shard = record.placements[0].shard
        let sample = ClusterScript.serving(record)[workers[0]]!
        var reports: [NodeID: WorkerObservation] = [:]
        for worker in workers {
            var observation = sample
            var replica = sample.replicas[shard]!
            replica.sequence = serving[worker] ?? 0
            replica.state = failed.contains(worker) ? .failed : .serving
            observation.replicas = serving[worker] != nil || failed.contains(worker) ? [shard: replica] : [:]
            reports[worker] = observation
        }
        return (record, ClusterScript.view([record], reports: reports, live: live, isSettled: isSettled))
    }

    @Test func anEmptyShardTakesThePlaceWhereNothingIsLeft() throws {
        var (record, view) = view(live: [workers[2], workers[3]])
        let old = record.placements[0]
        let recovery = try ShardRecovery(of: old.shard, in: view)
        guard case .emptyShard(let placement) = recovery.outcome else {
            Issue.record("it is \(recovery.outcome)")
            return
        }
        #expect(placement.shard.index == 1 && placement.range == old.range)
        #expect(placement.group.inSync == [workers[2], workers[3]] && placement.group.minimumInSync == 2)
        #expect(placement.epoch > old.epoch)

        #expect(recovery.apply(to: &record, now: now))
        #expect(record.placements == [placement] && record.retirements.map(\.index) == [0])
        #expect(record.losses == [AcceptedLoss(range: old.range, time: now, beginning: 1)])
        let again = recovery.apply(to: &record, now: now)
        #expect(!again, "the shard is not there any more")

        // Empty replicas may begin until all of them have been made, and never again.
        view.metadata.collections[record.collection.id] = record
        let hosts = [workers[2], workers[3]].map { ReconcileAction.host(placement, worker: $0) }
        #expect(ReconcilePlanner.plan(view).actions == hosts)
        #expect(record.mayBegin(placement, on: workers[2]))
        for worker in [workers[2], workers[3]] {
            var observation = ClusterScript.serving(record)[worker]!
            observation.replicas[placement.shard]!.groupVersion = placement.group.version
            view.observations[worker] = observation
        }
        #expect(ReconcilePlanner.plan(view).actions == [.begin(placement.shard)])
        record.losses[0].beginning = nil
        view.metadata.collections[record.collection.id] = record
        #expect(!record.mayBegin(placement, on: workers[2]))
        view.observations[workers[2]]!.replicas = [:]
        let plan = ReconcilePlanner.plan(view)
        #expect(plan.problems.contains(.lostReplica(placement.shard, worker: workers[2])))
        #expect(!plan.actions.contains(hosts[0]))
    }

    @Test func ofTheReplicasThatAreThereTheOneThatHasMostLeads() throws {
        var (record, view) = view(
            learner: workers[2],
            serving: [workers[2]: 50, workers[3]: 70],
            live: [workers[2], workers[3]]
        )
        let old = record.placements[0]
        let recovery = try ShardRecovery(of: old.shard, in: view)
        guard case .group(let group) = recovery.outcome else {
            Issue.record("it is \(recovery.outcome)")
            return
        }
        #expect(group.primary == workers[3] && group.inSync == [workers[3]] && group.learners == [workers[2]])
        #expect(group.epoch.isDecreed(since: old.epoch), "coordinators that read no records tell it by that")
        #expect(group.version > old.group.version && group.minimumInSync == 2)
        #expect(recovery.apply(to: &record, now: now))
        #expect(record.placements[0].group == group && record.placements[0].shard == old.shard)
        #expect(record.losses == [AcceptedLoss(range: old.range, time: now)] && record.retirements.isEmpty)
    }

    @Test func ofTwoHistoriesTheOneThatWasDecreedLastGoesOn() throws {
        var (record, view) = view(
            learner: workers[2],
            serving: [workers[2]: 50, workers[3]: 70],
            live: [workers[2], workers[3]]
        )
        let shard = record.placements[0].shard
        for (worker, epoch) in [(workers[2], 1 + Epoch.leap), (workers[3], 1)] as [(NodeID, UInt64)] {
            view.observations[worker]!.replicas[shard]!.appliedEpoch = Epoch(epoch)
        }
        let recovery = try ShardRecovery(of: shard, in: view)
        #expect(recovery.isLed(by: workers[2], through: 50) && !recovery.isLed(by: workers[2], through: 51))
        // While that one is silent what was given up before would lead, and has more.
        var silent = view
        silent.liveWorkers.remove(workers[2])
        let other = try ShardRecovery(of: shard, in: silent)
        #expect(other.isLed(by: workers[3], through: 70) && !other.isLed(by: workers[2], through: 50))
        #expect(!recovery.wasApplied(to: record, now: now))
        #expect(recovery.apply(to: &record, now: now))
        #expect(record.placements[0].primary == workers[2])
        // The next group of it is its effect, too, and another loss is not.
        record.placements[0].group.version += 1
        #expect(recovery.wasApplied(to: record, now: now))
        #expect(!recovery.wasApplied(to: record, now: Timestamp(milliseconds: 100)))
    }

    /// A request whose answer was lost is sent again, and the shard is not any more as it was.
    @Test func whatWasDoneIsKnownByTheEpochThatWasGivenUp() throws {
        for isNothingLeft in [true, false] {
            var (record, view) = view(serving: isNothingLeft ? [:] : [workers[3]: 70], live: [workers[2], workers[3]])
            let old = record.placements[0]
            func successor(since epoch: Epoch) -> ShardPlacement? {
                ShardRecovery.successor(of: old.shard, since: epoch, in: record)
            }
            #expect(successor(since: old.epoch) == nil)
            let recovery = try ShardRecovery(of: old.shard, in: view)
            #expect(!recovery.isLed(by: workers[3], through: 70) == isNothingLeft)
            #expect(recovery.apply(to: &record, now: now))
            let next = try #require(record.placements.first)
            #expect(successor(since: old.epoch) == next)
            // Another primary since is no other loss, and a loss of what goes on is.
            record.placements[0].group.version += 1
            #expect(successor(since: old.epoch) == record.placements[0])
            #expect(successor(since: next.epoch) == nil)
            guard !isNothingLeft else { continue }
            view.metadata.collections[record.collection.id] = record
            let refusal = #expect(throws: OperationRefusal.self) { try ShardRecovery(of: old.shard, in: view) }
            #expect(refusal?.description.contains("that was not given up before") ?? false)
        }
    }

    /// Whoever led before the last one fell silent is behind by the record, and may have more than anybody.
    @Test func aSilentReplicaThatWasBehindIsToldApart() throws {
        let (record, view) = view(learner: workers[3], live: [workers[2]], minimum: 1)
        let recovery = try ShardRecovery(of: record.placements[0].shard, in: view)
        guard case .emptyShard = recovery.outcome else {
            Issue.record("it is \(recovery.outcome)")
            return
        }
        #expect(recovery.lost == [workers[0], workers[1]] && recovery.away == [workers[3]])
    }

    @Test func aReplicaThatWasBehindAndIsThereIsNotAway() throws {
        let (record, view) = view(learner: workers[2], serving: [workers[2]: 50], live: [workers[2], workers[3]])
        let led = try ShardRecovery(of: record.placements[0].shard, in: view)
        #expect(led.isLed(by: workers[2], through: 50))
        #expect(led.lost == [workers[0], workers[1]] && led.away.isEmpty)
        // While it is being opened nobody knows what it has; of one that has failed nothing is left.
        let shard = record.placements[0].shard
        var opening = view
        opening.observations[workers[2]]!.replicas[shard]!.state = .opening
        let stillOpening = opening
        let refusal = #expect(throws: OperationRefusal.self) { _ = try ShardRecovery(of: shard, in: stillOpening) }
        #expect(refusal?.description.contains("opens its replica") ?? false, "\(String(describing: refusal))")
        var failed = view
        failed.observations[workers[2]]!.replicas[shard]!.state = .failed
        let recovery = try ShardRecovery(of: shard, in: failed)
        #expect(recovery.lost == Array(workers[..<3]) && recovery.away.isEmpty)
    }

    @Test func whatIsNotLostIsNotGivenUp() {
        for (view, rule) in [
            (view(serving: [workers[1]: 3], live: [workers[1], workers[2], workers[3]]), "nothing of it is lost"),
            (view(live: [workers[2], workers[3]], isSettled: false), "has just begun"),
            (view(live: [workers[2]]), "needs 2 workers"),
        ] {
            let refusal = #expect(throws: OperationRefusal.self) {
                try ShardRecovery(of: view.record.placements[0].shard, in: view.view)
            }
            #expect(refusal?.description.contains(rule) ?? false, "\(String(describing: refusal))")
        }
    }

    @Test func anOperationOfTheShardIsCancelledFirst() throws {
        var (record, view) = view(live: [workers[2], workers[3]])
        let shard = record.placements[0].shard
        let id = OperationID(high: 0, low: 1)
        var operation = Operation(id: id, kind: .change, created: now)
        operation.steps = [
            Operation.Step(shard: shard, change: .move(from: workers[0], to: workers[2]), state: .running)
        ]
        view.metadata.operations[id] = operation
        let refusal = #expect(throws: OperationRefusal.self) { try ShardRecovery(of: shard, in: view) }
        #expect(refusal?.description.contains("operation cancel") ?? false)
        operation.steps[0].state = .undone
        view.metadata.operations[id] = operation
        let recovery = try ShardRecovery(of: shard, in: view)
        #expect(recovery.apply(to: &record, now: now))
    }

    @Test func copiesThatAreOutOfServiceAreLost() throws {
        let (record, view) = view(failed: [workers[0], workers[1]], live: Set(workers))
        let recovery = try ShardRecovery(of: record.placements[0].shard, in: view)
        guard case .emptyShard(let placement) = recovery.outcome else {
            Issue.record("it is \(recovery.outcome)")
            return
        }
        #expect(placement.group.inSync.count == 2)
    }
}
