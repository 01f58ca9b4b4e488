internal import FaceModel
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// Stored embeddings in place, within one read transaction; every chunk is verified on its first touch.
@safe
struct RowReader {
    let shape: RowChunk.Shape
    /// Rows of full chunks are below, tail rows from here on.
    let sealedRow: UInt32
    private let tables: PartitionTables
    private let marks: VerifiedBlocks.Marks
    private let addresses: RowAddresses.Table

    init(partition: Partition, state: PartitionState, transaction number: UInt64) {
        shape = partition.shape
        tables = partition.tables
        sealedRow = state.sealedRow
        marks = partition.verifiedBlocks.rows(chunkCount: state.sealedChunkCount)
        addresses = partition.rowAddresses.table(forTransaction: number, chunkCount: state.sealedChunkCount)
    }

    /// The 128 rows of a chunk; nil when all of them are dead and the chunk is gone.
    func chunk(
        _ chunk: UInt32,
        _ transaction: borrowing ReadTransaction
    ) throws -> UnsafeRawPointer? {
        if let known = unsafe addresses[Int(chunk)] { return unsafe known }
        guard let bytes = try unsafe transaction.value(of: tables.rows, key: chunk) else { return nil }
        let view = try unsafe RowChunk(bytes, shape: shape)
        if !marks.isMarked(Int(chunk)) {
            try view.verify(chunk: chunk)
            marks.mark(Int(chunk))
        }
        unsafe addresses[Int(chunk)] = view.rows.baseAddress
        return unsafe view.rows.baseAddress
    }

    /// One row's bytes; nil when its chunk is gone.
    func row(_ row: UInt32, _ transaction: borrowing ReadTransaction) throws -> UnsafeRawPointer? {
        if row < sealedRow {
            let rowsPerChunk = UInt32(RowChunk.rowCount)
            return try unsafe chunk(row / rowsPerChunk, transaction).map {
                unsafe $0 + Int(row % rowsPerChunk) * shape.rowByteCount
            }
        }
        return try unsafe tables.tailRow(row, shape: shape, transaction).baseAddress
    }

    /// The row's bytes of a live face, held against its record on every read: the row's chunk was verified on its first
    /// touch since the partition was opened, which may be long ago.
    func stored(_ record: FaceRecord, _ transaction: borrowing ReadTransaction) throws -> UnsafeRawBufferPointer {
        let bytes = try unsafe bytes(of: record.row, transaction)
        _ = try unsafe record.checksum(ofStored: bytes)
        return unsafe bytes
    }

    /// The bytes of a live row, whose chunk has to be there.
    func bytes(of row: UInt32, _ transaction: borrowing ReadTransaction) throws -> UnsafeRawBufferPointer {
        guard let start = try unsafe self.row(row, transaction) else {
            throw PartitionStoreError.missing(table: "rows", key: UInt64(row))
        }
        return unsafe UnsafeRawBufferPointer(start: start, count: shape.rowByteCount)
    }

    /// Whether a row can be compared without waiting for the disk. Rows of the unfinished chunk, which was written
    /// last, count as in memory.
    func isInMemory(_ row: UInt32, _ transaction: borrowing ReadTransaction) throws -> Bool {
        guard let bytes = try unsafe bytes(toReadFor: row, transaction) else { return true }
        return unsafe MappedPages.isResident(bytes)
    }

    /// Begins to read what is not in memory of some rows, and does not wait for it.
    func readAhead(_ rowIDs: [UInt32], _ transaction: borrowing ReadTransaction) throws {
        for row in rowIDs {
            if let bytes = try unsafe bytes(toReadFor: row, transaction) { unsafe MappedPages.readAhead(bytes) }
        }
    }

    /// What comparing a row touches: the row where its chunk was verified before, else the whole chunk, which its first
    /// touch verifies; nil for rows of the unfinished chunk and for those whose chunk is gone.
    private func bytes(
        toReadFor row: UInt32,
        _ transaction: borrowing ReadTransaction
    ) throws -> UnsafeRawBufferPointer? {
        guard row < sealedRow else { return nil }
        let chunk = row / UInt32(RowChunk.rowCount)
        guard let known = unsafe addresses[Int(chunk)] else {
            return try unsafe transaction.value(of: tables.rows, key: chunk)
        }
        return unsafe UnsafeRawBufferPointer(
            start: known + Int(row) % RowChunk.rowCount * shape.rowByteCount,
            count: shape.rowByteCount
        )
    }
}

extension RowChunk.Shape {
    /// `[count × dimension]` float32 from consecutive stored rows.
    func floats(_ rows: UnsafeRawPointer, count: Int) -> [Float] {
        let componentCount = count * dimension
        return unsafe [Float](unsafeUninitializedCapacity: componentCount) { out, initialized in
            switch precision {
            case .float16:
                // Tail rows may lie at odd places: components are read one by one where they are not aligned.
                if Int(bitPattern: rows) % 2 == 0 {
                    unsafe VectorKernels.convertToFloat32(
                        UnsafeBufferPointer(
                            start: rows.assumingMemoryBound(to: UInt16.self),
                            count: componentCount
                        ),
                        into: UnsafeMutableBufferPointer(rebasing: out[0..<componentCount])
                    )
                } else {
                    for index in 0..<componentCount {
                        unsafe out[index] = Float(
                            Float16(bitPattern: rows.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
                        )
                    }
                }
            case .float32:
                for index in 0..<componentCount {
                    unsafe out[index] = rows.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
                }
            }
            initialized = componentCount
        }
    }
}
