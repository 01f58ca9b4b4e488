import FaceModel
import Testing

struct CodebookFitTests {
    @Test func partsCountByTheirRows() {
        let fit = CodebookFit(of: [
            CodebookFit(recentRowCount: 300, energyRatio: 1, imbalanceRatio: 2),
            CodebookFit(recentRowCount: 100, energyRatio: 0.5, imbalanceRatio: 1),
            CodebookFit(recentRowCount: 0, energyRatio: 0, imbalanceRatio: 100),
        ])
        #expect(fit == CodebookFit(recentRowCount: 400, energyRatio: 0.875, imbalanceRatio: 1.75))
    }

    /// Also that of parts without new rows: old ones are searched all the same.
    @Test func whatWasCheckedIsAddedUp() {
        var parts = [CodebookFit.unknown, .unknown, .unknown]
        parts[0].recall = RecallEvidence(probeCount: 10, missedCount: 1, expectedCount: 0.5)
        parts[2].recall = RecallEvidence(probeCount: 20, missedCount: 0.5, expectedCount: 1)
        let sum = RecallEvidence(probeCount: 30, missedCount: 1.5, expectedCount: 1.5)
        #expect(CodebookFit(of: parts).recall == sum)
    }

    @Test func nothingIsKnownOfNothing() {
        #expect(CodebookFit(of: []) == .unknown)
        #expect(CodebookFit(of: [CodebookFit(recentRowCount: 0, energyRatio: 0.1, imbalanceRatio: 3)]) == .unknown)
    }
}
