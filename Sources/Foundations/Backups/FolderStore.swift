package import FaceModel
internal import Glibc
internal import Synchronization

/// Backups in a folder.
///
/// An object is written beside its place, synced, and given its name by a rename; the folder is synced after that.
/// Whoever made a folder or an object that is there may have been killed before its name was on the disk: a store that
/// makes its folder, or is locked, sees to that again. No link that lies below the folder is followed: what is not a
/// plain file or folder of the backup's own is refused. Names come from digests and checked texts only. Whoever may
/// write into the folder could still put a link in a folder's place between the look and the write of an object.
///
/// Its calls wait for the disk on the thread that makes them. Tasks, which share their threads with others, use it
/// through a ``ThreadedStore``.
package final class FolderStore: BackupStore, BlockingStore {
    private static let partialSuffix = ".partial"
    /// Nobody writes one object for longer.
    private static let longestWrite = 3600

    private struct Lock {
        /// Open for as long as they are locked.
        var files: [Int32] = []
        /// By who writes or prunes.
        var isHeld = false
    }

    package let place: String
    private let held = Mutex(Lock())
    /// Folders of objects whose names are known to be on the disk.
    private let durableFolders = Mutex<Set<String>>([])

    /// - Parameter createsFolder: makes the folder when it is missing.
    package init(_ path: String, createsFolder: Bool) throws(BackupError) {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        place = path
        let isNew = if createsFolder { unsafe mkdir(path, 0o700) == 0 } else { false }
        if createsFolder, !isNew, errno != EEXIST { throw Self.failure(path, "made") }
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw Self.failure(path, "opened") }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .notOfABackup(object: path, reason: "it is no folder") }
        if isNew {
            try syncFolder(of: path)
        } else if createsFolder {
            // What is above a folder that others have made need not let us.
            try? syncFolder(of: path)
        }
    }

    deinit {
        held.withLock { lock in
            for file in lock.files { Glibc.close(file) }
        }
    }

    /// Refuses a folder on what is mounted read-only, as all of it is for most services of systemd: nothing says so
    /// before something is written.
    package func checkIsWritable() throws(BackupError) {
        guard unsafe access(place, W_OK) == 0 || errno != EROFS else {
            throw Self.failure(place, "written to (by a service of systemd, unless ReadWritePaths= names it)")
        }
    }

    package var hasLock: Bool { true }
    package func close() async {}

    /// Of two files one is for those that write or prune, the other for those that prune and, all at once, for those
    /// that read.
    package func lock(for use: StoreUse = .pruning) throws(BackupError) {
        var files: [Int32] = []
        do throws(BackupError) {
            if use != .reading { files.append(try lockedFile("lock", LOCK_EX, mode: 0o600)) }
            if use != .writing {
                // It holds nothing. A restore by another user is not to keep prunes away for good.
                files.append(try lockedFile("readers", use == .reading ? LOCK_SH : LOCK_EX, mode: 0o644))
            }
        } catch {
            for file in files { Glibc.close(file) }
            throw error
        }
        let taken = files
        held.withLock { lock in
            lock.files += taken
            lock.isHeld = use != .reading
        }
    }

    /// A file of the folder, open, and locked for as long as it is; made when it is missing.
    private func lockedFile(_ name: String, _ operation: Int32, mode: mode_t) throws(BackupError) -> Int32 {
        let path = "\(place)/\(name)"
        var file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode)
        // A mask of the process must not keep others' prunes away; who has not made the file cannot and need not.
        if file >= 0, name == "readers" { _ = fchmod(file, 0o666) }
        // Whoever may only read can lock what is there.
        if file < 0, name == "readers", [EACCES, EPERM, EROFS].contains(errno) {
            file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        }
        guard file >= 0 else { throw Self.failure(path, "opened") }
        guard flock(file, operation | LOCK_NB) == 0 else {
            let code = errno
            Glibc.close(file)
            if code == EWOULDBLOCK { throw .inUse(object: place) }
            errno = code
            throw Self.failure(path, "locked")
        }
        return file
    }

    package func unlock() {
        held.withLock { lock in
            for file in lock.files { Glibc.close(file) }
            lock = Lock()
        }
    }

    package func put(_ name: String, _ bytes: [UInt8]) throws(BackupError) {
        let path = "\(place)/\(name)"
        try makeFolders(of: name)
        // Its own: another that writes the same is not given half of what this one has.
        let partial = "\(path).\(String(UInt64.random(in: .min ... .max), radix: 16))\(Self.partialSuffix)"
        let file = unsafe open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Self.failure(partial, "made") }
        var isDone = false
        defer {
            Glibc.close(file)
            if !isDone { _ = unsafe unlink(partial) }
        }
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(file, $0.baseAddress! + written, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(partial, "written") }
            written += count
        }
        guard fsync(file) == 0 else { throw Self.failure(partial, "made durable") }
        guard unsafe rename(partial, path) == 0 else { throw Self.failure(path, "put in place") }
        isDone = true
        try syncFolder(of: path)
    }

    package func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8] {
        let path = "\(place)/\(name)"
        let (folder, own) = try openFolder(of: name)
        defer { Glibc.close(folder) }
        let file = unsafe openat(folder, own, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else {
            if errno == ENOENT { throw .missing(object: path) }
            if errno == ELOOP { throw .notOfABackup(object: path, reason: "it is a link") }
            throw Self.failure(path, "opened")
        }
        defer { Glibc.close(file) }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw Self.failure(path, "read") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .notOfABackup(object: path, reason: "it is no plain file")
        }
        guard status.st_size <= limit else { throw .damaged(object: path, reason: "it has \(status.st_size) bytes") }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let step = unsafe bytes.withUnsafeMutableBytes {
                unsafe Glibc.read(file, $0.baseAddress! + count, $0.count - count)
            }
            if step < 0, errno == EINTR { continue }
            guard step > 0 else {
                if step == 0 { throw .damaged(object: path, reason: "it became shorter while it was read") }
                throw Self.failure(path, "read")
            }
            count += step
        }
        return bytes
    }

    package func list(_ prefix: String) throws(BackupError) -> [BackupObject] {
        var objects: [BackupObject] = []
        try list(prefix, depth: 0, into: &objects)
        return objects.sorted { $0.name < $1.name }
    }

    private func list(_ prefix: String, depth: Int, into objects: inout [BackupObject]) throws(BackupError) {
        let path = "\(place)/\(prefix.dropLast())"
        guard let folder = try openFolder(prefix.dropLast()) else { return }
        defer { Glibc.close(folder) }
        // Whoever has the lock writes no object again that is listed.
        if held.withLock(\.isHeld), fsync(folder) != 0 { throw Self.failure(path, "made durable") }
        guard let names = Self.names(in: folder) else { throw Self.failure(path, "listed") }
        for name in names where !name.hasSuffix(Self.partialSuffix) {
            var status = stat()
            guard unsafe fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                if errno == ENOENT { continue }
                throw Self.failure("\(path)/\(name)", "examined")
            }
            switch status.st_mode & S_IFMT {
            case S_IFREG:
                let modified = Timestamp(milliseconds: Int64(status.st_mtim.tv_sec) * 1000)
                objects.append(
                    BackupObject(name: prefix + name, byteCount: UInt64(status.st_size), modified: modified)
                )
            case S_IFDIR where depth == 0: try list("\(prefix)\(name)/", depth: 1, into: &objects)
            default: throw .notOfABackup(object: "\(path)/\(name)", reason: "it is no plain file or folder")
            }
        }
    }

    package func remove(_ name: String) throws(BackupError) {
        let path = "\(place)/\(name)"
        let (folder, own) = try openFolder(of: name)
        defer { Glibc.close(folder) }
        guard unsafe unlinkat(folder, own, 0) == 0 else {
            if errno == ENOENT { return }
            throw Self.failure(path, "removed")
        }
        guard fsync(folder) == 0 else { throw Self.failure(path, "removed durably") }
    }

    /// Removes what writes that were cut off left behind; how many there were. The lock must be held. An archive is
    /// written without it: what is young there may be under way.
    package func removePartial() throws(BackupError) -> Int {
        let blocks = (0..<256).map { "blocks/" + Self.hex($0) }
        let segments = (0..<256).map { "segments/" + Self.hex($0) }
        let archives = names(in: "archives").map { "archives/\($0)" }
        return removePartial(in: ["manifests"] + blocks, leastAge: 0)
            + removePartial(in: segments + archives, leastAge: 86_400)
    }

    package func removePartial(ofArchive collection: CollectionID) throws(BackupError) -> Int {
        let segments = (0..<256).map { "segments/" + Self.hex($0) }
        let archive = String(BackupName.archive(of: collection).dropLast())
        return removePartial(in: [archive], leastAge: Self.longestWrite)
            + removePartial(in: segments, leastAge: Self.longestWrite) { name, folder in
                LogSegment.collection(of: Self.beginning(of: name, in: folder)) == collection
            }
    }

    /// - Parameter isOwn: of a name in an open folder: whether it is to go.
    private func removePartial(
        in folders: [String],
        leastAge: Int,
        where isOwn: (String, Int32) -> Bool = { _, _ in true }
    ) -> Int {
        var count = 0
        let now = time(nil)
        for folder in folders {
            // What is no folder of the backup's has nothing of it.
            guard let file = try? openFolder(folder[...]) else { continue }
            defer { Glibc.close(file) }
            for name in Self.names(in: file) ?? [] where name.hasSuffix(Self.partialSuffix) && isOwn(name, file) {
                count += Self.remove(name, in: file, leastAge: leastAge, now: now) ? 1 : 0
            }
        }
        return count
    }

    /// As much of a file as tells whose log segment it is; less when it has no more, or cannot be read.
    private static func beginning(of name: String, in folder: Int32) -> [UInt8] {
        let file = unsafe openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return [] }
        defer { Glibc.close(file) }
        var bytes = [UInt8](repeating: 0, count: LogSegment.beginningByteCount)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress!, $0.count) }
        return Array(bytes.prefix(max(0, count)))
    }

    /// Removes what writes of an object of the folder itself that were cut off left behind, but what is young: another
    /// may be writing it.
    package func removePartial(of name: String) {
        guard let folder = try? openFolder("") else { return }
        defer { Glibc.close(folder) }
        let now = time(nil)
        for other in Self.names(in: folder) ?? []
        where other.hasPrefix("\(name).") && other.hasSuffix(Self.partialSuffix) {
            _ = Self.remove(other, in: folder, leastAge: Self.longestWrite, now: now)
        }
    }

    private static func remove(_ name: String, in folder: Int32, leastAge: Int, now: Int) -> Bool {
        var status = stat()
        guard unsafe fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
            now - status.st_mtim.tv_sec >= leastAge
        else { return false }
        return unsafe unlinkat(folder, name, 0) == 0
    }

    /// What is in a folder of the backup's; nothing where it is none.
    private func names(in folder: String) -> [String] {
        guard let file = try? openFolder(folder[...]) else { return [] }
        defer { Glibc.close(file) }
        return Self.names(in: file) ?? []
    }

    /// What is in an open folder, but what begins with a dot; nil, with `errno`, when it cannot be read to its end.
    private static func names(in folder: Int32) -> [String]? {
        // Another descriptor: the directory's is closed with it.
        let file = unsafe openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        guard let directory = unsafe fdopendir(file) else {
            let code = errno
            Glibc.close(file)
            errno = code
            return nil
        }
        defer {
            let code = errno
            unsafe closedir(directory)
            errno = code
        }
        var names: [String] = []
        while true {
            // The end and a failure look alike but for this.
            errno = 0
            guard let entry = unsafe readdir(directory) else { return errno == 0 ? names : nil }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
    }

    private static func hex(_ number: Int) -> String {
        let text = String(number, radix: 16)
        return text.count < 2 ? "0" + text : text
    }

    /// The folders between the backup's own and an object.
    private func folders(of name: String) -> [String] {
        let parts = name.split(separator: "/").dropLast()
        return parts.indices.map { "\(place)/" + parts[...$0].joined(separator: "/") }
    }

    private func makeFolders(of name: String) throws(BackupError) {
        for folder in folders(of: name) {
            if unsafe mkdir(folder, 0o700) != 0 {
                guard errno == EEXIST else { throw Self.failure(folder, "made") }
                try check(folder, of: name)
                if durableFolders.withLock({ $0.contains(folder) }) { continue }
            }
            try syncFolder(of: folder)
            durableFolders.withLock { _ = $0.insert(folder) }
        }
    }

    /// The folder of an object, open, and the object's name in it.
    private func openFolder(of name: String) throws(BackupError) -> (file: Int32, name: String) {
        let end = name.lastIndex(of: "/")
        guard let file = try openFolder(end.map { name[..<$0] } ?? "") else {
            throw .missing(object: "\(place)/\(name)")
        }
        return (file, end.map { String(name[name.index(after: $0)...]) } ?? name)
    }

    /// A folder of the backup's, open; nil when there is none. What leads to it from the backup's own is no link.
    private func openFolder(_ folder: Substring) throws(BackupError) -> Int32? {
        var path = place
        var file = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        var code = errno
        // A disk that is away is not a place without anything in it.
        if file < 0, code == ENOENT { throw Self.failure(place, "opened") }
        for part in folder.split(separator: "/") where file >= 0 {
            path += "/\(part)"
            let inner = unsafe openat(file, String(part), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            code = errno
            Glibc.close(file)
            file = inner
        }
        if file >= 0 { return file }
        switch code {
        case ENOENT: return nil
        case ENOTDIR, ELOOP: throw .notOfABackup(object: path, reason: "it is a link or a file, not a folder")
        default:
            errno = code
            throw Self.failure(path, "opened")
        }
    }

    private func check(_ folder: String, of name: String) throws(BackupError) {
        var status = stat()
        guard unsafe lstat(folder, &status) == 0 else {
            if errno == ENOENT { throw .missing(object: "\(place)/\(name)") }
            throw Self.failure(folder, "examined")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .notOfABackup(object: folder, reason: "it is a link or a file, not a folder")
        }
    }

    private func syncFolder(of path: String) throws(BackupError) {
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let folder = unsafe open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw Self.failure(parent, "opened") }
        defer { Glibc.close(folder) }
        guard fsync(folder) == 0 else { throw Self.failure(parent, "made durable") }
    }

    private static func failure(_ path: String, _ action: String) -> BackupError {
        let code = errno
        let reason = unsafe strerror(code).map { unsafe String(cString: $0).lowercased() } ?? "error \(code)"
        return .storeFailed(object: path, reason: "it cannot be \(action): \(reason)")
    }
}
