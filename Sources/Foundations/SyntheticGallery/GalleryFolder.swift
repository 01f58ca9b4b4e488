import Glibc

/// The few operations on folders that writing a gallery needs.
enum GalleryFolder {
    static func exists(_ path: String) -> Bool {
        status(of: path) != nil
    }

    /// Size of a regular file, or `nil`.
    static func byteCount(of path: String) -> Int? {
        guard let status = status(of: path), status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// Up to `byteCount` bytes of a file, or `nil` if it cannot be read.
    static func start(of path: String, byteCount: Int) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let count = unsafe pread(descriptor, &bytes, byteCount, 0)
        return count < 0 ? nil : Array(bytes.prefix(count))
    }

    /// Removes named files and then the folder, if there is one; files of other names stay, and make it fail.
    static func removeFiles(_ names: [String], in folder: String) throws(GalleryError) {
        guard exists(folder) else { return }
        for name in names {
            guard unsafe unlink("\(folder)/\(name)") == 0 || errno == ENOENT else {
                throw fault(folder, "emptied")
            }
        }
        guard unsafe rmdir(folder) == 0 else { throw fault(folder, "removed") }
    }

    /// Makes a folder that must not exist yet, and the missing ones above it.
    static func create(_ path: String) throws(GalleryError) {
        guard unsafe mkdir(path, 0o755) != 0 else { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw fault(path, "created")
        }
        let parent = String(path[..<slash])
        guard !exists(parent) else { throw fault(path, "created") }
        try create(parent)
        guard unsafe mkdir(path, 0o755) == 0 else { throw fault(path, "created") }
    }

    /// Renames a folder whose files are durable, and makes the name durable too.
    static func rename(_ path: String, to target: String) throws(GalleryError) {
        guard unsafe Glibc.rename(path, target) == 0 else { throw fault(target, "put in place") }
        let parent = target.lastIndex(of: "/").map { $0 == target.startIndex ? "/" : String(target[..<$0]) } ?? "."
        let descriptor = unsafe open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw fault(parent, "opened") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw fault(parent, "made durable") }
    }

    private static func status(of path: String) -> stat? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status : nil
    }

    private static func fault(_ path: String, _ action: String) -> GalleryError {
        let code = errno
        let reason = unsafe strerror(code).map { unsafe String(cString: $0).lowercased() } ?? "error \(code)"
        return .folder(path: path, action: action, reason: reason)
    }
}
