import ClusterModel
import ShardReplication
import VectorMath

/// A strong read of one shard: what was acknowledged or seen when it was asked for.
struct StrongRead: Hashable, Sendable {
    let shard: ShardID
    let asked: Duration
    /// The last entry of the shard that anybody had acknowledged, or saw.
    let acknowledged: UInt64
}

/// Strong reads: a primary says how far its log is, which must not be before anything acknowledged until it was asked.
///
/// What is drawn for them is drawn from numbers of their own, and what they wait for comes with the next heartbeat, so
/// that nothing else in a run depends on them.
extension World {
    mutating func strongTurn() {
        plan(.strongTurn, after: strongRandom.duration(.milliseconds(10), .milliseconds(120)))
        // In the end each shard must answer; before, clients ask by the shard map that they have.
        if isQuiet { return placements.forEach { askStrongly($0) } }
        guard let client = strongRandom.pick(clients), let placement = strongRandom.pick(client.map) else { return }
        askStrongly(placement)
    }

    private mutating func askStrongly(_ placement: ShardPlacement) {
        let read = StrongRead(
            shard: placement.shard,
            asked: now,
            acknowledged: max(history.highestAcknowledged(in: placement.shard), lastShown[placement.shard] ?? 0)
        )
        let isSlow = isSlow(placement.primary) || isFaulty && strongRandom.chance(settings.slowRate)
        let most = Duration.milliseconds(isSlow ? (strongRandom.chance(0.3) ? 3000 : 300) : 1)
        plan(.strongAsked(read, placement.primary), after: strongRandom.duration(.microseconds(100), most))
    }

    mutating func strongAsked(_ read: StrongRead, _ name: NodeID) throws(Violation) {
        guard let index = awake(name, life: nil, .strongAsked(read, name)),
            let replica = workers[index].replica(of: read.shard)
        else { return }
        let clock = workers[index].clock(now)
        workers[index].replicas[replica].strongReads.append((read, clock))
        try answerConfirmed(index, replica)
    }

    /// Answers the strong reads that wait at a replica, as far as they can be.
    mutating func answerConfirmed(_ index: Int, _ replica: Int) throws(Violation) {
        let state = workers[index].replicas[replica]
        guard !state.strongReads.isEmpty else { return }
        guard let machine = state.machine, machine.role == .primary, !state.isFrozen else {
            counts.refusedStrongReads += state.strongReads.count
            return workers[index].replicas[replica].strongReads.removeAll()
        }
        while let (read, clock) = workers[index].replicas[replica].strongReads.first,
            let position = machine.confirmedPosition(since: clock)
        {
            workers[index].replicas[replica].strongReads.removeFirst()
            lastStrongRead[read.shard] = max(lastStrongRead[read.shard] ?? .zero, read.asked)
            guard !goesUnnoticed(machine, on: workers[index].name) else { continue }
            counts.strongReads += 1
            try history.strongRead(read, answeredAs: position, by: workers[index].name, at: now)
        }
    }
}
