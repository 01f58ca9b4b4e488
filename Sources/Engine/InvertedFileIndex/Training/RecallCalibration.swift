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

    /// How much less than the target may be found of the mates in the lowest band of similarity.
    package static let lowestBandAllowance = 0.01

    /// Points from what was measured: the visited shares at which calibration probes met their mate's list.
    ///
    /// A target's share finds at least the target of the mates as they occur, and at least the target less
    /// ``lowestBandAllowance`` of those in the lowest band, both with 95 % confidence (a one-sided binomial bound).
    /// - Parameters:
    ///   - mateShares: of mates of 0.40 and above as they occur in photographs taken in the wild.
    ///   - lowestBandShares: of mates of 0.30 to 0.35. What is nearer is found sooner, so no band is found less often.
    package init(mateShares: [Double], lowestBandShares: [Double]) {
        let wild = mateShares.sorted()
        let lowest = lowestBandShares.sorted()
        var points: [Point] = []
        for target in Self.targets {
            let share = max(
                Self.share(wild, found: target),
                Self.share(lowest, found: target - Self.lowestBandAllowance)
            )
            points.append(Point(recall: target, visitedShare: share))
        }
        points.append(Point(recall: 1, visitedShare: 1))
        self.init(points: points, probeCount: wild.count + lowest.count)
    }

    /// The least measured share under which `found` of all mates are found with 95 % confidence; 1 when there are too
    /// few measurements to say so of any.
    private static func share(_ sorted: [Double], found: Double) -> Double {
        let allowed = BinomialBound.missesAllowed(trials: sorted.count, missRate: 1 - found, confidence: 0.95)
        guard let allowed, allowed < sorted.count else { return 1 }
        return min(1, sorted[sorted.count - 1 - allowed])
    }
}
