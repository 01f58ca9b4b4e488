import CLMDB
import Glibc
import Synchronization

/// How far a pass over the free pages of a file has come.
package struct FreePageSweep: Sendable, Equatable {
    /// Where the next step begins; nil when the pass is at the end of the file.
    package var nextPage: Int?
    /// Pages that were written to: those that held something, and in the first pass of an opening all that are free.
    package var overwrittenPageCount = 0
}

extension Environment {
    /// Bytes of a page of the file.
    package func pageByteCount() throws(LMDBError) -> Int {
        guard gate.enter() else { throw .closed(path: path) }
        defer { gate.leave() }
        return fileDimensions().pageByteCount
    }

    /// Number of the last commit.
    package func lastCommit() throws(LMDBError) -> UInt64 {
        guard gate.enter() else { throw .closed(path: path) }
        defer { gate.leave() }
        return fileDimensions().lastCommit
    }

    /// Whether no read transaction sees anything older than a commit.
    package func hasReaders(before commit: UInt64) throws(LMDBError) -> Bool {
        guard gate.enter() else { throw .closed(path: path) }
        defer { gate.leave() }
        return try oldestReader().oldest < commit
    }

    /// Does one step of a pass that overwrites with zeros whatever free pages hold, and what is in the file behind its
    /// last page; durable when it returns.
    ///
    /// LMDB leaves in a page that it has freed what was there. A page is written to here under the rules, and the lock,
    /// under which LMDB itself would use it again: neither the last commit nor the one before needs it, nor any reader.
    /// So a crash at any moment finds the last commit as it was. What a transaction that was given up, or a commit that
    /// was cut short, has left in free pages or behind the last page goes as well.
    ///
    /// Pages are written to that do not hold zeros; until a pass has come to its end since the environment was opened,
    /// others are, too. A step before that, whose sync failed, may have left zeros in memory that are not on the disk
    /// and are never written there: the system takes them for written, and gives them to whoever looks.
    ///
    /// Waits for the write transaction in progress, and others wait for this step.
    ///
    /// - Parameters:
    ///   - first: where to begin: 0, or what the step before said.
    ///   - pageCount: pages to look at, of which those in use are left out. Above zero.
    ///   - commit: pages freed by it, or before, are the ones to be overwritten: all of them are once a pass is at its
    ///     end. Pages freed later may be.
    /// - Returns: nil while a reader, or the want of a commit behind that one, keeps such pages, and when another
    ///   thread has just committed; nothing was done.
    package func overwriteFreePages(
        from first: Int,
        count pageCount: Int,
        freedThrough commit: UInt64
    ) throws(LMDBError) -> FreePageSweep? {
        precondition(first >= 0 && pageCount > 0)
        // LMDB gives its list of free pages to read transactions alone.
        let done = try read { reading throws(LMDBError) in
            // Nothing is changed through LMDB, so this commits nothing: the transaction is its lock.
            try write { _ throws(LMDBError) -> FreePageSweep? in
                let (pageByteCount, lastPage, lastCommit) = fileDimensions()
                let reusable = min(try oldestReader().oldest, lastCommit)
                guard reusable > commit, reading.number == lastCommit else { return nil }
                let byteCount = try fileByteCount()
                let end = max(lastPage + 1, (byteCount + pageByteCount - 1) / pageByteCount)
                let pages = first..<max(first, min(end, first + pageCount))
                var isFree = try freePages(in: pages, freedBefore: reusable, reading)
                for page in pages where page > lastPage { isFree[page - first] = true }
                return FreePageSweep(
                    nextPage: pages.upperBound < end ? pages.upperBound : nil,
                    overwrittenPageCount: try clear(
                        isFree,
                        from: first,
                        lookingBefore: firstUnwrittenPage.withLock { $0 ?? .max },
                        pageByteCount,
                        ofFileOf: byteCount
                    )
                )
            }
        }
        guard let sweep = done else { return nil }
        if sweep.overwrittenPageCount > 0 { try sync() }
        firstUnwrittenPage.withLock { unwritten in
            guard let known = unwritten, first <= known else { return }
            unwritten = sweep.nextPage.map { max(known, $0) }
        }
        return sweep
    }

