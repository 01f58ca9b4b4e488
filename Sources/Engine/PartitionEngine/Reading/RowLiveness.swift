package import LMDB
package import PartitionStore
internal import Synchronization

/// The tombstones of one commit, in place. Made once per commit that is searched.
///
/// Its pointers are valid inside read transactions of the same number only.
@safe
package final class Tombstones: @unchecked Sendable {
    // Sendable: immutable after init; the memory behind the pointers is a read-only map.
    let transactionNumber: UInt64
    fileprivate let pieces: [UnsafeRawBufferPointer?]
    /// Of each piece, as it was verified.
    private let checksums: [UInt32]
    fileprivate let isEmpty: Bool

    /// The pages of a commit are written again by the third after it at the earliest: the next may free them, and
    /// whoever writes takes what was free in the commit before the one that it changes.
    private static let commitsWithoutReuse: UInt64 = 2
    /// Pieces between two looks at whether they have to be read from the disk.
    private static let piecesPerLook = 8

    /// - Parameter earlier: of another commit that the partition's searches have used. A piece that lies where it lay
    ///   then is not verified again, as a chunk is not: it is the same, unless so many commits were made in between
    ///   that its page may have been freed and written again. Then it is the same if it says the same checksum.
    package init(
        _ transaction: borrowing ReadTransaction,
        tables: PartitionTables,
        rowCount: UInt32,
        earlier: Tombstones? = nil
    ) throws {
        let number = transaction.number
        transactionNumber = number
        let isReused = earlier.map { number > $0.transactionNumber + Self.commitsWithoutReuse } ?? true
        var unverified: [(piece: UInt32, bytes: UnsafeRawBufferPointer, known: UInt32?)] = unsafe []
        var pieces = unsafe [UnsafeRawBufferPointer?](
            repeating: nil,
            count: (Int(rowCount) + TombstonePiece.rowCount - 1) / TombstonePiece.rowCount
        )
        var checksums = unsafe [UInt32](repeating: 0, count: pieces.count)
        try unsafe transaction.forEach(in: tables.tombstones) { entry in
            guard let piece = unsafe entry.uint32Key, unsafe Int(piece) < pieces.count else {
                throw PartitionStoreError.malformed(table: "tombstones", reason: "a key beyond the last row")
            }
            unsafe pieces[Int(piece)] = entry.value
            let known = unsafe earlier?.checksum(ofPiece: Int(piece), at: entry.value)
            if let known, !isReused {
                checksums[Int(piece)] = known
            } else {
                unsafe unverified.append((piece, entry.value, known))
            }
            return .next
        }
        try unsafe Self.verify(unverified, noting: &checksums)
        unsafe self.pieces = unsafe pieces
        self.checksums = checksums
        isEmpty = unsafe pieces.allSatisfy { unsafe $0 == nil }
    }

    /// Each lies on a page of its own: once one has to be waited for, all that follow are read together.
    ///
    /// - Parameter pieces: each with the checksum of the one that was verified at its place; nil when none was.
    private static func verify(
        _ pieces: [(piece: UInt32, bytes: UnsafeRawBufferPointer, known: UInt32?)],
        noting checksums: inout [UInt32]
    ) throws {
        let faultCount = MappedPages.majorFaultCount()
        var isAsked = false
        for index in unsafe pieces.indices {
            if !isAsked, index % piecesPerLook == 1, MappedPages.majorFaultCount() > faultCount {
                for index in unsafe index..<pieces.count { unsafe MappedPages.readAhead(pieces[index].bytes) }
                isAsked = true
            }
            let (piece, known) = unsafe (pieces[index].piece, pieces[index].known)
            // One whose size is known has a checksum.
            if unsafe known == nil || TombstonePiece.checksum(pieces[index].bytes) != known {
                try unsafe TombstonePiece.verify(pieces[index].bytes, piece: piece)
            }
            checksums[Int(piece)] = unsafe TombstonePiece.checksum(pieces[index].bytes)
        }
    }

    /// The checksum of the piece if it lay there.
    private func checksum(ofPiece piece: Int, at bytes: UnsafeRawBufferPointer) -> UInt32? {
        guard unsafe piece < pieces.count, let known = unsafe pieces[piece] else { return nil }
        guard UInt(bitPattern: known.baseAddress) == UInt(bitPattern: bytes.baseAddress), known.count == bytes.count
        else { return nil }
        return checksums[piece]
    }

    /// Dead rows of a chunk of stored rows.
    func deadCount(inChunk chunk: UInt32) -> Int {
        let first = Int(chunk) * RowChunk.rowCount
        guard let bytes = unsafe pieces[first / TombstonePiece.rowCount] else { return 0 }
        return unsafe TombstonePiece.deadCount(
            bytes,
            first: first % TombstonePiece.rowCount,
            count: RowChunk.rowCount
        )
    }

    /// Live rows of whole chunks.
    func liveCount(in rows: Range<UInt32>) -> Int {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        return (rows.lowerBound / rowsPerChunk..<rows.upperBound / rowsPerChunk).reduce(0) {
            $0 + RowChunk.rowCount - deadCount(inChunk: $1)
        }
    }
}

