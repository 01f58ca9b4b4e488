import WireProtocol

/// What reading all replicas of a shard found.
public struct ShardVerification: Hashable, Sendable {
    public enum Finding: String, Hashable, Sendable {
        /// Every checksum is right, and it holds what the others hold.
        case sound
        /// Every checksum is right; it was written to meanwhile, and could not be compared.
        case notCompared = "not compared"
        /// It holds something else than most, or than the primary.
        case different
        case damaged
        /// Its worker did not answer.
        case unreachable
    }

    public struct Replica: Hashable, Sendable {
        /// Identity of the worker that holds it.
        public var workerID: String
        public var isPrimary: Bool
        public var finding: Finding
        public var faceCount: UInt64
        /// Sequence of the last write that it holds.
        public var sequence: UInt64
        /// More about it, as a sentence.
        public var detail: String?
        /// Whether its replacement by a copy has begun.
        public var isReplaced: Bool
    }

    public var shardIndex: Int
    public var replicas: [Replica]

    /// Whether every replica was found sound: read, and equal to the others.
    public var isSound: Bool { replicas.allSatisfy { $0.finding == .sound } }

    init(_ verified: ShardVerified, shardIndex: Int) {
        self.shardIndex = shardIndex
        replicas = verified.replicas.map { replica in
            Replica(
                workerID: "\(replica.worker)",
                isPrimary: replica.isPrimary,
                finding: Finding(replica.finding),
                faceCount: replica.faceCount,
                sequence: replica.sequence,
                detail: replica.detail,
                isReplaced: replica.isReplaced
            )
        }
    }
}

extension ShardVerification.Finding {
    fileprivate init(_ finding: ShardVerified.Finding) {
        self =
            switch finding {
            case .sound: .sound
            case .notCompared: .notCompared
            case .different: .different
            case .damaged: .damaged
            case .unreachable: .unreachable
            }
    }
}
