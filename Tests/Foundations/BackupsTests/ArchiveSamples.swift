import Backups
import ClusterModel
import FaceModel

enum ArchiveSamples {
    static let segment = LogSegment(
        collection: BackupSamples.collection.id,
        shardIndex: 1,
        firstSequence: 42,
        entries: [
            ArchivedEntry(time: Timestamp(milliseconds: 1_795_000_000_001), effect: .applied, bytes: [1, 2, 3]),
            ArchivedEntry(time: Timestamp(milliseconds: 1_795_000_000_001), effect: .repeated, bytes: []),
            ArchivedEntry(time: Timestamp(milliseconds: 1_795_000_000_009), effect: .unknown, bytes: [4]),
        ]
    )

    static let volume: ArchiveVolume = {
        let shard = ArchiveVolume.Shard(index: 1, range: HashRange(first: 5, last: 1 << 60))
        let start = ArchivePosition(
            sequence: 41,
            epoch: 3,
            chain: 0x0102_0304_0506_0708,
            time: Timestamp(milliseconds: 1_795_000_000_000)
        )
        let end = ArchivePosition(
            sequence: 44,
            epoch: 4,
            chain: 0x0807_0605_0403_0201,
            time: Timestamp(milliseconds: 1_795_000_000_009)
        )
        let bytes = segment.encoded()
        return ArchiveVolume(
            collection: BackupSamples.collection.id,
            name: "gallery",
            cluster: NodeID(high: 1, low: 2),
            number: 3,
            revision: 17,
            previous: .init(revision: 9, digest: BackupDigest(of: [1, 2])),
            written: Timestamp(milliseconds: 1_795_000_000_100),
            parts: [
                .init(shard: shard, start: start, end: start, continues: false, segment: nil),
                .init(
                    shard: shard,
                    start: start,
                    end: end,
                    continues: true,
                    segment: .init(entryCount: 3, byteCount: UInt32(bytes.count), digest: BackupDigest(of: bytes))
                ),
            ],
            standings: [.init(shard: shard, position: end, until: Timestamp(milliseconds: 1_795_000_000_050))]
        )
    }()
}
