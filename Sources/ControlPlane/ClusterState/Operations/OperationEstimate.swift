package import ClusterModel

/// What steps would take, as far as the replicas' last reports tell.
package struct OperationEstimate: Hashable, Sendable {
    package struct Load: Hashable, Sendable {
        package var incomingByteCount: UInt64 = 0
        package var outgoingByteCount: UInt64 = 0
        package var largestOutgoingByteCount: UInt64 = 0
        package var memoryByteCount: UInt64 = 0
        /// Time in which it has part in copies, and in which shards are made on it.
        package var seconds = 0.0

        /// What comes stays; of what goes one copy at a time lies on the disk until it is sent.
        package var peakDiskByteCount: UInt64 { incomingByteCount + largestOutgoingByteCount }
    }

    /// Bytes a second, from the beginning of a step until its replica has everything.
    package struct Rates: Hashable, Sendable {
        /// Where nothing has been measured.
        package static let assumedBytesPerSecond: Double = 64 * 1024 * 1024

        /// Of copies that are made, sent, and written on another worker.
        package var sending: Double
        /// Of shards that are made beside those that they replace.
        package var making: Double

        package init(
            sending: Double = Rates.assumedBytesPerSecond,
            making: Double = Rates.assumedBytesPerSecond
        ) {
            self.sending = sending
            self.making = making
        }

        /// No worker sends faster than it says that it may.
        func sending(from worker: NodeID, in view: ClusterView) -> Double {
            // `Double.init` alone would be that of a bit pattern.
            min(sending, view.observations[worker]?.copyBytesPerSecond.map { Double($0) } ?? .infinity)
        }

        /// As the last copies came, as far as there were any.
        package init(_ ledger: OperationLedger) {
            self.init(
                sending: ledger.sendingPace.bytesPerSecond ?? Self.assumedBytesPerSecond,
                making: ledger.makingPace.bytesPerSecond ?? Self.assumedBytesPerSecond
            )
        }
    }

    package let rates: Rates
    package private(set) var loads: [NodeID: Load] = [:]
    package private(set) var byteCounts: [ShardID: UInt64] = [:]
    /// Bytes a second of the slowest copy; nil when none is sent to another worker.
    package private(set) var sendingRate: Double?
    /// Whether anything is made beside what it replaces.
    package private(set) var isMade = false

    package init(of steps: [Operation.Step], in view: ClusterView, rates: Rates = Rates()) {
        self.rates = rates
        var primaries: [ShardID: NodeID] = [:]
        for step in steps {
            if let succession = Succession(step, in: view.metadata) {
                for source in succession.sources {
                    let size = ReplicaSize(of: source, in: view)
                    byteCounts[step.shard, default: 0] += size.diskByteCount
                    for worker in succession.sources[0].group.inSync {
                        // It comes from the same disk, and what it is made from goes only when it is there.
                        loads[worker, default: Load()].incomingByteCount += size.diskByteCount
                        loads[worker]!.seconds += Double(size.diskByteCount) / rates.making
                        isMade = true
                        loads[worker]!.memoryByteCount += size.memoryByteCount
                    }
                }
                continue
            }
            if case .lead(let worker) = step.change { primaries[step.shard] = worker }
            guard let newcomer = step.change.newcomer, let placement = view.metadata.placement(of: step.shard) else {
                continue
            }
            let primary = primaries[step.shard] ?? placement.primary
            let size = ReplicaSize(of: placement, in: view)
            byteCounts[step.shard] = size.diskByteCount
            loads[newcomer, default: Load()].incomingByteCount += size.diskByteCount
            loads[newcomer]!.memoryByteCount += size.memoryByteCount
            var source = loads[primary] ?? Load()
            source.outgoingByteCount += size.diskByteCount
            source.largestOutgoingByteCount = max(source.largestOutgoingByteCount, size.diskByteCount)
            let rate = rates.sending(from: primary, in: view)
            loads[newcomer]!.seconds += Double(size.diskByteCount) / rate
            source.seconds += Double(size.diskByteCount) / rate
            sendingRate = min(sendingRate ?? rate, rate)
            loads[primary] = source
        }
    }

    /// A worker has part in one copy at a time, so that the busiest one decides.
    package var seconds: Double { loads.values.map(\.seconds).max() ?? 0 }
}
