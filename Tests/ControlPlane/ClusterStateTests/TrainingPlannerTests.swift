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

    func training(_ record: CollectionRecord, _ state: TrainingObservation.State) -> TrainingObservation {
        TrainingObservation(collection: record.collection.id, generation: 1, state: state)
    }

    @Test func smallCollectionsAreNotTrained() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        #expect(decide(record, ClusterScript.serving(record, faceCount: 499)) == .none)
    }

    @Test func trainedCollectionsAreNotTrainedAgain() {
        let record = ClusterScript.record(1, shards: 1, on: [first], codebook: 1)
        #expect(decide(record, ClusterScript.serving(record, faceCount: 5000)) == .none)
    }

    @Test func samplesAreInProportionToTheShardsFaces() throws {
        let record = ClusterScript.record(1, shards: 3, on: [first, second])
        var reports = ClusterScript.serving(record)
        for (placement, count) in zip(record.placements, [1000, 0, 2000] as [UInt64]) {
            reports[placement.primary!]!.replicas[placement.shard]!.faceCount = count
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
            reports[placement.primary!]!.replicas[placement.shard]!.faceCount = count
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
        #expect(decide(record, reports) == .fetch(generation: 1, worker: second))
    }

    @Test func aFinishedTrainingIsFetchedThoughOtherShardsAreAway() {
        let record = ClusterScript.record(1, shards: 2, on: [first, second])
        var reports = ClusterScript.serving(record, faceCount: 1000)
        reports[second]!.trainings = [training(record, .finished)]
        #expect(decide(record, reports, live: [second]) == .fetch(generation: 1, worker: second))
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
            ledger.failed(order.collection, on: order.worker, policy: policy, now: now)
            #expect(decide(record, reports, ledger: ledger, now: now + .seconds(pause) - .milliseconds(1)) == .wait)
            now += .seconds(pause)
        }
    }

    @Test func aCodebookThatCannotBeFetchedIsTrainedAnew() {
        let record = ClusterScript.record(1, shards: 1, on: [first])
        var reports = ClusterScript.serving(record, faceCount: 1000)
        reports[first]!.trainings = [training(record, .finished)]
        var ledger = TrainingLedger()
        ledger.failed(record.collection.id, on: first, policy: policy, now: .zero)
        #expect(decide(record, reports, ledger: ledger, now: .seconds(1)) == .wait)
        guard case .train(let order) = decide(record, reports, ledger: ledger, now: .seconds(2)) else {
            Issue.record("no training was ordered")
            return
        }
        ledger.began(order, now: .seconds(2))
        #expect(decide(record, reports, ledger: ledger, now: .seconds(3)) == .fetch(generation: 1, worker: first))
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
