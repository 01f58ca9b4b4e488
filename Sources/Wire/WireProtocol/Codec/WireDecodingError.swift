/// Why a well-framed payload is not the message it claims to be. The connection goes on.
package enum WireDecodingError: Error, Hashable, Sendable {
    case truncated(field: String, needed: Int, available: Int)
    case trailingBytes(count: Int)
    case invalidUTF8(field: String)
    case nonZeroPadding(offset: Int)
    /// A number that is no case of the field's enumeration.
    case unknownValue(field: String, value: UInt64)
    case notHello
    case outOfRange(field: String, value: Int, range: ClosedRange<Int>)
    /// The value breaks a rule of its own; the text is one sentence.
    case invalid(field: String, rule: String)
    case duplicate(field: String)
    case limitExceeded(field: String, count: Int, limit: Int)
    case countMismatch(field: String, count: Int, expected: Int)
}

extension WireDecodingError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncated(let field, let needed, let available):
            "the message ends inside '\(field)': \(needed) bytes are needed and \(available) are left"
        case .trailingBytes(let count): "\(count) bytes are left over after the message's last field"
        case .invalidUTF8(let field): "'\(field)' is not UTF-8"
        case .nonZeroPadding(let offset): "the padding at payload offset \(offset) must be zero"
        case .unknownValue(let field, let value): "'\(field)' has no value \(value)"
        case .notHello: "the first message must begin with the bytes 'MIEN'"
        case .outOfRange(let field, let value, let range):
            "\(field) must be from \(range.lowerBound) to \(range.upperBound), not \(value)"
        case .invalid(let field, let rule): "'\(field)' is not valid: \(rule)"
        case .duplicate(let field): "'\(field)' holds the same key twice"
        case .limitExceeded(let field, let count, let limit): "\(field): \(count) is above the limit of \(limit)"
        case .countMismatch(let field, let count, let expected):
            "'\(field)' has \(count) entries where \(expected) belong"
        }
    }
}

extension WireDecodingError: WireStatusConvertible {
    package var wireStatus: WireStatus {
        if case .limitExceeded = self { return WireStatus(.limitExceeded, description) }
        return WireStatus(.invalidRequest, description)
    }
}
