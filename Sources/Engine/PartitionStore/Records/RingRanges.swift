/// Some of the ring: ranges of places, ascending, none of which touches the next.
package struct RingRanges: Hashable, Sendable {
    package let ranges: [ClosedRange<UInt64>]

    /// - Parameter ranges: in any order; they may overlap.
    package init(_ ranges: [ClosedRange<UInt64>]) {
        var joined: [ClosedRange<UInt64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, last.upperBound == .max || range.lowerBound <= last.upperBound + 1 {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        self.ranges = joined
    }

    package func contains(_ place: UInt64) -> Bool { ranges.contains { $0.contains(place) } }

    /// Whether all places of a range are among them.
    package func covers(_ range: ClosedRange<UInt64>) -> Bool {
        ranges.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound }
    }
}
