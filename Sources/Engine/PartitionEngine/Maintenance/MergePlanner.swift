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

    /// See ``PartitionOptions/mergeRatio``.
    let ratio: Double
    /// See ``PartitionOptions/compactionDeadShare``.
    let deadShare: Double

    /// Runs to rewrite into one, neighbours by row id; empty when nothing is worth it.
    ///
    /// A run with too many dead rows goes first, alone. Otherwise the longest row of youngest runs of which each has at
    /// most `ratio` times the rows of those younger than it. Sizes then fall from old to young by more than `ratio`, so
    /// a list lies in few runs; a new row causes about `ratio` old ones to be rewritten, 96 bytes each.
    func plan(_ runs: [Run]) -> [Run] {
        let ordered = runs.sorted { $0.firstRow < $1.firstRow }
        if let spoilt = ordered.first(where: { Double($0.deadCount) > deadShare * Double($0.rowCount) }) {
            return [spoilt]
        }
        var first = ordered.count
        var younger = 0
        while first > 0,
            first == ordered.count || Double(ordered[first - 1].rowCount) <= ratio * Double(younger)
        {
            first -= 1
            younger += ordered[first].rowCount
        }
        return ordered.count - first >= 2 ? Array(ordered[first...]) : []
    }
}