extension Partition {
    /// The tombstones of the transaction's commit, read if no search has used that commit yet.
    func tombstones(_ transaction: borrowing ReadTransaction, rowCount: UInt32) throws -> Tombstones {
        let known = tombstones.withLock { $0 }
        if let known, known.transactionNumber == transaction.number { return known }
        let new = try Tombstones(transaction, tables: tables, rowCount: rowCount, earlier: known)
        tombstones.withLock { kept in
            if kept.map({ $0.transactionNumber < new.transactionNumber }) ?? true { kept = new }
        }
        return new
    }
}

/// Which rows may be found by one search: a view of the tombstones within one read transaction, less what the search
/// leaves out.
@safe
struct RowLiveness {
    private let tombstones: Tombstones
    /// Rows of faces that have expired or are excluded.
    private let hidden: RowSet
    /// Rows of faces that the search's filter lets through; nil for all.
    private let passing: RowBitmap?

    init(_ tombstones: Tombstones, hidden: RowSet, passing: RowBitmap? = nil) {
        self.tombstones = tombstones
        self.hidden = hidden
        self.passing = passing
    }

    /// No row is dead or left out.
    var keepsAll: Bool { tombstones.isEmpty && hidden.isEmpty && passing == nil }

    /// Whether a row may be found. One that there is not, as a damaged code may name, counts as live: whoever reads it
    /// finds the damage.
    func isLive(_ row: UInt32) -> Bool {
        let piece = Int(row) / TombstonePiece.rowCount
        guard unsafe piece < tombstones.pieces.count else { return true }
        if let passing, row < passing.rowCount, !passing.contains(row) { return false }
        if let bytes = unsafe tombstones.pieces[piece],
            unsafe TombstonePiece.isDead(bytes, row: Int(row) % TombstonePiece.rowCount)
        {
            return false
        }
        return hidden.isEmpty || !hidden.contains(row)
    }

    /// How many rows of a range may be found.
    func liveCount(in rows: Range<UInt32>) -> Int {
        if keepsAll { return rows.count }
        var count = 0
        forEachWord(of: rows) { _, live in count += live.nonzeroBitCount }
        return count
    }

    /// How many rows of a chunk of stored rows may be found.
    func liveCount(inChunk chunk: UInt32) -> Int {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        return liveCount(in: chunk * rowsPerChunk..<(chunk + 1) * rowsPerChunk)
    }

    /// How many chunks of a range have a row that may be found. Those that are gone have none.
    func liveChunkCount(in chunks: Range<UInt32>) -> Int {
        if keepsAll { return chunks.count }
        return chunks.count { liveCount(inChunk: $0) > 0 }
    }

    /// Rows of a range that may be found, ascending.
    func liveRows(in rows: Range<UInt32>) -> [UInt32] {
        var found: [UInt32] = []
        forEachWord(of: rows) { first, live in
            var rest = live
            while rest != 0 {
                found.append(UInt32(first + rest.trailingZeroBitCount))
                rest &= rest - 1
            }
        }
        return found
    }

    /// Calls `body` for each 64 rows, from a multiple of 64 on, of which some are in a range and pass the filter: with
    /// the first of them, and a bit for each that is in the range and may be found.
    private func forEachWord(of rows: Range<UInt32>, _ body: (_ first: Int, _ live: UInt64) -> Void) {
        let (start, end) = (Int(rows.lowerBound), Int(rows.upperBound))
        for first in stride(from: start / 64 * 64, to: end, by: 64) {
            var live = passing?.bits(from: first) ?? .max
            if live == 0 { continue }
            if let bytes = unsafe tombstones.pieces[first / TombstonePiece.rowCount] {
                live &= unsafe ~TombstonePiece.deadBits(bytes, first: first % TombstonePiece.rowCount)
            }
            if !hidden.isEmpty { live &= ~hidden.bits(from: first) }
            if first < start { live &= UInt64.max << UInt64(start - first) }
            if end - first < 64 { live &= ~(UInt64.max << UInt64(end - first)) }
            body(first, live)
        }
    }
}
