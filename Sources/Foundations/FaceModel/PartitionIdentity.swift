/// Which slice of which collection a partition holds; fixed for its life.
package struct PartitionIdentity: Hashable, Sendable {
    package let collection: Collection
    /// Number of the slice in its collection.
    package let shardIndex: UInt32
    /// Hashes of the faces that belong here: `firstHash...lastHash`.
    package let firstHash: UInt64
    package let lastHash: UInt64

    package init(collection: Collection, shardIndex: UInt32, firstHash: UInt64, lastHash: UInt64) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.firstHash = firstHash
        self.lastHash = lastHash
    }
}
