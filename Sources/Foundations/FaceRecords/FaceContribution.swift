internal import Checksum
package import FaceModel

/// What one face adds to the digest of all that hold it: a partition, a shard, a collection, a backup.
///
/// A digest is 256 sums modulo 2¹²⁸, one for each slice of the ring; sums know no order, so those of parts add up to
/// that of the whole.
package struct FaceContribution: Hashable, Sendable {
    package static let sliceCount = 256

    package let slice: Int
    package let sum: UInt128

    /// - Parameters:
    ///   - embeddingChecksum: CRC-32C of the stored embedding.
    ///   - collection: its id keys both hashes.
    package init(
        of face: FaceID,
        version: FaceVersion,
        metadata: FaceMetadata,
        embeddingChecksum: UInt32,
        in collection: CollectionID
    ) {
        let key = (collection.high, collection.low)
        slice = Self.slice(of: face, in: collection)
        let metadataChecksum = MetadataCoding.checksum(of: metadata)
        sum = SipHash.hash128(key: key) { hash in
            hash.add(face.high)
            hash.add(face.low)
            hash.add(version.epoch)
            hash.add(version.sequence)
            hash.add(UInt64(embeddingChecksum) << 32 | UInt64(metadataChecksum))
        }
    }

    /// The place of a face id on the ring that is divided into shards.
    package static func place(of face: FaceID, in collection: CollectionID) -> UInt64 {
        SipHash.hash64(key: (collection.high, collection.low)) { hash in
            hash.add(face.high.byteSwapped)
            hash.add(face.low.byteSwapped)
        }
    }

    /// The slice of a face id: the high byte of its place.
    package static func slice(of face: FaceID, in collection: CollectionID) -> Int {
        Int(place(of: face, in: collection) >> 56)
    }
}
