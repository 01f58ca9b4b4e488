package import ClusterModel

/// Reads all replicas of a shard, verifies them, and holds them against each other.
package struct VerifyShard: Hashable, Sendable {
    package var collection: String
    package var shardIndex: UInt32
    /// Whether replicas that are damaged, or differ from the good ones, are to be replaced by copies.
    package var repairs: Bool

    package init(collection: String, shardIndex: UInt32, repairs: Bool) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.repairs = repairs
    }
}

/// Answer to ``VerifyShard``.
package struct ShardVerified: Hashable, Sendable {
    package enum Finding: UInt8, CaseIterable, Sendable {
        /// Every checksum is right, and it holds what the others hold at its sequence.
        case sound = 1
        /// Every checksum is right; it was written to meanwhile, so that it could not be compared.
        case notCompared = 2
        /// It holds something else than most, or than the primary.
        case different = 3
        case damaged = 4
        /// Its worker did not answer.
        case unreachable = 5
    }

    package struct Replica: Hashable, Sendable {
        package var worker: NodeID
        package var isPrimary: Bool
        package var finding: Finding
        package var sequence: UInt64
        package var faceCount: UInt64
        /// More about it, as a sentence.
        package var detail: String?
        /// Whether its replacement has begun.
        package var isReplaced: Bool

        package init(
            worker: NodeID,
            isPrimary: Bool,
            finding: Finding,
            sequence: UInt64 = 0,
            faceCount: UInt64 = 0,
            detail: String? = nil,
            isReplaced: Bool = false
        ) {
            self.worker = worker
            self.isPrimary = isPrimary
            self.finding = finding
            self.sequence = sequence
            self.faceCount = faceCount
            self.detail = detail
            self.isReplaced = isReplaced
        }
    }

    package var replicas: [Replica]

    package init(replicas: [Replica]) {
        self.replicas = replicas
    }
}
