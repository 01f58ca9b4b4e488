package import ClusterModel

/// Disk and memory that replicas may take on the workers, without what is on its way already.
///
/// Disk: what is free, without what stays free whatever comes. Memory, for the codes that searches read: what the
/// system has left on the worker, without the codes of the replicas that are there, which it counts as left. What has
/// come of something that is on its way is on the disk, and not free: only the rest of it is reserved.
struct WorkerRoom: Sendable {
    /// Numbers of bytes: what is needed with what is reserved, and what there is.
    enum Shortage: Hashable, Sendable {
        case disk(needed: UInt64, free: UInt64)
        case memory(needed: UInt64, free: UInt64)
    }

    private let spareDiskByteCount: UInt64
    private let reservesMemory: Bool
    private let observations: [NodeID: WorkerObservation]
    /// Bytes of codes of the replicas that workers have, or are about to open.
    private var codes: [NodeID: UInt64]
    private var reserved: [NodeID: ReplicaSize] = [:]

    init(_ view: ClusterView) {
        spareDiskByteCount = view.spareDiskByteCount
        reservesMemory = view.reservesMemory
        observations = view.observations
        codes = [:]
        for placement in view.metadata.placements {
            let size = ReplicaSize(of: placement, in: view)
            for member in placement.group.inSync { codes[member, default: 0] += size.memoryByteCount }
            let copies = view.replica(of: placement)?.copies ?? []
            for learner in placement.group.learners {
                var present = ReplicaSize(view.replica(of: placement.shard, on: learner))
                // A copy lies beside the replica until it is whole.
                let sent = copies.first { $0.worker == learner }?.sentByteCount ?? 0
                present.diskByteCount = max(present.diskByteCount, sent)
                reserve(size - present, on: learner)
            }
        }
        for operation in view.metadata.openOperations {
            for step in operation.steps where step.state.isUnderWay { reserve(step, in: view) }
        }
    }

    mutating func reserve(_ size: ReplicaSize, on worker: NodeID) { reserved[worker, default: ReplicaSize()] += size }

    /// What a step that has just begun will take. What learners take is reserved already.
    mutating func reserve(_ step: Operation.Step, in view: ClusterView) {
        if let succession = Succession(step, in: view.metadata) {
            let size = ReplicaSize(of: succession, in: view)
            for worker in succession.sources[0].group.inSync {
                // Its codes are nobody's yet: their memory is reserved until it has taken the others' place.
                var present = ReplicaSize()
                for successor in succession.successors {
                    present.diskByteCount += view.successor(successor.shard, on: worker)?.diskByteCount ?? 0
                }
                reserve(size - present, on: worker)
            }
            return
        }
        guard let newcomer = step.change.newcomer, let placement = view.metadata.placement(of: step.shard),
            !placement.group.members.contains(newcomer)
        else { return }
        reserve(ReplicaSize(of: placement, in: view), on: newcomer)
    }

    /// Why a replica does not fit; nil when it does, or nobody knows.
    ///
    /// - Parameter isSuccessor: it takes the place of one that is there, whose codes nobody reads any more then.
    func shortage(for size: ReplicaSize, on worker: NodeID, isSuccessor: Bool = false) -> Shortage? {
        diskShortage(for: size.diskByteCount, on: worker)
            ?? memoryShortage(for: size.memoryByteCount, on: worker, besideCodes: !isSuccessor)
    }

    /// How many such replicas have room on a worker, and parts of one; infinite where nobody knows.
    func count(of size: ReplicaSize, on worker: NodeID) -> Double {
        func quotient(_ room: (reserved: UInt64, free: UInt64)?, _ byteCount: UInt64) -> Double {
            guard byteCount > 0, let (reserved, free) = room else { return .infinity }
            return Double(free - min(reserved, free)) / Double(byteCount)
        }
        return min(
            quotient(disk(on: worker), size.diskByteCount),
            quotient(memory(on: worker, besideCodes: true), size.memoryByteCount)
        )
    }

