/// The secret that nodes and clients of one cluster share.
///
/// Never printed: descriptions are redacted, and no error carries its text.
package struct AccessToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// 16 characters of base64 carry 96 random bits: beyond guessing over a network.
    package static let minimumCount = 16
    package static let maximumCount = 512

    /// Printable ASCII without spaces, 16 to 512 bytes.
    package let bytes: [UInt8]

    /// - Throws: `Refusal`, which says what is wrong without repeating the text.
    init(_ text: String) throws(Refusal) {
        let bytes = Array(text.utf8)
        guard bytes.count >= Self.minimumCount else { throw .tooShort(count: bytes.count) }
        guard bytes.count <= Self.maximumCount else { throw .tooLong(count: bytes.count) }
        guard bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw .notPrintable }
        self.bytes = bytes
    }

    package var description: String { "(redacted token)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// Whether a text is the secret; constant time in the content, as `==` is.
    package func isSecret(_ text: String) -> Bool {
        guard let other = try? AccessToken(text) else { return false }
        return self == other
    }

    enum Refusal: Error, Equatable {
        case tooShort(count: Int)
        case tooLong(count: Int)
        case notPrintable
    }
}

extension AccessToken: Equatable {
    /// Constant time in the content; only the length can be learnt from how long it takes.
    package static func == (lhs: AccessToken, rhs: AccessToken) -> Bool {
        guard lhs.bytes.count == rhs.bytes.count else { return false }
        return zip(lhs.bytes, rhs.bytes).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
