/// What codes may lose, beside lists, of the mates that an effort owes.
package struct CodeTolerance: Hashable, Sendable {
    /// Share that heads, and the whole code, may each lose of the mates at exactly the similarity that matters,
    /// 0.0001…0.1; 0 for none: then that similarity gives up no row.
    package let missRate: Double
    /// Standard deviations below the line of the worst candidate kept at which heads give a row up. One row of five
    /// that is just as good as that one is lost with 0.8, one of three with 0.4; what ends as a match is better by
    /// several deviations.
    package let candidateDeviations: Float
    /// Part of the candidates that the number of faces asks for.
    package let candidateShare: Double

    package init(missRate: Double, candidateDeviations: Float = 0.8, candidateShare: Double = 1) {
        self.missRate = missRate
        self.candidateDeviations = candidateDeviations
        self.candidateShare = candidateShare
    }

    /// For efforts that may lose ``strictSlack`` to codes, and for those that promise no share of the mates. Of a
    /// million wild faces codes lose, in the lists visited, 0.5 % of the mates from 0.30 to 0.35, and 1.1 % with half
    /// as many candidates (decision 9). Of 300 000 recall@10 of a full scan is 0.9986 with a margin of 1.5 deviations,
    /// 0.9977 with 1.0, 0.9962 with 0.6, and mates are the same.
    package static let strict = CodeTolerance(missRate: 0.001, candidateShare: 2)

    /// For efforts that may lose ``carefulSlack``.
    package static let careful = CodeTolerance(missRate: 0.0002, candidateDeviations: 1.6, candidateShare: 4)

    /// For efforts that may lose less than that: no line was measured so far out that it could say which rows to give
    /// up, so there are candidates by rank alone, as many as `full` has at least, and each is compared.
    package static let exacting = CodeTolerance(missRate: 0, candidateDeviations: 1.6, candidateShare: 8)

    /// For efforts whose visits find ``RecallCalibration/ampleSlack`` more than they owe. Of a million wild faces codes
    /// lose, in the lists visited, 2.4 % of the mates from 0.30 to 0.35 and 0.7 % of those to 0.40 (decision 9).
    package static let ample = CodeTolerance(missRate: 0.01, candidateDeviations: 0.4, candidateShare: 0.5)

    /// Shares of all mates; in any band of similarity twice as much may be lost.
    package static let (carefulSlack, strictSlack) = (0.0004, 0.0025)

    /// From this target on nothing is left to codes that a line was measured for, however much more the visits find:
    /// above the last point they are visits of everything.
    package static let exactingRecall = 0.9992

    package init(_ demand: RecallCalibration.Demand) {
        if demand.target >= Self.exactingRecall {
            self = .exacting
            return
        }
        let known: [(least: Double, tolerance: CodeTolerance)] = [
            (RecallCalibration.ampleSlack - 1e-9, .ample), (Self.strictSlack, .strict), (Self.carefulSlack, .careful),
        ]
        self = known.first { demand.slack >= $0.least }?.tolerance ?? .exacting
    }
}
