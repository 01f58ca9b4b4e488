internal import BinaryCoding

/// That the last faces of a backup have been put back: from then on none is.
///
/// | bytes | field |
/// |---|---|
/// | 8 | sequence of the write that ended it; in a partition that took the place of others the highest of theirs |
/// | 4 | CRC-32C |
package struct RestorationEndRecord: Hashable, Sendable {
    package let sequence: UInt64

    package init(sequence: UInt64) {
        self.sequence = sequence
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 12)
        writer.write(sequence)
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            sequence = try reader.read()
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
    }
}
