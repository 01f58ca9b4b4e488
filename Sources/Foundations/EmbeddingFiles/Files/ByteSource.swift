/// A forward stream of bytes of known length: a file, a part of one, or an inflated archive entry.
protocol ByteSource: AnyObject {
    /// What errors call it.
    var name: String { get }
    /// Bytes not yet read or skipped, as promised by the file's size or the archive's directory.
    var remainingBytes: UInt64 { get }
    /// Fills `buffer` as far as bytes remain.
    ///
    /// - Returns: the number of bytes written; less than `buffer.count` only at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(EmbeddingFileError) -> Int
    /// Passes over `byteCount` bytes (at most the remaining ones).
    func skip(_ byteCount: UInt64) throws(EmbeddingFileError)
}

extension ByteSource {
    /// Up to `count` bytes.
    func bytes(_ count: Int) throws(EmbeddingFileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(min(UInt64(count), remainingBytes)))
        let read = try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(EmbeddingFileError) in
            try unsafe self.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        bytes.removeLast(bytes.count - read)
        return bytes
    }
}

/// A part of a file, read in place.
final class FileSource: ByteSource {
    let name: String
    private let file: InputFile
    private var position: UInt64
    private let end: UInt64

    /// - Parameter range: within the file; all of it by default.
    init(file: InputFile, name: String? = nil, range: Range<UInt64>? = nil) {
        self.file = file
        self.name = name ?? file.path
        position = range?.lowerBound ?? 0
        end = range?.upperBound ?? file.byteCount
    }

    /// The text of a file, without a byte order mark.
    static func text(of file: InputFile) throws(EmbeddingFileError) -> FileSource {
        let start = try file.textStart()
        return FileSource(file: file, range: start..<file.byteCount)
    }

    var remainingBytes: UInt64 { end - position }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(EmbeddingFileError) -> Int {
        let wanted = Int(min(UInt64(buffer.count), remainingBytes))
        let read = try unsafe file.read(at: position, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
        position += UInt64(read)
        return read
    }

    func skip(_ byteCount: UInt64) {
        position += min(byteCount, remainingBytes)
    }
}
