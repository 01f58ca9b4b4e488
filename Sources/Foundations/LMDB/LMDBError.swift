import Glibc

/// What went wrong with an environment, a transaction or a key, in terms a caller can act on.
///
/// Errors carry paths, counts and result codes; never keys or values.
@usableFromInline
package indirect enum LMDBError: Error, Equatable, Sendable {
    // MARK: Opening

    /// The folder, or the data file of a read-only environment, does not exist.
    case notFound(path: String)
    case notADirectory(path: String)
    /// The folder or a file in it cannot be read or written by this process (`EACCES`, `EPERM`, `EROFS`).
    case permissionDenied(path: String, errno: Int32)
    /// This process has the environment open already.
    case alreadyOpen(path: String)
    /// Another process holds the folder's `mien.lock`; `pid` as that process wrote it, if it did.
    case lockedByAnotherProcess(path: String, pid: Int32?)
    /// The data file is not an LMDB file.
    case notAnEnvironment(path: String)
    /// The data file has another LMDB format version.
    case versionMismatch(path: String)
    /// The data file is shorter than its own header says, and the environment is read-only.
    case truncated(path: String, expectedByteCount: Int, byteCount: Int)
    /// The address space has no room for the map (a limit such as `ulimit -v`).
    case mapUnavailable(path: String, mapByteCount: Int)

    // MARK: Tables

    case tableNotFound(name: String, path: String)
    case tablesFull(path: String)
    /// The table on disk was made with another key order, or by other software.
    case wrongTableKind(name: String, path: String)

    // MARK: Keys and values

    case keyEmpty
    case keyTooLong(byteCount: Int)
    case valueTooLong(byteCount: Int)
    /// `noOverwrite` was asked for and the key has a value.
    case keyExists
    /// `append` was asked for and the key does not follow the table's last key.
    case appendOutOfOrder

    // MARK: Transactions

    /// The map is full; the transaction cannot commit, the environment stays usable.
    case mapFull(path: String, mapByteCount: Int)
    /// One transaction changed more pages than LMDB can track.
    case transactionFull(path: String)
    /// An earlier operation of the same transaction failed, so that nothing of it was committed.
    case transactionFailed(path: String)
    case readersFull(path: String, maxReaders: Int)
    /// The system gives no thread for a copy now.
    case noThread(path: String)
    /// `close()` was called.
    case closed(path: String)
    /// An earlier commit or sync failed; the environment takes no writes until it is closed, reopened and verified, and
    /// no reads either when what failed was to say where everything else is.
    case fenced(path: String, cause: LMDBError)

    // MARK: Disk

    case noSpace(path: String)
    /// Any other system error, mostly `EIO`.
    case io(path: String, errno: Int32)
    /// A page is missing, damaged or of the wrong kind.
    case corrupted(path: String)

    /// A result code that LMDB is not expected to give.
    case other(path: String, code: Int32, message: String)
}

extension LMDBError: CustomStringConvertible {
    @usableFromInline
    package var description: String {
        switch self {
        case .notFound(let path):
            "\(path) does not exist; make that folder, or name another."
        case .notADirectory(let path):
            "\(path) is not a folder; name the folder that holds data.mdb."
        case .permissionDenied(let path, let errno):
            "\(path) cannot be opened (\(Self.message(errno))); give this user read and write permission to it."
        case .alreadyOpen(let path):
            "The environment \(path) is already open in this process; use the open one, or close it first."
        case .lockedByAnotherProcess(let path, let pid):
            "The environment \(path) is in use by \(pid.map { "process \($0)" } ?? "another process"); "
                + "stop that process, or use another folder."
        case .notAnEnvironment(let path):
            "\(path)/data.mdb is not an LMDB file; move it away or name another folder."
        case .versionMismatch(let path):
            "\(path)/data.mdb has an LMDB format that this build does not read; open it with the version that wrote it."
        case .truncated(let path, let expectedByteCount, let byteCount):
            "\(path)/data.mdb has \(byteCount) bytes where its header says \(expectedByteCount); "
                + "restore it from a copy, or open it for writing and verify it."
        case .mapUnavailable(let path, let mapByteCount):
            "There is no address space for the \(mapByteCount) byte map of \(path); "
                + "raise the limit (ulimit -v) or lower the map size."
        case .tableNotFound(let name, let path):
            "The environment \(path) has no table \"\(name)\"; it was not made by this software or is incomplete."
        case .tablesFull(let path):
            "The environment \(path) has no room for another table; raise maxTables."
        case .wrongTableKind(let name, let path):
            "The table \"\(name)\" of \(path) was made with another key order or by other software; use another folder."
        case .keyEmpty:
            "A key has no bytes; keys have 1 to \(Table.maxKeyByteCount)."
        case .keyTooLong(let byteCount):
            "A key has \(byteCount) bytes; keys have 1 to \(Table.maxKeyByteCount)."
        case .valueTooLong(let byteCount):
            "A value has \(byteCount) bytes; values have at most \(Table.maxValueByteCount)."
        case .keyExists:
            "The key already has a value and was to be inserted without overwriting."
        case .appendOutOfOrder:
            "The key does not follow the table's last key and was to be appended."
        case .mapFull(let path, let mapByteCount):
            "The environment \(path) has filled its map of \(mapByteCount) bytes; delete data or raise the map size."
        case .transactionFull(let path):
            "One transaction on \(path) changed too many pages; write in smaller transactions."
        case .transactionFailed(let path):
            "An earlier operation of a transaction on \(path) failed, so nothing of it was committed; start it again."
        case .readersFull(let path, let maxReaders):
            "The environment \(path) has \(maxReaders) read transactions at once, its limit; raise maxReaders."
        case .noThread(let path):
            "The system gives no thread for a copy of \(path) now; try again later, or raise its limit of threads."
        case .closed(let path):
            "The environment \(path) is closed; open it again."
        case .fenced(let path, let cause):
            "The environment \(path) takes no writes, and maybe no reads, since a commit failed; close, reopen and "
                + "verify it. The commit failed so: \(cause)"
        case .noSpace(let path):
            "The disk that holds \(path) is full; free some space."
        case .io(let path, let errno):
            "The system reported an error on \(path) (\(Self.message(errno))); check the disk and the kernel log."
        case .corrupted(let path):
            "\(path)/data.mdb is damaged; restore it from a copy or a replica, and remove the file damage beside it, "
                + "if there is one, with it."
        case .other(let path, let code, let message):
            "LMDB gave the unexpected result \(code) on \(path) (\(message)); please report it."
        }
    }

    private static func message(_ errno: Int32) -> String {
        unsafe String(cString: strerror(errno))
    }
}
