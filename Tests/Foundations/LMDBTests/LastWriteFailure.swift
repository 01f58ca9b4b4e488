import Foundation
import Testing

/// Has the last write of every commit fail, of an environment that this process has open: the one to the page that says
/// where all others are, for which LMDB has a descriptor of its own.
///
/// From its making until ``end()``, which must come before the environment is closed.
final class LastWriteFailure {
    /// Of which a write returns when it is on the disk.
    private static let synchronous: Int32 = 0o10000

    private let descriptor: Int32
    private let kept: Int32

    init(in folder: String) throws {
        let file = "\(folder)/data.mdb"
        let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
        descriptor = try #require(
            numbers.first { number in
                let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
                return path == file && fcntl(number, F_GETFL) & Self.synchronous != 0
            }
        )
        kept = dup(descriptor)
        try #require(kept >= 0)
        let readOnly = open(file, O_RDONLY | O_CLOEXEC)
        defer { close(readOnly) }
        let taken = dup2(readOnly, descriptor)
        try #require(taken == descriptor)
    }

    func end() {
        let taken = dup2(kept, descriptor)
        #expect(taken == descriptor)
    }

    deinit {
        close(kept)
    }
}
