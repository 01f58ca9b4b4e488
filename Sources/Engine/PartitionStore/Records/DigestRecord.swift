internal import BinaryCoding
package import FaceModel
package import FaceRecords

/// What a partition holds in 256 sums: replicas with the same faces have the same sums, whatever their rows and runs.
///
/// A face adds a 128-bit hash of its id, its version, and the checksums of its embedding and its metadata to the slice
/// of the ring that its id's hash lies in. Sums are modulo 2¹²⁸ and know no order: a write adds and subtracts what it
/// changes, and the slices of two shards add up to those of the shard that they were split from.
///
/// | bytes | field |
/// |---|---|
/// | 4 | first row id that is not counted yet; all bits set when every face is |
/// | 4 | zero |
/// | 256 × 16 | slices: low half, high half (8 each) |
/// | 4 | CRC-32C |
package struct DigestRecord: Hashable, Sendable {
    package static let sliceCount = FaceContribution.sliceCount

    /// Faces of rows below are counted. Less than `.max` while a partition of an earlier format is gone through.
    package var uncountedRow: UInt32
    package private(set) var slices: [UInt128]

    /// - Parameter uncountedRow: 0 to go through all rows.
    package init(uncountedRow: UInt32) {
        self.uncountedRow = uncountedRow
        slices = [UInt128](repeating: 0, count: Self.sliceCount)
    }

    package var isComplete: Bool { uncountedRow == .max }

    package mutating func add(_ contribution: Contribution) {
        slices[contribution.slice] &+= contribution.sum
    }

    package mutating func remove(_ contribution: Contribution) {
        slices[contribution.slice] &-= contribution.sum
    }

    /// What one face adds.
    package typealias Contribution = FaceContribution

    /// The slice of a face id: the high byte of its place on the ring that is divided into shards.
    package static func slice(of face: FaceID, in collection: CollectionID) -> Int {
        FaceContribution.slice(of: face, in: collection)
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 12 + 16 * Self.sliceCount)
        writer.write(uncountedRow)
        writer.write(UInt32(0))
        for slice in slices { writer.write(slice) }
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            uncountedRow = try reader.read()
            _ = try reader.read(UInt32.self)
            var slices: [UInt128] = []
            slices.reserveCapacity(Self.sliceCount)
            for _ in 0..<Self.sliceCount { slices.append(try reader.read()) }
            self.slices = slices
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
    }
}
