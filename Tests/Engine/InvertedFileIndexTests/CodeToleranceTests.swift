import InvertedFileIndex
import Testing

/// What codes may lose beside lists: never so much that fewer mates are found than a target promises.
struct CodeToleranceTests {
    private static let curve = RecallCalibration.Curve(
        leastSimilarity: 0.3,
        points: RecallCalibration.targets.map {
            let recall = RecallCalibration.listRecall(for: $0)
            return .init(recall: recall, visitedShare: recall)
        } + [.init(recall: 1, visitedShare: 1)],
        probeCount: 8192
    )

    @Test func aTabulatedTargetLeavesCodesTheirPart() {
        for target in RecallCalibration.targets {
            let recall = RecallCalibration.listRecall(for: target)
            #expect(abs(Self.curve.slack(forRecall: target) - (1 - target / recall)) < 1e-9)
            #expect(CodeTolerance(Self.curve, recall: target) == (target <= 0.995 ? .strict : .careful), "\(target)")
        }
        #expect(CodeTolerance(Self.curve, recall: 1) == .exacting)
        // Nothing above it is tabulated, and nothing is known.
        let unknown = RecallCalibration.Curve(leastSimilarity: 0.3, points: [], probeCount: 0)
        #expect(unknown.slack(forRecall: 0.5) == 0)
    }

    @Test func aTargetBetweenTwoLeavesWhatTheNextFindsBeyondIt() {
        #expect(abs(Self.curve.slack(forRecall: 0.85) - (1 - 0.85 / 0.9025)) < 1e-12)
        for target in [0.4, 0.6, 0.75, 0.85, 0.875] {
            #expect(CodeTolerance(Self.curve, recall: target) == .ample, "\(target)")
        }
        // The next is too near.
        for target in [0.899, 0.915, 0.925, 0.935, 0.945, 0.975, 0.991, 0.9951] {
            #expect(CodeTolerance(Self.curve, recall: target) == .strict, "\(target)")
        }
        for target in [0.9975, 0.998, 0.999] {
            #expect(CodeTolerance(Self.curve, recall: target) == .careful, "\(target)")
        }
        // None is tabulated that finds so many.
        for target in [0.9993, 0.9995, 0.9999] {
            #expect(CodeTolerance(Self.curve, recall: target) == .exacting, "\(target)")
        }
    }

    /// Whatever more than they owe the visits find that such a target is given, be it everything.
    @Test func aTargetAboveAllPointsLeavesCodesNothing() {
        for step in 99_920...99_990 {
            let target = Double(step) / 100_000
            #expect(CodeTolerance(Self.curve, recall: target) == .exacting, "\(target)")
        }
    }

    /// Lists find what a point says; codes may lose the slack of it, twice as much in any one band. What is left is
    /// what the target promises, of all and of each band.
    @Test func whatMayBeLostIsNotOwed() {
        for step in 1..<1000 {
            let target = Double(step) / 1000
            let tolerance = CodeTolerance(Self.curve, recall: target)
            guard tolerance != .careful else { continue }
            let due = RecallCalibration.listRecall(for: target) - 1e-9
            let point = Self.curve.points.first { $0.recall >= due }?.recall ?? 1
            let lost = tolerance == .ample ? CodeTolerance.ampleSlack : CodeTolerance.strictSlack
            #expect(point * (1 - lost) >= target, "\(target)")
            let (factor, inBand) = (RecallCalibration.bandMissFactor, RecallCalibration.bandMissFactor * lost)
            let (found, owed) = (1 - factor * (1 - point), 1 - factor * (1 - target))
            if owed > 0 { #expect(found * (1 - inBand) >= owed, "\(target)") }
        }
    }

    /// Heads and the whole code each lose what is stated; of what codes lose by the limit of candidates nothing is.
    @Test func whatIsStatedToBeLostIsNeverMoreThanMayBe() {
        for step in 5000...9999 {
            let target = Double(step) / 10_000
            let slack = Self.curve.slack(forRecall: target)
            let tolerance = CodeTolerance(Self.curve, recall: target)
            #expect(2 * tolerance.missRate <= slack, "\(target): \(slack)")
        }
    }

    @Test func moreToleranceGivesUpMore() {
        for (more, less) in [(CodeTolerance.ample, CodeTolerance.strict), (.strict, .careful), (.careful, .exacting)] {
            #expect(more.missRate > less.missRate)
            #expect(more.candidateDeviations <= less.candidateDeviations)
            #expect(more.candidateShare < less.candidateShare)
        }
        // One loses no more of the mates at the similarity that matters than the other has to spare.
        #expect(2 * CodeTolerance.ample.missRate <= CodeTolerance.ampleSlack)
    }

    /// The square of the least deviation is zero; infinitely many of none are still below every row.
    @Test func whereNothingMayBeLostNoLineGivesARowUp() {
        for deviation: Float in [0, .leastNonzeroMagnitude, 0.02, .infinity] {
            for slope: Float in [-1, 0, 0.98] {
                let line = ScanCalibration.Line(intercept: 0.01, slope: slope, deviation: deviation)
                let calibration = ScanCalibration(head: line, whole: line)
                #expect(line.least(for: 0.3, deviations: .infinity) == -.infinity, "\(line)")
                #expect(calibration.headLeast(for: 0.3, deviations: .infinity) == -.infinity, "\(line)")
            }
        }
        let line = ScanCalibration.Line(intercept: 0.01, slope: 0.98, deviation: 0.02)
        #expect(abs(line.least(for: 0.3, deviations: 2) - 0.264) < 1e-6)
    }
}
