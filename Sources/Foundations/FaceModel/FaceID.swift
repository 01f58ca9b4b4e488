/// The 128-bit identity of one stored face, given by the client or generated; written as a UUID.
///
/// Ordered by its bytes, most significant first: the order in which faces are stored, listed and used to break ties.
package struct FaceID: Hashable, Comparable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the canonical 8-4-4-4-12 hexadecimal form, in either case; nil for anything else.
    package init?(_ text: some StringProtocol) {
        guard let value = UUIDText.parse(text) else { return nil }
        self.init(high: value.high, low: value.low)
    }

    /// A random (version 4) identity.
    package static func random() -> FaceID {
        let value = UUIDText.random()
        return FaceID(high: value.high, low: value.low)
    }

    package static func < (left: FaceID, right: FaceID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension FaceID: CustomStringConvertible {
    package var description: String { UUIDText.format(high: high, low: low) }
}
