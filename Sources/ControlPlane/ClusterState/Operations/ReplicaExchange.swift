import ClusterModel

/// Levels what searches compare on workers that have about as many bytes: replicas move, or change places.
///
/// A shard's searches go to its replicas in sync in turn, so each has an even part of its rate, and takes it along.
struct ReplicaExchange {
    /// Of the mean over all workers, that an exchange has to gain.
    private static let leastGain = 0.25
    /// Rows in a second, on average over the workers, below which searches are no load: some hundredths of a processor.
    private static let leastRate = 1_000_000.0
    /// Beyond the mean in bytes that a worker may come to have, unless it has more already.
    private static let byteTolerance = 0.1
    /// The busiest workers that are looked at: where none of them gains, the others hardly do.
    private static let busiestCount = 4

    private struct Exchange {
        var steps: [Operation.Step]
        /// From half of what the two workers differ by: what is left of the difference.
        var distance: Double
        var byteCount: UInt64

        func isBetter(than other: Exchange?) -> Bool {
            guard let other else { return true }
            return (distance, byteCount) < (other.distance, other.byteCount)
        }
    }

    private let placements: [ShardPlacement]
    private let sizes: [ShardID: UInt64]
    private let pins: [ShardID: ShardPin]
    private let byteCounts: [NodeID: UInt64]
    private let parts: [ShardID: Double]
    private let loads: [NodeID: Double]

    /// - Parameters:
    ///   - placements: all that count, as they will be.
    ///   - sizes: of them, in bytes.
    ///   - byteCounts: of the workers that may have replicas.
    init(
        _ placements: [ShardPlacement],
        _ sizes: [ShardID: UInt64],
        _ byteCounts: [NodeID: UInt64],
        in view: ClusterView
    ) {
        self.placements = placements
        self.sizes = sizes
        self.byteCounts = byteCounts
        pins = view.metadata.pins
        var loads = byteCounts.mapValues { _ in 0.0 }
        var parts: [ShardID: Double] = [:]
        for placement in placements {
            let rate = view.searchRates[placement.shard]?.rowsPerSecond ?? 0
            let part = rate / Double(max(1, placement.group.inSync.count))
            parts[placement.shard] = part
            for member in placement.group.inSync where loads[member] != nil { loads[member]! += part }
        }
        (self.parts, self.loads) = (parts, loads)
    }

    /// The steps of the exchange that levels most; nil when none gains enough.
    ///
    /// - Parameter resting: shards that stay as they are.
    func next(leaving resting: Set<ShardID>) -> [Operation.Step]? {
        let mean = loads.values.reduce(0, +) / Double(max(1, loads.count))
        guard mean >= Self.leastRate else { return nil }
        let movable = placements.filter { !resting.contains($0.shard) }
        let order = loads.keys.sorted { (loads[$0]!, $0) < (loads[$1]!, $1) }
        for from in order.reversed().prefix(Self.busiestCount) where loads[from]! > mean {
            for to in order where loads[to]! < mean {
                if let best = best(movable, from: from, to: to, gaining: mean * Self.leastGain) { return best.steps }
            }
        }
        return nil
    }

    private func best(
        _ movable: [ShardPlacement],
        from: NodeID,
        to: NodeID,
        gaining least: Double
    ) -> Exchange? {
        let gap = loads[from]! - loads[to]!
        let leavers = movable.filter { mayMove($0, from: from, to: to) }
        let comers = movable.filter { mayMove($0, from: to, to: from) }
        var best: Exchange?
        for leaver in leavers {
            for comer in [nil] + comers.map(Optional.some) {
                let gain = parts[leaver.shard]! - (comer.map { parts[$0.shard]! } ?? 0)
                guard gain > 0, min(gain, gap - gain) >= least,
                    isLevelInBytes(leaver, comer, from: from, to: to)
                else { continue }
                let moves = [Operation.Step(shard: leaver.shard, change: .move(from: from, to: to))]
                let back = comer.map { Operation.Step(shard: $0.shard, change: .move(from: to, to: from)) }
                let exchange = Exchange(
                    steps: moves + [back].compactMap(\.self),
                    distance: abs(gain - gap / 2),
                    byteCount: sizes[leaver.shard]! + (comer.map { sizes[$0.shard]! } ?? 0)
                )
                if exchange.isBetter(than: best) { best = exchange }
            }
        }
        return best
    }

    private func mayMove(_ placement: ShardPlacement, from: NodeID, to: NodeID) -> Bool {
        let (members, pin) = (placement.group.members, pins[placement.shard])
        return members.contains(from) && !members.contains(to) && pin?.forbids(.move(from: from, to: to)) != true
    }

    private func isLevelInBytes(_ leaver: ShardPlacement, _ comer: ShardPlacement?, from: NodeID, to: NodeID) -> Bool {
        let mean = Double(byteCounts.values.reduce(0, +)) / Double(byteCounts.count)
        let (left, came) = (Double(sizes[leaver.shard]!), comer.map { Double(sizes[$0.shard]!) } ?? 0)
        let (first, second) = (Double(byteCounts[from]!), Double(byteCounts[to]!))
        let limit = max(first, second, mean * (1 + Self.byteTolerance))
        return first - left + came <= limit && second + left - came <= limit
    }
}
