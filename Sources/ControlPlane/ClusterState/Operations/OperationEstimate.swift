package import ClusterModel

/// What steps would take, as far as the replicas' last reports tell.
package struct OperationEstimate: Hashable, Sendable {
    package struct Load: Hashable, Sendable {
        package var incomingByteCount: UInt64 = 0
        package var outgoingByteCount: UInt64 = 0
        package var largestOutgoingByteCount: UInt64 = 0
        package var memoryByteCount: UInt64 = 0
        /// Of what comes, what is made of shards on the same disk.
        package var madeByteCount: UInt64 = 0

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

    package init(of steps: [Operation.Step], in view: ClusterView, rates: Rates = Rates()) {
        self.rates = rates
        for step in steps {
            if let succession = Succession(step, in: view.metadata) {
                for source in succession.sources {
                    let size = ReplicaSize(of: source, in: view)
                    byteCounts[step.shard, default: 0] += size.diskByteCount
                    for worker in succession.sources[0].group.inSync {
                        // It comes from the same disk, and what it is made from goes only when it is there.
                        loads[worker, default: Load()].incomingByteCount += size.diskByteCount
                        loads[worker]!.madeByteCount += size.diskByteCount
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
        let times = loads.values.map { load in
            let sent = load.incomingByteCount - load.madeByteCount + load.outgoingByteCount
            return Double(sent) / rates.sending + Double(load.madeByteCount) / rates.making
        }
        return times.max() ?? 0
    }

    /// Whether anything is sent to another worker; whether anything is made beside what it replaces.
    package var isSent: Bool { loads.values.contains { $0.outgoingByteCount > 0 } }
    package var isMade: Bool { loads.values.contains { $0.madeByteCount > 0 } }
}
