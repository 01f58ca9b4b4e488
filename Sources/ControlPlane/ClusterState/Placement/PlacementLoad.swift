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
    private var room: DiskRoom?

    init(_ workers: [NodeID]) {
        self.workers = Set(workers).sorted()
        replicaCounts = Dictionary(uniqueKeysWithValues: self.workers.map { ($0, 0) })
        primaryCounts = replicaCounts
    }

    /// What the workers of a cluster that may be given more have to do.
    init(_ view: ClusterView) {
        self.init(view.placementWorkers.sorted())
        room = DiskRoom(view)
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
    /// - Parameter byteCount: of disk that it takes, if that is not reserved already.
    mutating func add(_ member: NodeID, to others: [NodeID], taking byteCount: UInt64 = 0) {
        guard replicaCounts[member] != nil else { return }
        room?.reserve(byteCount, on: member)
        replicaCounts[member]! += 1
        for other in others where replicaCounts[other] != nil {
            sharedCounts[member, default: [:]][other, default: 0] += 1
            sharedCounts[other, default: [:]][member, default: 0] += 1
        }
    }

    /// The worker with room for it that a further replica beside those chosen should go to.
    ///
    /// - Parameter byteCount: of disk that it takes; nil for whatever there is room for.
    /// - Returns: nil when all that have room have one.
    func best(beside chosen: [NodeID], taking byteCount: UInt64? = nil) -> NodeID? {
        let candidates = workers.filter { worker in
            guard !chosen.contains(worker) else { return false }
            return byteCount.map { room?.shortage(for: $0, on: worker) == nil } ?? true
        }
        return candidates.min { left, right in
            let (leftCount, rightCount) = (replicaCounts[left]!, replicaCounts[right]!)
            guard leftCount == rightCount else { return leftCount < rightCount }
            return (sharedCount(left, chosen), left) < (sharedCount(right, chosen), right)
        }
    }

    /// As ``best(beside:taking:)``, or, where none has room, the one that the replica waits for.
    func target(beside chosen: [NodeID], taking byteCount: UInt64) -> NodeID? {
        best(beside: chosen, taking: byteCount) ?? best(beside: chosen)
    }

    func bestPrimary(of members: [NodeID]) -> NodeID {
        members.min { (primaryCounts[$0]!, $0) < (primaryCounts[$1]!, $1) }!
    }

    private func sharedCount(_ worker: NodeID, _ others: [NodeID]) -> Int {
        others.reduce(0) { $0 + (sharedCounts[worker]?[$1] ?? 0) }
    }
}
