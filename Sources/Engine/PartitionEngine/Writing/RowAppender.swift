internal import BinaryCoding
internal import Checksum
internal import FaceModel
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// Appends stored embeddings: full chunks go to `rows` and `roundedRows`, the rest to `tailRows` until their chunk is
/// full.
struct RowAppender {
    private let shape: RowChunk.Shape
    /// Row id of the first pending row.
    private var firstPendingRow: UInt32
    private var pending: [UInt8] = []

    init(shape: RowChunk.Shape, firstRow: UInt32) {
        self.shape = shape
        firstPendingRow = firstRow
    }

    /// - Parameter stored: a row in the stored precision.
    /// - Returns: the CRC-32C of the row.
    mutating func append(
        stored: UnsafeRawBufferPointer,
        _ tables: PartitionTables,
        _ transaction: borrowing WriteTransaction
    ) throws -> UInt32 {
        precondition(stored.count == shape.rowByteCount, "a row has one size")
        unsafe pending.append(contentsOf: stored)
        let checksum = unsafe CRC32C.checksum(stored)
        try writeChunkIfFull(tables, transaction)
        return checksum
    }

    private mutating func writeChunkIfFull(
        _ tables: PartitionTables,
        _ transaction: borrowing WriteTransaction
    ) throws {
        if (Int(firstPendingRow) % RowChunk.rowCount) + pending.count / shape.rowByteCount == RowChunk.rowCount {
            try writeChunk(tables, transaction)
        }
    }

    /// Writes the rows of the last, unfinished chunk.
    mutating func finish(_ tables: PartitionTables, _ transaction: borrowing WriteTransaction) throws {
        for offset in 0..<pending.count / shape.rowByteCount {
            let row = firstPendingRow + UInt32(offset)
            var writer = ByteWriter(reservingByteCount: shape.rowByteCount + 4)
            writer.write(bytes: pending[offset * shape.rowByteCount..<(offset + 1) * shape.rowByteCount])
            try transaction.put(
                tables.tailRows,
                key: row,
                value: tables.withOwnPages(RecordSeal.seal(writer, under: row)),
                options: .append
            )
        }
        firstPendingRow += UInt32(pending.count / shape.rowByteCount)
        pending.removeAll()
    }

    /// Joins the tail rows of the chunk, if any, with the pending ones.
    private mutating func writeChunk(_ tables: PartitionTables, _ transaction: borrowing WriteTransaction) throws {
        let chunk = firstPendingRow / UInt32(RowChunk.rowCount)
        var rows: [UInt8] = []
        rows.reserveCapacity(RowChunk.rowCount * shape.rowByteCount)
        for row in chunk * UInt32(RowChunk.rowCount)..<firstPendingRow {
            unsafe rows.append(contentsOf: try tables.tailRow(row, shape: shape, transaction.reading))
            try transaction.delete(tables.tailRows, key: row)
        }
        rows.append(contentsOf: pending)
        let value = try unsafe transaction.reserve(
            tables.rows,
            key: chunk,
            byteCount: shape.chunkByteCount,
            options: .append
        )
        unsafe UnsafeMutableRawBufferPointer(rebasing: value[RowChunk.headerByteCount...]).copyBytes(from: rows)
        unsafe RowChunk.seal(value, shape: shape, chunk: chunk)
        let rounded = try unsafe transaction.reserve(
            tables.roundedRows,
            key: chunk,
            byteCount: RoundedRowChunk.byteCount(dimension: shape.dimension),
            options: .append
        )
        unsafe rows.withUnsafeBytes { rows in
            unsafe RoundedRowChunk.write(into: rounded, rounding: rows, shape: shape, chunk: chunk)
        }
        firstPendingRow = (chunk + 1) * UInt32(RowChunk.rowCount)
        pending.removeAll(keepingCapacity: true)
    }
}

extension RowChunk.Shape {
    /// Rounds embeddings to the stored precision. What is of that precision already stays what it is, bit by bit.
    ///
    /// - Parameters:
    ///   - embeddings: any number of components.
    ///   - rows: as many in the stored precision.
    func store(_ embeddings: ArraySlice<Float>, into rows: UnsafeMutableRawBufferPointer) {
        unsafe embeddings.withUnsafeBufferPointer { embeddings in
            switch precision {
            case .float16: unsafe VectorKernels.convertToFloat16(embeddings, into: rows.bindMemory(to: UInt16.self))
            case .float32: unsafe rows.copyMemory(from: UnsafeRawBufferPointer(embeddings))
            }
        }
    }
}
