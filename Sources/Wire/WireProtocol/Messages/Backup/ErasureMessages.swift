package import FaceModel

/// Client → coordinator: a part of one shard's ledger of erasures.
package struct ReadErasures: Hashable, Sendable {
    package static let limitRange = 1...10_000

    package var collection: String
    package var shardIndex: UInt32
    package var after: ErasurePosition?
    package var limit: Int

    package init(collection: String, shardIndex: UInt32, after: ErasurePosition?, limit: Int) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.after = after
        self.limit = limit
    }
}

/// Coordinator → replica: the same of its partition.
package struct ShardErasures: Hashable, Sendable {
    package var route: ShardRoute
    package var after: ErasurePosition?
    package var limit: Int

    package init(route: ShardRoute, after: ErasurePosition?, limit: Int) {
        self.route = route
        self.after = after
        self.limit = limit
    }
}

/// Erasures in the order of their writes.
package struct ErasureList: Hashable, Sendable {
    package var key: ErasureKey
    package var erasures: [Erasure]
    /// Where to go on; nil at the end.
    package var next: ErasurePosition?
    /// Time of the newest one that was forgotten; nil when none was.
    package var forgotten: Timestamp?

    package init(key: ErasureKey, erasures: [Erasure], next: ErasurePosition?, forgotten: Timestamp?) {
        self.key = key
        self.erasures = erasures
        self.next = next
        self.forgotten = forgotten
    }
}
