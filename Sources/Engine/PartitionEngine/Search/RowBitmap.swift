/// A set of row ids below a bound, one bit each.
struct RowBitmap: Sendable {
    /// Rows from here on were not looked at.
    private(set) var rowCount: UInt32 = 0
    /// Rows in the set.
    private(set) var count = 0
    private var words: [UInt64] = []

    var byteCount: Int { 8 * words.count }

    init() {}

    /// - Parameter rows: below the bound, each once.
    init(_ rows: [UInt32], below rowCount: UInt32) {
        extend(to: rowCount)
        for row in rows { insert(row) }
    }

    /// Raises the bound; rows up to it are not in the set until they are inserted.
    mutating func extend(to rowCount: UInt32) {
        precondition(rowCount >= self.rowCount, "a bound only rises")
        self.rowCount = rowCount
        words.append(contentsOf: repeatElement(0, count: (Int(rowCount) + 63) / 64 - words.count))
    }

    /// - Parameter row: below the bound and not in the set.
    mutating func insert(_ row: UInt32) {
        words[Int(row / 64)] |= 1 << UInt64(row % 64)
        count += 1
    }

    /// Inserts a row behind all that were looked at, and raises the bound behind it.
    mutating func append(_ row: UInt32) {
        extend(to: row + 1)
        insert(row)
    }

    func contains(_ row: UInt32) -> Bool { words[Int(row / 64)] & 1 << UInt64(row % 64) != 0 }

    /// Of 64 rows from `first` on, a multiple of 64 below the bound, those in the set: bit `k` is of row `first + k`.
    func bits(from first: Int) -> UInt64 { words[first / 64] }
}
