/// The number of a shard as it goes over the wire.
enum ShardNumber {
    /// - Throws: `invalidRequest` for what is no shard's number: another shard must not stand for it.
    static func wire(_ shard: Int) throws(MienClientError) -> UInt32 {
        guard let index = UInt32(exactly: shard) else {
            throw .withoutEffect(.invalidRequest, "Shards are numbered from 0: there is no shard \(shard).")
        }
        return index
    }
}
