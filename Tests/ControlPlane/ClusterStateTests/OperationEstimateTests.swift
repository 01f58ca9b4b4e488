import ClusterModel
import ClusterState
import FaceModel
import Testing

struct OperationEstimateTests {
    private let workers = (1...3).map { ClusterScript.worker(UInt64($0)) }

    /// A replica in the world is of 1 MiB.
    @Test func copiesAndWhatIsMadeBesideOthersHaveTheirOwnRates() throws {
        let records = (1...2 as ClosedRange<UInt64>).map { ClusterScript.replicated($0, on: [workers[0]]) }
        let world = OperationWorld(seed: 1, workers: 3, records: records)
        let shards = world.metadata.placements.map(\.shard)
        let moves = shards.map { Operation.Step(shard: $0, change: .move(from: workers[0], to: workers[1])) }
        let half = UInt64(1) << 19
        let rates = OperationEstimate.Rates(sending: Double(half), making: Double(half / 2))
        var estimate = OperationEstimate(of: moves, in: world.view, rates: rates)
        #expect(estimate.seconds == 4 && estimate.sendingRate == rates.sending && !estimate.isMade)
        #expect(abs(OperationEstimate(of: moves, in: world.view).seconds - 3.0 / 64) < 1e-9, "made, then sent")
        // Whoever sends them sends no faster than it may, whatever was measured elsewhere.
        var slow = world.view
        slow.observations[workers[0]]!.copyBytesPerSecond = half / 4
        slow.observations[workers[1]]!.copyBytesPerSecond = 1
        estimate = OperationEstimate(of: moves, in: slow, rates: rates)
        #expect(abs(estimate.seconds - 24) < 1e-9)
        #expect(estimate.sendingRate.map { abs($0 - Double(half / 4) * 2 / 3) < 1e-6 } == true)

        let split = Operation.Step(shard: shards[0], change: .split(at: 1 << 63, lower: 1, upper: 2))
        estimate = OperationEstimate(of: [split], in: world.view, rates: rates)
        #expect(estimate.seconds == 4 && estimate.sendingRate == nil && estimate.isMade)
        estimate = OperationEstimate(of: [split, moves[1]], in: world.view, rates: rates)
        #expect(estimate.seconds == 6, "one worker makes the one and sends the other")
    }

    /// The sender makes a copy at twice the rate at which it sends it, or in 20 s.
    @Test func aCopyIsMadeBeforeItIsSent() {
        let rate = OperationEstimate.Rates.assumedBytesPerSecond
        for (mebibytes, seconds) in [(64, 1.5), (2048, 48), (10_240, 180)] as [(UInt64, Double)] {
            let time = Double(mebibytes << 20) / OperationEstimate.Rates.copying(mebibytes << 20, at: rate)
            #expect(abs(time - seconds) < 1e-6)
        }
        #expect(abs(OperationEstimate.Rates().sending - rate * 2 / 3) < 1)
        #expect(OperationEstimate.Rates().making == rate)
    }

    /// What a worker sends at a time lies on its disk at a time.
    @Test func copiesAtATimeTakeLessTimeAndMoreDisk() {
        let records = (1...3 as ClosedRange<UInt64>).map { ClusterScript.replicated($0, on: [workers[0]]) }
        let world = OperationWorld(seed: 1, workers: 3, records: records)
        let moves = world.metadata.placements.map {
            Operation.Step(shard: $0.shard, change: .move(from: workers[0], to: workers[1]))
        }
        let rates = OperationEstimate.Rates(sending: Double(1 << 20))
        for (moveCount, limit, seconds, peak) in [
            (2, 1, 2.0, 1), (2, 2, 1.0, 2), (3, 2, 1.5, 2), (1, 2, 1.0, 1),
        ] as [(Int, Int, Double, UInt64)] {
            let estimate = OperationEstimate(
                of: Array(moves.prefix(moveCount)),
                in: world.view,
                rates: rates,
                limits: .init(copiesPerWorker: limit)
            )
            #expect(estimate.seconds == seconds, "\(moveCount) moves, \(limit) at a time")
            #expect(estimate.loads[workers[0]]?.peakDiskByteCount == peak << 20)
            #expect(estimate.loads[workers[1]]?.peakDiskByteCount == UInt64(moveCount) << 20)
        }
    }

    @Test func shardsThatAreMadeAtATimeShareAProcessor() {
        let records = (1...2 as ClosedRange<UInt64>).map { ClusterScript.replicated($0, on: [workers[0]]) }
        let world = OperationWorld(seed: 1, workers: 3, records: records)
        let shards = world.metadata.placements.map(\.shard)
        let splits = shards.map { Operation.Step(shard: $0, change: .split(at: 1 << 63, lower: 1, upper: 2)) }
        let move = Operation.Step(shard: shards[1], change: .move(from: workers[0], to: workers[1]))
        let rates = OperationEstimate.Rates(sending: Double(1 << 20), making: Double(1 << 20))
        for limit in [1, 2] {
            func seconds(_ steps: [Operation.Step]) -> Double {
                let limits = OperationPlanner.Limits(copiesPerWorker: limit)
                return OperationEstimate(of: steps, in: world.view, rates: rates, limits: limits).seconds
            }
            #expect(seconds(splits) == 2, "\(limit) at a time")
            #expect(seconds([splits[0], move]) == 2, "\(limit) at a time")
        }
    }

    @Test func theLastCopiesAreMeasuredAndSmallOnesDoNotCount() {
        var pace = CopyPace()
        pace.add(.init(byteCount: 1 << 20, time: .seconds(100)))
        #expect(pace.bytesPerSecond == nil)
        pace.add(.init(byteCount: 100 << 20, time: .seconds(1)))
        pace.add(.init(byteCount: 100 << 20, time: .seconds(3)))
        #expect(pace.bytesPerSecond == Double(50 << 20) && pace.time == .seconds(4) && pace.count == 2)
        for _ in 0..<16 { pace.add(.init(byteCount: 10 << 20, time: .seconds(1))) }
        #expect(pace.bytesPerSecond == Double(10 << 20) && pace.count == 16)
        var ledger = OperationLedger()
        ledger.observe(
            ClusterScript.view([], reports: [:]),
            limits: .init(),
            now: .zero
        )
        #expect(OperationEstimate.Rates(ledger) == OperationEstimate.Rates())
    }
}
