import CLMDB
import Glibc
import Synchronization

extension Environment {
    /// Use of the file and of the reader table. Takes time in proportion to the list of free pages.
    package func statistics() throws(LMDBError) -> EnvironmentStatistics {
        try read { transaction throws(LMDBError) in
            var information = unsafe MDB_envinfo()
            var main = MDB_stat()
            _ = unsafe mdb_env_info(handle, &information)
            _ = unsafe mdb_env_stat(handle, &main)
            // The read transaction of this call is a reader too, but one that is up to date.
            let readers = try oldestReader()
            let last = unsafe UInt64(information.me_last_txnid)
            return unsafe EnvironmentStatistics(
                pageByteCount: Int(main.ms_psize),
                mapByteCount: information.me_mapsize,
                usedPageCount: information.me_last_pgno + 1,
                freePageCount: try freePageCount(transaction),
                lastTransaction: last,
                readerCount: readers.count - 1,
                maxReaders: Int(information.me_maxreaders),
                oldestReaderLag: last - min(readers.oldest, last)
            )
        }
    }

    /// Waits until the file is on disk. Commits do so by themselves. A failure fences the environment.
    package func sync() throws(LMDBError) {
        guard !options.readOnly else { return }
        guard gate.enter() else { throw .closed(path: path) }
        defer { gate.leave() }
        try fence.withLock { fence throws(LMDBError) in
            let code = unsafe mdb_env_sync(handle, 1)
            guard code != MDB_SUCCESS else { return }
            let error = diskError(code)
            fence = error
            throw error
        }
    }

    /// Sum of the lists of freed pages, which LMDB keeps in table 0: commit number → count and page numbers.
    private func freePageCount(_ transaction: borrowing ReadTransaction) throws(LMDBError) -> Int {
        let freeList = Table(handle: 0, environmentNumber: number, usesIntegerKeys: true)
        var count = 0
        try unsafe transaction.forEach(in: freeList) { entry throws(LMDBError) in
            guard unsafe entry.value.count >= MemoryLayout<Int>.size else { throw .corrupted(path: path) }
            let (sum, overflow) = unsafe count.addingReportingOverflow(entry.value.loadUnaligned(as: Int.self))
            guard !overflow, sum >= count else { throw .corrupted(path: path) }
            count = sum
            return .next
        }
        return count
    }

    /// Number of read transactions and the commit number that the oldest sees, from LMDB's list of them:
    /// lines of process, thread and commit number, the last `-` for a slot without a transaction.
    func oldestReader() throws(LMDBError) -> (count: Int, oldest: UInt64) {
        var text = ""
        let code = unsafe withUnsafeMutablePointer(to: &text) { text in
            unsafe mdb_reader_list(
                handle,
                { line, context in
                    guard let line = unsafe line, let context = unsafe context else { return 0 }
                    unsafe context.assumingMemoryBound(to: String.self).pointee += String(cString: line)
                    return 0
                },
                text
            )
        }
        guard code >= 0 else { throw unsafe LMDBError(code: code, environment: handle) }
        let numbers = text.split(separator: "\n").compactMap { line -> UInt64? in
            let fields = line.split(separator: " ")
            return fields.count == 3 ? UInt64(fields[2]) : nil
        }
        return (numbers.count, numbers.min() ?? .max)
    }
}
