/// How much of a collection must be visited to find a share of the mates.
package struct RecallCalibration: Sendable, Hashable {
    package struct Point: Sendable, Hashable {
        /// Share of the mates found, 0…1.
        package let recall: Double
        /// Share of the collection visited, 0…1.
        package let visitedShare: Double

        package init(recall: Double, visitedShare: Double) {
            self.recall = recall
            self.visitedShare = visitedShare
        }
    }

    /// Ascending in both fields; the last visits everything.
    package let points: [Point]
    /// Calibration probes behind the points.
    package let probeCount: Int

    package init(points: [Point], probeCount: Int) {
        self.points = points
        self.probeCount = probeCount
    }

    /// The visited share for a recall target: of the first point that reaches it, never an interpolation below one.
    package func visitedShare(forRecall recall: Double) -> Double {
        points.first { $0.recall >= recall }?.visitedShare ?? 1
    }

    /// The recall targets that are tabulated.
    package static let targets = [0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999]

    /// Points from what was measured: the visited shares at which calibration probes met their mate's list.
    ///
    /// A target's share finds at least the target of the mates with 95 % confidence (a one-sided binomial bound).
    package init(mateShares: [Double]) {
        let sorted = mateShares.sorted()
        var points = Self.targets.map { Point(recall: $0, visitedShare: Self.share(sorted, found: $0)) }
        points.append(Point(recall: 1, visitedShare: 1))
        self.init(points: points, probeCount: sorted.count)
    }

    /// The least measured share under which `found` of all mates are found with 95 % confidence; 1 when there are too
    /// few measurements to say so of any.
    private static func share(_ sorted: [Double], found: Double) -> Double {
        let allowed = BinomialBound.missesAllowed(trials: sorted.count, missRate: 1 - found, confidence: 0.95)
        guard let allowed, allowed < sorted.count else { return 1 }
        return min(1, sorted[sorted.count - 1 - allowed])
    }
}
