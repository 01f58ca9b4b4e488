/// What part of the collection an answer saw. Every search answer carries one.
package struct Coverage: Hashable, Sendable {
    /// Why a shard is missing from an answer.
    package struct MissingShard: Hashable, Sendable {
        package enum Reason: UInt8, CaseIterable, Sendable {
            /// No live worker holds it.
            case unavailable = 1
            /// It did not answer inside the deadline.
            case deadlineExceeded = 2
            /// Its replica failed a check and is out of service.
            case corrupt = 3
            /// It turned the request away.
            case overloaded = 4
            /// Its worker lives and cannot open or serve its replica.
            case failed = 5

            package var name: String {
                switch self {
                case .unavailable: "no live worker"
                case .deadlineExceeded: "deadline exceeded"
                case .corrupt: "corrupt, out of service"
                case .overloaded: "overloaded"
                case .failed: "failed, out of service"
                }
            }
        }

        /// Position of the shard in its collection, from zero.
        package var shardIndex: UInt32
        package var reason: Reason

        package init(shardIndex: UInt32, reason: Reason) {
            self.shardIndex = shardIndex
            self.reason = reason
        }
    }

    package var shardsAsked: Int
    package var shardsAnswered: Int
    /// Faces of the shards asked, as last known.
    package var facesTotal: UInt64
    /// Faces of the shards that answered; a shard that stopped at its deadline counts only what it visited.
    package var facesAnswered: UInt64
    /// Rows (codes or embeddings) that were compared, summed over probes.
    package var rowsVisited: UInt64
    /// Inverted lists visited, summed over probes and shards.
    package var listsVisited: UInt64
    /// Oldest codebook generation whose codes were scanned; 0 when every embedding was compared.
    package var generation: UInt32
    package var missing: [MissingShard]
    /// Faces of the collection were given up when every replica of theirs was lost, and nobody has said that they are
    /// back; or may have been, as far as a coordinator knows that is cut off from the metadata store: they are in none
    /// of the numbers above.
    package var hasLoss: Bool

    package init(
        shardsAsked: Int = 0,
        shardsAnswered: Int = 0,
        facesTotal: UInt64 = 0,
        facesAnswered: UInt64 = 0,
        rowsVisited: UInt64 = 0,
        listsVisited: UInt64 = 0,
        generation: UInt32 = 0,
        missing: [MissingShard] = [],
        hasLoss: Bool = false
    ) {
        self.shardsAsked = shardsAsked
        self.shardsAnswered = shardsAnswered
        self.facesTotal = facesTotal
        self.facesAnswered = facesAnswered
        self.rowsVisited = rowsVisited
        self.listsVisited = listsVisited
        self.generation = generation
        self.missing = missing
        self.hasLoss = hasLoss
    }

    /// Whether every shard answered in full.
    package var isFull: Bool { missing.isEmpty && shardsAnswered == shardsAsked && facesAnswered >= facesTotal }

    /// Share of the faces that were covered, 0…1; 1 for an empty collection.
    package var share: Double { facesTotal == 0 ? (isFull ? 1 : 0) : Double(facesAnswered) / Double(facesTotal) }
}
