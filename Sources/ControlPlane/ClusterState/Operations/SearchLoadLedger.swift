package import ClusterModel

/// What searches of a shard cost all of its replicas together.
package struct SearchRate: Hashable, Sendable {
    /// That are compared in a second, on average.
    package var rowsPerSecond: Double
    /// It was watched for about as long as the average is taken over: a busy hour is told from a busy shard.
    package var isSettled: Bool

    package init(rowsPerSecond: Double, isSettled: Bool) {
        self.rowsPerSecond = rowsPerSecond
        self.isSettled = isSettled
    }
}

/// How many rows searches of each shard compare, as the workers count them, averaged over hours.
///
/// Rows, not time: a worker that is slow for another reason would look busy. And of the shard, not of its replicas,
/// which answer in turn: what moves takes its rate along, so that moving it changes nothing of what is measured.
///
/// Every coordinator watches, since all of them hear the workers; a restart begins anew.
package struct SearchLoadLedger: Sendable {
    private struct Entry {
        var average = 0.0
        /// Of what was watched in the average: 0 at the beginning, near 1 after a few windows.
        var weight = 0.0
    }

    private static let lookInterval = Duration.seconds(10)
    private static let settledWeight = 0.5

    /// What was longer ago counts for little; zero for never to watch.
    package let window: Duration
    /// Of shards that were looked at twice.
    package private(set) var rates: [ShardID: SearchRate] = [:]
    private var looked: Duration?
    private var counts: [ShardID: [NodeID: UInt64]] = [:]
    private var entries: [ShardID: Entry] = [:]

    package init(window: Duration) {
        self.window = window
    }

    package mutating func observe(_ view: ClusterView, now: Duration) {
        guard window > .zero else { return }
        guard let last = looked else {
            (looked, counts) = (now, Self.counts(view))
            return
        }
        let elapsed = now - last
        guard elapsed >= min(Self.lookInterval, window / 4) else { return }
        let current = Self.counts(view)
        let share = elapsed / (window + elapsed)
        var next: [ShardID: Entry] = [:]
        for placement in view.metadata.placements {
            let shard = placement.shard
            let rows = (current[shard] ?? [:]).reduce(0.0) { sum, count in
                let (worker, rows) = count
                // A count that was never seen may be of hours; one that is lower began anew with its worker.
                guard let before = counts[shard]?[worker] else { return sum }
                return sum + Double(rows >= before ? rows - before : rows)
            }
            var entry = entries[shard] ?? Entry()
            entry.average += share * (rows / (elapsed / .seconds(1)) - entry.average)
            entry.weight += share * (1 - entry.weight)
            next[shard] = entry
        }
        (looked, counts, entries) = (now, current, next)
        rates = next.mapValues {
            SearchRate(rowsPerSecond: $0.average / $0.weight, isSettled: $0.weight >= Self.settledWeight)
        }
    }

    private static func counts(_ view: ClusterView) -> [ShardID: [NodeID: UInt64]] {
        var counts: [ShardID: [NodeID: UInt64]] = [:]
        for (worker, observation) in view.observations {
            for (shard, replica) in observation.replicas {
                counts[shard, default: [:]][worker] = replica.searchedRowCount
            }
        }
        return counts
    }
}
