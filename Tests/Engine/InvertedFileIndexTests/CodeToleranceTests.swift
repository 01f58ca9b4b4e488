import Foundation
import InvertedFileIndex
import Testing

/// What codes may lose beside lists: never so much that fewer mates are found than a target promises.
struct CodeToleranceTests {
    private static func calibration(_ visitedShare: (Double) -> Double) -> RecallCalibration {
        let recalls = RecallCalibration.targets.map(RecallCalibration.listRecall) + [1]
        let points = recalls.map { RecallCalibration.Point(recall: $0, visitedShare: visitedShare($0)) }
        return RecallCalibration(curves: [.init(leastSimilarity: 0.3, points: points, probeCount: 8192)])
    }

    /// Each hundredth of the mates costs half as many visits again.
    private static let steep = calibration { exp(-40 * (1 - $0)) }
    /// Each costs a hundredth more.
    private static let flat = calibration { $0 }

    private static func tolerance(_ calibration: RecallCalibration, _ recall: Double) -> CodeTolerance {
        CodeTolerance(calibration.demand(forRecall: recall))
    }

    @Test func aTabulatedTargetLeavesCodesTheirPart() {
        for target in RecallCalibration.targets {
            let demand = Self.steep.demand(forRecall: target)
            let recall = RecallCalibration.listRecall(for: target)
            #expect(demand.target == target && abs(demand.listRecall - recall) < 1e-9)
            #expect(abs(demand.slack - (1 - target / recall)) < 1e-9)
            #expect(CodeTolerance(demand) == (target <= 0.995 ? .strict : .careful), "\(target)")
        }
        #expect(Self.tolerance(Self.steep, 1) == .exacting)
        // Nothing above it is tabulated, and nothing is known.
        let unknown = RecallCalibration(curves: [.init(leastSimilarity: 0.3, points: [], probeCount: 0)])
        #expect(unknown.demand(forRecall: 0.5) == .init(target: 0.5, listRecall: 1))
    }

    @Test func aTargetBetweenTwoLeavesWhatTheNextFindsBeyondIt() {
        #expect(abs(Self.steep.demand(forRecall: 0.875).slack - (1 - 0.875 / 0.9025)) < 1e-12)
        for target in [0.4, 0.55, 0.75, 0.82, 0.875] {
            #expect(Self.tolerance(Self.steep, target) == .ample, "\(target)")
        }
        // The next is too near.
        for target in [0.899, 0.915, 0.925, 0.935, 0.945, 0.9725, 0.991, 0.9951] {
            #expect(Self.tolerance(Self.steep, target) == .strict, "\(target)")
        }
        for target in [0.9975, 0.998, 0.999] {
            #expect(Self.tolerance(Self.steep, target) == .careful, "\(target)")
        }
        // None is tabulated that finds so many.
        for target in [0.9993, 0.9995, 0.9999] {
            #expect(Self.tolerance(Self.steep, target) == .exacting, "\(target)")
        }
    }

    /// Whatever more than they owe the visits find that such a target is given, be it everything.
    @Test func aTargetAboveAllPointsLeavesCodesNothing() {
        for step in 99_920...99_990 {
            let target = Double(step) / 100_000
            #expect(Self.tolerance(Self.steep, target) == .exacting, "\(target)")
        }
    }

    /// Where a few more visits leave codes so much that half the candidates do, they are made.
    @Test func visitsThatSpareCandidatesAreMadeWhereTheyCostLittle() {
        // Of 0.92, 0.9425 is a little too near.
        for (target, listRecall) in [(0.9, 0.9325), (0.91, 0.9425), (0.92, 0.9525), (0.97, 0.9975)] {
            #expect(abs(Self.flat.demand(forRecall: target).listRecall - listRecall) < 1e-9, "\(target)")
            #expect(Self.tolerance(Self.flat, target) == .ample, "\(target)")
            #expect(Self.tolerance(Self.steep, target) == .strict, "\(target)")
        }
        // No visits leave so much of the highest.
        for target in [0.98, 0.99, 0.995] {
            #expect(Self.tolerance(Self.flat, target) == .strict, "\(target)")
        }
    }

    /// Up to 1.4 times the visits.
    @Test func visitsThatSpareCandidatesMayCostTwoFifthsMore() {
        for (price, tolerance) in [(1.39, CodeTolerance.ample), (1.41, .strict)] {
            let calibration = Self.calibration { $0 > 0.93 ? 0.2 * price : 0.2 }
            #expect(CodeTolerance(calibration.demand(forRecall: 0.9)) == tolerance, "\(price)")
        }
    }

    /// The more searches have missed, the more is visited, and codes may lose no more than before.
    @Test(arguments: [true, false])
    func whoAimsHigherVisitsMore(isFlat: Bool) {
        let calibration = isFlat ? Self.flat : Self.steep
        for recall in stride(from: 0.5, through: 0.998, by: 0.002) {
            var before = calibration.demand(forRecall: recall)
            #expect(calibration.demand(forRecall: recall, aimingAt: recall / 2) == before)
            for excess in stride(from: 1.0, through: 20, by: 0.1) {
                let target = 1 - (1 - recall) / excess
                let demand = calibration.demand(forRecall: recall, aimingAt: target)
                #expect(demand.target == target && demand.listRecall >= before.listRecall, "\(recall), \(excess)")
                let (now, then) = (CodeTolerance(demand), CodeTolerance(before))
                #expect(now.candidateShare >= then.candidateShare || demand.listRecall > before.listRecall)
                before = demand
            }
        }
    }

    /// Lists find what a point says; codes may lose the slack of it, twice as much in any one band. What is left is
    /// what the target promises, of all and of each band.
    @Test(arguments: [true, false])
    func whatMayBeLostIsNotOwed(isFlat: Bool) {
        for step in 1..<1000 {
            let target = Double(step) / 1000
            let demand = (isFlat ? Self.flat : Self.steep).demand(forRecall: target)
            let (tolerance, point) = (CodeTolerance(demand), demand.listRecall)
            guard tolerance != .careful else { continue }
            let lost = tolerance == .ample ? RecallCalibration.ampleSlack : CodeTolerance.strictSlack
            #expect(point * (1 - lost) >= target - 1e-9, "\(target)")
            let (factor, inBand) = (RecallCalibration.bandMissFactor, RecallCalibration.bandMissFactor * lost)
            let (found, owed) = (1 - factor * (1 - point), 1 - factor * (1 - target))
            if owed > 0 { #expect(found * (1 - inBand) >= owed - 1e-9, "\(target)") }
        }
    }

    /// Heads and the whole code each lose what is stated; of what codes lose by the limit of candidates nothing is.
    @Test func whatIsStatedToBeLostIsNeverMoreThanMayBe() {
        for step in 5000...9999 {
            let target = Double(step) / 10_000
            let demand = Self.steep.demand(forRecall: target)
            #expect(2 * CodeTolerance(demand).missRate <= demand.slack, "\(target): \(demand.slack)")
        }
    }

    @Test func moreToleranceGivesUpMore() {
        for (more, less) in [(CodeTolerance.ample, CodeTolerance.strict), (.strict, .careful), (.careful, .exacting)] {
            #expect(more.missRate > less.missRate)
            #expect(more.candidateDeviations <= less.candidateDeviations)
            #expect(more.candidateShare < less.candidateShare)
        }
        // One loses no more of the mates at the similarity that matters than the other has to spare.
        #expect(2 * CodeTolerance.ample.missRate <= RecallCalibration.ampleSlack)
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
