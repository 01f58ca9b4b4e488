import ShardReplication
import Testing

@Suite struct LogHorizonTests {
    /// Entries 1 … `count` of ten bytes.
    private func horizon(kept: Int, wanted: Int, count: UInt64) -> LogHorizon {
        var horizon = LogHorizon(keptByteCount: kept, wantedByteCount: wanted)
        for sequence in 1...count { horizon.appended(sequence, byteCount: 10) }
        return horizon
    }

    @Test func entriesStayWhileTheyFit() {
        var horizon = horizon(kept: 50, wanted: 50, count: 5)
        #expect(horizon.forgettable(applied: 5, wanted: nil) == nil)
        horizon.appended(6, byteCount: 10)
        #expect(horizon.forgettable(applied: 6, wanted: nil) == 1)
        horizon.appended(7, byteCount: 25)
        #expect(horizon.forgettable(applied: 7, wanted: nil) == 3)
    }

    @Test func whatAnotherReplicaWantsStaysLonger() {
        var horizon = horizon(kept: 20, wanted: 60, count: 5)
        #expect(horizon.forgettable(applied: 5, wanted: 1) == 1)
        for sequence in 6...20 as ClosedRange<UInt64> { horizon.appended(sequence, byteCount: 10) }
        // Beyond what is kept for it, it needs a copy.
        #expect(horizon.forgettable(applied: 20, wanted: 1) == 14)
        #expect(horizon.forgettable(applied: 20, wanted: 16) == 16)
        #expect(horizon.forgettable(applied: 20, wanted: nil) == 18)
        // Behind a copy it stays while it is shorter than another copy.
        #expect(horizon.forgettable(applied: 20, wanted: 1, copyByteCount: 150) == 5)
        #expect(horizon.forgettable(applied: 20, wanted: 1, copyByteCount: 1000) == 1)
        #expect(horizon.forgettable(applied: 20, wanted: 1, copyByteCount: 30) == 14)
        #expect(horizon.forgettable(applied: 20, wanted: nil, copyByteCount: 1000) == 18)
    }

    /// What was there when the log was opened counts like what came since.
    @Test func whatHasGrownWhileItWasWantedGoesByAndBy() {
        let stretch = LogHorizon.forgottenAtOnceByteCount / 2
        var horizon = LogHorizon(keptByteCount: 100, wantedByteCount: 100 * stretch)
        for end in 1...5 as ClosedRange<UInt64> { horizon.appended(end * 1000, byteCount: stretch) }
        #expect(horizon.forgettable(applied: 6000, wanted: 0) == nil)
        #expect(horizon.forgettable(applied: 6000, wanted: nil) == 2000)
        horizon.forgot(through: 2000)
        #expect(horizon.forgettable(applied: 6000, wanted: nil) == 4000)
        horizon.forgot(through: 4000)
        // The last stretch has more than is kept, and is no end before the next.
        #expect(horizon.forgettable(applied: 6000, wanted: nil) == nil)
        horizon.appended(5001, byteCount: 200)
        #expect(horizon.forgettable(applied: 6000, wanted: nil) == 5000)
        // One that is larger goes all the same.
        var large = LogHorizon(keptByteCount: 1, wantedByteCount: 1)
        large.appended(10, byteCount: stretch * 3)
        large.appended(20, byteCount: stretch)
        #expect(large.forgettable(applied: 30, wanted: nil) == 10)
    }

    @Test func theLastAppliedEntryStays() {
        let horizon = horizon(kept: 0, wanted: 0, count: 9)
        #expect(horizon.forgettable(applied: 9, wanted: nil) == 8)
        #expect(horizon.forgettable(applied: 4, wanted: nil) == 3)
        #expect(horizon.forgettable(applied: 1, wanted: nil) == nil)
    }

    @Test func whatWasForgottenOrCutOffDoesNotCount() {
        var horizon = horizon(kept: 20, wanted: 20, count: 9)
        horizon.forgot(through: 7)
        #expect(horizon.forgettable(applied: 9, wanted: nil) == nil)
        horizon.truncated(after: 8)
        horizon.appended(9, byteCount: 5)
        horizon.appended(10, byteCount: 5)
        #expect(horizon.forgettable(applied: 10, wanted: nil) == nil)
        horizon.appended(11, byteCount: 10)
        #expect(horizon.forgettable(applied: 11, wanted: nil) == 8)
    }

    @Test func whatIsBehindAnEntryHasNothingOfWhatWasForgotten() {
        for count in [7, 2000] as [UInt64] {
            var horizon = horizon(kept: 50, wanted: 50, count: 3000)
            #expect(horizon.byteCount(after: 0) == 30_000)
            #expect(horizon.byteCount(after: 2500) == 5000)
            horizon.forgot(through: count)
            let left = Int(3000 - count) * 10
            #expect(horizon.byteCount(after: 0) == left)
            #expect(horizon.byteCount(after: count - 1) == left)
            #expect(horizon.byteCount(after: count) == left)
            #expect(horizon.byteCount(after: 2500) == 5000)
            #expect(horizon.byteCount(after: 3000) == 0)
        }
    }

    /// A stretch that was there when the session began may be cut off in its midst.
    @Test func whatWasCutOffDoesNotCountWhereNothingIsLeft() {
        var horizon = LogHorizon(keptByteCount: 50, wantedByteCount: 50)
        horizon.appended(10, byteCount: 100)
        horizon.truncated(after: 9)
        #expect(horizon.byteCount(after: 0) == 0)
        horizon.appended(10, byteCount: 20)
        horizon.appended(11, byteCount: 20)
        #expect(horizon.forgettable(applied: 11, wanted: nil) == nil)
    }
}
