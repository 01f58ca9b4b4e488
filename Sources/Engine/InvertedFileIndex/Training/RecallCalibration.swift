internal import FaceModel

/// How much of a collection must be visited to find a share of the mates.
///
/// A mate is missed when its list is not visited, or when its code hides it: what a target leaves to miss is divided
/// between the two.
package struct RecallCalibration: Sendable, Hashable {
    package struct Point: Sendable, Hashable {
        /// Share of the mates whose lists are visited, 0…1.
        package let recall: Double
        /// Share of the collection visited, 0…1.
        package let visitedShare: Double

        package init(recall: Double, visitedShare: Double) {
            self.recall = recall
            self.visitedShare = visitedShare
        }
    }

    /// What was measured with mates at or above a similarity.
    package struct Curve: Sendable, Hashable {
        package let leastSimilarity: Float
        /// Ascending in both fields; the last visits everything.
        package let points: [Point]
        /// Calibration probes behind the points.
        package let probeCount: Int

        package init(leastSimilarity: Float, points: [Point], probeCount: Int) {
            self.leastSimilarity = leastSimilarity
            self.points = points
            self.probeCount = probeCount
        }

        /// The visited share at which lists find a share of the mates: of the first point that says so, never an
        /// interpolation below one.
        package func visitedShare(finding listRecall: Double) -> Double {
            // Other sums of the same numbers differ in the last bits.
            points.first { $0.recall >= listRecall - 1e-9 }?.visitedShare ?? 1
        }

        /// The first point at which lists find enough for a target, and leave ``codeLoss`` to codes.
        fileprivate func point(forRecall recall: Double) -> Point? {
            let least = RecallCalibration.listRecall(for: recall)
            return points.first { $0.recall >= least - 1e-9 && ($0.recall < 1 || recall >= 1) }
                // Rather codes that lose nothing than a visit of everything.
                ?? points.last { $0.recall < 1 && $0.recall >= recall } ?? points.last { $0.recall >= recall }
        }

        /// The first that leaves ``ampleSlack`` to codes.
        fileprivate func amplePoint(forRecall recall: Double) -> Point? {
            points.first { $0.recall < 1 && recall <= $0.recall * (1 - RecallCalibration.ampleSlack) }
        }
    }

    /// How a recall target is met.
    package struct Demand: Sendable, Hashable {
        /// Share of the mates that is aimed at.
        package let target: Double
        /// Share of the mates that lists find.
        package let listRecall: Double
        /// Share that codes may lose, of the mates that the visited lists hold, before fewer than the target are found.
        ///
        /// Of the mates in each band of similarity twice as much may be lost, to within the promise: with `m` and `n`
        /// missed of all, as the target and as the lists say, `1 - (1 - 2m) / (1 - 2n)` is at least twice
        /// `1 - (1 - m) / (1 - n)`.
        package var slack: Double { listRecall > 0 ? max(0, 1 - target / listRecall) : 0 }

        package init(target: Double, listRecall: Double) {
            self.target = target
            self.listRecall = listRecall
        }
    }

    /// The recall targets whose lists are tabulated: near one another where a hundredth of the mates costs much.
    package static let targets = [
        0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995, 0.998,
        0.999,
    ]
    /// What visits find beyond a target when codes may lose so much that half the candidates do (decision 9).
    package static let ampleSlack = 0.025
    /// How many times the visits half the candidates are worth.
    private static let amplePrice = 1.4
    /// What codes may lose of all mates, where as much is left to lose for lists.
    private static let codeLoss = 0.0025
    /// The similarities that curves begin at. A recall is promised for mates from the first one on when nothing says
    /// where matches begin to be of use.
    package static let leastSimilarities: [Float] = (0...10).map { Float(30 + 5 * $0) / 100 }
    /// How many times as many mates as of all may be missed of those in one band of similarity.
    package static let bandMissFactor = 2.0

    /// Share of the mates that lists find for a target, so that codes may lose what ``codeLoss`` says, and half of what
    /// may be missed where that is less.
    package static func listRecall(for target: Double) -> Double {
        min(target + codeLoss, 1 - (1 - target) / 2)
    }

    /// Ascending by similarity, at least one.
    package let curves: [Curve]

    package init(curves: [Curve]) {
        precondition(!curves.isEmpty, "a calibration has a curve")
        self.curves = curves
    }

    /// Calibration probes behind the curve that is used when no threshold is given; training takes as many for each.
    package var probeCount: Int { curves[0].probeCount }

    /// Nothing is known: every target visits everything.
    package static let none = RecallCalibration(
        curves: [
            Curve(leastSimilarity: leastSimilarities[0], points: [Point(recall: 1, visitedShare: 1)], probeCount: 0)
        ]
    )

    /// What was measured with mates at or above a similarity: the visited shares at which calibration probes met their
    /// mate's list.
    package struct MateShares: Sendable {
        package let leastSimilarity: Float
        /// Of mates as they are from there up.
        package let all: [Double]
        /// Of mates in the band that begins there and ends where the next curve begins.
        package let band: [Double]

        package init(leastSimilarity: Float, all: [Double], band: [Double]) {
            self.leastSimilarity = leastSimilarity
            self.all = all
            self.band = band
        }
    }

    /// Curves from what was measured.
    ///
    /// A point's share finds at least its recall of the mates with 95 % confidence (a one-sided binomial bound, so
    /// each share must be of another row), and of those in each band of similarity it misses at most ``bandMissFactor``
    /// times as many as of all: weak mates are few, and would be missed most. What finds mates from a similarity on is
    /// enough for better ones.
    package init(mateShares: [MateShares]) {
        var curves: [Curve] = []
        for measured in mateShares {
            let (all, band) = (measured.all.sorted(), measured.band.sorted())
            var points = Self.targets.enumerated().map { index, target in
                let recall = Self.listRecall(for: target)
                let before = curves.last?.points[index].visitedShare ?? 1
                let ofBand = Self.share(band, found: 1 - Self.bandMissFactor * (1 - recall))
                return Point(recall: recall, visitedShare: min(before, max(ofBand, Self.share(all, found: recall))))
            }
            points.append(Point(recall: 1, visitedShare: 1))
            curves.append(
                Curve(leastSimilarity: measured.leastSimilarity, points: points, probeCount: all.count)
            )
        }
        self.init(curves: curves)
    }

    /// The curve for mates at or above a similarity: of the greatest tabulated one that is not above it.
    package func curve(atOrAbove similarity: Float) -> Curve {
        curves.last { $0.leastSimilarity <= similarity } ?? curves[0]
    }

    /// What visits for a recall find, and what they leave codes to lose: as little as a target asks for, or more where
    /// that costs few visits, since fewer candidates are compared then.
    ///
    /// It goes by the curve of all mates, whatever a search's threshold: a higher one never visits more.
    ///
    /// - Parameter target: what is aimed at to meet the recall, where searches have missed more than the calibration
    ///   says (decision 21), at least the recall. The higher it is, the more is visited.
    package func demand(forRecall recall: Double, aimingAt target: Double? = nil) -> Demand {
        let (curve, target) = (curves[0], max(recall, target ?? recall))
        guard let point = curve.point(forRecall: target) else { return Demand(target: target, listRecall: 1) }
        var listRecall = point.recall
        if let least = curve.point(forRecall: recall), let ample = curve.amplePoint(forRecall: recall),
            ample.visitedShare <= Self.amplePrice * least.visitedShare
        {
            listRecall = max(listRecall, ample.recall)
        }
        return Demand(target: target, listRecall: listRecall)
    }

    /// The least measured share under which `found` of all mates are found with 95 % confidence; 1 when there are too
    /// few measurements to say so of any.
    private static func share(_ sorted: [Double], found: Double) -> Double {
        guard found > 0 else { return 0 }
        let allowed = Proportion.mostCount(of: sorted.count, showingRateAtMost: 1 - found, confidence: 0.95)
        guard let allowed, allowed < sorted.count else { return 1 }
        return min(1, sorted[sorted.count - 1 - allowed])
    }
}
