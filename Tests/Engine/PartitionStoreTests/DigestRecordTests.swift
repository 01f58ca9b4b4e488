import ClusterModel
import FaceModel
import FaceRecords
import PartitionStore
import Testing

struct DigestRecordTests {
    private static let collection = CollectionID(high: 0x0123, low: 0x4567)

    private static func contribution(
        of face: FaceID,
        version: FaceVersion = FaceVersion(epoch: 1, sequence: 2),
        metadata: FaceMetadata = FaceMetadata(),
        checksum: UInt32 = 9,
        in collection: CollectionID = collection
    ) -> DigestRecord.Contribution {
        DigestRecord.Contribution(
            of: face,
            version: version,
            metadata: metadata,
            embeddingChecksum: checksum,
            in: collection
        )
    }

    /// A slice is a part of the ring that shards divide, so that a difference has a place there.
    @Test func slicesAreTheHighByteOfTheRing() {
        var slices: Set<Int> = []
        for number in 0..<2000 {
            let face = FaceID(high: UInt64(number) &* 0x9e37_79b9_7f4a_7c15, low: UInt64(number))
            let slice = DigestRecord.slice(of: face, in: Self.collection)
            #expect(slice == Int(FaceIDHash.hash(face, in: Self.collection) >> 56))
            slices.insert(slice)
        }
        #expect(slices.count > 250)
    }

    @Test func sumsKnowNoOrderAndAreTakenBack() throws {
        let contributions = (0..<300).map { Self.contribution(of: FaceID(high: 1, low: UInt64($0))) }
        var digest = DigestRecord(uncountedRow: .max)
        for contribution in contributions { digest.add(contribution) }
        var other = DigestRecord(uncountedRow: .max)
        for contribution in contributions.reversed() { other.add(contribution) }
        #expect(digest == other && digest.isComplete)
        #expect(try digest.encoded().withUnsafeBytes { try DigestRecord(bytes: $0) } == digest)
        for contribution in contributions.shuffled() { digest.remove(contribution) }
        #expect(digest == DigestRecord(uncountedRow: .max))
    }

    @Test func everythingOfAFaceCounts() {
        let face = FaceID(high: 1, low: 2)
        let contributions = [
            Self.contribution(of: face), Self.contribution(of: FaceID(high: 1, low: 3)),
            Self.contribution(of: FaceID(high: 2, low: 2)),
            Self.contribution(of: face, version: FaceVersion(epoch: 2, sequence: 2)),
            Self.contribution(of: face, version: FaceVersion(epoch: 1, sequence: 3)),
            Self.contribution(of: face, metadata: FaceMetadata(personID: "a")),
            Self.contribution(of: face, metadata: FaceMetadata(imageID: "a")),
            Self.contribution(of: face, checksum: 10),
            Self.contribution(of: face, in: CollectionID(high: 0x0123, low: 0x4568)),
        ]
        #expect(Set(contributions).count == contributions.count)
    }
}
