/// A half-open range of keys of a table, by its bounds' bytes.
package struct KeyRange: Sendable, Equatable {
    /// First key of the range, included; empty for the table's first.
    package let lower: [UInt8]
    /// First key after the range; `nil` for the table's end.
    package let upper: [UInt8]?

    package static let all = KeyRange(lower: [], upper: nil)

    /// Keys at or after `key`.
    package static func from(_ key: some Key) -> KeyRange {
        KeyRange(lower: bytes(of: key), upper: nil)
    }

    /// Keys before `key`.
    package static func before(_ key: some Key) -> KeyRange {
        KeyRange(lower: [], upper: bytes(of: key))
    }

    /// Keys at or after `lower` and before `upper`; none if `upper` is not after `lower`.
    package static func from(_ lower: some Key, before upper: some Key) -> KeyRange {
        KeyRange(lower: bytes(of: lower), upper: bytes(of: upper))
    }

    /// Keys that start with `prefix`. Not for tables of integer keys.
    package static func prefix(_ prefix: some Key) -> KeyRange {
        let lower = bytes(of: prefix)
        // The first key after all those with the prefix: drop trailing 0xFF bytes, add one to the last that is left.
        guard let last = lower.lastIndex(where: { $0 != 0xFF }) else { return KeyRange(lower: lower, upper: nil) }
        var upper = Array(lower[...last])
        upper[last] += 1
        return KeyRange(lower: lower, upper: upper)
    }

    private static func bytes(of key: some Key) -> [UInt8] {
        unsafe key.withKeyBytes { unsafe Array($0) }
    }
}
