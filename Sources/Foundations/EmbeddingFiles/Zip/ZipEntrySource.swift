/// A stored archive entry; its checksum is verified with its last byte, unless rows were skipped.
final class StoredEntrySource: ByteSource {
    private let source: FileSource
    private let expected: UInt32
    private var checksum = ArchiveChecksum()
    private var isWhole = true

    init(source: FileSource, checksum: UInt32) {
        self.source = source
        expected = checksum
    }

    var name: String { source.name }
    var remainingBytes: UInt64 { source.remainingBytes }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(EmbeddingFileError) -> Int {
        let count = try unsafe source.read(into: buffer)
        unsafe checksum.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        if isWhole, remainingBytes == 0, checksum.value != expected {
            throw .checksumMismatch(path: name, stored: expected, computed: checksum.value)
        }
        return count
    }

    func skip(_ byteCount: UInt64) {
        if byteCount > 0 { isWhole = false }
        source.skip(byteCount)
    }
}

/// A deflated archive entry, inflated as it is read; its checksum is verified with its last byte.
final class DeflatedEntrySource: ByteSource {
    private let inflater: Inflater
    private let expected: UInt32
    private var checksum = ArchiveChecksum()
    private(set) var remainingBytes: UInt64

    init(source: FileSource, byteCount: UInt64, checksum: UInt32) {
        inflater = Inflater(source: source)
        remainingBytes = byteCount
        expected = checksum
    }

    var name: String { inflater.name }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(EmbeddingFileError) -> Int {
        let wanted = Int(min(UInt64(buffer.count), remainingBytes))
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
        let count = try unsafe inflater.read(into: target)
        guard count == wanted else {
            throw .corruptDeflate(path: name, reason: "it ends \(remainingBytes - UInt64(count)) bytes early")
        }
        unsafe checksum.update(UnsafeRawBufferPointer(target))
        remainingBytes -= UInt64(count)
        if remainingBytes == 0, checksum.value != expected {
            throw .checksumMismatch(path: name, stored: expected, computed: checksum.value)
        }
        return count
    }

    func skip(_ byteCount: UInt64) throws(EmbeddingFileError) {
        var left = min(byteCount, remainingBytes)
        var scratch = [UInt8](repeating: 0, count: Int(min(left, 1 << 16)))
        while left > 0 {
            let count = try unsafe scratch.withUnsafeMutableBufferPointer { scratch throws(EmbeddingFileError) in
                let piece = Int(min(left, UInt64(scratch.count)))
                return try unsafe read(
                    into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(scratch)[..<piece])
                )
            }
            left -= UInt64(count)
        }
    }
}
