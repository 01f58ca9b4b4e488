package import ClusterModel

/// What steps would take, as far as the replicas' last reports tell.
package struct OperationEstimate: Hashable, Sendable {
    package struct Load: Hashable, Sendable {
        package var incomingByteCount: UInt64 = 0
        package var outgoingByteCount: UInt64 = 0
        /// Of what goes, as many as may at a time, the largest first.
        package private(set) var largestOutgoingByteCounts: [UInt64] = []
        package var memoryByteCount: UInt64 = 0
        /// Time that copies take in which it has part, one after the other.
        package private(set) var copyingSeconds = 0.0
        /// Of these the longest.
        package private(set) var longestCopyingSeconds = 0.0
        /// Time that shards take that are made on it: however many at a time, they share what work in the background
        /// may have of a processor.
        package fileprivate(set) var makingSeconds = 0.0

        /// What comes stays; of what goes as many copies as may be made at a time lie on the disk until they are sent.
        package var peakDiskByteCount: UInt64 { incomingByteCount + largestOutgoingByteCounts.reduce(0, +) }

        fileprivate mutating func send(_ byteCount: UInt64, atATime limit: Int) {
            outgoingByteCount += byteCount
            largestOutgoingByteCounts.append(byteCount)
            largestOutgoingByteCounts.sort(by: >)
            if largestOutgoingByteCounts.count > limit { largestOutgoingByteCounts.removeLast() }
        }

        fileprivate mutating func copy(for seconds: Double) {
            copyingSeconds += seconds
            longestCopyingSeconds = max(longestCopyingSeconds, seconds)
        }
    }

    /// Bytes a second, from the beginning of a step until its replica has everything.
    package struct Rates: Hashable, Sendable {
        /// Where nothing has been measured: `worker.copy_rate` as it is by default.
        package static let assumedBytesPerSecond: Double = 64 * 1024 * 1024
        /// Of copies, where nothing has been measured.
        package static let assumedSendingBytesPerSecond = Rates.copying(0, at: Rates.assumedBytesPerSecond)
        /// A copy that would take longer is made as fast as that needs, if the disk allows.
        private static let longestMakingSeconds = 20.0

        /// Of copies that are made, sent, and written on another worker.
        package var sending: Double
        /// Of shards that are made beside those that they replace.
        package var making: Double

        package init(
            sending: Double = Rates.assumedSendingBytesPerSecond,
            making: Double = Rates.assumedBytesPerSecond
        ) {
            self.sending = sending
            self.making = making
        }

        /// Of a copy that is sent at a rate: its sender makes it on its own disk first, twice as fast, so that it comes
        /// at two thirds of the rate; a large one a little faster.
        ///
        /// - SeeAlso: `docs/decisions/0031-copies-go-on-and-are-compared.md`.
        package static func copying(_ byteCount: UInt64, at bytesPerSecond: Double) -> Double {
            let making = min(1 / (2 * bytesPerSecond), longestMakingSeconds / Double(byteCount))
            return 1 / (1 / bytesPerSecond + making)
        }

        /// No worker sends faster than it says that it may.
        func sending(_ byteCount: UInt64, from worker: NodeID, in view: ClusterView) -> Double {
            guard let limit = view.observations[worker]?.copyBytesPerSecond else { return sending }
            return min(sending, Self.copying(byteCount, at: Double(limit)))
        }

        /// As the last copies came, as far as there were any.
        package init(_ ledger: OperationLedger) {
            self.init(
                sending: ledger.sendingPace.bytesPerSecond ?? Self.assumedSendingBytesPerSecond,
                making: ledger.makingPace.bytesPerSecond ?? Self.assumedBytesPerSecond
            )
        }
    }

    package let rates: Rates
    package let limits: OperationPlanner.Limits
    package private(set) var loads: [NodeID: Load] = [:]
    package private(set) var byteCounts: [ShardID: UInt64] = [:]
    /// Bytes a second of the slowest copy; nil when none is sent to another worker.
    package private(set) var sendingRate: Double?
    /// Whether anything is made beside what it replaces.
    package private(set) var isMade = false

    package init(
        of steps: [Operation.Step],
        in view: ClusterView,
        rates: Rates = Rates(),
        limits: OperationPlanner.Limits = .init()
    ) {
        self.rates = rates
        self.limits = limits
        var primaries: [ShardID: NodeID] = [:]
        for step in steps {
            if let succession = Succession(step, in: view.metadata) {
                for source in succession.sources {
                    let size = ReplicaSize(of: source, in: view)
                    byteCounts[step.shard, default: 0] += size.diskByteCount
                    for worker in succession.sources[0].group.inSync {
                        // It comes from the same disk, and what it is made from goes only when it is there.
                        loads[worker, default: Load()].incomingByteCount += size.diskByteCount
                        loads[worker]!.makingSeconds += Double(size.diskByteCount) / rates.making
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
            source.send(size.diskByteCount, atATime: limits.copiesPerWorker)
            let rate = rates.sending(size.diskByteCount, from: primary, in: view)
            loads[newcomer]!.copy(for: Double(size.diskByteCount) / rate)
            source.copy(for: Double(size.diskByteCount) / rate)
            sendingRate = min(sendingRate ?? rate, rate)
            loads[primary] = source
        }
    }

    /// A worker has part in so many copies at a time, each of which may go at the rate, and makes shards as if one
    /// after the other: the busiest one decides.
    package var seconds: Double {
        loads.values.map { load in
            load.makingSeconds
                + max(load.copyingSeconds / Double(limits.copiesPerWorker), load.longestCopyingSeconds)
        }.max() ?? 0
    }
}
