import ClusterModel

/// How much the workers have to do already.
struct PlacementLoad {
    /// Ascending.
    let workers: [NodeID]
    private var replicaCounts: [NodeID: Int]
    private var primaryCounts: [NodeID: Int]
    /// Shards that two workers both hold.
    private var sharedCounts: [NodeID: [NodeID: Int]] = [:]
    /// Nil where what comes is empty.
    private var room: WorkerRoom?

    init(_ workers: [NodeID]) {
        self.workers = Set(workers).sorted()
        replicaCounts = Dictionary(uniqueKeysWithValues: self.workers.map { ($0, 0) })
        primaryCounts = replicaCounts
    }

    /// What the workers of a cluster that may be given more have to do.
    init(_ view: ClusterView) {
        self.init(view.placementWorkers.sorted())
        room = WorkerRoom(view)
        for record in view.metadata.collections.values {
            for placement in record.placements { add(placement.group) }
        }
    }

    mutating func add(_ group: ReplicaGroup) {
        let members = group.members.filter { replicaCounts[$0] != nil }
        for member in members {
            replicaCounts[member]! += 1
            for other in members where other != member { sharedCounts[member, default: [:]][other, default: 0] += 1 }
        }
        if primaryCounts[group.primary] != nil { primaryCounts[group.primary]! += 1 }
    }

    /// A member joins a group that counts already.
    ///
    /// - Parameter size: what it takes, if that is not reserved already.
    mutating func add(_ member: NodeID, to others: [NodeID], taking size: ReplicaSize = ReplicaSize()) {
        guard replicaCounts[member] != nil else { return }
        room?.reserve(size, on: member)
        replicaCounts[member]! += 1
        for other in others where replicaCounts[other] != nil {
            sharedCounts[member, default: [:]][other, default: 0] += 1
            sharedCounts[other, default: [:]][member, default: 0] += 1
        }
    }

    /// The worker with room for it, on disk and in memory, that a further replica beside those chosen should go to.
    ///
    /// - Returns: nil when all that have room have one.
    func best(beside chosen: [NodeID], taking size: ReplicaSize) -> NodeID? {
        best(beside: chosen) { room?.shortage(for: size, on: $0) == nil }
    }

    /// As ``best(beside:taking:)``, but the one with the least room, so that what others have stays in one piece.
    func tightest(beside chosen: [NodeID], taking size: ReplicaSize) -> NodeID? {
        guard let room else { return best(beside: chosen) }
        let counts = workers.filter { !chosen.contains($0) && room.shortage(for: size, on: $0) == nil }
            .map { (worker: $0, count: room.count(of: size, on: $0)) }
        return counts.min { left, right in
            left.count == right.count
                ? isBetter(left.worker, than: right.worker, beside: chosen) : left.count < right.count
        }?.worker
    }

    /// As ``best(beside:taking:)``, or, where none has the memory, one that has the disk: a copy that searches read
    /// from disk is better than none.
    func makeshift(beside chosen: [NodeID], taking size: ReplicaSize) -> NodeID? {
        best(beside: chosen, taking: size)
            ?? best(beside: chosen) { room?.diskShortage(for: size.diskByteCount, on: $0) == nil }
    }

    /// The member in sync that can send a replica beside what is on its way: see ``WorkerRoom/sender(of:in:where:)``.
    ///
    /// - Parameter leavers: nobody to make the primary.
    func sender(of placement: ShardPlacement, besides leavers: Set<NodeID>, in view: ClusterView) -> NodeID? {
        guard let room else { return placement.primary }
        return room.sender(of: placement, in: view) { !leavers.contains($0) }
    }

    /// As ``best(beside:taking:)``, or, where none has room, the one that the replica waits for.
    func target(beside chosen: [NodeID], taking size: ReplicaSize) -> NodeID? {
        best(beside: chosen, taking: size) ?? best(beside: chosen)
    }

    func best(beside chosen: [NodeID], where hasRoom: (NodeID) -> Bool = { _ in true }) -> NodeID? {
        workers.filter { !chosen.contains($0) && hasRoom($0) }.min { isBetter($0, than: $1, beside: chosen) }
    }

    /// Why each of the other workers has no room for a further replica beside those chosen; none of one that has.
    func shortages(
        beside chosen: [NodeID],
        taking size: ReplicaSize
    ) -> [(worker: NodeID, shortage: WorkerRoom.Shortage)] {
        var shortages: [(worker: NodeID, shortage: WorkerRoom.Shortage)] = []
        for worker in workers where !chosen.contains(worker) {
            if let shortage = room?.shortage(for: size, on: worker) { shortages.append((worker, shortage)) }
        }
        return shortages
    }

    /// The workers with room for a further replica beside those chosen, that to which it should go first.
    func order(beside chosen: [NodeID], taking size: ReplicaSize) -> [NodeID] {
        workers.filter { !chosen.contains($0) && room?.shortage(for: size, on: $0) == nil }
            .sorted { isBetter($0, than: $1, beside: chosen) }
    }

    private func isBetter(_ left: NodeID, than right: NodeID, beside chosen: [NodeID]) -> Bool {
        let (leftCount, rightCount) = (replicaCounts[left]!, replicaCounts[right]!)
        guard leftCount == rightCount else { return leftCount < rightCount }
        return (sharedCount(left, chosen), left) < (sharedCount(right, chosen), right)
    }

    func bestPrimary(of members: [NodeID]) -> NodeID {
        members.min { (primaryCounts[$0]!, $0) < (primaryCounts[$1]!, $1) }!
    }

    private func sharedCount(_ worker: NodeID, _ others: [NodeID]) -> Int {
        others.reduce(0) { $0 + (sharedCounts[worker]?[$1] ?? 0) }
    }
}
