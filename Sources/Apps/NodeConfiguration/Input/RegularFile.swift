import Glibc

/// An open file of a bounded size, whose permissions and content come from one descriptor, so that no other file can
/// take its place between the check and the read.
struct RegularFile: ~Copyable {
    /// Permission bits as of `chmod`, 0o000 to 0o777.
    let permissions: UInt32
    private let descriptor: Int32

    /// - Throws: `Refusal` when the file cannot be opened for reading or is a folder, device or pipe.
    init(path: String) throws(Refusal) {
        // O_NONBLOCK: opening a pipe that nobody writes to must not hang before the type is known.
        // SAFETY: `path` is passed as a terminated string that open only reads.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .system(errno) }
        var status = stat()
        // SAFETY: `status` outlives the call and is what fstat fills.
        guard unsafe fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw .system(code)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw .notRegular
        }
        permissions = status.st_mode & 0o777
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// The whole content as UTF-8.
    ///
    /// - Throws: `Refusal` when the content is longer than `limitBytes`, is not UTF-8 or cannot be read.
    func text(limitBytes: Int) throws(Refusal) -> String {
        var bytes = [UInt8](repeating: 0, count: limitBytes + 1)
        var count = 0
        while count < bytes.count {
            // SAFETY: at most `bytes.count - count` bytes are written at `count`, which stays inside the array.
            let received = unsafe bytes.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress! + count, $0.count - count)
            }
            if received == 0 { break }
            if received < 0 {
                if errno == EINTR { continue }
                throw .system(errno)
            }
            count += received
        }
        guard count <= limitBytes else { throw .tooLong(limitBytes: limitBytes) }
        guard let text = String(validating: bytes[..<count], as: UTF8.self) else { throw .notText }
        return text
    }

    enum Refusal: Error, CustomStringConvertible {
        case system(Int32)
        case notRegular
        case tooLong(limitBytes: Int)
        case notText

        var description: String {
            switch self {
            // SAFETY: strerror gives a terminated string that is copied before any other call.
            case .system(let code): unsafe String(cString: strerror(code)).lowercased()
            case .notRegular: "it is not a regular file"
            case .tooLong(let limitBytes): "it is longer than \(UnitText.bytes.text(limitBytes))"
            case .notText: "it is not UTF-8 text"
            }
        }
    }
}
