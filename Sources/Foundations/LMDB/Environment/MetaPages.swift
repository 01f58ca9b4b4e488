import CLMDB
import Glibc

/// The two pages at the beginning of a data file that say how the others are to be read.
///
/// LMDB believes what they say of the size of a page, and divides by it: so it is looked at before LMDB opens the file.
///
///     offset  bytes  of a meta page
///         16      4  magic number
///         20      4  version
///         40      4  bytes of a page
enum MetaPages {
    /// What both pages must say alike.
    private struct Head: Equatable {
        let magic: UInt32
        let version: UInt32
        let pageByteCount: UInt32
    }

    private static let magic: UInt32 = 0xBEEF_C0DE
    /// As LMDB makes them.
    private static let pageByteCounts: ClosedRange<UInt32> = 512...32_768
    private static let headByteCount = 44

    /// Leaves to LMDB whatever it refuses by itself: a file that is missing, too short or none of its own.
    ///
    /// - Throws: `corrupted` when the pages contradict each other, or name a size that no page has.
    static func check(inFolder path: String) throws(LMDBError) {
        let file = unsafe open(path + "/data.mdb", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        guard let first = head(of: file, at: 0), first.magic == magic else { return }
        let byteCount = first.pageByteCount
        guard pageByteCounts.contains(byteCount), byteCount & (byteCount - 1) == 0 else {
            throw .corrupted(path: path)
        }
        guard let second = head(of: file, at: off_t(byteCount)) else { return }
        guard first == second else { throw .corrupted(path: path) }
    }

    /// Writes to both pages what they say, so that the next sync brings it to the disk.
    ///
    /// The system takes a page for written once it has failed to write it and told somebody so, and goes on giving out
    /// what it has in memory: a commit that failed at its last write would seem to be there until the machine starts
    /// anew. Whatever a crash leaves of this, each sector says the same as before. Nobody else may have the file open.
    ///
    /// - Throws: disk errors, but not for want of room, which file systems may have that write nothing in place.
    static func writeAgain(in environment: OpaquePointer, _ path: String) throws(LMDBError) {
        var file: Int32 = -1
        _ = unsafe mdb_env_get_fd(environment, &file)
        let pageByteCount = unsafe Int(Environment.pageByteCount(of: environment))
        var bytes = [UInt8](repeating: 0, count: 2 * pageByteCount)
        var count = unsafe pread(file, &bytes, bytes.count, 0)
        if count == bytes.count { count = unsafe pwrite(file, bytes, bytes.count, 0) }
        if count == bytes.count || (count < 0 && (errno == ENOSPC || errno == EDQUOT)) { return }
        throw LMDBError(errno: count < 0 ? errno : EIO, path: path)
    }

    /// nil when the file has no whole one there, or cannot be read.
    private static func head(of file: Int32, at offset: off_t) -> Head? {
        var bytes = [UInt8](repeating: 0, count: headByteCount)
        guard unsafe pread(file, &bytes, bytes.count, offset) == bytes.count else { return nil }
        func number(at place: Int) -> UInt32 {
            unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: place, as: UInt32.self) }
        }
        return Head(magic: number(at: 16), version: number(at: 20), pageByteCount: number(at: 40))
    }
}
