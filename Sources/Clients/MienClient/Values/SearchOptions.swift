import FaceModel
import WireProtocol

/// What a search asks besides its probes.
public struct SearchOptions: Hashable, Sendable {
    /// How much of the collection a search visits.
    public enum Effort: Hashable, Sendable, LosslessStringConvertible {
        /// Every stored embedding, compared in full.
        case exact
        /// Every code, the best of them compared in full.
        case full
        /// The given number of inverted lists nearest the probe: 1–1000000.
        case lists(Int)
        /// As many lists as find this share (0.5–0.9999) of the mates. What codes lose beside them is calibrated up to
        /// 0.999; above, more of the best codes are compared than by `full`.
        case recall(Double)

        /// Reads `exact`, `full`, `lists:N` or `recall:R`; nil for anything else.
        public init?(_ text: String) {
            switch SearchEffort(text) {
            case .exact: self = .exact
            case .full: self = .full
            case .lists(let count): self = .lists(count)
            case .recall(let target): self = .recall(target)
            case nil: return nil
            }
        }

        public var description: String { model.description }

        var model: SearchEffort {
            switch self {
            case .exact: .exact
            case .full: .full
            case .lists(let count): .lists(count)
            case .recall(let target): .recall(target)
            }
        }
    }

    /// How much of the collection an answer must cover.
    public enum Coverage: Hashable, Sendable {
        /// Every shard in full, or an error that names the missing ones.
        case full
        /// At least this share of the faces, 0…1; the answer says what it covers.
        case atLeast(Double)

        var requirement: CoverageRequirement {
            switch self {
            case .full: .full
            case .atLeast(let share): .minimum(share)
            }
        }
    }

    /// Which faces a search may find: those for which every condition that is given holds. A face without the field of
    /// a condition does not pass it; texts are compared byte by byte.
    public struct Filter: Hashable, Sendable {
        /// The face's person is one of these: 1–256 ids; nil for any face.
        public var personIDs: [String]?
        /// The face's external image id is one of these: 1–256 ids; nil for any face.
        public var externalImageIDs: [String]?
        /// The face has every one of these pairs: up to 32.
        public var attributes: [String: String]
        /// The face was created at this moment or later.
        public var createdFrom: Face.Timestamp?
        /// The face was created before this moment.
        public var createdBefore: Face.Timestamp?

        public init(
            personIDs: [String]? = nil,
            externalImageIDs: [String]? = nil,
            attributes: [String: String] = [:],
            createdFrom: Face.Timestamp? = nil,
            createdBefore: Face.Timestamp? = nil
        ) {
            self.personIDs = personIDs
            self.externalImageIDs = externalImageIDs
            self.attributes = attributes
            self.createdFrom = createdFrom
            self.createdBefore = createdBefore
        }

        var model: FaceFilter {
            FaceFilter(
                personIDs: personIDs,
                externalImageIDs: externalImageIDs,
                attributes: attributes,
                createdFrom: createdFrom.map { Timestamp(milliseconds: $0.millisecondsSince1970) },
                createdBefore: createdBefore.map { Timestamp(milliseconds: $0.millisecondsSince1970) }
            )
        }
    }

    /// Matches wanted per probe: 1–1000.
    public var matchLimit: Int
    /// Least similarity (cosine, −1…1) of a match; nil for none.
    public var threshold: Float?
    public var effort: Effort
    public var coverage: Coverage
    /// Faces that do not pass take no place among the matches; nil for all faces.
    public var filter: Filter?

    public init(
        matchLimit: Int = 10,
        threshold: Float? = nil,
        effort: Effort = .recall(0.99),
        coverage: Coverage = .full,
        filter: Filter? = nil
    ) {
        self.matchLimit = matchLimit
        self.threshold = threshold
        self.effort = effort
        self.coverage = coverage
        self.filter = filter
    }

    var parameters: SearchParameters {
        SearchParameters(
            matchLimit: matchLimit,
            threshold: threshold,
            effort: effort.model,
            filter: filter?.model
        )
    }

    /// The first rule the options break, as one sentence; nil when they are valid.
    public var problem: String? {
        if case .atLeast(let share) = coverage, !(0...1).contains(share) {
            return "the least coverage must be a share from 0 to 1"
        }
        return parameters.problem
    }
}
