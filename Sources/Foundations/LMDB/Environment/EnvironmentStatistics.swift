import CLMDB

/// Shape and size of one table.
package struct TableStatistics: Sendable, Equatable {
    package let entryCount: Int
    /// Levels of the tree; 0 if the table is empty.
    package let depth: Int
    package let branchPageCount: Int
    package let leafPageCount: Int
    /// Pages of values too large for a leaf.
    package let overflowPageCount: Int
    package let pageByteCount: Int

    package var byteCount: Int { (branchPageCount + leafPageCount + overflowPageCount) * pageByteCount }

    init(_ statistics: MDB_stat) {
        entryCount = statistics.ms_entries
        depth = Int(statistics.ms_depth)
        branchPageCount = statistics.ms_branch_pages
        leafPageCount = statistics.ms_leaf_pages
        overflowPageCount = statistics.ms_overflow_pages
        pageByteCount = Int(statistics.ms_psize)
    }
}

/// Use of an environment's file and reader table at one moment.
package struct EnvironmentStatistics: Sendable, Equatable {
    package let pageByteCount: Int
    package let mapByteCount: Int
    /// Pages of the file that were ever used, free ones among them; the file does not shrink.
    package let usedPageCount: Int
    /// Pages that later commits may reuse, once no reader sees them.
    package let freePageCount: Int
    /// Number of the last commit.
    package let lastTransaction: UInt64
    /// Read transactions in progress.
    package let readerCount: Int
    package let maxReaders: Int
    /// How many commits the oldest read transaction is behind, 0 without readers; pages freed since cannot be reused.
    package let oldestReaderLag: UInt64

    package var usedByteCount: Int { usedPageCount * pageByteCount }
    package var freeByteCount: Int { freePageCount * pageByteCount }
}
