import Glibc

/// An open regular file that is read by position.
///
/// Immutable after opening; reads at positions are independent of each other.
final class InputFile {
    let path: String
    let byteCount: UInt64
    private let descriptor: Int32

    init(path: String) throws(EmbeddingFileError) {
        self.path = path
        let opened = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard opened >= 0 else { throw .cannotOpen(path: path, errno: errno) }
        descriptor = opened
        var status = stat()
        guard unsafe fstat(opened, &status) == 0 else {
            byteCount = 0
            throw .cannotOpen(path: path, errno: errno)
        }
        byteCount = UInt64(max(0, status.st_size))
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile(path: path) }
    }

    deinit { close(descriptor) }

    /// Fills `buffer` from `offset` on; gives fewer bytes only at the end of the file.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(EmbeddingFileError) -> Int {
        var done = 0
        while done < buffer.count {
            let (position, overflow) = offset.addingReportingOverflow(UInt64(done))
            guard !overflow, let position = off_t(exactly: position) else { return done }
            let target = unsafe buffer.baseAddress! + done
            let count = unsafe pread(descriptor, target, min(buffer.count - done, 1 << 30), position)
            if count < 0 {
                if errno == EINTR { continue }
                throw .readFailed(path: path, errno: errno)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Up to `count` bytes from `offset` on.
    func bytes(at offset: UInt64, count: Int) throws(EmbeddingFileError) -> [UInt8] {
        let present = Int(min(UInt64(count), byteCount - min(offset, byteCount)))
        var bytes = [UInt8](repeating: 0, count: present)
        let read = try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(EmbeddingFileError) in
            try unsafe self.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        }
        bytes.removeLast(present - read)
        return bytes
    }

    /// Where its text begins: behind the byte order mark that some programs write before UTF-8.
    func textStart() throws(EmbeddingFileError) -> UInt64 {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        return try bytes(at: 0, count: mark.count) == mark ? UInt64(mark.count) : 0
    }
}
