import ClusterModel
import ClusterState
import FaceModel
import Testing

struct RolloutPlannerTests {
    let first = ClusterScript.worker(1)
    let second = ClusterScript.worker(2)
    let id = OperationID(high: 1, low: 1)
    let policy = TrainingPolicy(minimumFaceCount: 1000, sampleCount: 600)

    /// One shard on two workers, with its first codebook.
    var record: CollectionRecord { ClusterScript.replicated(1, on: [first, second], codebook: 1) }

    func rollout(
        _ generation: UInt32 = 2,
        _ cause: TrainingCause = .request,
        state: OperationState = .running
    ) -> Operation {
        Operation(
            id: id,
            kind: .rollout(
                CodebookRollout(collection: record.collection.id, generation: generation, cause: cause)
            ),
            state: state,
            created: Timestamp(milliseconds: 1)
        )
    }

    func view(
        _ record: CollectionRecord,
        _ reports: [NodeID: WorkerObservation],
        _ operations: Operation...
    ) -> ClusterView {
        var view = ClusterScript.view([record], reports: reports)
        for operation in operations { view.metadata.operations[operation.id] = operation }
        return view
    }

    func progress(_ view: ClusterView) throws -> RolloutProgress {
        let rollout = try #require(view.metadata.operations[id]?.rollout)
        return try #require(RolloutProgress(of: rollout, in: view))
    }

    func reason(_ view: ClusterView, ledger: TrainingLedger = TrainingLedger()) throws -> RolloutPlanner.Reason? {
        let rollout = try #require(view.metadata.operations[id]?.rollout)
        return RolloutPlanner.reason(rollout, try progress(view), in: view, ledger: ledger, now: .zero)
    }

