import BinaryCoding
import Checksum
import FaceModel
import PartitionStore

extension FuzzTarget {
    /// The small records of a partition and the checks of its large ones: a byte for the kind, then the record without
    /// its checksum, which is put where it belongs.
    static let partitionRecords = FuzzTarget(
        name: "partition-records",
        seeds: {
            PartitionRecordTarget.kinds.enumerated().flatMap { number, kind in
                kind.seeds.map { [UInt8(number)] + $0 }
            }
        },
        accepts: { PartitionRecordTarget.accepts($0) }
    )
}

enum PartitionRecordTarget {
    /// One kind of record.
    struct Kind: Sendable {
        var seeds: [[UInt8]]
        /// Puts the checksum where it belongs.
        var seal: @Sendable ([UInt8]) -> [UInt8] = { sealed($0) }
        /// What the record would be written as.
        ///
        /// - Throws: when it is refused.
        var rewrite: @Sendable ([UInt8]) throws -> [UInt8]
    }

    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let number = bytes.first else { return false }
        let kind = kinds[Int(number) % kinds.count]
        guard let written = rewrite(kind, kind.seal(Array(bytes.dropFirst()))) else { return false }
        precondition(rewrite(kind, written) == written, "a record is another after it was written")
        return true
    }

    private static func rewrite(_ kind: Kind, _ bytes: [UInt8]) -> [UInt8]? {
        try? kind.rewrite(bytes)
    }

    static let kinds: [Kind] = [
        Kind(seeds: [unsealed(state.encoded()), [3, 0, 0, 0] + state.encoded()[4..<72]]) {
            try unsafe $0.withUnsafeBytes { try unsafe PartitionState(bytes: $0).encoded() }
        },
        Kind(seeds: [unsealed(IdentityRecord.encode(identity))]) {
            IdentityRecord.encode(try unsafe $0.withUnsafeBytes { try unsafe IdentityRecord.decode($0) })
        },
        Kind(
            seeds: [
                unsealed(faceRecord.encoded(for: face)),
                unsealed(FaceRecord(row: 1, version: version, metadata: FaceMetadata()).encoded(for: face)),
            ],
            seal: { body in
                var writer = ByteWriter()
                writer.write(bytes: body)
                return RecordSeal.seal(writer, under: face)
            },
            rewrite: { bytes in
                let record = try unsafe bytes.withUnsafeBytes { try unsafe FaceRecord(bytes: $0, face: face) }
                let found = try? unsafe bytes.withUnsafeBytes { try unsafe filter.examine($0, of: face) }
                precondition(found?.row == record.row, "a filter reads another row than a record has")
                return record.encoded(for: face)
            }
        ),
        Kind(
            seeds: [
                ReceiptRecord.Outcome.enrolled(
                    [.accepted, .replaced, .superseded] + RowRejection.allCases.map { .rejected($0) }
                ),
                .deleted([.absent, .deleted]),
            ].flatMap { outcome in
                [nil, (0..<UInt32(outcome.count)).map { $0 &* 0x9e37_79b9 }].map {
                    unsealed(ReceiptRecord(sequence: 9, outcome: outcome, rowChecksums: $0).encoded())
                }
            }
        ) { try unsafe $0.withUnsafeBytes { try unsafe ReceiptRecord(bytes: $0).encoded() } },
        Kind(seeds: [unsealed(manifest.encoded())]) {
            try unsafe $0.withUnsafeBytes { try unsafe RunManifest(bytes: $0, run: 7).encoded() }
        },
        Kind(seeds: [unsealed(RecodingRecord(run: 3, nextRow: 256, pendingRuns: [4, 6]).encoded())]) {
            try unsafe $0.withUnsafeBytes { try unsafe RecodingRecord(bytes: $0).encoded() }
        },
        Kind(seeds: [unsealed(LooseRunsRecord([4, 6, 7]).encoded())]) {
            try unsafe $0.withUnsafeBytes { try unsafe LooseRunsRecord(bytes: $0).encoded() }
        },
        Kind(
            seeds: [
                unsealed(
                    ReceiptTimesRecord(samples: [.init(number: 0, time: 0), .init(number: 1024, time: 7)]).encoded()
                )
            ]
        ) { try unsafe $0.withUnsafeBytes { try unsafe ReceiptTimesRecord(bytes: $0).encoded() } },
        Kind(seeds: [unsealed(EarlierReceipt(key: IdempotencyKey(high: 1, low: 2), sequence: 3).encoded())]) {
            try unsafe $0.withUnsafeBytes { try unsafe EarlierReceipt(bytes: $0).encoded() }
        },
        Kind(seeds: remnants.map { unsealed($0.encoded()) }) {
            try unsafe $0.withUnsafeBytes { try unsafe RemnantRecord(bytes: $0).encoded() }
        },
        Kind(seeds: [unsealed(intake.encoded())]) {
            try unsafe $0.withUnsafeBytes { try unsafe IntakeRecord(bytes: $0).encoded() }
        },
        Kind(seeds: [unsealed(DigestRecord(uncountedRow: 5).encoded())]) {
            try unsafe $0.withUnsafeBytes { try unsafe DigestRecord(bytes: $0).encoded() }
        },
        Kind(
            seeds: [
                unsealed(
                    ErasureRecord.encode(
                        Erasure(pseudonym: 5, version: version, time: Timestamp(milliseconds: 7)),
                        at: ErasurePosition(sequence: 6, index: 2)
                    )
                )
            ],
            seal: { body in
                var writer = ByteWriter()
                writer.write(bytes: body)
                return RecordSeal.seal(writer, under: ErasurePosition(sequence: 6, index: 2))
            },
            rewrite: { bytes in
                let position = ErasurePosition(sequence: 6, index: 2)
                let erasure = try unsafe bytes.withUnsafeBytes { try unsafe ErasureRecord.decode($0, at: position) }
                return ErasureRecord.encode(erasure, at: position)
            }
        ),
        Kind(
            seeds: [tombstones],
            seal: { numberBytes(checksum($0[...])) + $0 },
            // Nothing more dies: the piece that is there comes back.
            rewrite: { try unsafe $0.withUnsafeBytes { try unsafe TombstonePiece.marking([], in: $0, piece: 2) } }
        ),
        Kind(seeds: [chunk], seal: sealedChunk) { bytes in
            try unsafe bytes.withUnsafeBytes { try unsafe RowChunk($0, shape: shape).verify(chunk: 3) }
            return bytes
        },
        Kind(seeds: [roundedChunk], seal: sealedChunk) { bytes in
            try unsafe bytes.withUnsafeBytes {
                try unsafe RoundedRowChunk($0, dimension: shape.dimension).verify(chunk: 3)
            }
            return bytes
        },
        Kind(seeds: [unsealed(RestorationEndRecord(sequence: 9).encoded())]) {
            try unsafe $0.withUnsafeBytes { try unsafe RestorationEndRecord(bytes: $0).encoded() }
        },
        Kind(seeds: [unsealed(partReceipt.encoded())]) {
            try unsafe $0.withUnsafeBytes { try unsafe ReceiptRecord(bytes: $0).encoded() }
        },
    ]

    // MARK: Samples

    static let metadata = FaceMetadata(
        personID: "p",
        externalImageID: "ext",
        imageID: "ü",
        boundingBox: BoundingBox(left: 0.25, top: -1, width: 2, height: 0.5),
        quality: 99,
        confidence: 1,
        created: Timestamp(milliseconds: -2),
        expires: Timestamp(milliseconds: 7),
        attributes: ["b": "", "a": "x"]
    )

    private static let face = FaceID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)
    private static let version = FaceVersion(epoch: 5, sequence: 6)
    private static let partReceipt = ReceiptRecord(
        sequence: 9,
        outcome: .deleted([.absent, .deleted]),
        rowChecksums: [7, 8],
        reach: RingRanges([5...9, 20 ... .max])
    )
    private static let faceRecord = FaceRecord(row: 4, version: version, metadata: metadata, embeddingChecksum: 17)
    /// One that looks at every field.
    private static let filter = RecordFilter(
        FaceFilter(
            personIDs: ["p"],
            externalImageIDs: ["ext"],
            attributes: ["a": "x"],
            createdFrom: Timestamp(milliseconds: -3),
            createdBefore: Timestamp(milliseconds: 0)
        )
    )

    private static let state: PartitionState = {
        var state = PartitionState()
        state.nextRow = 1
        state.advance(epoch: 4, key: IdempotencyKey(high: 1, low: 2))
        state.isLogged = true
        state.endLog(with: PartitionState.LogPlace(sequence: 12, epoch: 5, chain: 13))
        return state
    }()

    private static let identity = PartitionIdentity(
        collection: Collection(
            id: CollectionID(high: 1, low: 2),
            configuration: CollectionConfiguration(
                name: "visitors",
                dimension: 72,
                embeddingModel: "model",
                shardCount: 3,
                replicationFactor: 2,
                storedPrecision: .float32
            ),
            created: Timestamp(milliseconds: -5)
        ),
        shardIndex: 1,
        firstHash: 10,
        lastHash: .max
    )

    private static let manifest = RunManifest(
        run: 7,
        generation: 1,
        firstRow: 0,
        endRow: 256,
        rowCount: 40,
        chunkCount: 1,
        firstSlots: [0, 32, 32, 48],
        listRowCounts: [30, 0, 10]
    )

    private static let intake: IntakeRecord = {
        var intake = IntakeRecord(generation: 3, firstRow: 9)
        intake.add(rowCount: 2, energy: 1.5, codedEnergy: 1.25)
        return intake
    }()

    private static let remnants: [RemnantRecord] = {
        var record = RemnantRecord()
        var records = [record]
        _ = record.note(.init(time: 5, wallTime: Timestamp(milliseconds: 7)))
        records.append(record)
        record.beginRound()
        _ = record.note(.init(time: 6, wallTime: Timestamp(milliseconds: -8)))
        return records + [record]
    }()

    private static let shape = RowChunk.Shape(dimension: 8, precision: .float16)

    /// Without its checksum, which is its first field.
    private static let tombstones: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: TombstonePiece.byteCount - 4)
        bytes[0] = 2
        bytes[9] = 0x81
        return bytes
    }()

    private static let chunk: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: shape.chunkByteCount)
        unsafe bytes.withUnsafeMutableBytes { unsafe RowChunk.seal($0, shape: shape, chunk: 3) }
        return bytes
    }()

    private static let roundedChunk: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: RoundedRowChunk.byteCount(dimension: shape.dimension))
        unsafe bytes.withUnsafeMutableBytes {
            unsafe RoundedRowChunk.write(into: $0, dimension: shape.dimension, chunk: 3) { _, _, _, _ in }
        }
        return bytes
    }()

    // MARK: Checksums

    private static func unsealed(_ record: [UInt8]) -> [UInt8] { record.dropLast(4) }

    private static func sealed(_ body: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(bytes: body)
        return RecordSeal.seal(writer)
    }

    /// Of chunks, whose checksum is in their header.
    @Sendable private static func sealedChunk(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= 48 else { return bytes }
        var sealed = bytes
        replaceNumber(&sealed, at: 44, with: checksum(bytes[..<44] + bytes[48...]))
        return sealed
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe CRC32C.checksum($0) }
    }

    private static func numberBytes(_ value: UInt32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4)
        replaceNumber(&bytes, at: 0, with: value)
        return bytes
    }
}
