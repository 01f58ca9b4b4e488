import ClusterModel

/// Disk that replicas may take on the workers: what is free, without what stays free whatever comes, and what is on its
/// way already.
struct DiskRoom: Sendable {
    struct Shortage: Hashable, Sendable {
        /// With what is reserved, and what stays free.
        var neededByteCount: UInt64
        var freeByteCount: UInt64
    }

    private let spareByteCount: UInt64
    private let free: [NodeID: UInt64]
    private var reserved: [NodeID: UInt64] = [:]

    init(_ view: ClusterView) {
        spareByteCount = view.spareDiskByteCount
        free = view.observations.mapValues(\.freeDiskByteCount)
        for placement in view.metadata.placements {
            for learner in placement.group.learners {
                let present = view.replica(of: placement.shard, on: learner)?.diskByteCount ?? 0
                let size = ReplicaSize(of: placement, in: view).diskByteCount
                reserve(size > present ? size - present : 0, on: learner)
            }
        }
        for operation in view.metadata.openOperations {
            for step in operation.steps where step.state.isUnderWay { reserve(step, in: view) }
        }
    }

    mutating func reserve(_ byteCount: UInt64, on worker: NodeID) { reserved[worker, default: 0] += byteCount }

    /// What a step that has just begun will take. What learners take is reserved already.
    mutating func reserve(_ step: Operation.Step, in view: ClusterView) {
        if let succession = Succession(step, in: view.metadata) {
            // The shards that come take about as much as those that go, beside them.
            let size = succession.diskByteCount(in: view)
            for worker in succession.sources[0].group.inSync { reserve(size, on: worker) }
            return
        }
        guard let newcomer = step.change.newcomer, let placement = view.metadata.placement(of: step.shard),
            !placement.group.members.contains(newcomer)
        else { return }
        reserve(ReplicaSize(of: placement, in: view).diskByteCount, on: newcomer)
    }

    /// Why so many bytes do not fit; nil when they do, or nobody knows.
    func shortage(for byteCount: UInt64, on worker: NodeID) -> Shortage? {
        guard let free = free[worker] else { return nil }
        let needed = byteCount + reserved[worker, default: 0] + spareByteCount
        return free < needed ? Shortage(neededByteCount: needed, freeByteCount: free) : nil
    }
}
