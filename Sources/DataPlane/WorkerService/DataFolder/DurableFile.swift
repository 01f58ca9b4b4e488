import Glibc

/// Small files that are replaced whole: a reader sees the old content or the new, also after a power cut.
enum DurableFile {
    /// Of a file that is written piece by piece.
    private static let syncedByteCount: UInt64 = 16 << 20

    /// What the name of a file ends with while it is written.
    private static let stagingSuffix = ".new"

    /// Replaces `path` by `bytes`, and returns once both the content and the name are on the disk.
    static func write(_ bytes: [UInt8], to path: String) throws(WorkerError) {
        let staging = path + stagingSuffix
        let file = unsafe open(staging, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .folderUnusable(path: staging, operation: "create", code: errno) }
        var failure = append(bytes, to: file)
        if failure == 0, fsync(file) != 0 { failure = errno }
        close(file)
        guard failure == 0 else {
            unsafe unlink(staging)
            throw .folderUnusable(path: staging, operation: "write", code: failure)
        }
        guard unsafe rename(staging, path) == 0 else {
            throw .folderUnusable(path: path, operation: "replace", code: errno)
        }
        try syncDirectory(Self.parent(of: path))
    }

    /// The file's bytes; nil when it does not exist.
    ///
    /// - Parameter limit: a longer file is refused unread.
    static func read(_ path: String, limit: Int) throws(WorkerError) -> [UInt8]? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw .folderUnusable(path: path, operation: "open", code: errno)
        }
        defer { close(file) }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else {
            throw .folderUnusable(path: path, operation: "read", code: errno)
        }
        guard status.st_size <= limit else {
            throw .corruptFile(path: path, reason: "it has \(status.st_size) bytes, more than the \(limit) it may have")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let step = unsafe bytes.withUnsafeMutableBytes {
                unsafe Glibc.read(file, $0.baseAddress! + count, $0.count - count)
            }
            if step > 0 {
                count += step
            } else if step == 0 {
                break
            } else if errno != EINTR {
                throw .folderUnusable(path: path, operation: "read", code: errno)
            }
        }
        return Array(bytes.prefix(count))
    }

    /// At most `limit` bytes of the file from `offset`, and how many it has in all; no bytes from its end on.
    ///
    /// - Parameter isReadOnce: reads past the page cache, where the file system can: it would push out of it what is
    ///   read again.
    static func slice(
        of path: String,
        at offset: UInt64,
        limit: Int,
        isReadOnce: Bool = false
    ) throws(WorkerError) -> ([UInt8], total: UInt64) {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .folderUnusable(path: path, operation: "open", code: errno) }
        defer { close(file) }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else {
            throw .folderUnusable(path: path, operation: "read", code: errno)
        }
        let total = UInt64(status.st_size)
        guard offset < total else { return ([], total) }
        let count = Int(min(UInt64(limit), total - offset))
        // Whole blocks around it.
        let lead = Int(offset % UInt64(Self.blockByteCount))
        let blocks = (lead + count + Self.blockByteCount - 1) / Self.blockByteCount
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: blocks * Self.blockByteCount,
            alignment: Self.blockByteCount
        )
        defer { unsafe buffer.deallocate() }
        var isDirect = isReadOnce && fcntl(file, F_SETFL, __O_DIRECT) == 0
        var done = 0
        while done < lead + count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let step = unsafe pread(file, rest.baseAddress, rest.count, off_t(offset) + off_t(done - lead))
            if step > 0 {
                done += step
            } else if step < 0, errno == EINVAL, isDirect {
                // Its blocks are larger.
                isDirect = false
                _ = fcntl(file, F_SETFL, 0)
            } else if step == 0 || errno != EINTR {
                throw .folderUnusable(path: path, operation: "read", code: step == 0 ? EIO : errno)
            }
        }
        return unsafe (Array(buffer[lead..<lead + count]), total)
    }

    /// Of memory and files, for reads past the page cache.
    private static let blockByteCount = 4096

    /// Writes into a file, which is made when it is absent: ``sync(_:)`` makes it last. What a write that failed has
    /// left beyond `offset` the next one there overwrites.
    static func write(_ bytes: [UInt8], into path: String, at offset: UInt64) throws(WorkerError) {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .folderUnusable(path: path, operation: "create", code: errno) }
        defer { close(file) }
        var failure: Int32 = lseek(file, off_t(offset), SEEK_SET) < 0 ? errno : 0
        if failure == 0 { failure = append(bytes, to: file) }
        guard failure == 0 else { throw .folderUnusable(path: path, operation: "write", code: failure) }
        // One sync of a large file at its end would have every commit on this disk wait for it.
        let step = Self.syncedByteCount
        guard offset / step != (offset + UInt64(bytes.count)) / step else { return }
        guard fdatasync(file) == 0 else { throw .folderUnusable(path: path, operation: "sync", code: errno) }
    }

    /// Returns once the file and its name are on the disk.
    static func sync(_ path: String) throws(WorkerError) {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .folderUnusable(path: path, operation: "open", code: errno) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw .folderUnusable(path: path, operation: "sync", code: errno) }
        try syncDirectory(parent(of: path))
    }

    /// - Returns: 0, or the system's error when not all was written.
    private static func append(_ bytes: [UInt8], to file: Int32) -> Int32 {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(file, $0.baseAddress! + written, $0.count - written)
            }
            if count > 0 {
                written += count
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }

    /// Removes a file, and what a write of it that was cut short has left, and makes that last; no error when there is
    /// none.
    static func remove(_ path: String) throws(WorkerError) {
        unsafe unlink(path + stagingSuffix)
        guard unsafe unlink(path) == 0 else {
            if errno == ENOENT { return }
            throw .folderUnusable(path: path, operation: "remove", code: errno)
        }
        try syncDirectory(parent(of: path))
    }

    /// Removes an empty directory and makes that last.
    static func removeDirectory(_ path: String) throws(WorkerError) {
        guard unsafe rmdir(path) == 0 else {
            throw .folderUnusable(path: path, operation: "remove the folder", code: errno)
        }
        try syncDirectory(parent(of: path))
    }

    /// Makes the directory and those above it that are missing, each lastingly.
    ///
    /// Whoever made one that exists may have been killed before its name was on the disk, so that is seen to again, as
    /// far as the directory above lets us.
    static func makeDirectory(_ path: String) throws(WorkerError) {
        if unsafe mkdir(path, 0o700) == 0 { return try syncDirectory(parent(of: path)) }
        switch errno {
        case EEXIST:
            try? syncDirectory(parent(of: path))
        case ENOENT where parent(of: path) != path:
            try makeDirectory(parent(of: path))
            try makeDirectory(path)
        default: throw .folderUnusable(path: path, operation: "create the folder", code: errno)
        }
    }

    /// Names in the directory, without those that begin with a dot; none when it does not exist.
    static func names(in path: String) throws(WorkerError) -> [String] {
        guard let directory = unsafe opendir(path) else {
            if errno == ENOENT { return [] }
            throw .folderUnusable(path: path, operation: "list the folder", code: errno)
        }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    /// Bytes of a partition's file; 0 when there is none yet.
    static func partitionByteCount(at path: String) -> UInt64 {
        var status = stat()
        guard unsafe stat("\(path)/data.mdb", &status) == 0 else { return 0 }
        return UInt64(status.st_size)
    }

    static func exists(_ path: String) -> Bool {
        unsafe access(path, F_OK) == 0
    }

    /// Returns once the names in the directory are on the disk.
    static func syncDirectory(_ path: String) throws(WorkerError) {
        let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .folderUnusable(path: path, operation: "open", code: errno) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw .folderUnusable(path: path, operation: "sync", code: errno) }
    }

    /// `a/b` → `a`, `/a` → `/`, `a` → `.`.
    private static func parent(of path: String) -> String {
        var trimmed = Substring(path)
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        let parent = trimmed[..<slash]
        return parent.isEmpty ? "/" : String(parent)
    }
}
