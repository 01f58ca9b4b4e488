internal import LMDB
internal import PartitionStore
internal import Synchronization

/// The rows of one unfinished chunk side by side, copied from the map and verified when a search first needs them.
///
/// A tail row is written once and stays until its chunk is full, and no other row is ever committed under its id: what
/// was copied in one transaction holds in all that have this chunk for a tail. Only a row that no reader has for a live
/// one any more is overwritten. Enrolling a face costs the next search one row more.
@safe
final class TailRows: @unchecked Sendable {
    // Sendable: a row is written once, under the lock, and read only by those who have seen the count beyond it.
    let chunk: UInt32
    private let shape: RowChunk.Shape
    private let bytes: UnsafeMutableRawBufferPointer
    private let copiedCount = Mutex(0)

    init(chunk: UInt32, shape: RowChunk.Shape) {
        self.chunk = chunk
        self.shape = shape
        unsafe bytes = .allocate(byteCount: RowChunk.rowCount * shape.rowByteCount, alignment: 64)
    }

    deinit {
        unsafe bytes.deallocate()
    }

    /// Lends the first `count` rows of the chunk: `[count × rowByteCount]`, valid during `body`.
    ///
    /// - Parameter transaction: one that has these rows in its tail.
    func withRows<R>(
        count: Int,
        _ tables: PartitionTables,
        _ transaction: borrowing ReadTransaction,
        _ body: (UnsafeRawPointer) throws -> R
    ) throws -> R {
        try copiedCount.withLock { copiedCount in
            while copiedCount < count {
                let row = chunk * UInt32(RowChunk.rowCount) + UInt32(copiedCount)
                let source = try unsafe tables.tailRow(row, shape: shape, transaction)
                let first = copiedCount * shape.rowByteCount
                unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[first...]).copyMemory(from: source)
                copiedCount += 1
            }
        }
        return try withExtendedLifetime(self) { try unsafe body(UnsafeRawPointer(bytes.baseAddress!)) }
    }
}

extension Partition {
    /// The copy of a tail, the chunk's as far as any search has needed it; an older reader's is made for it alone.
    func tail(ofChunk chunk: UInt32) -> TailRows {
        tails.withLock { kept in
            if let known = kept, known.chunk == chunk { return known }
            let new = TailRows(chunk: chunk, shape: shape)
            if kept.map({ $0.chunk < chunk }) ?? true { kept = new }
            return new
        }
    }
}
