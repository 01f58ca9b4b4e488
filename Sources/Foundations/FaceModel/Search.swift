/// How much of the collection a search visits.
package enum SearchEffort: Hashable, Sendable {
    /// Every stored embedding, compared in full: the oracle.
    case exact
    /// Every code, the best of them compared in full.
    case full
    /// The given number of inverted lists nearest the probe, and all faces not yet in a list.
    case lists(Int)
    /// As many lists as find this share (0.5–0.9999) of the mates, by the collection's calibration. What codes lose
    /// beside them is calibrated below 0.9992; from there on, more of the best codes are compared than by `full`.
    case recall(Double)

    package static let `default` = SearchEffort.recall(0.99)
    package static let recallRange = 0.5...0.9999
    package static let listCountRange = 1...1_000_000

    /// The rule the effort breaks, as one sentence; nil when it is valid.
    package var problem: String? {
        switch self {
        case .exact, .full: nil
        case .lists(let count):
            Self.listCountRange.contains(count) ? nil : "effort lists:N takes N from 1 to 1000000, not \(count)"
        case .recall(let target):
            Self.recallRange.contains(target) ? nil : "effort recall:R takes R from 0.5 to 0.9999, not \(target)"
        }
    }
}

extension SearchEffort: CustomStringConvertible {
    package var description: String {
        switch self {
        case .exact: "exact"
        case .full: "full"
        case .lists(let count): "lists:\(count)"
        case .recall(let target): "recall:\(target)"
        }
    }

    /// Reads `exact`, `full`, `lists:N` or `recall:R`; nil for anything else. Ranges are checked by ``problem``.
    package init?(_ text: some StringProtocol) {
        switch text {
        case "exact": self = .exact
        case "full": self = .full
        default:
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            switch parts[0] {
            case "lists":
                guard let count = Int(parts[1]) else { return nil }
                self = .lists(count)
            case "recall":
                guard let target = Double(parts[1]) else { return nil }
                self = .recall(target)
            default: return nil
            }
        }
    }
}

/// What a search asks besides its probes.
package struct SearchParameters: Hashable, Sendable {
    /// Matches wanted per probe: 1–1000.
    package var matchLimit: Int
    /// Least similarity (cosine, −1…1) of a match; nil for none.
    package var threshold: Float?
    package var effort: SearchEffort
    /// Which faces may be found; nil for all.
    package var filter: FaceFilter?

    package init(
        matchLimit: Int,
        threshold: Float? = nil,
        effort: SearchEffort = .default,
        filter: FaceFilter? = nil
    ) {
        self.matchLimit = matchLimit
        self.threshold = threshold
        self.effort = effort
        self.filter = filter
    }

    package static let matchLimitRange = 1...1000

    /// The first rule the parameters break, as one sentence; nil when they are valid.
    package var problem: String? {
        if !Self.matchLimitRange.contains(matchLimit) { return "k must be from 1 to 1000, not \(matchLimit)" }
        if let threshold, !(threshold >= -1 && threshold <= 1) { return "threshold must be a cosine from -1 to 1" }
        return effort.problem ?? filter?.problem
    }
}

/// One found face.
package struct Match: Sendable {
    package var faceID: FaceID
    /// Cosine of probe and stored embedding, from the stored precision.
    package var similarity: Float
    package var metadata: FaceMetadata

    package init(faceID: FaceID, similarity: Float, metadata: FaceMetadata) {
        self.faceID = faceID
        self.similarity = similarity
        self.metadata = metadata
    }

    /// The order of matches: most similar first, equal ones by face id.
    package static func ranksBefore(_ left: Match, _ right: Match) -> Bool {
        left.similarity != right.similarity ? left.similarity > right.similarity : left.faceID < right.faceID
    }
}
