import Foundation

/// Looks through every file of a folder for pieces of stored embeddings: sixteen bytes of them in a row, on their own
/// bounds of sixteen, so that no run of 31 bytes goes unseen.
struct RemnantScanner {
    private static let pieceByteCount = 16

    /// Pieces by their first eight bytes, with whose they are.
    private var pieces: [UInt64: [(bytes: [UInt8], owner: String)]] = [:]
    /// Which values the first two bytes of a piece have.
    private var beginnings = [Bool](repeating: false, count: 1 << 16)

    /// - Parameter bytes: of a row; what is shorter than a piece at its end is left out, and so are runs of one byte.
    mutating func add(_ bytes: [UInt8], of owner: String) {
        for first in stride(from: 0, through: bytes.count - Self.pieceByteCount, by: Self.pieceByteCount) {
            let piece = Array(bytes[first..<first + Self.pieceByteCount])
            if Set(piece).count < 6 { continue }
            beginnings[Int(piece[0]) | Int(piece[1]) << 8] = true
            let start = piece.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            pieces[start, default: []].append((piece, owner))
        }
    }

    /// How many pieces of each owner are in the files, those found several times counted so often.
    func hits(in folder: String) throws -> [String: Int] {
        var hits: [String: Int] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            let url = URL(fileURLWithPath: "\(folder)/\(name)")
            guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { continue }
            let data = try Data(contentsOf: url)
            data.withUnsafeBytes { bytes in
                var offset = 0
                while offset + Self.pieceByteCount <= bytes.count {
                    defer { offset += 1 }
                    guard beginnings[Int(bytes[offset]) | Int(bytes[offset + 1]) << 8] else { continue }
                    let start = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    for piece in pieces[start] ?? []
                    where bytes[offset..<offset + Self.pieceByteCount].elementsEqual(piece.bytes) {
                        hits[piece.owner, default: 0] += 1
                    }
                }
            }
        }
        return hits
    }
}
