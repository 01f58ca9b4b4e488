internal import LMDB
internal import PartitionStore

/// Which rows may be found by one search: a view of the tombstones within one read transaction, less what the search
/// leaves out.
@safe
struct RowLiveness {
    private let pieces: [UnsafeRawBufferPointer?]
    /// Rows of faces that have expired or are excluded.
    private let hidden: Set<UInt32>

    init(
        _ transaction: borrowing ReadTransaction,
        tables: PartitionTables,
        rowCount: UInt32,
        hidden: Set<UInt32>
    ) throws {
        var pieces = unsafe [UnsafeRawBufferPointer?](
            repeating: nil,
            count: (Int(rowCount) + TombstonePiece.rowCount - 1) / TombstonePiece.rowCount
        )
        try unsafe transaction.forEach(in: tables.tombstones) { entry in
            guard let piece = unsafe entry.uint32Key, unsafe Int(piece) < pieces.count else {
                throw PartitionStoreError.malformed(table: "tombstones", reason: "a key beyond the last row")
            }
            try unsafe TombstonePiece.verify(entry.value, piece: piece)
            unsafe pieces[Int(piece)] = entry.value
            return .next
        }
        unsafe self.pieces = unsafe pieces
        self.hidden = hidden
    }

    func isLive(_ row: UInt32) -> Bool {
        let piece = Int(row) / TombstonePiece.rowCount
        if let bytes = unsafe pieces[piece],
            unsafe TombstonePiece.isDead(bytes, row: Int(row) % TombstonePiece.rowCount)
        {
            return false
        }
        return hidden.isEmpty || !hidden.contains(row)
    }
}
