/// Which slice of which collection a partition holds; fixed for its life.
package struct PartitionIdentity: Hashable, Sendable {
    package let collection: Collection
    /// Number of the slice in its collection.
    package let shardIndex: UInt32
    /// Hashes of the faces that belong here: `firstHash...lastHash`.
    package let firstHash: UInt64
    package let lastHash: UInt64
    package let erasureKey: ErasureKey

    /// - Parameter erasureKey: nil for that of a collection from before there were keys.
    package init(
        collection: Collection,
        shardIndex: UInt32,
        firstHash: UInt64,
        lastHash: UInt64,
        erasureKey: ErasureKey? = nil
    ) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.firstHash = firstHash
        self.lastHash = lastHash
        self.erasureKey = erasureKey ?? ErasureKey(of: collection.id)
    }
}
