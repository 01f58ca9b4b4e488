import ClusterModel

/// Levels what searches compare on workers that have about as many bytes: replicas move, or change places.
///
/// A shard's searches go to its replicas in sync in turn, so each has an even part of its rate, and takes it along.
struct ReplicaExchange {
    /// Of the mean over all workers, that an exchange has to gain.
    private static let leastGain = 0.25
    /// Rows in a second, on average over the workers, below which searches are no load: some hundredths of a processor.
    private static let leastRate = 1_000_000.0
    /// From the mean in bytes that a worker may come to be, unless one of the two is further from it already. Less than
    /// what moves by bytes level, which would take the exchange back.
    private static let byteTolerance = 0.09
    /// The busiest workers that are looked at: where none of them gains, the others hardly do.
    private static let busiestCount = 4

    private struct Exchange {
        var steps: [Operation.Step]
        /// From half of what the two workers differ by: what is left of the difference.
        var distance: Double
        var byteCount: UInt64
    }

    /// A replica that may go to another worker.
    private struct Candidate {
        var shard: ShardID
        /// Of its shard's rate.
        var load: Double
        var byteCount: UInt64
    }

    private let view: ClusterView
    private let room: WorkerRoom
    private let sizes: [ShardID: UInt64]
    private let byteCounts: [NodeID: UInt64]
    private let meanByteCount: Double
    private let held: [NodeID: [ShardPlacement]]
    private let loads: [NodeID: Double]

    /// - Parameters:
    ///   - placements: all that count, as they will be.
    ///   - sizes: of them, in bytes.
    ///   - byteCounts: of the workers that may have replicas.
    ///   - room: that moves leave which are to be made before.
    init(
        _ placements: [ShardPlacement],
        _ sizes: [ShardID: UInt64],
        _ byteCounts: [NodeID: UInt64],
        _ room: WorkerRoom,
        in view: ClusterView
    ) {
        (self.view, self.room, self.sizes, self.byteCounts) = (view, room, sizes, byteCounts)
        meanByteCount = Double(byteCounts.values.reduce(0, +)) / Double(max(1, byteCounts.count))
        var loads = byteCounts.mapValues { _ in 0.0 }
        var held: [NodeID: [ShardPlacement]] = [:]
        for placement in placements {
            let load = Self.load(of: placement, in: view)
            for member in placement.group.inSync where loads[member] != nil {
                loads[member]! += load
                held[member, default: []].append(placement)
            }
        }
        (self.held, self.loads) = (held, loads)
    }

    /// To a sixteenth of a power of two, so that a plan is the same for as long as what it goes by is about the same.
    private static func load(of placement: ShardPlacement, in view: ClusterView) -> Double {
        guard let rate = view.searchRates[placement.shard]?.rowsPerSecond, rate > 0 else { return 0 }
        return (rate / rate.binade * 16).rounded() / 16 * rate.binade / Double(max(1, placement.group.inSync.count))
    }

    /// The steps of the exchange that levels most between two workers; nil when none gains enough.
    ///
    /// - Parameter resting: shards that stay as they are.
    func next(leaving resting: Set<ShardID>) -> [Operation.Step]? {
        let mean = loads.values.reduce(0, +) / Double(max(1, loads.count))
        guard mean >= Self.leastRate else { return nil }
        let least = mean * Self.leastGain
        let order = loads.keys.sorted { (loads[$0]!, $0) < (loads[$1]!, $1) }
        for from in order.reversed().prefix(Self.busiestCount) {
            // Half of the difference is the most that can be gained.
            for to in order where loads[from]! - loads[to]! >= 2 * least {
                let best = best(from: from, to: to, gaining: least, leaving: resting)
                if let best, hasRoom(for: best.steps) { return best.steps }
            }
        }
        return nil
    }

    private func best(from: NodeID, to: NodeID, gaining least: Double, leaving resting: Set<ShardID>) -> Exchange? {
        let gap = loads[from]! - loads[to]!
        let leavers = candidates(from: from, to: to, leaving: resting)
        let comers = candidates(from: to, to: from, leaving: resting)
        var best: Exchange?
        for leaver in leavers {
            for comer in [nil] + comers.map(Optional.some) {
                let gain = leaver.load - (comer?.load ?? 0)
                guard min(gain, gap - gain) >= least, isLevelInBytes(leaver, comer, from: from, to: to) else {
                    continue
                }
                let distance = abs(gain - gap / 2)
                let byteCount = leaver.byteCount + (comer?.byteCount ?? 0)
                if let best, (best.distance, best.byteCount) <= (distance, byteCount) { continue }
                var steps = [Operation.Step(shard: leaver.shard, change: .move(from: from, to: to))]
                if let comer { steps.append(Operation.Step(shard: comer.shard, change: .move(from: to, to: from))) }
                best = Exchange(steps: steps, distance: distance, byteCount: byteCount)
            }
        }
        return best
    }

    /// Whether the workers have room for what comes, and for sending it, before anything has left.
    private func hasRoom(for steps: [Operation.Step]) -> Bool {
        var room = room
        return steps.allSatisfy { step in
            guard let newcomer = step.change.newcomer, let placement = view.metadata.placement(of: step.shard),
                RebalancePlanner.sender(of: placement, to: newcomer, room, in: view) != nil
            else { return false }
            room.reserve(ReplicaSize(of: placement, in: view), on: newcomer)
            return true
        }
    }

    /// Replicas of one worker that the other has not, and may have.
    private func candidates(from: NodeID, to: NodeID, leaving resting: Set<ShardID>) -> [Candidate] {
        (held[from] ?? []).compactMap { placement in
            guard !resting.contains(placement.shard), !placement.group.members.contains(to),
                view.metadata.pins[placement.shard]?.forbids(.move(from: from, to: to)) != true
            else { return nil }
            let load = Self.load(of: placement, in: view)
            return Candidate(shard: placement.shard, load: load, byteCount: sizes[placement.shard] ?? 0)
        }
    }

    private func isLevelInBytes(_ leaver: Candidate, _ comer: Candidate?, from: NodeID, to: NodeID) -> Bool {
        let (left, came) = (Double(leaver.byteCount), Double(comer?.byteCount ?? 0))
        let (first, second) = (Double(byteCounts[from]!), Double(byteCounts[to]!))
        let least = min(first, second, meanByteCount * (1 - Self.byteTolerance))
        let most = max(first, second, meanByteCount * (1 + Self.byteTolerance))
        return [first - left + came, second + left - came].allSatisfy { (least...most).contains($0) }
    }
}
