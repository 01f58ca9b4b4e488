import Glibc

/// A file being written in order, with a buffer, and made durable when it is finished.
///
/// Nothing is promised about the file before ``finish()`` has returned; callers write under a temporary name and
/// rename.
package final class OutputFile {
    package let path: String
    private var descriptor: Int32
    private var buffer: [UInt8] = []
    private static let bufferBytes = 1 << 18

    /// Creates the file, replacing one of the same name.
    ///
    /// - Parameters:
    ///   - isPrivate: whether nobody but the file's owner may read it. One of the same name goes then: whoever may read
    ///     that one, or has it open, does not get to read this.
    ///   - appends: whether what is in a file of the same name stays, and this is written behind it; not for a private
    ///     one.
    package init(path: String, isPrivate: Bool = false, appends: Bool = false) throws(EmbeddingFileError) {
        precondition(!isPrivate || !appends, "a private file is a new one")
        self.path = path
        if isPrivate { _ = unsafe unlink(path) }
        let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (isPrivate ? O_EXCL : appends ? O_APPEND : O_TRUNC)
        descriptor = unsafe open(path, flags, isPrivate ? 0o600 : 0o644)
        guard descriptor >= 0 else { throw .writeFailed(path: path, errno: errno) }
        buffer.reserveCapacity(Self.bufferBytes)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    package func append(_ bytes: UnsafeRawBufferPointer) throws(EmbeddingFileError) {
        if buffer.count + bytes.count > Self.bufferBytes { try flush() }
        if bytes.count > Self.bufferBytes {
            try unsafe write(bytes)
        } else {
            unsafe buffer.append(contentsOf: bytes)
        }
    }

    package func append(_ text: String) throws(EmbeddingFileError) {
        if buffer.count + text.utf8.count > Self.bufferBytes { try flush() }
        buffer.append(contentsOf: text.utf8)
    }

    package func append(_ bytes: [UInt8]) throws(EmbeddingFileError) {
        try unsafe bytes.withUnsafeBufferPointer { bytes throws(EmbeddingFileError) in
            try unsafe append(UnsafeRawBufferPointer(bytes))
        }
    }

    /// Replaces bytes at the start of the file, as headers with a count need.
    package func rewriteStart(_ bytes: [UInt8]) throws(EmbeddingFileError) {
        try flush()
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw .writeFailed(path: path, errno: errno) }
        try append(bytes)
        try flush()
        guard lseek(descriptor, 0, SEEK_END) >= 0 else { throw .writeFailed(path: path, errno: errno) }
    }

    /// Writes what is buffered, makes the file durable and closes it; no other call may follow.
    ///
    /// What is no regular file (a pipe, `/dev/null`) cannot be made durable, and that is no failure.
    package func finish() throws(EmbeddingFileError) {
        try flush()
        let code = fsync(descriptor) == 0 ? 0 : errno
        guard code == 0 || ((code == EINVAL || code == EROFS) && !isRegular) else {
            throw .writeFailed(path: path, errno: code)
        }
        let closed = close(descriptor)
        descriptor = -1
        guard closed == 0 else { throw .writeFailed(path: path, errno: errno) }
    }

    /// True also where that cannot be told.
    private var isRegular: Bool {
        var status = stat()
        return unsafe fstat(descriptor, &status) != 0 || Self.isRegular(status)
    }

    private static func isRegular(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFREG }

    /// Writes what is buffered. After a failure it stays so, and half of it is not left in the file.
    package func flush() throws(EmbeddingFileError) {
        try unsafe buffer.withUnsafeBufferPointer { bytes throws(EmbeddingFileError) in
            try unsafe write(UnsafeRawBufferPointer(bytes))
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(EmbeddingFileError) {
        var done = 0
        while done < bytes.count {
            let count = unsafe Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
            if count < 0 {
                if errno == EINTR { continue }
                let code = errno
                takeBack(done)
                throw .writeFailed(path: path, errno: code)
            }
            done += count
        }
    }

    /// Takes away what was written last: half a line would become one with whatever is written behind it later.
    private func takeBack(_ byteCount: Int) {
        var status = stat()
        guard byteCount > 0, unsafe fstat(descriptor, &status) == 0, Self.isRegular(status),
            lseek(descriptor, 0, SEEK_CUR) == status.st_size
        else { return }
        let end = status.st_size - off_t(byteCount)
        guard ftruncate(descriptor, end) == 0 else { return }
        _ = lseek(descriptor, end, SEEK_SET)
    }
}
