import Checksum

/// The small text files of the data folder: a kind with its format, one `key value` line each, and a checksum.
///
/// ```
/// mien-worker 1
/// node 7d1f0a3e-…
/// crc32c 1a2b3c4d
/// ```
/// The last line is the CRC-32C of every byte before it, in hexadecimal. A newer format is told from damage: the first
/// line is read before the checksum.
package struct RecordText: Equatable {
    package let kind: String
    package let format: UInt32
    package var fields: [String: String]

    package static let byteLimit = 64 << 10

    package init(kind: String, format: UInt32, fields: [String: String]) {
        self.kind = kind
        self.format = format
        self.fields = fields
    }

    package var encoded: [UInt8] {
        var text = "\(kind) \(format)\n"
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) { text += "\(key) \(value)\n" }
        return Array((text + Self.checksumLine(of: Array(text.utf8))).utf8)
    }

    /// - Throws: `newerFormat` or `corruptFile`, naming `path`.
    package init(decoding bytes: [UInt8], kind: String, supportedFormat: UInt32, path: String) throws(WorkerError) {
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let head = lines[0].split(separator: " ")
        guard head.count == 2, head[0] == kind, let format = UInt32(head[1]), format > 0 else {
            throw .corruptFile(path: path, reason: "it does not begin with '\(kind)' and a format number")
        }
        guard format <= supportedFormat else {
            throw .newerFormat(path: path, found: format, supported: supportedFormat)
        }
        let bodyCount = bytes.dropLast().lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        guard Array(bytes[bodyCount...]) == Array(Self.checksumLine(of: Array(bytes[..<bodyCount])).utf8) else {
            throw .corruptFile(path: path, reason: "its checksum is wrong")
        }
        var fields: [String: String] = [:]
        for line in lines.dropFirst().dropLast(2) {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { throw .corruptFile(path: path, reason: "a line is not a key and a value") }
            fields[String(parts[0])] = String(parts[1])
        }
        self.init(kind: kind, format: format, fields: fields)
    }

    private static func checksumLine(of body: [UInt8]) -> String {
        let checksum = unsafe body.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        let digits = String(checksum, radix: 16)
        return "crc32c \(String(repeating: "0", count: 8 - digits.count))\(digits)\n"
    }
}
