/// How far a partition's file may grow while a copy of it is made: pages that writes free meanwhile are not used again
/// before the copy is done, and the file never shrinks.
///
/// A copy takes seconds, or as long as the disk needs, so that it outgrows this only beside writes that come about as
/// fast as it reads. What was freed during one that was stopped is used by the writes behind it, and the next one has
/// the same bound.
package struct CopyBound: Hashable, Sendable {
    package enum Excess: Hashable, Sendable {
        case growth(limitByteCount: Int)
        /// The disk has less than the reserve, which is for writes.
        case disk(freeByteCount: UInt64, minimumByteCount: UInt64)
    }

    /// A quarter of what is in use, but what a small partition grows by is of no concern.
    package static let leastGrowthByteCount = 256 << 20

    package let limitByteCount: Int
    /// What the copy will have, about.
    package let liveByteCount: Int
    let minimumFreeByteCount: UInt64

    /// Before a copy of the partition begins.
    ///
    /// - Parameter minimumFreeByteCount: of the disk; nil for the partition's reserve.
    package init(
        of partition: Partition,
        leastGrowthByteCount: Int = CopyBound.leastGrowthByteCount,
        minimumFreeByteCount: UInt64? = nil
    ) throws(PartitionError) {
        let use = try partition.fileUse()
        liveByteCount = use.liveByteCount
        limitByteCount = max(use.usedByteCount, liveByteCount + max(liveByteCount / 4, leastGrowthByteCount))
        self.minimumFreeByteCount = minimumFreeByteCount ?? partition.options.minimumFreeByteCount
    }

    /// Why a copy under way has to stop; nil while it may go on. Costs a system call.
    package func excess(of partition: Partition) -> Excess? {
        if let used = try? partition.mapUse().usedByteCount, used > limitByteCount {
            return .growth(limitByteCount: limitByteCount)
        }
        if let free = partition.freeDiskByteCount, free < minimumFreeByteCount {
            return .disk(freeByteCount: free, minimumByteCount: minimumFreeByteCount)
        }
        return nil
    }
}
