import ClusterModel
import ClusterState
import FaceModel
import Testing

struct TrainingPlannerTests {
    let first = ClusterScript.worker(1)
    let second = ClusterScript.worker(2)
    let policy = TrainingPolicy(
        minimumFaceCount: 1000,
        sampleCount: 600,
        reportGrace: .seconds(10),
        firstPause: .seconds(2),
        longestPause: .seconds(8)
    )

    func decide(
        _ record: CollectionRecord,
        _ reports: [NodeID: WorkerObservation],
        live: Set<NodeID>? = nil,
        ledger: TrainingLedger = TrainingLedger(),
        now: Duration = .zero
    ) -> TrainingPlanner.Decision {
        TrainingPlanner.decide(
            record,
            in: ClusterScript.view([record], reports: reports, live: live),
            policy: policy,
            ledger: ledger,
            now: now
        )
    }

    func origin(_ faceCount: UInt64, _ cause: TrainingCause = .first) -> CodebookOrigin {
        CodebookOrigin(cause: cause, faceCount: faceCount)
    }

    func training(_ record: CollectionRecord, _ state: TrainingObservation.State) -> TrainingObservation {
        TrainingObservation(collection: record.collection.id, generation: 1, state: state)
    }

    @Test func smallCollectionsAreNotTrained() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        #expect(decide(record, ClusterScript.serving(record, faceCount: 499)) == .none)
    }

    @Test func collectionsAreNotTrainedAgainBeforeTheyHaveGrown() {
        // 10 000 faces at the last training.
        let record = ClusterScript.record(1, shards: 1, on: [first], codebook: 1)
        for count: UInt64 in [100, 10_000, 39_999] {
            #expect(decide(record, ClusterScript.serving(record, faceCount: count, generation: 1)) == .none)
        }
    }

    // MARK: The next generation

    @Test func aCollectionThatHasGrownByTheFactorGetsItsNextCodebook() throws {
        let record = ClusterScript.record(1, shards: 2, on: [first, second], codebook: 1)
        let reports = ClusterScript.serving(record, faceCount: 20_000, generation: 1)
        guard case .train(let order) = decide(record, reports) else {
            Issue.record("no training was ordered")
            return
        }
        #expect(order.generation == 2 && order.origin == origin(40_000, .growth))
        #expect(order.sources.reduce(0) { $0 + $1.sampleCount } == 600)
        // As many as the sample allows: 600 rows, 45 a list, and 16 at least.
        #expect(order.listCount == 16)
    }

    @Test func growthThatBringsNoMoreListsNorRowsIsNoReason() {
        var record = ClusterScript.record(1, shards: 1, on: [first], codebook: 1)
        record.codebook!.sampleCount = 600
        let reports = ClusterScript.serving(record, faceCount: 1_000_000, generation: 1)
        #expect(decide(record, reports) == .none)
        // Of 16 lists two had too few rows.
        record.codebook!.listCount = 14
        #expect(decide(record, reports) == .none)
        record.codebook!.sampleCount = 300
        guard case .train = decide(record, reports) else {
            Issue.record("twice the rows are worth a training")
            return
        }
    }

    /// Never two at once: the rollout of one is over when every shard has it and no code of another.
    @Test func theNextWaitsForTheOneBefore() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second], codebook: 2)
        let shard = record.placements[1].shard
        let done = ClusterScript.serving(record, faceCount: 100_000, generation: 2)
        guard case .train(let order) = decide(record, done), order.generation == 3 else {
            Issue.record("no training was ordered")
            return
        }
        var behind = done
        behind[second]!.replicas[shard]!.generation = 1
        #expect(decide(record, behind) == .none)
        var mixed = done
        mixed[second]!.replicas[shard]!.olderGeneration = 1
        #expect(decide(record, mixed) == .none)
        var unheard = done
        unheard[second]!.replicas[shard] = nil
        #expect(decide(record, unheard) == .none)
        var running = done
        running[first]!.trainings = [
            TrainingObservation(collection: record.collection.id, generation: 3, state: .running(nil))
        ]
        #expect(decide(record, running) == .wait)
        // The one before, which its worker goes on telling of, is none of the next.
        var told = done
        told[first]!.trainings = [
            TrainingObservation(collection: record.collection.id, generation: 2, state: .finished)
        ]
        #expect(decide(record, told) == .train(order))
    }

    /// Of 1000 checked searches that were promised to miss 10.
    private static func fit(recentRowCount: UInt64, missedCount: Double) -> CodebookFit {
        CodebookFit(
            recentRowCount: recentRowCount,
            energyRatio: 1,
            imbalanceRatio: 1,
            recall: RecallEvidence(probeCount: 1000, missedCount: missedCount, expectedCount: 10)
        )
    }

    @Test(
        arguments: [
            (CodebookFit(recentRowCount: 1000, energyRatio: 0.96, imbalanceRatio: 1), TrainingCause.energy),
            (CodebookFit(recentRowCount: 1000, energyRatio: 0.98, imbalanceRatio: 1.6), .imbalance),
            (CodebookFit(recentRowCount: 1000, energyRatio: 0.98, imbalanceRatio: 1.4), nil),
            (fit(recentRowCount: 1000, missedCount: 30), .recall),
            // Not more than chance, and before a tenth of the faces has come another training would find the same.
            (fit(recentRowCount: 1000, missedCount: 15), nil),
            (fit(recentRowCount: 999, missedCount: 300), nil),
            // Fewer than a tenth of the faces there were.
            (CodebookFit(recentRowCount: 999, energyRatio: 0.5, imbalanceRatio: 9), nil),
            (CodebookFit.unknown, nil),
        ] as [(CodebookFit, TrainingCause?)]
    )
    func aCodebookThatFitsNoLongerIsReplaced(fit: CodebookFit, cause: TrainingCause?) {
        let record = ClusterScript.record(1, shards: 1, on: [first], codebook: 1)
        var reports = ClusterScript.serving(record, faceCount: 11_000, generation: 1)
        reports[first]!.replicas[record.placements[0].shard]!.fit = fit
        let decision = decide(record, reports)
        guard let cause else {
            #expect(decision == .none)
            return
        }
        guard case .train(let order) = decision else {
            Issue.record("no training was ordered")
            return
        }
        #expect(order.origin == origin(11_000, cause))
    }

    /// Where there is none, the one with most faces is asked all the same, and says so.
    @Test func aWorkerWithMemoryForItTrains() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        let isEven = ClusterScript.serving(record, faceCount: 60_000)
        func trainer(_ held: [UInt64], of limit: UInt64) -> (worker: NodeID, rows: UInt64)? {
            var reports = isEven
            for (worker, byteCount) in zip([first, second], held) {
                reports[worker]!.memory = MemoryLedger(
                    bound: .controlGroup,
                    limitByteCount: limit,
                    heldByteCount: byteCount,
                    reserveByteCount: limit / 10
                )
            }
            guard case .train(let order) = decide(record, reports) else { return nil }
            return (order.worker, order.sources.reduce(0) { $0 + UInt64($1.sampleCount) })
        }
        let unlimited = trainer([0, 0], of: 0)
        #expect(trainer([1 << 30, 15 << 30], of: 16 << 30)! == (first, unlimited!.rows))
        #expect(trainer([15 << 30, 1 << 30], of: 16 << 30)! == (second, unlimited!.rows))
        #expect(trainer([15 << 30, 15 << 30], of: 16 << 30)! == (first, unlimited!.rows))
        // Half of what a worker may hold is the most that a training takes, unless it could not train at all then.
        #expect(trainer([10 << 20, 10 << 20], of: 20 << 20)!.rows == min(4096, unlimited!.rows))
    }

    @Test func whatShardsSayOfTheFitIsWeighedByTheirRows() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second], codebook: 1)
        var reports = ClusterScript.serving(record, faceCount: 6000, generation: 1)
        func fit(_ placement: Int, _ rows: UInt64, _ energy: Float) {
            let worker = record.placements[placement].primary
            reports[worker]!.replicas[record.placements[placement].shard]!.fit = CodebookFit(
                recentRowCount: rows,
                energyRatio: energy,
                imbalanceRatio: 1
            )
        }
        fit(0, 900, 0.9)
        fit(1, 100, 1)
        guard case .train(let order) = decide(record, reports) else {
            Issue.record("no training was ordered")
            return
        }
        #expect(order.origin.cause == .energy)
        fit(0, 100, 0.9)
        fit(1, 900, 1)
        #expect(decide(record, reports) == .none)
    }

    /// Whatever caused the order, the codebook is said to come from it: the fit may look better by then.
    @Test func aFinishedTrainingKeepsItsOrigin() {
        let record = ClusterScript.record(1, shards: 1, on: [first], codebook: 1)
        let shard = record.placements[0].shard
        var reports = ClusterScript.serving(record, faceCount: 11_000, generation: 1)
        reports[first]!.replicas[shard]!.fit = CodebookFit(recentRowCount: 5000, energyRatio: 0.9, imbalanceRatio: 1)
        guard case .train(let order) = decide(record, reports) else {
            Issue.record("no training was ordered")
            return
        }
        var ledger = TrainingLedger()
        ledger.began(order, now: .zero)
        reports[first]!.trainings = [
            TrainingObservation(collection: record.collection.id, generation: 2, state: .finished)
        ]
        reports[first]!.replicas[shard]!.faceCount = 12_000
        reports[first]!.replicas[shard]!.fit = .unknown
        let remembered = decide(record, reports, ledger: ledger)
        #expect(remembered == .fetch(generation: 2, origin: origin(11_000, .energy), worker: first))
        // Another coordinator does not remember, and takes it all the same.
        let restarted = decide(record, reports)
        #expect(restarted == .fetch(generation: 2, origin: origin(12_000, .growth), worker: first))
    }

    @Test func failuresOfTheNextGenerationAreRememberedThoughTheRecordsAreReadAgain() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second], codebook: 1)
        let reports = ClusterScript.serving(record, faceCount: 40_000, generation: 1)
        var ledger = TrainingLedger()
        ledger.failed(record.collection.id, generation: 2, on: first, policy: policy, now: .zero)
        ledger.settled(record.collection.id, generation: 1)
        #expect(decide(record, reports, ledger: ledger, now: .seconds(1)) == .wait)
        guard case .train(let order) = decide(record, reports, ledger: ledger, now: .seconds(2)) else {
            Issue.record("no training was ordered")
            return
        }
        #expect(order.worker == second)
        ledger.settled(record.collection.id, generation: 2)
        #expect(ledger.memory(of: record.collection.id) == TrainingLedger().memory(of: record.collection.id))
    }

    @Test(
        arguments: [
            (faces: 50_000, lists: 512, sample: 50_000), (faces: 160_000, lists: 512, sample: 65_536),
            (faces: 200_000, lists: 1024, sample: 65_536), (faces: 1_000_000, lists: 2048, sample: 92_160),
            (faces: 50_000_000, lists: 4096, sample: 184_320), (faces: 1500, lists: 32, sample: 1500),
        ] as [(faces: UInt64, lists: UInt32, sample: UInt32)]
    )
    func listsAndRowsFollowTheSize(faces: UInt64, lists: UInt32, sample: UInt32) {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        let decision = TrainingPlanner.decide(
            record,
            in: ClusterScript.view([record], reports: ClusterScript.serving(record, faceCount: faces)),
            policy: TrainingPolicy(minimumFaceCount: 1000),
            ledger: TrainingLedger(),
            now: .zero
        )
        guard case .train(let order) = decision else {
            Issue.record("no training was ordered")
            return
        }
        #expect(order.listCount == lists)
        #expect(order.sources.map(\.sampleCount) == [sample])
    }

    /// A mean of few rows shows what single faces look like.
    @Test func configuredListsAreNoMoreThanTheSampleCarries() {
        for (configured, lists): (UInt32, UInt32) in [(65_536, 947), (948, 947), (256, 256), (1, 1)] {
            let policy = TrainingPolicy(sampleCount: 18_000, listCount: configured)
            let size = TrainingSize(faceCount: 100_000, dimension: 512, policy: policy)
            #expect(size.listCount == lists && size.sampleCount == 18_000, "\(configured)")
        }
    }

    @Test func aSampleNeverTakesMoreThanItsBytes() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        var policy = policy
        policy.sampleCount = 1_000_000
        // Dimension 64: 256 bytes a row.
        policy.sampleByteCount = 256 * 5000
        let decision = TrainingPlanner.decide(
            record,
            in: ClusterScript.view([record], reports: ClusterScript.serving(record, faceCount: 1_000_000)),
            policy: policy,
            ledger: TrainingLedger(),
            now: .zero
        )
        guard case .train(let order) = decision else {
            Issue.record("no training was ordered")
            return
        }
        #expect(order.sources.map(\.sampleCount) == [5000] && order.listCount == 64)
    }

    @Test func samplesAreInProportionToTheShardsFaces() throws {
        let record = ClusterScript.record(1, shards: 3, on: [first, second])
        var reports = ClusterScript.serving(record)
        for (placement, count) in zip(record.placements, [1000, 0, 2000] as [UInt64]) {
            reports[placement.primary]!.replicas[placement.shard]!.faceCount = count
        }
        guard case .train(let order) = decide(record, reports) else {
            Issue.record("no training was ordered")
            return
        }
        // Worker 1 holds shards 0 and 2, and so most faces.
        #expect(order.worker == first)
        #expect(order.generation == 1)
        #expect(order.sources.map(\.placement.shard.index) == [0, 2])
        #expect(order.sources.map(\.sampleCount) == [200, 400])
    }

    @Test(arguments: 0..<50 as Range<UInt64>) func samplesAddUpAndFitTheirShards(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let record = ClusterScript.record(1, shards: 7, on: [first, second])
        var reports = ClusterScript.serving(record)
        var counts: [UInt32: UInt64] = [:]
        for placement in record.placements {
            let count = UInt64.random(in: 0...900, using: &generator)
            counts[placement.shard.index] = count
            reports[placement.primary]!.replicas[placement.shard]!.faceCount = count
        }
        let total = counts.values.reduce(0, +)
        guard total >= policy.minimumFaceCount else {
            #expect(decide(record, reports) == .none)
            return
        }
        guard case .train(let order) = decide(record, reports) else {
            Issue.record("no training was ordered, seed \(seed)")
            return
        }
        #expect(order.sources.reduce(0) { $0 + UInt64($1.sampleCount) } == UInt64(policy.sampleCount))
        for source in order.sources {
            #expect(UInt64(source.sampleCount) <= counts[source.placement.shard.index]!)
        }
    }

    @Test func trainingWaitsForEveryShard() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        let reports = ClusterScript.serving(record, faceCount: 1000)
        #expect(decide(record, reports, live: [first]) == .wait)
        var opening = reports
        opening[second]!.replicas[record.placements[1].shard]!.state = .opening
        #expect(decide(record, opening) == .wait)
    }

    @Test func anOrderedTrainingIsGivenTimeToShow() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        let reports = ClusterScript.serving(record, faceCount: 1000)
        guard case .train(let order) = decide(record, reports) else {
            Issue.record("no training was ordered")
            return
        }
        var ledger = TrainingLedger()
        ledger.began(order, now: .seconds(100))
        #expect(decide(record, reports, ledger: ledger, now: .seconds(110)) == .wait)
        #expect(decide(record, reports, ledger: ledger, now: .seconds(111)) == .train(order))
    }

    @Test func aRunningTrainingIsLeftAloneAndAFinishedOneFetched() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        var reports = ClusterScript.serving(record, faceCount: 1000)
        reports[second]!.trainings = [training(record, .running(nil))]
        #expect(decide(record, reports, now: .seconds(9999)) == .wait)
        reports[second]!.trainings = [training(record, .finished)]
        #expect(decide(record, reports) == .fetch(generation: 1, origin: origin(2000), worker: second))
    }

    @Test func aFinishedTrainingIsFetchedThoughOtherShardsAreAway() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        var reports = ClusterScript.serving(record, faceCount: 1000)
        reports[second]!.trainings = [training(record, .finished)]
        #expect(decide(record, reports, live: [second]) == .fetch(generation: 1, origin: origin(2000), worker: second))
    }

    @Test func afterAFailureAnotherWorkerTrainsWhenThePauseIsOver() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        var reports = ClusterScript.serving(record, faceCount: 1000)
        guard case .train(let order) = decide(record, reports) else {
            Issue.record("no training was ordered")
            return
        }
        #expect(order.worker == first)
        var ledger = TrainingLedger()
        ledger.began(order, now: .seconds(1))
        reports[first]!.trainings = [training(record, .failed("the sample has too few directions"))]
        let failures = ledger.observe(first, reports[first]!, policy: policy, now: .seconds(2))
        #expect(failures.map(\.reason) == ["the sample has too few directions"])
        #expect(ledger.observe(first, reports[first]!, policy: policy, now: .seconds(2)).map(\.reason) == [])
        #expect(decide(record, reports, ledger: ledger, now: .seconds(3)) == .wait)
        guard case .train(let next) = decide(record, reports, ledger: ledger, now: .seconds(4)) else {
            Issue.record("no second training was ordered")
            return
        }
        #expect(next.worker == second)
        #expect(next.generation == 1)
    }

    @Test func theOnlyWorkerIsTriedAgainWithLongerPauses() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        let reports = ClusterScript.serving(record, faceCount: 1000)
        var ledger = TrainingLedger()
        var now = Duration.zero
        for pause: Int64 in [2, 4, 8, 8] {
            guard case .train(let order) = decide(record, reports, ledger: ledger, now: now) else {
                Issue.record("no training was ordered at \(now)")
                return
            }
            ledger.began(order, now: now)
            ledger.failed(order.collection, generation: order.generation, on: order.worker, policy: policy, now: now)
            #expect(decide(record, reports, ledger: ledger, now: now + .seconds(pause) - .milliseconds(1)) == .wait)
            now += .seconds(pause)
        }
    }

    @Test func aCodebookThatCannotBeFetchedIsTrainedAnew() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        var reports = ClusterScript.serving(record, faceCount: 1000)
        reports[first]!.trainings = [training(record, .finished)]
        var ledger = TrainingLedger()
        ledger.failed(record.collection.id, generation: 1, on: first, policy: policy, now: .zero)
        #expect(decide(record, reports, ledger: ledger, now: .seconds(1)) == .wait)
        guard case .train(let order) = decide(record, reports, ledger: ledger, now: .seconds(2)) else {
            Issue.record("no training was ordered")
            return
        }
        ledger.began(order, now: .seconds(2))
        #expect(
            decide(record, reports, ledger: ledger, now: .seconds(3))
                == .fetch(generation: 1, origin: origin(1000), worker: first)
        )
    }
}

struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
