import Testing
import WireProtocol
import WorkerService

@Suite struct CopyRestTests {
    private let now = ContinuousClock.now

    /// A copy costs both disks all of the partition.
    @Test func pausesAfterFailuresForGoodDoubleUpToTenMinutes() {
        var rest: CopyRest?
        var pauses: [Duration] = []
        for _ in 0..<9 {
            rest = CopyRest(after: CopyFailure(isForGood: true, pause: .zero), rest, now: now)
            pauses.append(rest!.end - now)
        }
        #expect(pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600].map { .seconds($0) })
    }

    /// A disk that is full has everything written up to where it was, and removed.
    @Test func aShardThatFailsForWantOfDiskBeginsAnewAfterPausesThatDouble() {
        func pauses(_ code: StatusCode, hasBegun: Bool = true) -> [Duration] {
            var rest: CopyRest?
            return (0..<9).map { _ in
                let status = WireStatus(code: code, message: "It failed.")
                let failure = CopyFailure(making: status, hasBegun: hasBegun, pause: .seconds(1))
                let next = CopyRest(after: failure, rest, now: now)
                rest = next
                return next.end - now
            }
        }
        #expect(pauses(.storageFull) == [5, 10, 20, 40, 80, 160, 320, 600, 600].map { .seconds($0) })
        // Its sources are being opened, or one of them has failed: nothing was written, or it passes.
        let often = [Duration](repeating: .seconds(1), count: 9)
        #expect(pauses(.unavailable) == often && pauses(.corruptPartition, hasBegun: false) == often)
    }

    @Test func whatMayPassIsTriedAgainAsSoonAsIsAskedFor() {
        let first = CopyRest(after: CopyFailure(isForGood: false, pause: .zero), nil, now: now)
        #expect(first.end == now)
        let asked = CopyRest(after: CopyFailure(isForGood: false, pause: .seconds(60)), first, now: now)
        #expect(asked.end == now + .seconds(60))
        // It makes a pause of before no shorter, nor longer.
        let failed = CopyRest(after: CopyFailure(isForGood: true, pause: .zero), asked, now: now)
        let passing = CopyRest(after: CopyFailure(isForGood: false, pause: .seconds(1)), failed, now: now)
        #expect(failed.end == now + .seconds(5) && passing.end == now + .seconds(1))
        let again = CopyRest(after: CopyFailure(isForGood: true, pause: .seconds(7)), passing, now: now)
        #expect(again.end == now + .seconds(10), "the longer of both")
    }

    /// So that an operation that begins anew is an attempt, and not one without end.
    @Test func whoLeavesAndComesAgainIsTriedOnceAtOnce() {
        var rest: CopyRest?
        for _ in 0..<6 { rest = CopyRest(after: CopyFailure(isForGood: true, pause: .zero), rest, now: now) }
        #expect(rest!.end == now + .seconds(160))
        rest!.left(now: now + .seconds(60))
        #expect(rest!.end == now + .seconds(60))
        #expect(!rest!.isForgotten(now: now + .seconds(70)) && rest!.isForgotten(now: now + .seconds(1261)))
        let next = CopyRest(after: CopyFailure(isForGood: true, pause: .zero), rest, now: now + .seconds(60))
        #expect(next.end == now + .seconds(60 + 320))
        let unwanted = CopyRest(after: .unwanted, next, now: now + .seconds(400))
        #expect(unwanted.end == now + .seconds(400))
    }
}
