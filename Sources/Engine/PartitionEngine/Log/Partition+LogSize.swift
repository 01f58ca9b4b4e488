internal import LMDB
package import PartitionStore

/// Entries of a log that lie beside each other, and about how long they are in the file.
package struct LogStretch: Hashable, Sendable {
    package var lastSequence: UInt64
    package var byteCount: Int
}

/// How long the log is that is there when a partition is opened.
extension Partition {
    /// Most stretches of entries that are not looked at one by one.
    private static let olderStretchLimit = 1024

    /// How long an entry is in the file, by the measure of ``logStretches(of:measuring:)``: by one measure before and
    /// after a restart.
    package func storedByteCount(of entry: LogEntry) -> Int { tables.storedByteCount(of: entry) }

    /// About how long all entries of the log are in the file, in stretches of at least `byteCount` bytes. Ascending.
    ///
    /// Of the newest entries the lengths are looked at, which lie in the leaves of the table: what has pages of its
    /// own, as entries that bring faces have, is not read. A gibibyte of an import is some thousand entries, on a dozen
    /// leaves. At most it costs a read of half as many pages as entries are looked at, when each has almost half a
    /// page. The older ones share evenly what the table's pages say of them: as much as they have when each brings one
    /// face, about half of it at least when they bring more, and never more, so that nothing is forgotten that is kept
    /// for somebody.
    ///
    /// - Parameter measuredLimit: entries that are looked at.
    package func logStretches(
        of byteCount: Int,
        measuring measuredLimit: Int = 65_536
    ) throws(PartitionError) -> [LogStretch] {
        do {
            return try environment.read { transaction in
                let table = try transaction.statistics(of: tables.log)
                // The newest first.
                var stretches: [LogStretch] = []
                var (measuredCount, oldest) = (0, UInt64(0))
                // Pages of those that have their own, and bytes of the others.
                var measuredOwnPageCount = 0
                var measuredLeafByteCount = 0
                try transaction.withCursor(tables.log) { cursor in
                    while measuredCount < measuredLimit, let entry = try unsafe cursor.previous() {
                        guard let sequence = unsafe entry.uint64Key else {
                            throw PartitionStoreError.malformed(table: "log", reason: "a key that is no number")
                        }
                        let length = unsafe entry.value.count
                        if let last = stretches.last, last.byteCount < byteCount {
                            stretches[stretches.count - 1].byteCount += length
                        } else {
                            stretches.append(LogStretch(lastSequence: sequence, byteCount: length))
                        }
                        (measuredCount, oldest) = (measuredCount + 1, sequence)
                        if tables.hasOwnPages(byteCount: length) {
                            measuredOwnPageCount += (length + 15) / table.pageByteCount + 1
                        } else {
                            measuredLeafByteCount += length
                        }
                    }
                }
                let olderCount = table.entryCount - measuredCount
                if measuredCount > 0, olderCount > 0 {
                    let olderByteCount = Self.leastByteCount(
                        of: olderCount,
                        ownPageCount: max(0, table.overflowPageCount - measuredOwnPageCount),
                        pageByteCount: table.pageByteCount,
                        // The last leaf is as good as empty, and an entry has eighteen bytes there besides.
                        leafByteCount: (table.leafPageCount - 1) * table.pageByteCount - 18 * table.entryCount
                            - measuredLeafByteCount
                    )
                    let count = min(max(1, olderByteCount / max(1, byteCount)), Self.olderStretchLimit, olderCount)
                    for index in 0..<count {
                        let newer = UInt64(olderCount * index / count)
                        // A log without gaps has as many entries before the oldest as there are.
                        guard oldest > newer + 1 else { break }
                        stretches.append(
                            LogStretch(lastSequence: oldest - 1 - newer, byteCount: olderByteCount / count)
                        )
                    }
                }
                return Array(stretches.reversed())
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Bytes that values have at least which lie in so many pages of their own, two or more each, and in leaves.
    private static func leastByteCount(
        of entryCount: Int,
        ownPageCount: Int,
        pageByteCount: Int,
        leafByteCount: Int
    ) -> Int {
        // The first page begins with 16 bytes of LMDB's; of the last one a byte may be all that is used.
        let unusedByteCount = pageByteCount + 15
        let valueCount = min(entryCount, ownPageCount / 2)
        return ownPageCount * pageByteCount - valueCount * unusedByteCount + max(0, leafByteCount)
    }
}
