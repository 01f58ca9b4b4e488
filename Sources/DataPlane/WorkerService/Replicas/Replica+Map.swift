import Logging
import PartitionEngine
import Synchronization
import Threads

/// The address space of the partition's file, which grows while it serves.
extension Replica {
    /// Gives the file more address space when little of it is left and no search is under way. Lane only.
    func growMap(of partition: Partition) {
        let start = ContinuousClock.now
        do throws(PartitionError) {
            let use = try partition.mapUse()
            let attempt = monitor.withLock { state in
                state.mapGrowth.attempt(
                    usedByteCount: use.usedByteCount,
                    mapByteCount: use.mapByteCount,
                    now: start
                )
            }
            guard let attempt else { return }
            if try partition.growMap(to: attempt.byteCount, waitingAtMost: attempt.patience) {
                monitor.withLock { $0.mapGrowth.grew() }
                logger.info(
                    "a partition's file got more address space",
                    metadata: logMetadata.merging([
                        "bytes": "\(attempt.byteCount)", "formerly": "\(use.mapByteCount)",
                        "took": "\(ContinuousClock.now - start)",
                    ]) { $1 }
                )
            } else {
                if attempt.isUrgent { mapShortages.add(1, ordering: .relaxed) }
                let isToBeTold = monitor.withLock { state in
                    state.mapGrowth.gaveUp(now: .now)
                    return state.mapGrowth.isToBeTold
                }
                logger.log(
                    level: isToBeTold ? .warning : .debug,
                    """
                    searches, a copy or a verification kept a partition's file from getting more address space; \
                    trying on
                    """,
                    metadata: logMetadata.merging(["patience": "\(attempt.patience)"]) { $1 }
                )
            }
        } catch {
            let isToBeTold = monitor.withLock { state in
                let isFirst = state.mapGrowth.isUntried
                state.mapGrowth.gaveUp(now: .now)
                return isFirst || state.mapGrowth.isToBeTold
            }
            logger.log(
                level: isToBeTold ? .warning : .debug,
                "a partition's file gets no more address space; trying on",
                metadata: logMetadata(error)
            )
        }
    }

    /// A write that found no room is a reason for more.
    func noteIfMapIsFull(_ error: PartitionError) {
        if error.isMapFull { monitor.withLock { $0.mapGrowth.wasFull() } }
    }
}
