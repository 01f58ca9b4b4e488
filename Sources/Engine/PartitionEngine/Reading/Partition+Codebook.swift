internal import LMDB
internal import PartitionStore

extension Partition {
    /// A slice of the newest codebook's bytes, as they were installed, with how many there are in all; nil when the
    /// newest is of another generation.
    package func codebookSlice(
        generation: UInt32,
        offset: Int,
        limit: Int
    ) throws(PartitionError) -> (bytes: [UInt8], byteCount: Int)? {
        do {
            return try environment.read { transaction in
                guard generation > 0, try state(transaction).generation == generation,
                    let stored = try unsafe transaction.value(of: tables.meta, key: MetaKey.codebook)
                else { return nil }
                let slice = unsafe UnsafeRawBufferPointer(rebasing: stored.dropFirst(offset).prefix(limit))
                unsafe MappedPages.readAheadIfLong(slice)
                return unsafe (Array(slice), stored.count)
            }
        } catch {
            throw PartitionError(error)
        }
    }
}
