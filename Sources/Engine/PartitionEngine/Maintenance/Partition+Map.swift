internal import LMDB
internal import Synchronization

extension Partition {
    /// Bytes of the file that were ever used, and bytes of address space that it has: its largest size. Costs no more
    /// than a read.
    package func mapUse() throws(PartitionError) -> (usedByteCount: Int, mapByteCount: Int) {
        do {
            return try environment.mapUse()
        } catch {
            throw PartitionError(error)
        }
    }

    /// Gives the file more address space, once no search or write is under way; those that come meanwhile wait.
    ///
    /// Pages stay in memory. What was found of them and kept for later searches, where codes, rows and tombstones lie,
    /// is found anew by the next one. Call from the write lane.
    ///
    /// - Parameter patience: how long to wait for searches under way, and so how long others may have to wait.
    /// - Returns: false when that was not enough, and at once while the partition is copied or verified; nothing was
    ///   changed.
    package func growMap(to byteCount: Int, waitingAtMost patience: Duration) throws(PartitionError) -> Bool {
        do {
            return try environment.growMap(to: byteCount, waitingAtMost: patience) {
                // All that holds addresses of the map; used inside transactions only, and there is none now.
                snapshots.withLock { $0 = nil }
                tombstones.withLock { $0 = nil }
                rowAddresses.forget()
                roundedRowAddresses.forget()
            }
        } catch {
            throw PartitionError(error)
        }
    }
}
