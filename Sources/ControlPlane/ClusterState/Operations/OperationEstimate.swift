package import ClusterModel

/// What steps would take, as far as the replicas' last reports tell.
package struct OperationEstimate: Hashable, Sendable {
    package struct Load: Hashable, Sendable {
        package var incomingByteCount: UInt64 = 0
        package var outgoingByteCount: UInt64 = 0
        package var largestOutgoingByteCount: UInt64 = 0
        package var memoryByteCount: UInt64 = 0

        /// What comes stays; of what goes one copy at a time lies on the disk until it is sent.
        package var peakDiskByteCount: UInt64 { incomingByteCount + largestOutgoingByteCount }
    }

    /// What copies are assumed to take where nothing has been measured: making one, sending it, and writing it there.
    package static let assumedBytesPerSecond: Double = 64 * 1024 * 1024

    package private(set) var loads: [NodeID: Load] = [:]
    package private(set) var byteCounts: [ShardID: UInt64] = [:]

    package init(of steps: [Operation.Step], in view: ClusterView) {
        for step in steps {
            if let succession = Succession(step, in: view.metadata) {
                for source in succession.sources {
                    let size = ReplicaSize(of: source, in: view)
                    byteCounts[step.shard, default: 0] += size.diskByteCount
                    for worker in succession.sources[0].group.inSync {
                        // It comes from the same disk, and what it is made from goes only when it is there.
                        loads[worker, default: Load()].incomingByteCount += size.diskByteCount
                        loads[worker]!.memoryByteCount += size.memoryByteCount
                    }
                }
                continue
            }
            guard let newcomer = step.change.newcomer, let placement = view.metadata.placement(of: step.shard) else {
                continue
            }
            let size = ReplicaSize(of: placement, in: view)
            byteCounts[step.shard] = size.diskByteCount
            loads[newcomer, default: Load()].incomingByteCount += size.diskByteCount
            loads[newcomer]!.memoryByteCount += size.memoryByteCount
            var source = loads[placement.primary] ?? Load()
            source.outgoingByteCount += size.diskByteCount
            source.largestOutgoingByteCount = max(source.largestOutgoingByteCount, size.diskByteCount)
            loads[placement.primary] = source
        }
    }

    /// A worker has part in one copy at a time, so that the busiest one decides.
    package var seconds: Double {
        let most = loads.values.map { $0.incomingByteCount + $0.outgoingByteCount }.max() ?? 0
        return Double(most) / Self.assumedBytesPerSecond
    }
}
