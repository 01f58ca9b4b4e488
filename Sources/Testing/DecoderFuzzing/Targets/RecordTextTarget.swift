import Checksum
import WorkerService

extension FuzzTarget {
    /// The small text files of a worker's folder without the checksum's line, which is put behind them.
    static let recordText = FuzzTarget(
        name: "record-text",
        seeds: {
            [
                RecordText(kind: "mien-worker", format: 1, fields: ["node": "7d1f0a3e", "cluster": "1 2"]),
                RecordText(kind: "mien-worker", format: 1, fields: [:]),
            ].map { text in
                let lines = text.encoded.split(separator: UInt8(ascii: "\n"))
                return lines.dropLast().flatMap { $0 + [UInt8(ascii: "\n")] }
            }
        },
        accepts: { RecordTextTarget.accepts($0) }
    )
}

enum RecordTextTarget {
    static func accepts(_ body: [UInt8]) -> Bool {
        let checksum = unsafe body.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        let digits = String(checksum, radix: 16)
        let line = "crc32c \(String(repeating: "0", count: 8 - digits.count))\(digits)\n"
        // Without its end the last line is the checksum's, too.
        _ = read(body)
        guard let text = read(body + Array(line.utf8)) else { return false }
        precondition(read(text.encoded) == text, "a text is another after it was written")
        return true
    }

    private static func read(_ bytes: [UInt8]) -> RecordText? {
        try? RecordText(decoding: bytes, kind: "mien-worker", supportedFormat: 1, path: "text")
    }
}
