import Foundation

/// Seed of all random cases; `MIEN_TEST_SEED` repeats a failure or varies them.
let testSeed: UInt64 = getenv("MIEN_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? 20_261_123

/// A folder of its own for one test, removed with everything in it when the value goes.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/mien-engine-XXXXXX\0".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A few MiB of memory as a disk of its own, to be filled; needs root and the right to mount.
final class SmallDisk: Sendable {
    static let isAvailable = (try? SmallDisk(byteCount: 1 << 20)) != nil

    struct NotMounted: Error {}

    let path: String
    private let folder = TemporaryFolder()

    init(byteCount: Int) throws {
        path = folder.path
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(byteCount),mode=0700") == 0 else { throw NotMounted() }
    }

    /// Bytes of the blocks that are in use.
    var usedByteCount: Int {
        var status = statvfs()
        statvfs(path, &status)
        return Int(status.f_blocks - status.f_bfree) * Int(status.f_frsize)
    }

    /// Makes the disk `byteCount` large, keeping what is on it.
    func resize(byteCount: Int) throws {
        guard mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(byteCount)") == 0 else { throw NotMounted() }
    }

    deinit {
        umount2(path, Int32(MNT_DETACH))
    }
}
