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
        #expect(OperationEstimate(of: moves, in: world.view).seconds == 2.0 / 64)
        // Whoever sends them sends no faster than it may, whatever was measured elsewhere.
        var slow = world.view
        slow.observations[workers[0]]!.copyBytesPerSecond = half / 4
        slow.observations[workers[1]]!.copyBytesPerSecond = 1
        estimate = OperationEstimate(of: moves, in: slow, rates: rates)
        #expect(estimate.seconds == 16)
        #expect(estimate.sendingRate == Double(half / 4))

        let split = Operation.Step(shard: shards[0], change: .split(at: 1 << 63, lower: 1, upper: 2))
        estimate = OperationEstimate(of: [split], in: world.view, rates: rates)
        #expect(estimate.seconds == 4 && estimate.sendingRate == nil && estimate.isMade)
        estimate = OperationEstimate(of: [split, moves[1]], in: world.view, rates: rates)
        #expect(estimate.seconds == 6, "one worker makes the one and sends the other")
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
        let assumed = OperationEstimate.Rates.assumedBytesPerSecond
        #expect(OperationEstimate.Rates(ledger) == OperationEstimate.Rates(sending: assumed, making: assumed))
    }
}
