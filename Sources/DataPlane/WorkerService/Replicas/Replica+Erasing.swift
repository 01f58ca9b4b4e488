import Logging
import PartitionEngine
import PartitionStore
import Threads

/// How the lane erases what deleted faces have left in the partition's file, in time and at the pace of work in the
/// background.
extension Replica {
    /// Longest time between two looks at whether what a round waits for has ended.
    private static let longestPause = Duration.seconds(5)

    /// Does a step of erasing when one is due.
    ///
    /// - Parameter next: when the next step is due; nil when nothing was to be erased the last time.
    /// - Returns: how long the next step can wait; nil when there is nothing to erase yet.
    func eraseRemnants(
        in partition: Partition,
        next: inout ContinuousClock.Instant?
    ) throws(PartitionError) -> Duration? {
        let start = ContinuousClock.now
        if let next, start < next { return next - start }
        var hasAdvanced = true
        switch try partition.eraseRemnants() {
        case .idle:
            next = nil
            return nil
        case .advanced: break
        case .needsLogForgotten(let sequence, let isPressing):
            hasAdvanced = try forgetLog(through: sequence, isPressing: isPressing, in: partition)
        case .waits: hasAdvanced = false
        }
        let end = ContinuousClock.now
        // Nobody waits for it, so it keeps to its share of a processor.
        let pace = options.backgroundPace.rest(after: end - start, now: end)
        let pause = hasAdvanced ? .zero : min(Self.longestPause, options.partition.erasurePeriod / 100)
        let rest = max(pace, pause)
        next = end + rest
        return rest
    }

    /// Forgets entries of the log whose embeddings are to go; whether there were any that could be.
    private func forgetLog(
        through sequence: UInt64,
        isPressing: Bool,
        in partition: Partition
    ) throws(PartitionError) -> Bool {
        let isRecent = self.isRecent(at: ReplicationClock.now)
        let forgettable = monitor.withLock { state in
            state.replication?.erasable(
                through: sequence,
                archived: state.archive.wanted(now: .now),
                kept: Array(state.outgoing.values),
                isRecent: isRecent,
                isPressing: isPressing
            )
        }
        guard let forgettable else { return false }
        let transaction = LogTransaction(forgetThrough: forgettable)
        let outcome = try partition.commit(transaction)
        monitor.withLock { $0.replication?.committed(transaction, outcome) }
        return true
    }
}
