internal import LMDB
internal import PartitionStore
internal import Synchronization

extension Partition {
    /// Chunks rounded in one step.
    private static let roundingChunkLimit = 64

    /// Rounds the rows of full chunks that have no roundings: those of a partition that an earlier format left. Whether
    /// there was anything to do.
    ///
    /// Enrolment writes both, so each chunk is looked at once after the partition was opened. What is dead is rounded
    /// too, as it lies: both are overwritten together.
    func roundRows() throws -> Bool {
        try environment.read { reading in
            let first = firstUnroundedChunk.load(ordering: .relaxed)
            guard try reading.count(of: tables.rows) > reading.count(of: tables.roundedRows) else { return false }
            let rows = RowReader(partition: self, state: try state(reading), transaction: reading.number)
            var chunks: [UInt32] = []
            try unsafe reading.forEach(in: tables.rows, .from(first)) { entry in
                guard let chunk = unsafe entry.uint32Key, chunk < rows.sealedRow / UInt32(RowChunk.rowCount) else {
                    throw PartitionStoreError.malformed(table: "rows", reason: "a key that is no chunk")
                }
                if try !reading.contains(tables.roundedRows, key: chunk) { chunks.append(chunk) }
                return chunks.count < Self.roundingChunkLimit ? .next : .stop
            }
            guard let last = chunks.last else { return false }
            try checkFreeDisk()
            try reading.readAhead(of: tables.rows, keys: chunks)
            try environment.write { transaction in
                for chunk in chunks {
                    guard let bytes = try unsafe rows.chunk(chunk, reading) else {
                        throw PartitionStoreError.missing(table: "rows", key: UInt64(chunk))
                    }
                    let value = try unsafe transaction.reserve(
                        tables.roundedRows,
                        key: chunk,
                        byteCount: RoundedRowChunk.byteCount(dimension: shape.dimension)
                    )
                    unsafe RoundedRowChunk.write(
                        into: value,
                        rounding: UnsafeRawBufferPointer(
                            start: bytes,
                            count: RowChunk.rowCount * shape.rowByteCount
                        ),
                        shape: shape,
                        chunk: chunk
                    )
                }
            }
            firstUnroundedChunk.store(last + 1, ordering: .relaxed)
            return true
        }
    }
}
