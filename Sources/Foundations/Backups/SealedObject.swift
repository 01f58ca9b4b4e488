internal import BinaryCoding

/// The form of objects that no other object names by their digest, so that they end with it: manifests, volumes of an
/// archive, and ledgers.
///
/// | bytes | field |
/// |---|---|
/// | 4 | magic: letters |
/// | 2 | layout |
/// | … | content |
/// | 32 | SHA-256 of everything before |
struct SealedObject {
    private static let headByteCount = 6

    let magic: String
    /// Those that are read.
    let layouts: ClosedRange<UInt16>
    /// Longer ones are not read.
    let longestByteCount: Int
    /// What has this form, with its article; of errors.
    let name: String

    /// Begins an object; what is written next is its content.
    func begin(layout: UInt16, reservingByteCount byteCount: Int) -> ByteWriter {
        var writer = ByteWriter(reservingByteCount: byteCount)
        writer.write(bytes: magic.utf8)
        writer.write(layout)
        return writer
    }

    /// Ends an object; its bytes.
    func seal(_ writer: inout ByteWriter) -> [UInt8] {
        writer.write(bytes: BackupDigest(of: writer.bytes).bytes)
        return writer.bytes
    }

    /// Reads an object from anywhere; nothing in it is believed before its digest is right.
    ///
    /// - Parameters:
    ///   - object: names it in an error.
    ///   - read: reads all of the content, which is of the layout that it is told.
    func open<Content>(
        _ bytes: [UInt8],
        object: String,
        _ read: (_ reader: inout ByteReader, _ layout: UInt16) throws(BinaryCodingError) -> Content
    ) throws(BackupError) -> Content {
        guard bytes.count > BackupDigest.byteCount + 8, bytes.count <= longestByteCount else {
            throw .damaged(object: object, reason: "it has \(bytes.count) bytes")
        }
        guard bytes[..<4].elementsEqual(magic.utf8) else {
            throw .damaged(object: object, reason: "it does not begin as \(name) does")
        }
        let layout = try BackupError.layout(of: bytes, in: layouts, object: object)
        let end = bytes.count - BackupDigest.byteCount
        guard BackupDigest(of: bytes[..<end]) == BackupDigest(bytes: Array(bytes[end...])) else {
            throw .damaged(object: object, reason: "its digest is wrong: it was cut or changed")
        }
        do throws(BinaryCodingError) {
            return try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(BinaryCodingError) in
                var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
                try reader.skip(byteCount: Self.headByteCount)
                let content = try read(&reader, layout)
                try reader.finish()
                return content
            }
        } catch {
            throw .damaged(object: object, reason: "\(error)")
        }
    }
}
