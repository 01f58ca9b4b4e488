internal import BinaryCoding

/// Where a partition stands; written by every transaction that changes it.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 2 | format version, 3 |
/// | 2 | 2 | zero |
/// | 4 | 4 | next row id |
/// | 8 | 4 | first row id that is in no run: a multiple of the rows of a chunk |
/// | 12 | 4 | next run |
/// | 16 | 8 | epoch of the last write |
/// | 24 | 8 | sequence of the last write |
/// | 32 | 8 | live faces |
/// | 40 | 8 | dead rows that are still in a run or fresh |
/// | 48 | 4 | newest codebook generation, 0 for none |
/// | 52 | 4 | zero |
/// | 56 | 8 | number of the oldest receipt kept |
/// | 64 | 8 | number of the next receipt |
/// | 72 | 4 | CRC-32C |
package struct PartitionState: Hashable, Sendable {
    /// As it was read; what is written is of ``newestFormat``.
    package private(set) var format = newestFormat
    package var nextRow: UInt32 = 0
    package var foldedRow: UInt32 = 0
    package var nextRun: UInt32 = 0
    package var epoch: UInt64 = 0
    package var sequence: UInt64 = 0
    package var faceCount: UInt64 = 0
    package var tombstoneCount: UInt64 = 0
    package var generation: UInt32 = 0
    package var oldestReceipt: UInt64 = 0
    package var nextReceipt: UInt64 = 0

    package static let newestFormat: UInt16 = 3

    package init() {}

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 76)
        writer.write(Self.newestFormat)
        writer.write(UInt16(0))
        writer.write(nextRow)
        writer.write(foldedRow)
        writer.write(nextRun)
        writer.write(epoch)
        writer.write(sequence)
        writer.write(faceCount)
        writer.write(tombstoneCount)
        writer.write(generation)
        writer.write(UInt32(0))
        writer.write(oldestReceipt)
        writer.write(nextReceipt)
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        // The version is read before the checksum: a later format may be sealed in another way.
        guard bytes.count >= 2 else { throw .malformed(table: "meta", reason: "the state has \(bytes.count) bytes") }
        format = unsafe UInt16(littleEndian: bytes.loadUnaligned(as: UInt16.self))
        guard format <= Self.newestFormat else { throw .newerFormat(version: format, newest: Self.newestFormat) }
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            _ = try reader.read(UInt32.self)
            nextRow = try reader.read()
            foldedRow = try reader.read()
            nextRun = try reader.read()
            epoch = try reader.read()
            sequence = try reader.read()
            faceCount = try reader.read()
            tombstoneCount = try reader.read()
            generation = try reader.read()
            _ = try reader.read(UInt32.self)
            oldestReceipt = try reader.read()
            nextReceipt = try reader.read()
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
    }
}