    /// How much more is reserved on a worker than it has room for; nothing where nobody knows.
    func excess(on worker: NodeID) -> ReplicaSize {
        var excess = ReplicaSize()
        if case .disk(let needed, let free)? = diskShortage(for: 0, on: worker) { excess.diskByteCount = needed - free }
        if case .memory(let needed, let free)? = memoryShortage(for: 0, on: worker, besideCodes: true) {
            excess.memoryByteCount = needed - free
        }
        return excess
    }

    func diskShortage(for byteCount: UInt64, on worker: NodeID) -> Shortage? {
        guard let (reserved, free) = disk(on: worker) else { return nil }
        let needed = byteCount + reserved
        return free < needed ? .disk(needed: needed, free: free) : nil
    }

    /// The member that can send a replica, for which it makes a copy on its own disk: the primary rather than one that
    /// would have to be made the primary first, and of others none that is to be emptied before one that stays; nil
    /// when none has room for the copy.
    ///
    /// - Parameter mayLead: which of the others may be made the primary.
    func sender(of placement: ShardPlacement, in view: ClusterView, where mayLead: (NodeID) -> Bool) -> NodeID? {
        let byteCount = ReplicaSize(of: placement, in: view).diskByteCount
        if diskShortage(for: byteCount, on: placement.primary) == nil { return placement.primary }
        let others = view.readyMembers(of: placement).filter { member in
            member != placement.primary && mayLead(member) && diskShortage(for: byteCount, on: member) == nil
        }
        return others.first { view.metadata.standing(of: $0) == .active } ?? others.first
    }

    private func memoryShortage(for byteCount: UInt64, on worker: NodeID, besideCodes: Bool) -> Shortage? {
        guard let (reserved, free) = memory(on: worker, besideCodes: besideCodes) else { return nil }
        let needed = byteCount + reserved
        return free < needed ? .memory(needed: needed, free: free) : nil
    }

    /// What is reserved, what stays free whatever comes among it, and what is free; nil where nobody knows.
    private func disk(on worker: NodeID) -> (reserved: UInt64, free: UInt64)? {
        observations[worker].map { observation in
            ((reserved[worker]?.diskByteCount ?? 0) + spareDiskByteCount, observation.freeDiskByteCount)
        }
    }

    /// What is reserved, and what there is; nil where nobody knows, or nobody asks.
    private func memory(on worker: NodeID, besideCodes: Bool) -> (reserved: UInt64, free: UInt64)? {
        guard reservesMemory, let observation = observations[worker],
            let available = observation.availableMemoryByteCount
        else { return nil }
        let codes = besideCodes ? max(observation.mapped.codeByteCount, codes[worker] ?? 0) : 0
        return (reserved[worker]?.memoryByteCount ?? 0, available - min(codes, available))
    }
}

/// What a replica of a shard takes on a worker.
package struct ReplicaSize: Hashable, Sendable {
    /// Bytes of codes, tables and row addresses that each face keeps in memory.
    static let hotBytesPerFace: UInt64 = 128

    package var diskByteCount: UInt64 = 0
    /// What has to be in memory for searches to be fast.
    package var memoryByteCount: UInt64 = 0

    init() {}

    /// - Parameter replica: nil for one that is not there.
    init(_ replica: ReplicaObservation?) {
        diskByteCount = replica?.diskByteCount ?? 0
        memoryByteCount = (replica?.faceCount ?? 0) * Self.hotBytesPerFace
    }

    package init(of placement: ShardPlacement, in view: ClusterView) {
        self.init(view.replica(of: placement))
    }

    /// The shards that come take about as much as those that go, beside them.
    init(of succession: Succession, in view: ClusterView) {
        for source in succession.sources { self += ReplicaSize(of: source, in: view) }
    }

    static func += (sum: inout ReplicaSize, other: ReplicaSize) {
        sum.diskByteCount += other.diskByteCount
        sum.memoryByteCount += other.memoryByteCount
    }

    /// What is left of one when the other is there; none where that is larger.
    static func - (whole: ReplicaSize, part: ReplicaSize) -> ReplicaSize {
        var rest = whole
        rest.diskByteCount -= min(part.diskByteCount, whole.diskByteCount)
        rest.memoryByteCount -= min(part.memoryByteCount, whole.memoryByteCount)
        return rest
    }
}
