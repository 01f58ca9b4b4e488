import CLMDB
import Glibc

extension LMDBError {
    /// The error for a failed call inside a transaction. The path comes from LMDB, so transactions need not carry it.
    init(code: Int32, transaction: OpaquePointer) {
        unsafe self.init(code: code, environment: mdb_txn_env(transaction))
    }

    /// The error for a failed call on an open environment.
    init(code: Int32, environment: OpaquePointer?) {
        var path: UnsafePointer<CChar>?
        var information = unsafe MDB_envinfo()
        _ = unsafe mdb_env_get_path(environment, &path)
        _ = unsafe mdb_env_info(environment, &information)
        unsafe self.init(
            code: code,
            path: path.map { unsafe String(cString: $0) } ?? "",
            mapByteCount: information.me_mapsize,
            maxReaders: Int(information.me_maxreaders)
        )
    }

    init(code: Int32, path: String, mapByteCount: Int, maxReaders: Int) {
        self =
            switch code {
            case MDB_MAP_FULL: .mapFull(path: path, mapByteCount: mapByteCount)
            case MDB_READERS_FULL: .readersFull(path: path, maxReaders: maxReaders)
            case MDB_DBS_FULL: .tablesFull(path: path)
            case MDB_TXN_FULL: .transactionFull(path: path)
            case MDB_BAD_TXN: .transactionFailed(path: path)
            case MDB_INVALID: .notAnEnvironment(path: path)
            case MDB_VERSION_MISMATCH: .versionMismatch(path: path)
            case MDB_CORRUPTED, MDB_PAGE_NOTFOUND: .corrupted(path: path)
            case ..<0:
                unsafe .other(path: path, code: code, message: String(cString: mdb_strerror(code)))
            default: Self(errno: code, path: path)
            }
    }

    /// The error for a failed system call on `path`.
    init(errno: Int32, path: String) {
        self =
            switch errno {
            case ENOENT: .notFound(path: path)
            case ENOTDIR: .notADirectory(path: path)
            case EACCES, EPERM, EROFS: .permissionDenied(path: path, errno: errno)
            case ENOSPC, EDQUOT: .noSpace(path: path)
            default: .io(path: path, errno: errno)
            }
    }
}