    /// For each page of a range whether it is in a list of pages that commits before `end` have freed.
    private func freePages(
        in pages: Range<Int>,
        freedBefore end: UInt64,
        _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [Bool] {
        let freeList = Table(handle: 0, environmentNumber: number, usesIntegerKeys: true)
        var isFree = [Bool](repeating: false, count: pages.count)
        let wordByteCount = MemoryLayout<UInt>.size
        try unsafe transaction.forEach(in: freeList) { entry throws(LMDBError) in
            guard let freed = unsafe entry.uint64Key, unsafe entry.value.count >= wordByteCount else {
                throw .corrupted(path: path)
            }
            if freed >= end { return .stop }
            let words = unsafe entry.value
            let count = unsafe words.loadUnaligned(as: UInt.self)
            guard count < UInt(words.count / wordByteCount) else { throw .corrupted(path: path) }
            // A list is in falling order.
            for index in stride(from: 1, through: Int(count), by: 1) {
                let page = unsafe words.loadUnaligned(fromByteOffset: index * wordByteCount, as: UInt.self)
                if page < UInt(pages.lowerBound) { break }
                if page < UInt(pages.upperBound) { isFree[Int(page) - pages.lowerBound] = true }
            }
            return .next
        }
        return isFree
    }

    /// Clears the pages that are free; how many were written to.
    ///
    /// - Parameter firstUnwritten: pages before it are left alone when they hold zeros already.
    private func clear(
        _ isFree: [Bool],
        from first: Int,
        lookingBefore firstUnwritten: Int,
        _ pageByteCount: Int,
        ofFileOf byteCount: Int
    ) throws(LMDBError) -> Int {
        var zeroing = PageZeroing(file: fileDescriptor(), pageByteCount: pageByteCount)
        var count = 0
        var index = 0
        while index < isFree.count {
            let start = index
            while index < isFree.count, isFree[index], index - start < PageZeroing.pageLimit { index += 1 }
            let range = (first + start) * pageByteCount..<(first + index) * pageByteCount
            let isLookedAt = first + index <= firstUnwritten
            if index == start { index += 1 }
            let bytes = range.clamped(to: 0..<byteCount)
            if bytes.isEmpty { continue }
            do throws(Errno) {
                count += try isLookedAt ? zeroing.clear(bytes) : zeroing.overwrite(bytes)
            } catch {
                throw LMDBError(errno: error.number, path: path)
            }
        }
        return count
    }

    private func fileByteCount() throws(LMDBError) -> Int {
        var status = stat()
        guard unsafe fstat(fileDescriptor(), &status) == 0 else { throw LMDBError(errno: errno, path: path) }
        return Int(status.st_size)
    }

    /// As of the last commit.
    private func fileDimensions() -> (pageByteCount: Int, lastPage: Int, lastCommit: UInt64) {
        var information = unsafe MDB_envinfo()
        var statistics = MDB_stat()
        _ = unsafe mdb_env_info(handle, &information)
        _ = unsafe mdb_env_stat(handle, &statistics)
        return unsafe (Int(statistics.ms_psize), information.me_last_pgno, UInt64(information.me_last_txnid))
    }

    private func fileDescriptor() -> Int32 {
        var descriptor: Int32 = -1
        _ = unsafe mdb_env_get_fd(handle, &descriptor)
        return descriptor
    }
}

/// A number of a failed system call.
private struct Errno: Error {
    let number: Int32
}

/// Writes zeros over pages of a file, or first reads them and leaves alone those that hold nothing else.
@safe
private struct PageZeroing: ~Copyable {
    /// Pages that are read at once.
    static let pageLimit = 256

    private let file: Int32
    private let pageByteCount: Int
    private let buffer: UnsafeMutableRawBufferPointer
    private let zeros: UnsafeMutableRawBufferPointer

    init(file: Int32, pageByteCount: Int) {
        self.file = file
        self.pageByteCount = pageByteCount
        let byteCount = Self.pageLimit * pageByteCount
        unsafe buffer = .allocate(byteCount: byteCount, alignment: pageByteCount)
        unsafe zeros = .allocate(byteCount: byteCount, alignment: pageByteCount)
        unsafe zeros.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        unsafe buffer.deallocate()
        unsafe zeros.deallocate()
    }

    /// Clears pages that lie side by side, at most ``pageLimit``; how many of them had anything in them.
    mutating func clear(_ range: Range<Int>) throws(Errno) -> Int {
        let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<range.count])
        try transfer(range) { (done, left) in
            unsafe pread(file, bytes.baseAddress! + done, left, off_t(range.lowerBound + done))
        }
        var clearedCount = 0
        var dirty: Range<Int>?
        for offset in stride(from: 0, to: range.count, by: pageByteCount) {
            let end = min(offset + pageByteCount, range.count)
            if unsafe memcmp(bytes.baseAddress! + offset, zeros.baseAddress!, end - offset) != 0 {
                dirty = (dirty?.lowerBound ?? offset)..<end
                clearedCount += 1
            } else if let found = dirty {
                try write(range.lowerBound + found.lowerBound, found.count)
                dirty = nil
            }
        }
        if let dirty { try write(range.lowerBound + dirty.lowerBound, dirty.count) }
        letGo(range)
        return clearedCount
    }

    /// Clears pages that lie side by side, at most ``pageLimit``, without looking at them; how many they are.
    func overwrite(_ range: Range<Int>) throws(Errno) -> Int {
        try write(range.lowerBound, range.count)
        letGo(range)
        return (range.count + pageByteCount - 1) / pageByteCount
    }

    /// Nobody is going to read these pages again before they have been written.
    private func letGo(_ range: Range<Int>) {
        _ = posix_fadvise(file, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
    }

    private func write(_ start: Int, _ byteCount: Int) throws(Errno) {
        try transfer(0..<byteCount) { (done, left) in
            unsafe pwrite(file, zeros.baseAddress! + done, left, off_t(start + done))
        }
    }

    private func transfer(_ range: Range<Int>, _ call: (_ done: Int, _ left: Int) -> Int) throws(Errno) {
        var done = 0
        while done < range.count {
            let count = call(done, range.count - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Errno(number: count == 0 ? EIO : errno) }
            done += count
        }
    }
}
