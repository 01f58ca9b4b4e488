import Testing
import WorkerService

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
}
