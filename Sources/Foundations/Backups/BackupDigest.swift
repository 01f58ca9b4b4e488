internal import Crypto

/// SHA-256 of an object of a backup, by which it is named and known again.
package struct BackupDigest: Hashable, Comparable, Sendable {
    package static let byteCount = 32

    package let bytes: [UInt8]

    /// - Precondition: 32 bytes.
    package init(bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a SHA-256 digest has 32 bytes")
        self.bytes = bytes
    }

    package init(of content: some Sequence<UInt8>) {
        var hash = SHA256()
        let isHashed: Void? = content.withContiguousStorageIfAvailable {
            unsafe hash.update(bufferPointer: UnsafeRawBufferPointer($0))
        }
        if isHashed == nil { hash.update(data: Array(content)) }
        bytes = Array(hash.finalize())
    }

    /// Reads 64 hexadecimal digits, lower case; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let digits = text.utf8.map { digit -> UInt8? in
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        guard digits.count == 2 * Self.byteCount, !digits.contains(nil) else { return nil }
        bytes = (0..<Self.byteCount).map { digits[2 * $0]! << 4 | digits[2 * $0 + 1]! }
    }

    package static func < (left: BackupDigest, right: BackupDigest) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension BackupDigest: CustomStringConvertible {
    package var description: String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
