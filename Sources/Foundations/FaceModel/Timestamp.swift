/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Data only; nothing is ordered or fenced by it.
package struct Timestamp: Hashable, Comparable, Sendable {
    package let milliseconds: Int64

    package init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// 1970 through 9999. What computes with times that come from outside takes no others: a millisecond more or less,
    /// and the difference of any two, are numbers.
    package static let computable = Timestamp(milliseconds: 0)...Timestamp(milliseconds: 253_402_300_799_999)

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }
}
