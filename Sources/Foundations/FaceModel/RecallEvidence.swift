/// What checks of real searches say of a calibration: how many mates were missed, beside how many it lets expect.
///
/// A probe is one trial however many mates it has: they lie near each other, and are found or missed together.
package struct RecallEvidence: Hashable, Sendable {
    /// Checked probes that had a mate to find.
    package var probeCount: UInt64
    /// Of every probe the share of its mates that was missed, summed.
    package var missedCount: Double
    /// The same, had the searches missed what their targets allow.
    package var expectedCount: Double

    /// Nothing was checked yet.
    package static let none = RecallEvidence(probeCount: 0, missedCount: 0, expectedCount: 0)
    /// Most probes that are told of: the largest collection has 1024 shards, and each tells of its recent ones alone.
    package static let probeLimit: UInt64 = 1 << 24
    /// Greatest factor that is told apart.
    package static let greatestExcess = 1000.0
    private static let confidence = 0.99

    package init(probeCount: UInt64, missedCount: Double, expectedCount: Double) {
        self.probeCount = probeCount
        self.missedCount = missedCount
        self.expectedCount = expectedCount
    }

    package static func + (left: RecallEvidence, right: RecallEvidence) -> RecallEvidence {
        RecallEvidence(
            probeCount: left.probeCount &+ right.probeCount,
            missedCount: left.missedCount + right.missedCount,
            expectedCount: left.expectedCount + right.expectedCount
        )
    }

    /// How often a mate was found, mates of one probe counted as one; nil while nothing was checked.
    package var recall: Proportion? {
        missed.map { Proportion(count: $0.total - $0.count, total: $0.total) }
    }

    /// How many times as many mates are missed as expected: at least that many, with 99 % confidence, so that chance
    /// alone makes no factor. 1 when there are no more, or too few checks to say so.
    package var excess: Double {
        guard let missed, expectedCount > 0 else { return 1 }
        let rate = missed.lowerBound(confidence: Self.confidence)
        return min(max(1, rate * Double(missed.total) / expectedCount), Self.greatestExcess)
    }

    private var missed: Proportion? {
        guard probeCount > 0, probeCount <= Self.probeLimit, missedCount >= 0 else { return nil }
        let total = Int(probeCount)
        return Proportion(count: missedCount < Double(total) ? Int(missedCount.rounded(.down)) : total, total: total)
    }
}
