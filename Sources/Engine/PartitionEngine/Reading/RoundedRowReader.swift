internal import LMDB
internal import PartitionStore

/// Rounded rows in place, within one read transaction; every chunk is verified on its first touch.
@safe
struct RoundedRowReader {
    private let dimension: Int
    /// Chunks that are full.
    private let chunkCount: Int
    private let tables: PartitionTables
    private let marks: VerifiedBlocks.Marks
    private let addresses: RowAddresses.Table

    init(partition: Partition, state: PartitionState, transaction number: UInt64) {
        dimension = partition.shape.dimension
        tables = partition.tables
        chunkCount = state.sealedChunkCount
        marks = partition.verifiedBlocks.roundedRows(chunkCount: chunkCount)
        addresses = partition.roundedRowAddresses.table(forTransaction: number, chunkCount: chunkCount)
    }

    /// A full chunk; nil when all of its rows are dead and it is gone, or when it was never rounded.
    func chunk(_ chunk: UInt32, _ transaction: borrowing ReadTransaction) throws -> RoundedRowChunk? {
        if let known = unsafe addresses[Int(chunk)] {
            return unsafe RoundedRowChunk(start: known, dimension: dimension)
        }
        guard let bytes = try unsafe transaction.value(of: tables.roundedRows, key: chunk) else { return nil }
        let view = try unsafe RoundedRowChunk(bytes, dimension: dimension)
        if !marks.isMarked(Int(chunk)) {
            try view.verify(chunk: chunk)
            marks.mark(Int(chunk))
        }
        unsafe addresses[Int(chunk)] = bytes.baseAddress
        return view
    }

    /// The full chunk of a row, when nothing has to be read from the disk to make use of that row; nil as well where
    /// there are no roundings of it.
    func chunkInMemory(ofRow row: UInt32, _ transaction: borrowing ReadTransaction) throws -> RoundedRowChunk? {
        let chunk = row / UInt32(RowChunk.rowCount)
        guard Int(chunk) < chunkCount else { return nil }
        if let known = unsafe addresses[Int(chunk)] {
            let view = unsafe RoundedRowChunk(start: known, dimension: dimension)
            let parts = unsafe view.parts(ofRow: Int(row) % RowChunk.rowCount)
            return unsafe parts.allSatisfy { unsafe MappedPages.isResident($0) } ? view : nil
        }
        // Its first touch verifies all of it.
        guard let bytes = try unsafe transaction.value(of: tables.roundedRows, key: chunk),
            unsafe MappedPages.isResident(bytes)
        else { return nil }
        return try self.chunk(chunk, transaction)
    }
}
