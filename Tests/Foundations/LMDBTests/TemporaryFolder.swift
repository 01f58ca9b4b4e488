import Foundation
import LMDB

/// A folder of its own for one test, removed with everything in it when the value goes.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/mien-lmdb-XXXXXX\0".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A few MiB of memory as a disk of its own, to be filled; needs root and the right to mount.
final class SmallDisk: Sendable {
    static let isAvailable = (try? SmallDisk(byteCount: 1 << 20)) != nil

    struct NotMounted: Error {
        let errno: Int32
    }

    let path: String
    private let folder = TemporaryFolder()

    init(byteCount: Int) throws {
        path = folder.path
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(byteCount),mode=0700") == 0 else {
            throw NotMounted(errno: errno)
        }
    }

    /// Makes the disk `byteCount` large, keeping what is on it; `readOnly` refuses every change from then on.
    ///
    /// A process that another test has just forked holds every open file of this one until it becomes another
    /// program, and the kernel makes no disk read-only while a file of it is open for writing: that is waited for.
    func remount(byteCount: Int, readOnly: Bool = false) throws {
        let flags = UInt(MS_REMOUNT) | (readOnly ? UInt(MS_RDONLY) : 0)
        let end = ContinuousClock.now + .seconds(60)
        while mount("tmpfs", path, "tmpfs", flags, "size=\(byteCount)") != 0 {
            guard errno == EBUSY, .now < end else { throw NotMounted(errno: errno) }
            usleep(10_000)
        }
    }

    deinit {
        umount2(path, Int32(MNT_DETACH))
    }
}

extension EnvironmentOptions {
    init(mapByteCount: Int = 1 << 30, maxTables: Int = 8, maxReaders: Int = 126, readOnly: Bool = false) {
        self.init()
        self.mapByteCount = mapByteCount
        self.maxTables = maxTables
        self.maxReaders = maxReaders
        self.readOnly = readOnly
    }
}

extension ReadTransaction {
    /// A copy of the value of `key`.
    // Never inlined: of an array that its caller leaves unused Swift 6.3 gives the memory back before it is filled.
    @inline(never)
    func bytes(_ table: Table, _ key: some Key) throws -> [UInt8]? {
        try withValue(of: table, key: key) { value in value.withUnsafeBytes { Array($0) } }
    }

    /// The keys of `range` as numbers, in the order that they come.
    func numbers(_ table: Table, _ range: KeyRange = .all) throws -> [UInt64] {
        var numbers: [UInt64] = []
        try forEach(in: table, range) { entry in
            numbers.append(entry.uint64Key!)
            return .next
        }
        return numbers
    }
}
