internal import PartitionStore

/// Chooses which runs to rewrite next: a pure decision over their sizes.
struct MergePlanner {
    struct Run: Hashable {
        let run: UInt32
        let firstRow: UInt32
        /// Rows it holds, dead ones among them.
        let rowCount: Int
        let deadCount: Int
    }

    let fanIn: Int
    let smallestRowCount: Int
    let deadShare: Double

    /// Runs to rewrite into one, neighbours by row id; empty when nothing is worth it.
    ///
    /// A run with too many dead rows goes first, alone; then the first `fanIn` neighbours of one size class. A size
    /// class spans a factor of `fanIn`, so a row is rewritten once per class.
    func plan(_ runs: [Run]) -> [Run] {
        let ordered = runs.sorted { $0.firstRow < $1.firstRow }
        if let spoilt = ordered.first(where: { Double($0.deadCount) > deadShare * Double($0.rowCount) }) {
            return [spoilt]
        }
        var neighbours: [Run] = []
        for run in ordered {
            if let last = neighbours.last, sizeClass(last) != sizeClass(run) { neighbours.removeAll() }
            neighbours.append(run)
            if neighbours.count == fanIn { return neighbours }
        }
        return []
    }

    private func sizeClass(_ run: Run) -> Int {
        var sizeClass = 0
        var limit = smallestRowCount * fanIn
        while run.rowCount >= limit {
            sizeClass += 1
            limit *= fanIn
        }
        return sizeClass
    }
}
