package import PartitionStore

/// Receipts that a partition kept one after the other, at about the same time.
package struct ReceiptSpan: Hashable {
    /// Place of the partition among those that are merged.
    package let source: Int
    package let numbers: Range<UInt64>
    /// Milliseconds, at least, since they were kept.
    package let age: UInt64

    package init(source: Int, numbers: Range<UInt64>, age: UInt64) {
        self.source = source
        self.numbers = numbers
        self.age = age
    }

    /// All receipts of a partition, oldest first.
    ///
    /// - Parameters:
    ///   - kept: when they were; without it, and behind its last sample, they may have been kept just now.
    ///   - now: by the clock that `kept` is of, in milliseconds.
    package static func all(
        of source: Int,
        numbers: Range<UInt64>,
        kept: ReceiptTimesRecord?,
        now: UInt64
    ) -> [ReceiptSpan] {
        var spans: [ReceiptSpan] = []
        var next = numbers.lowerBound
        func take(until end: UInt64, age: UInt64) {
            let end = min(end, numbers.upperBound)
            guard end > next else { return }
            spans.append(ReceiptSpan(source: source, numbers: next..<end, age: age))
            next = end
        }
        for sample in kept?.samples ?? [] { take(until: sample.number, age: now - min(sample.time, now)) }
        take(until: numbers.upperBound, age: 0)
        return spans
    }

    /// The spans of several partitions, oldest first; of those of one age, by partition.
    ///
    /// - Parameter spans: of each partition, oldest first.
    package static func merged(_ spans: [[ReceiptSpan]]) -> [ReceiptSpan] {
        spans.joined().enumerated().sorted { ($1.element.age, $0.offset) < ($0.element.age, $1.offset) }.map(\.element)
    }
}
