import ClusterModel
import Logging
import PartitionEngine
import Threads
import WireProtocol

/// What of the replica is in memory, and reading what is not before searches ask for it.
extension Replica {
    /// Bytes read into memory in a second after a partition has been opened: searches need the disk as well.
    private static let prefaultRate = 256 << 20
    /// How long what was read of it counts: that takes some hundred looks into the file and at the system's pages.
    private static let residencyInterval = Duration.seconds(2)

    /// Has what the policy names read into memory in its turn: a few threads do that for all replicas.
    ///
    /// - Parameter isOver: set when the session of serving ends of which this is.
    func beginWarming(until isOver: OneWayFlag) {
        let isQueued = options.warming.submit(
            BoundedExecutor.Job(run: { self.prefault(until: isOver) }, abandon: {})
        )
        if !isQueued { endWarming(isOver) }
    }

    private func endWarming(_ isOver: OneWayFlag) {
        monitor.withLock { state in
            // What a later session has begun is its own.
            guard !isOver.isSet else { return }
            state.isWarming = false
            state.residency = nil
        }
    }

    /// Reads what the policy names into memory, until that is done or readers should leave.
    private func prefault(until isOver: OneWayFlag) {
        guard !isOver.isSet else { return }
        let outcome = Result { () throws(WireStatus) in
            try read(.local) { (partition, isFenced) throws(PartitionError) in
                try partition.prefault(
                    options.prefault,
                    pause: { ThreadTime.sleep(for: .seconds(1) * (Double($0) / Double(Self.prefaultRate))) },
                    shouldStop: { isFenced() || isOver.isSet }
                )
            }
        }
        endWarming(isOver)
        options.reportChanged()
        if case .failure(let status) = outcome, !isOver.isSet {
            logger.warning("a replica was not read into memory", metadata: ["reason": "\(status.message)"])
        }
    }

    /// How much of the partition is in memory, of the bytes that ``report()`` read last, as it was a moment ago;
    /// nothing while it is away.
    func mappedMemory() -> MappedMemory {
        let now = ContinuousClock.now
        let known = monitor.withLock { state in
            state.residency.flatMap { now - $0.read < Self.residencyInterval ? $0.shares : nil }
        }
        let residency = try? read(.local) { (partition, _) throws(PartitionError) -> PartitionResidency in
            if let known { return known }
            return try partition.residency()
        }
        if let residency, known == nil { monitor.withLock { $0.residency = (residency, now) } }
        guard let residency, let statistics = monitor.withLock(\.statistics) else { return MappedMemory() }
        return MappedMemory(
            codeByteCount: statistics.codeByteCount,
            residentCodeByteCount: UInt64(residency.codes * Double(statistics.codeByteCount)),
            rowByteCount: statistics.rowByteCount,
            residentRowByteCount: UInt64(residency.rows * Double(statistics.rowByteCount))
        )
    }
}
