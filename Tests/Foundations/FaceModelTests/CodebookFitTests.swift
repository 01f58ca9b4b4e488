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

    @Test func nothingIsKnownOfNothing() {
        #expect(CodebookFit(of: []) == .unknown)
        #expect(CodebookFit(of: [CodebookFit(recentRowCount: 0, energyRatio: 0.1, imbalanceRatio: 3)]) == .unknown)
    }
}
