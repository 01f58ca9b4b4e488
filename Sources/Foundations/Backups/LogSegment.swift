internal import BinaryCoding
internal import Checksum
package import FaceModel

/// Entries of one shard's log that follow each other, as an archive keeps them. They have embeddings in them.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MSEG` |
/// | 4 | 2 | layout, 1 |
/// | 6 | 2 | zero |
/// | 8 | 16 | collection: two numbers of 8, the high one first |
/// | 24 | 4 | shard |
/// | 28 | 4 | entries n |
/// | 32 | 8 | sequence of the first |
/// | 40 | … | n entries: time (8, milliseconds since 1970), effect (1: 0 applied, 1 repeated, 2 unknown), zero (3), |
/// | | | bytes (4), the entry as it is in the log |
/// | … | 4 | CRC-32C of everything before |
package struct LogSegment: Hashable, Sendable {
    package var collection: CollectionID
    package var shardIndex: UInt32
    package var firstSequence: UInt64
    package var entries: [ArchivedEntry]

    package init(collection: CollectionID, shardIndex: UInt32, firstSequence: UInt64, entries: [ArchivedEntry]) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.firstSequence = firstSequence
        self.entries = entries
    }

    /// Longest that any may be: an answer of a worker, of which one entry may be as long as entries can.
    package static let longestByteCount = 32 << 20
    private static let headerByteCount = 40
    private static let magic: UInt32 = 0x4745_534d
    private static let layout: UInt16 = 1

    package func encoded() -> [UInt8] {
        let byteCount = entries.reduce(Self.headerByteCount + 4) { $0 + 16 + $1.bytes.count }
        var writer = ByteWriter(reservingByteCount: byteCount)
        writer.write(Self.magic)
        writer.write(Self.layout)
        writer.write(UInt16(0))
        writer.write(collection.high)
        writer.write(collection.low)
        writer.write(shardIndex)
        writer.write(UInt32(entries.count))
        writer.write(firstSequence)
        for entry in entries {
            writer.write(entry.time.milliseconds)
            writer.write(UInt32(entry.effect.rawValue))
            writer.write(UInt32(entry.bytes.count))
            writer.write(bytes: entry.bytes)
        }
        let checksum = unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        writer.write(checksum)
        return writer.bytes
    }

    /// The collection of whose log a segment is, by its beginning; nil for what does not begin as one does. The rest is
    /// not looked at, and may be missing.
    package static func collection(of bytes: [UInt8]) -> CollectionID? {
        guard bytes.count >= headerByteCount, bytes[..<4].elementsEqual("MSEG".utf8) else { return nil }
        do throws(BinaryCodingError) {
            let collection = try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(BinaryCodingError) in
                var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<headerByteCount]))
                try reader.skip(byteCount: 8)
                return CollectionID(high: try reader.read(), low: try reader.read())
            }
            return collection
        } catch {
            return nil
        }
    }

    /// How much of one tells ``collection(of:)``.
    static let beginningByteCount = headerByteCount

    /// Reads a segment from anywhere; nothing in it is believed. What the entries are, those say who know logs.
    ///
    /// - Parameter object: names it in an error.
    package init(bytes: [UInt8], object: String) throws(BackupError) {
        guard bytes.count >= Self.headerByteCount + 4, bytes.count <= Self.longestByteCount else {
            throw .damaged(object: object, reason: "it has \(bytes.count) bytes")
        }
        guard bytes[..<4].elementsEqual("MSEG".utf8) else {
            throw .damaged(object: object, reason: "it does not begin as a log segment does")
        }
        _ = try BackupError.layout(of: bytes, in: 1...Self.layout, object: object)
        let isSound = unsafe bytes.withUnsafeBytes { bytes in
            unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)]))
                == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
        }
        guard isSound else { throw .damaged(object: object, reason: "its checksum is wrong") }
        do throws(BinaryCodingError) {
            self = try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(BinaryCodingError) in
                var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)]))
                try reader.skip(byteCount: 6)
                let segment = try LogSegment(&reader)
                try reader.finish()
                return segment
            }
        } catch {
            throw .damaged(object: object, reason: "\(error)")
        }
    }

    private init(_ reader: inout ByteReader) throws(BinaryCodingError) {
        guard try reader.read(UInt16.self) == 0 else { throw .invalidValue(field: "zero", offset: 6) }
        collection = CollectionID(high: try reader.read(), low: try reader.read())
        shardIndex = try reader.read()
        let count = try reader.readCount(leastByteCount: 16)
        guard count > 0 else { throw .invalidValue(field: "entry count", offset: 28) }
        firstSequence = try reader.read()
        guard firstSequence > 0, firstSequence <= .max - UInt64(count) else {
            throw .invalidValue(field: "first sequence", offset: 32)
        }
        entries = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let offset = reader.offset
            let time = Timestamp(milliseconds: try reader.read())
            let effect = ArchivedEntry.Effect(rawValue: try reader.read())
            guard let effect, try reader.read(UInt8.self) == 0, try reader.read(UInt16.self) == 0 else {
                throw .invalidValue(field: "effect", offset: offset + 8)
            }
            guard Timestamp.computable.contains(time), entries.last.map({ $0.time <= time }) ?? true else {
                throw .invalidValue(field: "time", offset: offset)
            }
            let byteCount = Int(try reader.read(UInt32.self))
            entries.append(
                ArchivedEntry(time: time, effect: effect, bytes: try reader.readBytes(count: byteCount))
            )
        }
    }
}
