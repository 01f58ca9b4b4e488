import ClusterModel
import FaceModel
import WireProtocol

extension MessageSamples {
    private static let snapshotID = SnapshotID(high: 0x3123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef)
    private static let erasureKey = ErasureKey(high: 0x0102_0304, low: 0x0506_0708)
    private static let snapshotRoute = SnapshotRoute(worker: nodeID, snapshot: snapshotID, shard: shardID)
    private static let cut = ShardCut(
        worker: nodeID,
        epoch: Epoch(7),
        sequence: 41,
        erasureKey: erasureKey
    )
    private static let slices = (0..<256).map { UInt128($0) << 64 | 7 }

    static let archived = ArchivedFaces(
        dimension: 2,
        precision: .float16,
        rows: [
            .init(id: firstFace, version: FaceVersion(epoch: 6, sequence: 40), metadata: metadata),
            .init(id: secondFace, version: FaceVersion(epoch: 7, sequence: 41), metadata: FaceMetadata()),
        ],
        embeddings: [0x00, 0x3c, 0, 0, 0, 0, 0x00, 0xbc]
    )

    static let backup: [any WireMessage] = [
        BeginBackup(collection: "gallery", snapshot: snapshotID),
        BackupBegun(
            collection: collection,
            shards: [.init(index: 2, range: HashRange(first: 0, last: .max), cut: cut)],
            loss: Timestamp(milliseconds: 1_789_000_000_000)
        ),
        DescribeSnapshot(route: snapshotRoute),
        SnapshotDescription(
            copiedByteCount: 1 << 20,
            totalByteCount: 1 << 20,
            content: .init(faceCount: 33_000, slices: slices)
        ),
        ReadSnapshot(route: snapshotRoute, slice: 128, offset: 1024, limit: 512),
        SnapshotPage(faces: archived, isLast: true),
        ReleaseSnapshot(route: snapshotRoute),
        BeginRestore(
            configuration: collection.configuration,
            backup: "gallery-20261126T231500Z-3f2a9c1b",
            epoch: Epoch(7),
            erasureKey: erasureKey,
            loss: Timestamp(milliseconds: 1_789_000_000_000)
        ),
        RestoreFaces(collection: "gallery", faces: archived),
        FinishRestore(
            collection: "gallery",
            backup: "gallery-20261126T231500Z-3f2a9c1b",
            faceCount: 33_000,
            slices: slices
        ),
        ReadCodebook(collection: "gallery", offset: 4 << 20),
        RestoreCodebook(
            collection: "gallery",
            backup: "gallery-20261126T231500Z-3f2a9c1b",
            origin: CodebookOrigin(cause: .growth, faceCount: 33_000),
            digest: (0..<32).map { UInt8($0) },
            summary: codebook,
            slice: slice
        ),
        HoldWrites(route: route, snapshot: snapshotID, limit: 1000),
        CutShard(route: route, snapshot: snapshotID),
        cut,
        ShardRestore(route: route, faces: archived, isLast: false),
        ReadErasures(
            collection: "gallery",
            shardIndex: 2,
            after: ErasurePosition(sequence: 40, index: 3),
            limit: 1000
        ),
        ShardErasures(route: route, after: nil, limit: 1000),
        ReadLog(route: route, after: nil),
        LogRead(
            entries: ArchivedEntries(
                start: ArchivePosition(
                    sequence: 40,
                    epoch: 6,
                    chain: 0x0102_0304_0506_0708,
                    time: Timestamp(milliseconds: 1_790_000_000_000)
                ),
                continues: true,
                entries: [
                    ArchivedEntry(
                        time: Timestamp(milliseconds: 1_790_000_000_001),
                        effect: .repeated,
                        bytes: [1, 2, 3]
                    )
                ],
                end: ArchivePosition(
                    sequence: 41,
                    epoch: 7,
                    chain: 0x0807_0605_0403_0201,
                    time: Timestamp(milliseconds: 1_790_000_000_001)
                ),
                until: Timestamp(milliseconds: 1_790_000_000_002),
                remainingCount: 3,
                remainingByteCount: 1 << 20
            )
        ),
        ErasureList(
            key: erasureKey,
            erasures: [
                Erasure(
                    pseudonym: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
                    version: FaceVersion(epoch: 7, sequence: 41),
                    time: Timestamp(milliseconds: 1_790_000_000_000)
                )
            ],
            next: ErasurePosition(sequence: 41, index: 0),
            forgotten: Timestamp(milliseconds: 1_780_000_000_000)
        ),
    ]
}
