import CLMDB
import Glibc
import Synchronization

/// One LMDB environment: a folder with a memory-mapped file of ordered tables, read and written in transactions.
///
/// ```swift
/// let environment = try Environment(path: "/var/lib/example")
/// let table = try environment.openTable(named: "counts", create: true)
/// try environment.write { transaction in
///     try transaction.put(table, key: UInt64(7), value: [1, 2, 3])
/// }
/// let byteCount = try environment.read { transaction in
///     try transaction.withValue(of: table, key: UInt64(7)) { $0.byteCount }
/// }
/// ```
///
/// Reads run in parallel on any thread and never wait; writes wait for each other and for the disk: keep them off event
/// loops and tasks. A process has an environment open once, and one process at a time has it open for writing.
///
/// After a commit whose outcome is unknown the environment is *fenced*: every write throws `fenced` until its owner has
/// closed, reopened and verified it. It can still be read, unless what failed was the last step of the commit, the page
/// that says where all others are: then reads throw `fenced` as well.
@safe
package final class Environment: @unchecked Sendable {
    // Sendable: LMDB's environment handle is made to be shared between threads; the rest is immutable or locked.

    /// The folder, as it was given.
    package let path: String
    package let options: EnvironmentOptions

    let handle: OpaquePointer
    /// Tells the openings of this process apart, so that tables of one are not used with another.
    let number: UInt64
    let gate = TransactionGate()
    let fence = Mutex<LMDBError?>(nil)
    /// LMDB opens tables in one transaction at a time.
    let tableOpening = Mutex<Void>(())
    /// The thread that is in ``write(_:)``, else 0: a second write on it would wait for itself.
    let writingThread = Atomic<UInt>(0)
    /// Copies under way, and other reads that take long.
    let longReadCount = Atomic<Int>(0)
    /// Address of the file's first byte; 0 before it is known.
    let mapBase = Atomic<UInt>(0)
    /// Bytes of a page of the file.
    let filePageByteCount: UInt
    let largePages = Mutex(LargePages())
    /// Free pages from this one on have not been written to since the environment was opened; nil once all have.
    let firstUnwrittenPage = Mutex<Int?>(0)

    private let folder: EnvironmentRegistry.Folder
    private let lock: Mutex<DirectoryLock?>

    private static let openings = Atomic<UInt64>(0)

    /// Opens the environment in the folder `path`; makes a new one if the folder has none.
    ///
    /// - Throws: `notFound`, `notADirectory`, `permissionDenied`, `alreadyOpen`, `lockedByAnotherProcess`,
    ///   `notAnEnvironment`, `versionMismatch`, `corrupted`, `truncated`, `mapUnavailable`, or a disk error; nothing
    ///   stays open.
    package init(path: String, options: EnvironmentOptions = EnvironmentOptions()) throws(LMDBError) {
        precondition(options.mapByteCount > 0 && options.maxTables > 0 && options.maxReaders > 0)
        if options.createDirectory && !options.readOnly { try Directory.create(path) }
        let folder = try EnvironmentRegistry.register(path)
        do throws(LMDBError) {
            lock = Mutex(try Self.lockFolder(path, options))
            let opened = try unsafe Self.open(path, options)
            unsafe handle = opened
            filePageByteCount = unsafe Self.pageByteCount(of: opened)
        } catch {
            EnvironmentRegistry.remove(folder)
            throw error
        }
        self.path = path
        self.options = options
        self.folder = folder
        number = Self.openings.add(1, ordering: .relaxed).newValue
    }

    deinit {
        close()
    }

    /// Waits for the transactions in progress, then closes the files and frees the folder; later calls throw `closed`.
    ///
    /// Does nothing if it was called before. Must not be called inside a transaction of the same thread.
    package func close() {
        guard gate.close() else { return }
        unsafe mdb_env_close(handle)
        largePages.withLock { $0.forget() }
        lock.withLock { $0 = nil }
        EnvironmentRegistry.remove(folder)
    }

    private static func lockFolder(_ path: String, _ options: EnvironmentOptions) throws(LMDBError) -> DirectoryLock? {
        do throws(LMDBError) {
            return try DirectoryLock(directory: path, shared: options.readOnly)
        } catch .permissionDenied(_, errno: EROFS) where options.readOnly {
            // Nobody writes to a read-only file system, and LMDB itself goes without locks there.
            return nil
        }
    }

    private static func open(_ path: String, _ options: EnvironmentOptions) throws(LMDBError) -> OpaquePointer {
        try DamageMark.check(inFolder: path)
        try MetaPages.check(inFolder: path)
        let pageByteCount = sysconf(Int32(_SC_PAGESIZE))
        let (roundedUp, overflow) = options.mapByteCount.addingReportingOverflow(pageByteCount - 1)
        let mapByteCount = overflow ? options.mapByteCount : roundedUp / pageByteCount * pageByteCount
        var created: OpaquePointer?
        var code = unsafe mdb_env_create(&created)
        guard code == MDB_SUCCESS, let handle = unsafe created else { throw .io(path: path, errno: code) }
        unsafe DamageMark.watch(handle)
        if code == MDB_SUCCESS { code = unsafe mdb_env_set_mapsize(handle, mapByteCount) }
        if code == MDB_SUCCESS { code = unsafe mdb_env_set_maxdbs(handle, UInt32(clamping: options.maxTables)) }
        if code == MDB_SUCCESS { code = unsafe mdb_env_set_maxreaders(handle, UInt32(clamping: options.maxReaders)) }
        if code == MDB_SUCCESS, !options.readOnly { code = reserveLockFile(path, maxReaders: options.maxReaders) }
        if code == MDB_SUCCESS {
            // Without thread-local readers a read transaction belongs to its value, not to a thread. These are never
            // set: MDB_NOSYNC, MDB_NOMETASYNC, MDB_WRITEMAP, MDB_NOMEMINIT and MDB_NOLOCK give up safety.
            var flags = MDB_NOTLS
            if options.readOnly { flags |= MDB_RDONLY }
            if options.readsSinglePages { flags |= MDB_NORDAHEAD }
            code = unsafe mdb_env_open(handle, path, UInt32(flags), 0o600)
        }
        do throws(LMDBError) {
            guard code != ENOMEM else { throw .mapUnavailable(path: path, mapByteCount: mapByteCount) }
            guard code == MDB_SUCCESS else {
                throw LMDBError(
                    code: code,
                    path: path,
                    mapByteCount: mapByteCount,
                    maxReaders: options.maxReaders
                )
            }
            try unsafe coverUsedPages(handle, path, options)
            if !options.readOnly {
                // What is read from here on is on disk: a commit that failed may have left its end in memory alone.
                try unsafe MetaPages.writeAgain(in: handle, path)
                code = unsafe mdb_env_sync(handle, 1)
                guard code == MDB_SUCCESS else { throw LMDBError(errno: code, path: path) }
                try Directory.sync(path)
            }
        } catch {
            unsafe mdb_env_close(handle)
            throw error
        }
        return unsafe handle
    }

    /// Gives the lock file its blocks on disk before LMDB maps it and writes to it, so that a full disk is an error
    /// here and never a `SIGBUS`, now or when a reader first uses a later slot.
    ///
    /// - Returns: an error number, or `MDB_SUCCESS`.
    private static func reserveLockFile(_ path: String, maxReaders: Int) -> Int32 {
        let file = unsafe Glibc.open(path + "/lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { return errno }
        defer { Glibc.close(file) }
        // As `mdb_env_setup_locks` sizes it: two cache lines of state, then one for each reader.
        return posix_fallocate(file, 0, 64 * (2 + maxReaders))
    }

    /// Makes the file as long as its header says, so that reading a page never ends the process by `SIGBUS`.
    ///
    /// A file can be short because it was cut (its lost pages then read as zeros, which are reported as damage), or
    /// because the last commit freed the last pages before they were ever written.
    private static func coverUsedPages(
        _ handle: OpaquePointer,
        _ path: String,
        _ options: EnvironmentOptions
    ) throws(LMDBError) {
        var information = unsafe MDB_envinfo()
        var statistics = MDB_stat()
        var file = stat()
        var descriptor: Int32 = -1
        _ = unsafe mdb_env_info(handle, &information)
        _ = unsafe mdb_env_stat(handle, &statistics)
        _ = unsafe mdb_env_get_fd(handle, &descriptor)
        guard unsafe fstat(descriptor, &file) == 0 else { throw LMDBError(errno: errno, path: path) }
        let (pageCount, pageOverflow) = unsafe information.me_last_pgno.addingReportingOverflow(1)
        let (byteCount, byteOverflow) = pageCount.multipliedReportingOverflow(by: Int(statistics.ms_psize))
        guard !pageOverflow, !byteOverflow, byteCount >= 0 else { throw .corrupted(path: path) }
        guard byteCount > file.st_size else { return }
        guard !options.readOnly else {
            throw .truncated(path: path, expectedByteCount: byteCount, byteCount: file.st_size)
        }
        guard ftruncate(descriptor, byteCount) == 0 else { throw LMDBError(errno: errno, path: path) }
    }
}
