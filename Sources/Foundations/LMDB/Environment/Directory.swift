import Glibc

/// Makes folders and puts names on disk.
enum Directory {
    /// Makes `path` and its missing parents for this user only, durably.
    ///
    /// Whoever made one that exists may have been killed before its name was on disk, so that is seen to again, as far
    /// as the folder above lets us.
    static func create(_ path: String) throws(LMDBError) {
        let parent = parent(of: path)
        var result = unsafe mkdir(path, 0o700)
        if result != 0, errno == ENOENT, parent.utf8.count < path.utf8.count {
            try create(parent)
            result = unsafe mkdir(path, 0o700)
        }
        guard result == 0 else {
            guard errno == EEXIST else { throw LMDBError(errno: errno, path: path) }
            try? sync(parent)
            return
        }
        try sync(parent)
    }

    /// Waits until the names in the folder, of files made or renamed, are on disk.
    static func sync(_ path: String) throws(LMDBError) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LMDBError(errno: errno, path: path) }
        let result = fsync(descriptor)
        let cause = errno
        close(descriptor)
        guard result == 0 else { throw LMDBError(errno: cause, path: path) }
    }

    /// `"/a/b"` of `"/a/b/c"`, `"."` of `"a"`, `"/"` of `"/a"` and of itself.
    private static func parent(of path: String) -> String {
        let trimmed = path.utf8.reversed().drop { $0 == UInt8(ascii: "/") }
        let parent = trimmed.drop { $0 != UInt8(ascii: "/") }.drop { $0 == UInt8(ascii: "/") }
        guard parent.isEmpty else { return String(decoding: parent.reversed(), as: UTF8.self) }
        return path.utf8.first == UInt8(ascii: "/") ? "/" : "."
    }
}
