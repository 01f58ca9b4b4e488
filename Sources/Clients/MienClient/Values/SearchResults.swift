import FaceModel
import WireProtocol

/// The answer to a search.
public struct SearchResults: Sendable {
    /// What became of one probe.
    public enum Outcome: Sendable {
        /// Best first; fewer than asked for only when fewer faces qualify.
        case matches([Match])
        case rejected(RowRefusal)
    }

    /// One found face.
    public struct Match: Sendable {
        public var id: Face.ID
        /// Cosine of probe and stored embedding.
        public var similarity: Float
        public var metadata: Face.Metadata
    }

    /// What part of the collection the answer saw.
    public struct Coverage: Hashable, Sendable {
        public struct MissingShard: Hashable, Sendable {
            public var index: Int
            /// Why, as a few words for people.
            public var reason: String
        }

        public var shardsAsked: Int
        public var shardsAnswered: Int
        public var facesTotal: UInt64
        public var facesAnswered: UInt64
        /// Codes or embeddings that were compared, summed over probes.
        public var rowsVisited: UInt64
        /// Summed over probes and shards.
        public var listsVisited: UInt64
        public var missing: [MissingShard]
        /// Whether every shard answered in full.
        public var isFull: Bool
        /// Share of the faces that were covered, 0…1.
        public var share: Double
        /// Faces of the collection were given up when every copy of theirs was lost, and nobody has said that they are
        /// back; or may have been, as far as a coordinator knows that is cut off from the metadata store. No other
        /// number here counts them.
        public var hasLoss: Bool

        init(_ coverage: FaceModel.Coverage) {
            shardsAsked = coverage.shardsAsked
            shardsAnswered = coverage.shardsAnswered
            facesTotal = coverage.facesTotal
            facesAnswered = coverage.facesAnswered
            rowsVisited = coverage.rowsVisited
            listsVisited = coverage.listsVisited
            missing = coverage.missing.map { MissingShard(index: Int($0.shardIndex), reason: $0.reason.name) }
            isFull = coverage.isFull
            share = coverage.share
            hasLoss = coverage.hasLoss
        }
    }

    /// One per probe, in order.
    public let outcomes: [Outcome]
    public let coverage: Coverage
    /// From the request's arrival at the coordinator to its answer.
    public let coordinatorTime: Duration

    init(_ answer: SearchAnswer) {
        outcomes = answer.outcomes.map { outcome in
            switch outcome {
            case .matches(let matches):
                .matches(
                    matches.map {
                        Match(id: Face.ID($0.faceID), similarity: $0.similarity, metadata: Face.Metadata($0.metadata))
                    }
                )
            case .rejected(let rejection): .rejected(RowRefusal(rejection))
            }
        }
        coverage = Coverage(answer.coverage)
        coordinatorTime = .microseconds(Int64(clamping: answer.elapsedMicroseconds))
    }
}
