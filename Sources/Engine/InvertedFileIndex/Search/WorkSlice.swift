/// One of `count` parts of some work that is divided among threads.
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

    /// The part of `total` items: even, consecutive ranges, which for an equal total do not overlap and leave nothing
    /// out.
    package func range(of total: Int) -> Range<Int> { total * index / count..<total * (index + 1) / count }

    /// Which of the lists a thread takes, whatever else it takes: each thread may stop at another distance from its
    /// probe, as it knows of better rows, and between them no list may be left out or taken twice. So it is by number
    /// alone, in turn, a few that are stored side by side at a time.
    ///
    /// - Parameter total: of all lists there are.
    package func holds(list: UInt32, of total: Int) -> Bool {
        let side = max(1, min(Self.listsSideBySide, total / (8 * count)))
        return Int(list) / side % count == index
    }

    private static let listsSideBySide = 16
}
