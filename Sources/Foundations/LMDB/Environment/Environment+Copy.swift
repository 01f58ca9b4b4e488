import CLMDB
import Glibc
import Synchronization
package import Threads

extension Environment {
    /// Writes a consistent copy, as of the last commit, to the folder `path`, durably; writes go on meanwhile, and take
    /// no page that the copy has yet to read.
    ///
    /// - Parameters:
    ///   - path: made if it is missing; must have no `data.mdb`.
    ///   - compacting: leaves free pages out, and with them what was deleted; slower, and wastes no space. Branches and
    ///     leaves have zeros between their entries and their values, whatever those of this file have there
    ///     (``PageGaps``); the last page of a large value has behind it what it has here. Without it all is as it lies
    ///     here.
    ///   - pace: that of the copying.
    ///   - shouldStop: asked several times a second at least; once it is true, `path` has no `data.mdb`.
    /// - Returns: whether the copy is complete.
    /// - Throws: `io(EEXIST)` if there is a `data.mdb`; disk errors, after which `path` has none; `fenced` as reads do.
    @discardableResult
    package func copy(
        to path: String,
        compacting: Bool,
        pace: CopyingPace = CopyingPace(),
        shouldStop: () -> Bool = { false }
    ) throws(LMDBError) -> Bool {
        guard gate.enter() else { throw .closed(path: self.path) }
        defer { gate.leave() }
        longReadCount.add(1, ordering: .relaxed)
        defer { longReadCount.subtract(1, ordering: .relaxed) }
        try Directory.create(path)
        let file = "\(path)/data.mdb"
        let descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LMDBError(errno: errno, path: path) }
        // Past the page cache, from which a copy would push out what searches read. Not every file system can.
        _ = fcntl(descriptor, F_SETFL, __O_DIRECT)
        var isDurable = false
        defer {
            Glibc.close(descriptor)
            if !isDurable { _ = unsafe unlink(file) }
        }
        guard try stream(compacting: compacting, to: descriptor, ofPath: path, pace, shouldStop) else { return false }
        guard fsync(descriptor) == 0 else { throw LMDBError(errno: errno, path: path) }
        try Directory.sync(path)
        isDurable = true
        return true
    }

    /// Bytes of a copy after which it is synced: one sync of all of it at the end would have every commit on this disk
    /// wait for it.
    private static let flushByteCount = 16 << 20
    /// Bytes of one write of a copy: whole pages of memory and blocks of the disk.
    private static let writeByteCount = 1 << 18

    /// Writes the copy's file; whether all of it.
    ///
    /// LMDB's copying cannot be stopped, but it fails when it cannot write: so it writes to a pipe, which is made to
    /// refuse. A pipe that nobody reads would not do: LMDB then waits for a signal, and was seen to wait for ever.
    private func stream(
        compacting: Bool,
        to file: Int32,
        ofPath path: String,
        _ pace: CopyingPace,
        _ shouldStop: () -> Bool
    ) throws(LMDBError) -> Bool {
        var ends: [Int32] = [0, 0]
        // A socket pair is a pipe that no child process can inherit by accident, and so keep open.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw LMDBError(errno: errno, path: path) }
        let (source, sink) = (ends[0], ends[1])
        let result = Atomic<Int32>(MDB_SUCCESS)
        let writer: WorkerThread
        do throws(ThreadRefusal) {
            writer = try WorkerThread(ifAllowed: "lmdb-copy", priority: pace.priority) {
                let code = unsafe mdb_env_copyfd2(self.handle, sink, compacting ? UInt32(MDB_CP_COMPACT) : 0)
                result.store(code, ordering: .releasing)
                // The reader meets the end.
                shutdown(sink, Int32(SHUT_WR))
            }
        } catch {
            Glibc.close(source)
            Glibc.close(sink)
            throw .noThread(path: path)
        }
        // The copy of all pages, free ones too, goes by the file and not by its tables.
        let ahead = options.readsSinglePages && compacting ? CopyReadAhead.begin(self, priority: pace.priority) : nil
        var failure: LMDBError?
        var isStopped = false
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.writeByteCount, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        // No page is divided between two writes: pages have 32 KiB at most, and a power of two.
        precondition(Self.writeByteCount % Int(filePageByteCount) == 0, "a write has whole pages")
        var gaps = compacting ? PageGaps(pageByteCount: Int(filePageByteCount)) : nil
        var (filled, written, flushed) = (0, 0, 0)
        var isAtEnd = false
        let begin = ContinuousClock.now
        while failure == nil, !isStopped, !isAtEnd {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = unsafe Glibc.read(source, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 {
                failure = LMDBError(errno: errno, path: path)
                break
            }
            filled += count
            isAtEnd = count == 0
            if filled == buffer.count || isAtEnd {
                unsafe gaps?.clear(UnsafeMutableRawBufferPointer(rebasing: buffer[..<filled]))
                if let error = unsafe Self.writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<filled]), to: file) {
                    failure = LMDBError(errno: error, path: path)
                    break
                }
                written += filled
                filled = 0
                ahead?.reading.noteWritten(written)
                if written - flushed >= Self.flushByteCount {
                    if fdatasync(file) != 0 { failure = LMDBError(errno: errno, path: path) }
                    flushed = written
                }
                pace.rest(after: written, since: begin)
            }
            isStopped = shouldStop()
        }
        ahead?.reading.end()
        ahead?.thread.join()
        if failure != nil || isStopped {
            // From now on a write that finds the pipe full fails; the one under way still has to end.
            _ = fcntl(sink, F_SETFL, O_NONBLOCK)
            while unsafe Glibc.read(source, buffer.baseAddress, buffer.count) > 0 { usleep(2000) }
        }
        writer.join()
        Glibc.close(source)
        Glibc.close(sink)
        if let failure { throw failure }
        if isStopped { return false }
        let code = result.load(ordering: .acquiring)
        if let refusal = refusal(of: code) { throw refusal }
        guard code == MDB_SUCCESS else {
            throw LMDBError(
                code: code,
                path: path,
                mapByteCount: options.mapByteCount,
                maxReaders: options.maxReaders
            )
        }
        return true
    }

    /// An error number, or nil.
    private static func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32) -> Int32? {
        var rest = unsafe bytes
        while unsafe !rest.isEmpty {
            let count = unsafe Glibc.write(file, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EINVAL, fcntl(file, F_GETFL) & __O_DIRECT != 0 {
                // Its blocks are larger.
                if fcntl(file, F_SETFL, 0) == 0 { continue }
                return EINVAL
            }
            guard count > 0 else { return count == 0 ? ENOSPC : errno }
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        return nil
    }
}
