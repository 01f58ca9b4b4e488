/// A set of row ids, one bit each, in pieces of which those without a row of the set take no room.
///
/// A copy shares what neither of both changes.
package struct RowSet: Sendable, ExpressibleByArrayLiteral {
    private static let pieceRowCount = 32_768

    package private(set) var count = 0
    /// Each of `pieceRowCount` bits, or empty.
    private var pieces: [[UInt64]] = []

    package init() {}

    package init(arrayLiteral rows: UInt32...) {
        for row in rows { insert(row) }
    }

    package var isEmpty: Bool { count == 0 }

    package var byteCount: Int { pieces.reduce(8 * pieces.count) { $0 + 8 * $1.count } }

    package mutating func insert(_ row: UInt32) {
        let (piece, word, bit) = Self.place(of: row)
        if piece >= pieces.count {
            pieces.append(contentsOf: repeatElement([], count: piece + 1 - pieces.count))
        }
        if pieces[piece].isEmpty { pieces[piece] = [UInt64](repeating: 0, count: Self.pieceRowCount / 64) }
        if pieces[piece][word] & bit != 0 { return }
        pieces[piece][word] |= bit
        count += 1
    }

    package mutating func remove(_ row: UInt32) {
        guard contains(row) else { return }
        let (piece, word, bit) = Self.place(of: row)
        pieces[piece][word] &= ~bit
        count -= 1
    }

    package func contains(_ row: UInt32) -> Bool {
        let (piece, word, bit) = Self.place(of: row)
        return piece < pieces.count && !pieces[piece].isEmpty && pieces[piece][word] & bit != 0
    }

    /// Of 64 rows from `first` on, a multiple of 64, those in the set: bit `k` is of row `first + k`.
    func bits(from first: Int) -> UInt64 {
        let (piece, place) = first.quotientAndRemainder(dividingBy: Self.pieceRowCount)
        return piece < pieces.count && !pieces[piece].isEmpty ? pieces[piece][place / 64] : 0
    }

    private static func place(of row: UInt32) -> (piece: Int, word: Int, bit: UInt64) {
        let (piece, place) = Int(row).quotientAndRemainder(dividingBy: pieceRowCount)
        return (piece, place / 64, 1 << UInt64(place % 64))
    }
}
