import FaceModel
import Testing

struct RecallEvidenceTests {
    @Test func chanceMakesNoFactor() {
        #expect(RecallEvidence.none.excess == 1 && RecallEvidence.none.recall == nil)
        // As many as expected, half of them, and too few checks to tell.
        for (probes, missed) in [(1000, 10.0), (1000, 5), (20, 1), (1, 1)] as [(UInt64, Double)] {
            let evidence = RecallEvidence(probeCount: probes, missedCount: missed, expectedCount: 0.01 * Double(probes))
            #expect(evidence.excess == 1, "\(evidence)")
        }
    }

    /// 50 of 1000: the one-sided bound of 99 % is 3.51 % (Clopper, Pearson), 3.51 times the expected 1 %.
    @Test func moreThanChanceIsAFactor() {
        let evidence = RecallEvidence(probeCount: 1000, missedCount: 50, expectedCount: 10)
        #expect(abs(evidence.excess - 3.51) < 0.02, "\(evidence.excess)")
        #expect(evidence.recall == Proportion(count: 950, total: 1000))
        // The same with more behind it says more.
        let more = evidence + evidence + evidence
        #expect(more.probeCount == 3000 && more.excess > evidence.excess && more.excess < 5)
        // Parts of misses count as parts.
        #expect(RecallEvidence(probeCount: 1000, missedCount: 50.9, expectedCount: 10).excess == evidence.excess)
    }

    @Test func aFactorHasABound() {
        let evidence = RecallEvidence(probeCount: 4000, missedCount: 4000, expectedCount: 0.4)
        #expect(evidence.excess == RecallEvidence.greatestExcess)
        let impossible = RecallEvidence(probeCount: .max, missedCount: .infinity, expectedCount: 1)
        #expect(impossible.excess == 1 && impossible.recall == nil)
        #expect(RecallEvidence(probeCount: 10, missedCount: .nan, expectedCount: 1).excess == 1)
    }
}
