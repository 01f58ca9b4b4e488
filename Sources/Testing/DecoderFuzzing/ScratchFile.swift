import Glibc

/// A file that has a path and no name: it is gone when nobody has it open.
@safe
final class ScratchFile {
    private let descriptor: Int32
    /// `O_TMPFILE`, a macro that does not come into Swift.
    private static let nameless = 0o20_000_000 | O_DIRECTORY

    /// - Throws: when no file can be made.
    init(_ bytes: [UInt8]) throws {
        let folder = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        descriptor = unsafe open(folder, O_RDWR | Self.nameless | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw NoFile(folder: folder, code: errno) }
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            guard count > 0 else {
                close(descriptor)
                throw NoFile(folder: folder, code: errno)
            }
            written += count
        }
    }

    deinit { close(descriptor) }

    var path: String { "/proc/self/fd/\(descriptor)" }

    struct NoFile: Error {
        let folder: String
        let code: Int32
    }
}
