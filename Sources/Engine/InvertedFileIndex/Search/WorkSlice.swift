/// One of `count` even, consecutive ranges of some work that is divided among threads.
package struct WorkSlice: Hashable, Sendable {
    package let index: Int
    package let count: Int

    package init(index: Int, count: Int) {
        precondition((0..<count).contains(index), "a slice is one of its count")
        self.index = index
        self.count = count
    }

    package static let whole = WorkSlice(index: 0, count: 1)

    package var isFirst: Bool { index == 0 }

    /// The part of `total` items; the slices of an equal total do not overlap and leave nothing out.
    package func range(of total: Int) -> Range<Int> { total * index / count..<total * (index + 1) / count }
}
