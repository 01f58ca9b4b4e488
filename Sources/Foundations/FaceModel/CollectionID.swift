/// The identity of a collection for its whole life; a deleted and re-created name gets a new one.
package struct CollectionID: Hashable, Comparable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init?(_ text: some StringProtocol) {
        guard let value = UUIDText.parse(text) else { return nil }
        self.init(high: value.high, low: value.low)
    }

    package static func random() -> CollectionID {
        let value = UUIDText.random()
        return CollectionID(high: value.high, low: value.low)
    }

    package static func < (left: CollectionID, right: CollectionID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension CollectionID: CustomStringConvertible {
    package var description: String { UUIDText.format(high: high, low: low) }
}
