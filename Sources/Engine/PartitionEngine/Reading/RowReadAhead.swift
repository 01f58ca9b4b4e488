internal import LMDB
internal import PartitionStore

/// Has some rows read from the disk together that lie in no order, once reading them one after the other has waited for
/// it: a disk answers many requests in about the time of one.
struct RowReadAhead {
    /// Asked for at once at most, where that is not fewer than four rows: a search may wait for the disk behind it.
    private static let byteLimit = 4 << 20
    private static let rowCounts = 4...64

    private let rowIDs: [UInt32]
    private let rows: RowReader
    /// Rows that are asked for at once. Of a chunk that nobody has verified yet all is read, and each may be in one.
    private let rowCount: Int
    /// Rows before this place have been asked for, or were read without waiting.
    private var end = 0
    private var faultCount = MappedPages.majorFaultCount()

    /// - Parameter rowIDs: in the order in which they are read from now on, by this thread.
    init(_ rowIDs: [UInt32], of rows: RowReader) {
        self.rowIDs = rowIDs
        self.rows = rows
        let fittingCount = Self.byteLimit / (RowChunk.rowCount * rows.shape.rowByteCount)
        rowCount = min(max(fittingCount, Self.rowCounts.lowerBound), Self.rowCounts.upperBound)
    }

    /// The row at a place among them is read next.
    mutating func willRead(_ index: Int, _ transaction: borrowing ReadTransaction) throws {
        guard index >= end else { return }
        let count = MappedPages.majorFaultCount()
        guard count > faultCount else { return }
        faultCount = count
        end = min(index + rowCount, rowIDs.count)
        try rows.readAhead(Array(rowIDs[index..<end]), transaction)
    }
}