    @Test func aCollectionThatLosesAllItsFacesIsNotTrained() throws {
        let record = record
        var reports = ClusterScript.serving(record)
        for worker in [first, second] {
            for shard in record.placements.map(\.shard) {
                reports[worker]!.replicas[shard]!.faceCount = 0
                reports[worker]!.replicas[shard]!.role = worker == first ? .primary : .secondary
                reports[worker]!.replicas[shard]!.generation = 1
            }
        }
        let view = view(record, reports, rollout())
        #expect(action(record, view) == nil)
        let update = try #require(
            OperationPlanner.updates(view, limits: .init(), now: Timestamp(milliseconds: 7)).first
        )
        #expect(update.new.state == .done && update.new.note == "The collection has no faces any more.")
        // While a shard is silent nobody knows.
        reports[first] = nil
        let other = self.view(record, reports, rollout())
        #expect(action(record, other) == nil)
        #expect(OperationPlanner.updates(other, limits: .init(), now: Timestamp(milliseconds: 7)).isEmpty)
    }

    /// A nightly reload deletes all faces and enrols them again: nobody took the rollout back.
    @Test func aCollectionThatHasFacesAgainIsTrainedByItself() throws {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        var emptied = ClusterScript.serving(record, faceCount: 0)
        emptied[first]!.trainings = [training(.running(nil), of: 1)]
        let ended = try #require(updated(view(record, emptied, rollout(1, .first))))
        #expect(ended.state == .done)
        // What is trained for it is given up, and not taken when it comes to its end before that.
        let abandonment = ReconcileAction.abandonTraining(record.collection.id, generation: 1, worker: first)
        #expect(RolloutPlanner.abandonments(in: view(record, emptied, ended)) == [abandonment])
        var full = ClusterScript.serving(record, faceCount: 2000)
        full[first]!.trainings = [training(.finished, of: 1)]
        #expect(action(record, view(record, full, ended)) == nil)
        #expect(RolloutPlanner.abandonments(in: view(record, full, ended)) == [abandonment])
        full[first]!.trainings = []
        let next = CodebookRollout(collection: record.collection.id, generation: 1, cause: .first)
        #expect(action(record, view(record, full, ended)) == .rollOut(next))
        // The next one's training is its own.
        var again = rollout(1, .first)
        again.id = OperationID(high: 1, low: 2)
        full[first]!.trainings = [training(.running(nil), of: 1)]
        #expect(RolloutPlanner.abandonments(in: view(record, full, ended, again)).isEmpty)
    }

    func action(_ record: CollectionRecord, _ view: ClusterView) -> ReconcileAction? {
        let decision = TrainingPlanner.decide(
            record,
            in: view,
            policy: policy,
            ledger: TrainingLedger(),
            now: .zero
        )
        return RolloutPlanner.action(for: decision, of: record.collection.id, in: view)
    }

    func updated(_ view: ClusterView) -> Operation? {
        OperationPlanner.updates(view, limits: .init(), now: Timestamp(milliseconds: 9)).first?.new
    }

    /// Every replica of the record with this codebook, and rows of the one before.
    func reports(
        _ record: CollectionRecord,
        generation: UInt32,
        older: [NodeID: UInt64] = [:],
        faceCount: UInt64 = 1000
    ) -> [NodeID: WorkerObservation] {
        var reports = ClusterScript.serving(record, faceCount: faceCount, generation: generation)
        for (worker, count) in older {
            for shard in reports[worker]!.replicas.keys {
                reports[worker]!.replicas[shard]!.olderGeneration = generation - 1
                reports[worker]!.replicas[shard]!.olderRowCount = count
            }
        }
        return reports
    }

    func training(_ state: TrainingObservation.State, of generation: UInt32 = 2) -> TrainingObservation {
        TrainingObservation(collection: record.collection.id, generation: generation, state: state)
    }

    // MARK: Beginning

    @Test func whatACollectionNeedsBeginsAsARollout() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        let reports = ClusterScript.serving(record, faceCount: 2000)
        let expected = CodebookRollout(collection: record.collection.id, generation: 1, cause: .first)
        #expect(action(record, view(record, reports)) == .rollOut(expected))
        guard case .train(let order) = action(record, view(record, reports, rollout(1, .first))) else {
            Issue.record("a rollout that is running lets its training begin")
            return
        }
        #expect(order.generation == 1 && order.origin.cause == .first)
        for state in [OperationState.paused, .cancelling, .cancelled] {
            #expect(action(record, view(record, reports, rollout(1, .first, state: state))) == nil)
        }
    }

    @Test func aTrainedCodebookWaitsForItsRolloutToGoOn() {
        let record = record
        var reports = reports(record, generation: 1)
        reports[first]!.trainings = [training(.finished)]
        guard
            case .fetch(_, 2, let origin, first) = action(record, view(record, reports, rollout()))
        else {
            Issue.record("the codebook is not fetched")
            return
        }
        #expect(origin.cause == .request)
        #expect(action(record, view(record, reports, rollout(state: .paused))) == nil)
    }

    @Test func aTrainingThatWasAskedForNeedsNoOtherCause() {
        let record = record
        let calm = reports(record, generation: 1)
        #expect(action(record, view(record, calm)) == nil)
        guard case .train(let order) = action(record, view(record, calm, rollout())) else {
            Issue.record("no training was ordered")
            return
        }
        #expect(order.generation == 2 && order.origin == CodebookOrigin(cause: .request, faceCount: 1000))
    }

    @Test func theNextCodebookWaitsForTheOneBefore() throws {
        let record = ClusterScript.replicated(1, on: [first, second], codebook: 2)
        let view = view(record, reports(record, generation: 2, older: [second: 7]), rollout(3))
        #expect(action(record, view) == nil)
        #expect(try reason(view) == .olderCodes)
    }

    /// Between the last replica's word and the end of the operation nothing new begins on account of it.
    @Test func aRolloutThatIsAboutToEndIsNoCauseForTheNext() {
        let record = record
        let view = view(record, reports(record, generation: 1), rollout(1, .first))
        #expect(action(record, view) == nil)
        #expect(updated(view)?.state == .done)
    }

    @Test func whatIsAskedForIsRefusedWithTheRule() throws {
        let record = record
        let request = OperationRequest.train(record.collection.id, leastFaceCount: 1000)
        let calm = view(record, reports(record, generation: 1))
        let operation = try request.operation(id, in: calm, now: Timestamp(milliseconds: 1))
        #expect(operation == rollout())
        func refusal(_ view: ClusterView) -> String? {
            do throws(OperationRefusal) {
                _ = try request.operation(OperationID(high: 1, low: 2), in: view, now: Timestamp(milliseconds: 1))
                return nil
            } catch {
                return error.description
            }
        }
        #expect(refusal(view(record, reports(record, generation: 1), operation))?.contains("\(id)") == true)
        #expect(
            refusal(view(record, reports(record, generation: 1, faceCount: 999)))?.contains("has 999 faces") == true
        )
        // The same one is what is meant, until its codebook is the collection's.
        func underWay(_ record: CollectionRecord, generation: UInt32) -> OperationID? {
            let view = view(record, reports(record, generation: generation), operation)
            return request.operationUnderWay(in: view.metadata)?.id
        }
        #expect(underWay(record, generation: 1) == id)
        var trained = record
        trained.codebook?.generation += 1
        #expect(underWay(trained, generation: 2) == nil)
        var restoring = record
        restoring.restoration = RestorationRecord(backup: "b")
        #expect(refusal(view(restoring, reports(record, generation: 1)))?.contains("being restored") == true)
        // One that has ended is no hindrance.
        #expect(refusal(view(record, reports(record, generation: 1), rollout(1, .first, state: .done))) == nil)
    }

    // MARK: Stages

    @Test func aRolloutGoesThroughItsStages() throws {
        var record = record
        var reports = reports(record, generation: 1)
        #expect(try reason(view(record, reports, rollout())) == .ordering)

        reports[second]!.trainings = [training(.running(nil))]
        #expect(try reason(view(record, reports, rollout())) == .queued(second))
        let share = TrainingProgress(stage: .centroids, share: 0.5)
        reports[second]!.trainings = [training(.running(TrainingObservation.Progress(share, elapsed: .seconds(3))))]
        #expect(try reason(view(record, reports, rollout())) == .training(second, share))
        reports[second]!.trainings = [training(.finished)]
        #expect(try progress(view(record, reports, rollout())).stage == .training)
        #expect(try reason(view(record, reports, rollout())) == .fetching(second))

        record.codebook = ClusterScript.codebook(2)
        var current = view(record, reports, rollout())
        #expect(try progress(current).stage == .installing)
        #expect(try progress(current).shards.map(\.installedCount) == [0])
        #expect(try reason(current) == .installing(record.placements[0].shard, first))

        current = view(record, self.reports(record, generation: 2, older: [first: 300, second: 400]), rollout())
        #expect(try progress(current).stage == .recoding)
        #expect(try progress(current).shards.map(\.codedRowCount) == [600])
        #expect(try reason(current) == .recoding(record.placements[0].shard, second, rowCount: 400))
        #expect(updated(current) == nil)

        // The last run has been coded again, and the codebook is still there.
        current = view(record, self.reports(record, generation: 2, older: [second: 0]), rollout())
        #expect(try progress(current).stage == .recoding)
        #expect(updated(current) == nil)

        current = view(record, self.reports(record, generation: 2), rollout())
        #expect(try progress(current).stage == .done)
        #expect(try reason(current) == nil)
        #expect(updated(current)?.state == .done)
        #expect(updated(current)?.ended == Timestamp(milliseconds: 9))
    }

    @Test func aReplicaThatIsAwayIsNotWaitedForAndAShardThatIsNotServedIs() throws {
        var record = record
        record.codebook = ClusterScript.codebook(2)
        var reports = reports(record, generation: 2)
        reports[second]!.replicas[record.placements[0].shard]!.generation = 1
        var view = view(record, reports, rollout())
        view.liveWorkers = [first]
        #expect(updated(view)?.state == .done)
        view.liveWorkers = []
        #expect(updated(view) == nil)
        #expect(try reason(view) == .shardNotServing(record.placements[0].shard))
    }

    @Test func aRolloutEndsWithItsCollection() {
        var view = view(record, reports(record, generation: 1), rollout(state: .paused))
        view.metadata.collections = [:]
        #expect(updated(view)?.state == .cancelled)
        #expect(updated(view)?.note?.contains("deleted") == true)
    }

    // MARK: What does not get on

    /// It hangs on a worker that is heard of.
    @Test func aTrainingThatDoesNotGetOnIsGivenUpAndAnotherWorkerIsAsked() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second], codebook: 1)
        var reports = reports(record, generation: 1)
        let abandonment = ReconcileAction.abandonTraining(record.collection.id, generation: 2, worker: first)
        func restarts(_ view: ClusterView, _ trainings: TrainingLedger, after second: Int) -> [ReconcileAction] {
            var ledger = OperationLedger()
            ledger.observe(view, limits: .init(), now: .seconds(100))
            return RolloutPlanner.restarts(
                of: ledger,
                trainings,
                in: view,
                policy: policy,
                now: .seconds(100 + second)
            )
        }
        let share = TrainingProgress(stage: .centroids, share: 0.5)
        let progress = TrainingObservation.Progress(share, elapsed: .seconds(3))
        reports[first]!.trainings = [training(.running(progress))]
        let still = view(record, reports, rollout())
        var trainings = TrainingLedger()
        #expect(restarts(still, trainings, after: 599).isEmpty)
        #expect(restarts(still, trainings, after: 600) == [abandonment])
        #expect(restarts(view(record, reports, rollout(state: .paused)), trainings, after: 600).isEmpty)

        // Another worker is asked, and where none is left the same one has twice as long.
        trainings.failed(record.collection.id, generation: 2, on: first, policy: policy, now: .seconds(700))
        let decision = TrainingPlanner.decide(
            record,
            in: still,
            policy: policy,
            ledger: trainings,
            now: .seconds(800)
        )
        guard case .train(let order) = decision else {
            Issue.record("no training was ordered: \(decision)")
            return
        }
        #expect(order.worker == second && order.generation == 2)
        #expect(restarts(still, trainings, after: 1199).isEmpty)
        #expect(restarts(still, trainings, after: 1200) == [abandonment])

        // That one is told of, also while the other goes on; and it is given up where it does not get on.
        for (failed, other) in [(first, second), (second, first)] {
            var both = self.reports(record, generation: 1)
            both[failed]!.trainings = [training(.running(progress))]
            both[other]!.trainings = [training(.running(progress))]
            var trainings = TrainingLedger()
            trainings.failed(record.collection.id, generation: 2, on: failed, policy: policy, now: .seconds(700))
            let action = ReconcileAction.abandonTraining(record.collection.id, generation: 2, worker: other)
            #expect(restarts(view(record, both, rollout()), trainings, after: 1200) == [action])
        }

        // What waits for its turn has its time later; but it waits for nothing where nothing is before it.
        let waiting = training(.running(nil))
        reports[first]!.trainings = [waiting]
        #expect(restarts(view(record, reports, rollout()), TrainingLedger(), after: 600) == [abandonment])
        let other = TrainingObservation(
            collection: CollectionID(high: 0, low: 2),
            generation: 1,
            state: .running(progress)
        )
        reports[first]!.trainings = [other, waiting]
        #expect(restarts(view(record, reports, rollout()), TrainingLedger(), after: 600).isEmpty)
        // What is trained is fetched, however long that takes.
        reports[first]!.trainings = [training(.finished)]
        #expect(restarts(view(record, reports, rollout()), TrainingLedger(), after: 600).isEmpty)
    }

    @Test func aTrainingThatWaitedForAnotherHasAllOfItsTimeOnceThatIsOver() {
        let record = ClusterScript.record(1, shards: 1, on: [first], codebook: 1)
        var reports = reports(record, generation: 1)
        let share = TrainingProgress(stage: .centroids, share: 0.5)
        let other = TrainingObservation(
            collection: CollectionID(high: 0, low: 2),
            generation: 1,
            state: .running(TrainingObservation.Progress(share, elapsed: .seconds(3)))
        )
        reports[first]!.trainings = [other, training(.running(nil))]
        let queued = view(record, reports, rollout())
        reports[first]!.trainings = [training(.running(nil))]
        let alone = view(record, reports, rollout())
        var ledger = OperationLedger()
        func restarts(_ view: ClusterView, at second: Int) -> [ReconcileAction] {
            ledger.observe(view, limits: .init(), now: .seconds(second))
            return RolloutPlanner.restarts(
                of: ledger,
                TrainingLedger(),
                in: view,
                policy: policy,
                now: .seconds(second)
            )
        }
        #expect(restarts(queued, at: 100).isEmpty)
        #expect(restarts(queued, at: 800).isEmpty)
        #expect(restarts(alone, at: 801).isEmpty)
        #expect(restarts(alone, at: 1399).isEmpty)
        let abandonment = ReconcileAction.abandonTraining(record.collection.id, generation: 2, worker: first)
        #expect(restarts(alone, at: 1400) == [abandonment])
    }

    // MARK: Taking it back

    @Test func aCancelledRolloutGivesItsTrainingUpAndIsNotBegunAgainByItself() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        var reports = ClusterScript.serving(record, faceCount: 2000)
        reports[first]!.trainings = [training(.running(nil), of: 1)]
        var cancelled = rollout(1, .first)
        let isCancelled = cancelled.cancel { _ in nil }
        #expect(isCancelled)
        let abandonment = ReconcileAction.abandonTraining(record.collection.id, generation: 1, worker: first)
        #expect(RolloutPlanner.abandonments(in: view(record, reports, cancelled)) == [abandonment])
        cancelled = updated(view(record, reports, cancelled))!
        #expect(cancelled.state == .cancelled)
        #expect(RolloutPlanner.abandonments(in: view(record, reports, cancelled)) == [abandonment])
        reports[first]!.trainings = []
        #expect(action(record, view(record, reports, cancelled)) == nil)

        // Asked for again, it is another.
        var again = rollout(1, .request)
        again.id = OperationID(high: 1, low: 2)
        reports[first]!.trainings = [training(.running(nil), of: 1)]
        #expect(RolloutPlanner.abandonments(in: view(record, reports, cancelled, again)).isEmpty)
        reports[first]!.trainings = []
        guard case .train = action(record, view(record, reports, cancelled, again)) else {
            Issue.record("a rollout that was asked for begins")
            return
        }
    }

    @Test func aCodebookThatIsTheCollectionsCannotBeTakenBack() {
        var record = record
        let operation = rollout()
        let before = view(record, reports(record, generation: 1), operation)
        #expect(operation.rollout?.isPastCommitPoint(in: before.metadata) == false)
        record.codebook = ClusterScript.codebook(2)
        let after = view(record, reports(record, generation: 1), operation)
        #expect(operation.rollout?.isPastCommitPoint(in: after.metadata) == true)
    }

    @Test func whilePausedNoReplicaGetsTheCodebook() {
        var record = record
        record.codebook = ClusterScript.codebook(2)
        func installations(_ operation: Operation) -> Int {
            ReconcilePlanner.plan(view(record, reports(record, generation: 1), operation)).actions.count { action in
                if case .install = action { true } else { false }
            }
        }
        #expect(installations(rollout(state: .paused)) == 0)
        #expect(installations(rollout()) == 2)
    }

    // MARK: Beside others

    @Test func aRolloutHindersNoOtherOperation() throws {
        let record = ClusterScript.record(1, shards: 1, on: [first], codebook: 1)
        let reports = ClusterScript.serving(record, faceCount: 5000, generation: 1)
        let view = view(record, reports, rollout())
        #expect(!view.metadata.hasOpenMoves)
        #expect(GrowthPlanner.split(above: 1000, in: view) == .split(record.collection.id, [0]))
        let split = try OperationRequest.split(record.collection.id, [0])
            .operation(OperationID(high: 1, low: 2), in: view, now: Timestamp(milliseconds: 2))
        #expect(split.steps.count == 1)
        #expect(Occupancy(view, limits: .init()).hindrance(split.steps[0], of: split, in: view) == nil)
    }

    // MARK: Pace

    @Test func aRolloutThatDoesNotGetOnIsNoticedAndOneThatDoesHasARate() {
        var record = record
        var ledger = OperationLedger()
        let still = view(record, reports(record, generation: 1), rollout())
        ledger.observe(still, limits: .init(), now: .seconds(100))
        ledger.observe(still, limits: .init(), now: .seconds(159))
        #expect(ledger.stalledRollouts(now: .seconds(159)).isEmpty)
        #expect(ledger.stalledRollouts(now: .seconds(160)) == [id])
        #expect(ledger.longestSilence(now: .seconds(160)) == .seconds(60))

        record.codebook = ClusterScript.codebook(2)
        for (second, left) in [(161, 900), (164, 600), (167, 300)] {
            let view = view(
                record,
                reports(record, generation: 2, older: [self.second: UInt64(left)]),
                rollout()
            )
            ledger.observe(view, limits: .init(), now: .seconds(second))
        }
        #expect(ledger.stalledRollouts(now: .seconds(167)).isEmpty)
        #expect(ledger.pace(of: id)?.rowsPerSecond == 100)
        #expect(ledger.pace(of: id)?.changed == .seconds(167))

        // One that is held up is not expected to get on.
        let held = view(record, reports(record, generation: 2), rollout(state: .paused))
        ledger.observe(held, limits: .init(), now: .seconds(300))
        #expect(ledger.pace(of: id) == nil)
    }

    /// Coding again stands still, and faces come all the while, which are coded by the new codebook at once.
    @Test func enrolmentsAreNoProgressOfARollout() {
        var record = record
        record.codebook = ClusterScript.codebook(2)
        var ledger = OperationLedger()
        func look(at second: Int, left: UInt64) {
            let reports = reports(
                record,
                generation: 2,
                older: [first: left, self.second: left],
                faceCount: 1000 + 100 * UInt64(second)
            )
            ledger.observe(view(record, reports, rollout()), limits: .init(), now: .seconds(second))
        }
        for second in 0...61 { look(at: second, left: 500) }
        #expect(ledger.stalledRollouts(now: .seconds(61)) == [id])
        #expect(ledger.longestSilence(now: .seconds(61)) == .seconds(61))
        #expect(ledger.pace(of: id)?.rowsPerSecond == 0)
        for second in 62...64 { look(at: second, left: 500 - 10 * UInt64(second - 61)) }
        #expect(ledger.pace(of: id)?.changed == .seconds(64))
        #expect((ledger.pace(of: id)?.rowsPerSecond ?? 0) > 0)
    }

    /// A worker that ends and starts again and again codes nothing, though what is known of it changes.
    @Test func aReplicaThatComesBackIsNoProgressOfARollout() {
        var record = record
        record.codebook = ClusterScript.codebook(2)
        let reports = reports(record, generation: 2, older: [first: 300, second: 400])
        let both = view(record, reports, rollout())
        var without = both
        without.liveWorkers = [first]
        var ledger = OperationLedger()
        for second in 0...61 {
            ledger.observe(second.isMultiple(of: 2) ? both : without, limits: .init(), now: .seconds(second))
        }
        #expect(ledger.stalledRollouts(now: .seconds(61)) == [id])
        #expect(ledger.pace(of: id)?.rowsPerSecond == 0)
    }

    @Test func aTrainingThatWaitsForItsTurnDoesNotStandStill() {
        let record = record
        let share = TrainingProgress(stage: .centroids, share: 0.5)
        let collection = CollectionID(high: 0, low: 2)
        let other = TrainingObservation(
            collection: collection,
            generation: 1,
            state: .running(TrainingObservation.Progress(share, elapsed: .seconds(3)))
        )
        var reports = reports(record, generation: 1)
        reports[first]!.trainings = [other, training(.running(nil))]
        func ledger(behind state: OperationState) -> OperationLedger {
            let before = Operation(
                id: OperationID(high: 1, low: 2),
                kind: .rollout(CodebookRollout(collection: collection, generation: 1, cause: .first)),
                state: state,
                created: Timestamp(milliseconds: 1)
            )
            let view = view(record, reports, rollout(), before)
            var ledger = OperationLedger()
            for second in 0...120 { ledger.observe(view, limits: .init(), now: .seconds(second)) }
            return ledger
        }
        let queued = ledger(behind: .running)
        #expect(queued.stalledRollouts(now: .seconds(120)).isEmpty)
        #expect(queued.longestSilence(now: .seconds(120)) == .zero)
        // Behind one that somebody has paused its turn does not come; nor is one watched that was taken back.
        for state in [OperationState.paused, .cancelled] {
            let held = ledger(behind: state)
            #expect(held.stalledRollouts(now: .seconds(120)) == [id])
            #expect(held.longestSilence(now: .seconds(120)) == .seconds(120))
        }
    }
}
