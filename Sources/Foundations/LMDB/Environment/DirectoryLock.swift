import Glibc

/// The lock file `mien.lock` of a folder: keeps other processes out for as long as the value lives.
///
/// A writer holds it alone and writes its process id into it; read-only openings share it. The kernel frees it when the
/// process dies, however it dies; children do not inherit it.
struct DirectoryLock: ~Copyable {
    static let fileName = "mien.lock"

    private let descriptor: Int32

    /// - Throws: `lockedByAnotherProcess`, or what the system says about the file.
    init(directory: String, shared: Bool) throws(LMDBError) {
        let path = "\(directory)/\(Self.fileName)"
        let descriptor = unsafe open(path, (shared ? O_RDONLY : O_RDWR) | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LMDBError(errno: errno, path: path) }
        guard flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            let cause = errno
            let pid = Self.readProcess(descriptor)
            close(descriptor)
            throw cause == EWOULDBLOCK
                ? .lockedByAnotherProcess(path: directory, pid: pid) : LMDBError(errno: cause, path: path)
        }
        self.descriptor = descriptor
        // Only told to whoever is refused: a full disk must not keep the environment shut.
        if !shared { Self.writeProcess(descriptor) }
    }

    deinit {
        // A child that is between fork and exec shares the lock: closing alone would leave it to that child.
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    private static func writeProcess(_ descriptor: Int32) {
        let text = Array("\(getpid())\n".utf8)
        _ = ftruncate(descriptor, 0)
        _ = unsafe pwrite(descriptor, text, text.count, 0)
    }

    private static func readProcess(_ descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = unsafe pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(0, count)).prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        return Int32(String(decoding: digits, as: UTF8.self))
    }
}
