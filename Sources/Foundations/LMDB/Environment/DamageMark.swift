import CLMDB
import Glibc
import Synchronization

/// The file `damage` in an environment's folder: a line for each time that LMDB ended the process over a page of its
/// data file. What LMDB asserts of a page it does not return as an error.
///
/// With two lines the environment is not opened any more, so that whoever has others in one process serves those. One
/// alone may be of memory that failed. Nothing else that ends a process writes a line.
enum DamageMark {
    static let fileName = "damage"
    /// Lines from which on the environment counts as damaged.
    private static let lineLimit = 2
    private static let byteLimit = 4096

    /// Threads that meet the page at once are one end of the process: the first writes, and ends it.
    private static let isWritten = Atomic(false)

    /// Throws `corrupted` when LMDB has ended a process over the data file often enough.
    static func check(inFolder path: String) throws(LMDBError) {
        let file = unsafe open("\(path)/\(fileName)", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: byteLimit)
        let count = unsafe pread(file, &bytes, bytes.count, 0)
        let lineCount = bytes.prefix(max(0, count)).filter { $0 == UInt8(ascii: "\n") }.count
        guard lineCount < lineLimit else { throw .corrupted(path: path) }
    }

    /// Has LMDB write a line before it ends the process.
    static func watch(_ environment: OpaquePointer) {
        _ = unsafe mdb_env_set_assert(
            environment,
            { environment, message in
                var path: UnsafePointer<CChar>?
                guard unsafe mdb_env_get_path(environment, &path) == MDB_SUCCESS, let path = unsafe path else { return }
                let folder = unsafe String(cString: path)
                let text = if let message = unsafe message { unsafe String(cString: message) } else { "" }
                DamageMark.write(text, inFolder: folder)
            }
        )
    }

    private static func write(_ message: String, inFolder path: String) {
        while isWritten.exchange(true, ordering: .relaxed) { sleep(1) }
        let file = unsafe open("\(path)/\(fileName)", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        if file >= 0 {
            let line = Array("\(message)\n".utf8)
            _ = unsafe Glibc.write(file, line, line.count)
            _ = fsync(file)
            close(file)
            try? Directory.sync(path)
        }
        let text = Array("mien: \(path)/data.mdb has a damaged page, with which LMDB ends this process.\n".utf8)
        _ = unsafe Glibc.write(STDERR_FILENO, text, text.count)
    }
}

extension Environment {
    /// Name of the file in a folder that says how often its data file has ended a process: whoever removes the data
    /// file, or puts another in its place, removes it first.
    package static var damageMarkName: String { DamageMark.fileName }
}
