package import ClusterModel

/// Room that steps which have not begun would lack, were they done in their order: replicas that come stay, and what
/// takes the place of other shards needs its room only until these go.
package struct OperationRoom: Hashable, Sendable {
    /// What one worker has too little of for all that is to come there.
    package struct Lack: Hashable, Sendable {
        /// Steps that do not fit there beside those before them.
        package fileprivate(set) var stepCount = 0
        package fileprivate(set) var diskByteCount: UInt64 = 0
        package fileprivate(set) var memoryByteCount: UInt64 = 0
    }

    /// Of each step, in their order: nil of one that has room beside those before it that have.
    package private(set) var hindrances: [OperationPlanner.Hindrance?] = []
    package private(set) var lacks: [NodeID: Lack] = [:]

    package init(of steps: [Operation.Step], in view: ClusterView) {
        var room = WorkerRoom(view)
        // Besides, what finds no room.
        var wanted = room
        // What has come is read from memory that a shard in the place of others takes over.
        var disks = room
        for step in steps {
            if let succession = Succession(step, in: view.metadata) {
                hindrances.append(take(succession, disks, in: view))
                continue
            }
            guard step.state == .waiting, let newcomer = step.change.newcomer,
                let placement = view.metadata.placement(of: step.shard), !placement.group.members.contains(newcomer)
            else {
                hindrances.append(nil)
                continue
            }
            let size = ReplicaSize(of: placement, in: view)
            let shortage = room.shortage(for: size, on: newcomer)
            wanted.reserve(size, on: newcomer)
            if shortage == nil {
                room.reserve(size, on: newcomer)
                var disk = size
                disk.memoryByteCount = 0
                disks.reserve(disk, on: newcomer)
            } else {
                lacks[newcomer, default: Lack()].stepCount += 1
            }
            hindrances.append(shortage.map { Occupancy.hindrance($0, on: newcomer) })
        }
        for worker in lacks.keys {
            let excess = wanted.excess(on: worker)
            lacks[worker]!.diskByteCount = max(lacks[worker]!.diskByteCount, excess.diskByteCount)
            lacks[worker]!.memoryByteCount = max(lacks[worker]!.memoryByteCount, excess.memoryByteCount)
        }
    }

    /// Why shards cannot take others' place; nil when they can.
    private mutating func take(
        _ succession: Succession,
        _ room: WorkerRoom,
        in view: ClusterView
    ) -> OperationPlanner.Hindrance? {
        var hindrance: OperationPlanner.Hindrance?
        let size = ReplicaSize(of: succession, in: view)
        for worker in succession.sources[0].group.inSync {
            var lack = lacks[worker] ?? Lack()
            switch room.shortage(for: size, on: worker, isSuccessor: true) {
            case .disk(let needed, let free):
                lack.diskByteCount = max(lack.diskByteCount, needed - free)
                hindrance = hindrance ?? .tooLittleDisk(worker, needed: needed, free: free)
            case .memory(let needed, let free):
                lack.memoryByteCount = max(lack.memoryByteCount, needed - free)
                hindrance = hindrance ?? .tooLittleMemoryInPlace(worker, needed: needed, free: free)
            case nil: continue
            }
            lack.stepCount += 1
            lacks[worker] = lack
        }
        return hindrance
    }
}

extension OperationPlanner.Hindrance {
    /// Whether a worker has too little disk or memory for what is to come there.
    package var isLackOfRoom: Bool {
        switch self {
        case .tooLittleDisk, .tooLittleMemory, .tooLittleMemoryInPlace: true
        case .paused, .shardIsBusy, .earlierStep, .workerIsBusy, .workerNotLive, .workerIsDrained, .leftover,
            .shardNotServing, .notTogether, .shortOfMemory, .pinned:
            false
        }
    }
}
