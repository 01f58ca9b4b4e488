import Glibc
import Synchronization

/// The folders that this process has open as environments, by what they are and not by how they are spelled.
///
/// LMDB does not notice a second opening in one process, and closing either then drops the file locks of both.
enum EnvironmentRegistry {
    struct Folder: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    private static let open = Mutex<Set<Folder>>([])

    static func register(_ path: String) throws(LMDBError) -> Folder {
        let folder = try identify(path)
        guard open.withLock({ $0.insert(folder).inserted }) else { throw .alreadyOpen(path: path) }
        return folder
    }

    static func remove(_ folder: Folder) {
        _ = open.withLock { $0.remove(folder) }
    }

    private static func identify(_ path: String) throws(LMDBError) -> Folder {
        guard !path.utf8.contains(0) else { throw .notFound(path: path) }
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw LMDBError(errno: errno, path: path) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .notADirectory(path: path) }
        return Folder(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
}
