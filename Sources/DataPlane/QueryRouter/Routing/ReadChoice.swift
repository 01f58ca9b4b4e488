package import ClusterModel
package import NIOCore

/// Which replica of a shard a read goes to first, and how long its answer is waited for before another is asked too.
///
/// Reads are spread evenly, but a replica that is cold, most of which has to be read from the disk first, gets a small
/// share as long as another is warm: enough to become warm, and to show it. A worker that has just failed, or was
/// overtaken by another replica, comes last for a while; after that it gets its share again, so that its recovery
/// shows.
///
/// - SeeAlso: Dean, Barroso, "The tail at scale" (2013): hedged requests, and the share of them that bounds their cost.
package struct ReadChoice: Sendable {
    package struct Limits: Hashable, Sendable {
        /// Least time before a second replica is asked, and how many times the shard's recent median otherwise.
        package var leastHedgeDelay: Duration
        package var hedgeFactor: Double
        /// Reads that may be hedged in the long run, as a share of all, and at once.
        package var hedgeShare: Double
        package var hedgeReserve: Double
        /// How long a worker comes last.
        package var avoidance: Duration

        package init(
            leastHedgeDelay: Duration,
            hedgeFactor: Double,
            hedgeShare: Double,
            hedgeReserve: Double,
            avoidance: Duration
        ) {
            self.leastHedgeDelay = leastHedgeDelay
            self.hedgeFactor = hedgeFactor
            self.hedgeShare = hedgeShare
            self.hedgeReserve = hedgeReserve
            self.avoidance = avoidance
        }
    }

    private static let shardLimit = 1 << 16
    /// Reads of a cold replica for each of a warm one.
    private static let coldShare = 1.0 / 16

    package let limits: Limits
    private var turn = 0
    private var hedges: RequestBudget
    private var avoided: [NodeID: NIODeadline] = [:]
    private var medians: [ShardID: Duration] = [:]

    package init(limits: Limits) {
        self.limits = limits
        hedges = RequestBudget(share: limits.hedgeShare, reserve: limits.hedgeReserve)
    }

    /// The replicas in sync in the order in which to ask them. Counts as one read.
    ///
    /// - Parameters:
    ///   - warmth: share, 0…1, of a worker's replica that is in memory.
    ///   - isAbsent: whether a worker is known to be away; those come last of all.
    package mutating func order(
        _ group: ReplicaGroup,
        now: NIODeadline,
        warmth: (NodeID) -> Double = { _ in 1 },
        isAbsent: (NodeID) -> Bool
    ) -> [NodeID] {
        hedges.noteRequest()
        turn &+= 1
        let members = group.inSync
        let isWarm = members.map { warmth($0) >= MappedMemory.leastWarmth }
        let first = firstIndex(isWarm)
        let rotated = members[first...] + members[..<first]
        // Ranks are few: four passes keep the order of equals.
        let ranks = rotated.enumerated().map { place, worker in
            if isAbsent(worker) { return 3 }
            if isAvoided(worker, now: now) { return 2 }
            return place == 0 || isWarm[(first + place) % members.count] ? 0 : 1
        }
        return (0...3).flatMap { rank in zip(rotated, ranks).filter { $0.1 == rank }.map { $0.0 } }
    }

    /// Whose turn it is: of replicas that are all warm, or all cold, one after the other; else by their shares.
    private func firstIndex(_ isWarm: [Bool]) -> Int {
        let warmCount = isWarm.count(where: \.self)
        guard warmCount > 0, warmCount < isWarm.count else {
            return Int(UInt(bitPattern: turn) % UInt(isWarm.count))
        }
        // Multiples of the golden ratio spread evenly, however many have been taken.
        let share = Double((UInt64(bitPattern: Int64(turn)) &* 0x9E37_79B9_7F4A_7C15) >> 11) / 0x1p53
        var rest = share * (Double(warmCount) + Double(isWarm.count - warmCount) * Self.coldShare)
        for (index, isWarm) in isWarm.enumerated() {
            rest -= isWarm ? 1 : Self.coldShare
            if rest < 0 { return index }
        }
        return isWarm.lastIndex(of: true)!
    }

    package func isAvoided(_ worker: NodeID, now: NIODeadline) -> Bool { avoided[worker].map { now < $0 } ?? false }

    package mutating func avoid(_ worker: NodeID, now: NIODeadline) {
        avoided[worker] = now + TimeAmount(limits.avoidance)
    }

    /// How long to wait for the first replica of a shard.
    package func hedgeDelay(_ shard: ShardID) -> Duration {
        max(limits.leastHedgeDelay, (medians[shard] ?? .zero) * limits.hedgeFactor)
    }

    /// Whether a read that waits for `slow` may ask `other` too.
    ///
    /// Moving away from a worker that is known to be slow costs the others no more than their share; everything else is
    /// work done twice, and must not double the load when all are slow.
    package mutating func mayHedge(from slow: NodeID, to other: NodeID, now: NIODeadline) -> Bool {
        if isAvoided(slow, now: now), !isAvoided(other, now: now) { return true }
        return hedges.take()
    }

    /// Takes note of how long an answer took.
    package mutating func answered(_ shard: ShardID, by worker: NodeID, took time: Duration, now: NIODeadline) {
        if let end = avoided[worker], end <= now { avoided[worker] = nil }
        guard let median = medians[shard] else {
            if medians.count >= Self.shardLimit { medians = [:] }
            medians[shard] = time
            return
        }
        // Steps of equal size up and down end where as many are above as below.
        let step = max(median * 0.05, .microseconds(10))
        medians[shard] = time > median ? median + step : max(median - step, .zero)
    }
}
