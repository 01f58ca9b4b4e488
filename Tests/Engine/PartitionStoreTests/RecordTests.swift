import BinaryCoding
import FaceModel
import LMDB
import PartitionStore
import Testing

/// The small records: golden bytes, round trips, and every truncation and changed bit.
struct RecordTests {
    private static let face = FaceID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)

    private static let full = FaceRecord(
        row: 0x0403_0201,
        version: FaceVersion(epoch: 5, sequence: 6),
        metadata: FaceMetadata(
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
    )

    private static let state: PartitionState = {
        var state = PartitionState()
        state.nextRow = 2
        state.foldedRow = 1
        state.nextRun = 3
        state.advance(epoch: 4, key: IdempotencyKey(high: 1, low: 2))
        state.isLogged = true
        state.promisedEpoch = 11
        state.endLog(with: PartitionState.LogPlace(sequence: 12, epoch: 5, chain: 13))
        state.faceCount = 6
        state.tombstoneCount = 7
        state.generation = 8
        state.oldestReceipt = 9
        state.nextReceipt = 10
        return state
    }()

    private static let chain: [UInt8] = [242, 192, 158, 165, 144, 196, 144, 157]

    private static let identity = PartitionIdentity(
        collection: Collection(
            id: CollectionID(high: 1, low: 2),
            configuration: CollectionConfiguration(
                name: "visitors",
                dimension: 72,
                embeddingModel: "model ü",
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

    // MARK: Golden bytes

    @Test func theFaceRecordHasItsBytes() throws {
        let plain = FaceRecord(
            row: 0x0403_0201,
            version: FaceVersion(epoch: 5, sequence: 6),
            metadata: FaceMetadata(personID: "pq")
        )
        let bytes = plain.encoded(for: Self.face)
        #expect(
            bytes.dropLast(4) == [
                1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0x70, 0x71,
            ]
        )
        #expect(bytes.count == 30)
        // Attributes come in the order of their keys.
        let all = Self.full.encoded(for: Self.face)
        #expect(all[20] == 0xff && all[21] == 1)
        #expect(all.dropLast(4).suffix(12) == [2, 1, 0, 0x61, 1, 0, 0x78, 1, 0, 0x62, 0, 0])
    }

    @Test func theStateHasItsBytes() {
        let bytes = Self.state.encoded()
        #expect(bytes.count == 124)
        #expect(bytes[..<16] == [9, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0])
        let fields: [(Int, UInt8)] = [
            (16, 4), (24, 1), (32, 6), (40, 7), (48, 8), (56, 9), (64, 10), (80, 11), (88, 2), (96, 12), (104, 5),
            (112, 13),
        ]
        for (offset, value) in fields {
            #expect(bytes[offset] == value && bytes[offset + 1..<offset + 8].allSatisfy { $0 == 0 }, "\(offset)")
        }
        // The chain of a write without a log: SipHash-2-4 of epoch 4, sequence 1 and the key, behind chain 0.
        #expect(bytes[72..<80] == Self.chain[...])
    }

    /// What formats up to 3 wrote ends behind the receipts.
    @Test func aStateOfAnEarlierFormatHasAnEmptyLog() throws {
        for format in UInt8(1)...3 {
            let body = [format, 0, 0, 0] + Self.state.encoded()[4..<72]
            let state = try Self.sealed(body).withUnsafeBytes { try PartitionState(bytes: $0) }
            #expect(state.format == UInt16(format) && state.sequence == 1 && state.epoch == 4 && !state.isLogged)
            #expect(state.lastLogged == state.applied && state.firstLogged == 2 && state.promisedEpoch == 0)
        }
    }

    /// Format 4 has the same state.
    @Test func aStateOfFormatFourIsReadWhole() throws {
        let body = [4] + Self.state.encoded().dropFirst().dropLast(4)
        let state = try Self.sealed(body).withUnsafeBytes { try PartitionState(bytes: $0) }
        #expect(state.format == 4 && state.encoded() == Self.state.encoded())
    }

    @Test func aLogThatEndsBeforeTheLastWriteIsMalformed() throws {
        let changes: [(Int, UInt8)] = [(96, 0), (96, 1), (88, 14), (88, 0), (88, 3)]
        for (offset, value) in changes {
            var body = Array(Self.state.encoded().dropLast(4))
            body[offset] = value
            #expect(throws: PartitionStoreError.self, "\(offset), \(value)") {
                try Self.sealed(body).withUnsafeBytes { try PartitionState(bytes: $0) }
            }
        }
    }

    /// Numbers that what follows could not be counted on from.
    @Test func aStateWithNumbersThatCannotBeIsMalformed() throws {
        // Folded rows, the next run, epoch, sequence, faces, dead rows, the oldest and the next receipt, the promise.
        let changes: [(Range<Int>, UInt8)] = [
            (8..<9, 3), (12..<16, 255), (16..<24, 255), (24..<32, 255), (32..<40, 255), (40..<48, 255), (56..<57, 11),
            (64..<72, 255), (80..<88, 255), (96..<104, 255), (104..<112, 255),
        ]
        for (range, value) in changes {
            var body = Array(Self.state.encoded().dropLast(4))
            body.replaceSubrange(range, with: repeatElement(value, count: range.count))
            #expect(throws: PartitionStoreError.self, "\(range)") {
                try Self.sealed(body).withUnsafeBytes { try PartitionState(bytes: $0) }
            }
        }
    }

    @Test(arguments: [(0, 0, 0), (127, 0, 0), (128, 1, 128), (300, 2, 256)] as [(UInt32, Int, UInt32)])
    func theUnfinishedChunkBeginsBehindTheFullOnes(nextRow: UInt32, chunkCount: Int, sealedRow: UInt32) {
        var state = PartitionState()
        state.nextRow = nextRow
        #expect(state.sealedChunkCount == chunkCount && state.sealedRow == sealedRow)
    }

    @Test func countsThatAreTooLowAreAContradiction() throws {
        var state = Self.state
        for count in (0..<6).reversed() {
            try state.removeFace()
            #expect(state.faceCount == UInt64(count))
        }
        #expect(throws: PartitionStoreError.self) { try state.removeFace() }
        try state.removeTombstones(7)
        #expect(throws: PartitionStoreError.self) { try state.removeTombstones(1) }
    }

    @Test func theRecodingHasItsBytes() {
        let bytes = RecodingRecord(run: 3, nextRow: 256, pendingRuns: [4, 6]).encoded()
        #expect(bytes.dropLast(4) == [3, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0])
    }

    @Test func looseRunsHaveTheirBytes() throws {
        var record = LooseRunsRecord([6, 4, 6])
        record.insert(9)
        record.insert(5)
        record.remove(4)
        record.remove(8)
        let bytes = record.encoded()
        #expect(bytes.dropLast(4) == [3, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0])
        #expect(try bytes.withUnsafeBytes { try LooseRunsRecord(bytes: $0) } == record)
        // Out of order, twice the same, and a run that cannot be.
        for runs in [[6, 5], [6, 6], [5, .max]] as [[UInt32]] {
            var writer = ByteWriter()
            writer.write(UInt32(runs.count))
            for run in runs { writer.write(run) }
            let damaged = RecordSeal.seal(writer)
            #expect(throws: PartitionStoreError.self, "\(runs)") {
                try damaged.withUnsafeBytes { try LooseRunsRecord(bytes: $0) }
            }
        }
    }

    @Test func theIntakeHasItsBytesAndForgetsHalf() throws {
        var record = IntakeRecord(generation: 3, firstRow: 9)
        record.add(rowCount: 2, energy: 1.5, codedEnergy: 1.25)
        let bytes = record.encoded()
        #expect(bytes[..<16] == [3, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])
        #expect(bytes[16..<24] == [0, 0, 0, 0, 0, 0, 0xf8, 0x3f] && bytes[24..<32] == [0, 0, 0, 0, 0, 0, 0xf4, 0x3f])
        #expect(try bytes.withUnsafeBytes { try IntakeRecord(bytes: $0) } == record)
        record.add(rowCount: 100_000, energy: 99_998.5, codedEnergy: 49_998.75)
        // The rows are all counted, their energies up to a limit.
        #expect(record.rowCount == 100_002 && record.energy == 50_000 && record.codedEnergy == 25_000)
        // Sums that are no numbers are never halved often enough.
        let before = record
        let sums: [(Double, Double)] = [(.infinity, 1), (1, .infinity), (.nan, 1), (1, .nan), (.infinity, .infinity)]
        for (energy, coded) in sums {
            record.add(rowCount: 1, energy: energy, codedEnergy: coded)
            #expect(record == before)
        }
    }

    @Test func theTimesOfReceiptsHaveTheirBytes() throws {
        let record = ReceiptTimesRecord(samples: [.init(number: 0, time: 0), .init(number: 258, time: 5)])
        let bytes = record.encoded()
        let (first, second): ([UInt8], [UInt8]) = (Array(bytes[..<20]), Array(bytes[20..<36]))
        #expect(first == [2] + [UInt8](repeating: 0, count: 19))
        #expect(second == [2, 1, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0])
        #expect(try bytes.withUnsafeBytes { try ReceiptTimesRecord(bytes: $0) } == record)
        for samples in [[(2, 1), (2, 1)], [(1, 2), (2, 1)], [(1 << 63, 1)], [(1, 1 << 63)]] as [[(UInt64, UInt64)]] {
            let wrong = ReceiptTimesRecord(samples: samples.map { .init(number: $0.0, time: $0.1) }).encoded()
            #expect(throws: PartitionStoreError.self) {
                try wrong.withUnsafeBytes { _ = try ReceiptTimesRecord(bytes: $0) }
            }
        }
    }

    @Test func theEndOfARestorationHasItsBytes() throws {
        let bytes = RestorationEndRecord(sequence: 258).encoded()
        #expect(Array(bytes.dropLast(4)) == [2, 1, 0, 0, 0, 0, 0, 0])
        #expect(try bytes.withUnsafeBytes { try RestorationEndRecord(bytes: $0).sequence } == 258)
    }

    @Test func placesOfEarlierReceiptsHaveTheirBytes() throws {
        let place = EarlierReceipt(key: IdempotencyKey(high: 0x0102, low: 3), sequence: 0x0405)
        let bytes = place.encoded()
        #expect(Array(bytes[..<24]) == [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 5, 4, 0, 0, 0, 0, 0, 0])
        #expect(bytes.count == 28)
        #expect(try bytes.withUnsafeBytes { try EarlierReceipt(bytes: $0) } == place)
        let outcome = ReceiptRecord.Outcome.deleted([.deleted])
        for (sequence, isInherited, isOf) in [(0x0405, false, true), (0x0406, false, false), (0x0406, true, true)] {
            let receipt = ReceiptRecord(
                sequence: UInt64(sequence),
                outcome: outcome,
                rowChecksums: [1],
                isInherited: isInherited
            )
            #expect(place.isOf(receipt) == isOf)
        }
    }

    @Test func timesAreNotedNowAndThenAndForgottenWithTheirReceipts() {
        var record = ReceiptTimesRecord.ofNothing
        #expect(record.forgotten(oldest: 0) == .nothing && record.forgotten(oldest: 1) == .unknown)
        for number in 1...1000 as ClosedRange<UInt64> {
            let oldest = number > 640 ? number - 640 : 0
            _ = record.note(number: number, oldest: oldest, spacing: 10, time: 7 * number)
        }
        // A sample for every ten receipts that are kept.
        #expect(record.samples.map(\.number) == (36...100).map { UInt64($0) * 10 })
        #expect(record.forgotten(oldest: 360) == .by(2520) && record.forgotten(oldest: 361) == .by(2590))
        // A clock that began anew goes on from the last time.
        let isNoted = record.note(number: 1010, oldest: 370, spacing: 10, time: 3)
        #expect(isNoted)
        #expect(record.samples.last == .init(number: 1010, time: 7000))
        var none = ReceiptTimesRecord(samples: [])
        #expect(none.forgotten(oldest: 0) == .unknown)
        _ = none.note(number: 5, oldest: 0, spacing: 10, time: 9)
        #expect(none.forgotten(oldest: 0) == .by(9))
    }

    /// A partition that stands in for others notes now and then how long it has, however little is written to it.
    @Test func whatOthersHadKeptBeforeAPartitionBeganGetsOlderWithIt() {
        #expect(ReceiptTimesRecord.ofOthers(until: 0).forgotten(oldest: 0) == .by(1))
        var record = ReceiptTimesRecord.ofOthers(until: 500)
        for number in 1...100 as ClosedRange<UInt64> {
            _ = record.note(number: number, oldest: 0, spacing: 1000, time: 500 + 20_000 * number)
        }
        #expect(record.samples.map(\.number) == [0, 3, 6, 12, 24, 48, 96])
        #expect(record.forgotten(oldest: 0) == .by(500))
        // What was kept by then is the partition's own.
        #expect(record.forgotten(oldest: 1) == .by(500 + 60_000))
        // One that was empty from the beginning of its range has nothing to note.
        var whole = ReceiptTimesRecord.ofNothing
        _ = whole.note(number: 1, oldest: 0, spacing: 1000, time: 1_000_000)
        #expect(whole == .ofNothing)
    }

    // MARK: Round trips

    @Test func whatIsCodedAgainIsReadBack() throws {
        for pending in [[], [7], [1, 2, .max]] as [[UInt32]] {
            let record = RecodingRecord(run: 9, nextRow: .max, pendingRuns: pending)
            #expect(try record.encoded().withUnsafeBytes { try RecodingRecord(bytes: $0) } == record)
        }
    }

    @Test func everyFieldOfAFaceIsReadBack() throws {
        let empty = FaceRecord(row: .max, version: FaceVersion(epoch: .max, sequence: 0), metadata: FaceMetadata())
        var checked = Self.full
        checked.embeddingChecksum = 0x0403_0201
        #expect(checked.encoded(for: Self.face).dropLast(4).suffix(5) == [0, 1, 2, 3, 4])
        for record in [Self.full, empty, checked] {
            #expect(
                try record.encoded(for: Self.face).withUnsafeBytes { try FaceRecord(bytes: $0, face: Self.face) }
                    == record
            )
        }
        // Each field alone: one field's bytes are not another's.
        let metadata = Self.full.metadata
        for alone in [
            FaceMetadata(personID: metadata.personID), FaceMetadata(externalImageID: "ext"), FaceMetadata(imageID: ""),
            FaceMetadata(boundingBox: metadata.boundingBox), FaceMetadata(quality: 3), FaceMetadata(confidence: 3),
            FaceMetadata(created: metadata.created), FaceMetadata(expires: metadata.expires),
            FaceMetadata(attributes: metadata.attributes),
        ] {
            let record = FaceRecord(row: 1, version: FaceVersion(epoch: 1, sequence: 1), metadata: alone)
            #expect(
                try record.encoded(for: Self.face).withUnsafeBytes { try FaceRecord(bytes: $0, face: Self.face) }
                    == record
            )
        }
    }

    @Test func aRecordBelongsToItsFace() {
        let bytes = Self.full.encoded(for: Self.face)
        for other in [
            FaceID(high: Self.face.high, low: Self.face.low ^ 1), FaceID(high: Self.face.high ^ 1, low: Self.face.low),
        ] {
            #expect(throws: PartitionStoreError.self) {
                try bytes.withUnsafeBytes { try FaceRecord(bytes: $0, face: other) }
            }
        }
    }

    @Test func stateIdentityAndManifestAreReadBack() throws {
        #expect(try Self.state.encoded().withUnsafeBytes { try PartitionState(bytes: $0) } == Self.state)
        #expect(
            try IdentityRecord.encode(Self.identity).withUnsafeBytes { try IdentityRecord.decode($0) } == Self.identity
        )
        #expect(try Self.manifest.encoded().withUnsafeBytes { try RunManifest(bytes: $0, run: 7) } == Self.manifest)
    }

    @Test func everyOutcomeIsReadBack() throws {
        let outcomes: [ReceiptRecord.Outcome] = [
            .enrolled([.accepted, .replaced, .superseded] + RowRejection.allCases.map { .rejected($0) }),
            .enrolled([]), .deleted([.absent, .deleted]), .deleted([]),
        ]
        for outcome in outcomes {
            for checksums in [nil, (0..<UInt32(outcome.count)).map { .max - $0 }] {
                let receipt = ReceiptRecord(sequence: 99, outcome: outcome, rowChecksums: checksums)
                #expect(try receipt.encoded().withUnsafeBytes { try ReceiptRecord(bytes: $0) } == receipt)
            }
        }
    }

    @Test func aReceiptAnswersItsOwnRowsOnly() {
        let receipt = ReceiptRecord(
            sequence: 1,
            outcome: .enrolled([.accepted, .replaced, .superseded]),
            rowChecksums: [5, 6, 5]
        )
        func answer(_ checksums: [UInt32]) -> ReceiptRecord.Outcome? {
            receipt.outcome(ofRows: checksums, isEnrolment: true)
        }
        #expect(answer([5, 6, 5]) == receipt.outcome)
        // What a part of the shard is sent of the batch.
        #expect(answer([6]) == .enrolled([.replaced]))
        #expect(answer([6, 5]) == .enrolled([.replaced, .superseded]))
        for other in [[5, 6, 7], [6, 6], [5, 5, 6], [5, 6, 5, 5], [4]] as [[UInt32]] { #expect(answer(other) == nil) }
        #expect(receipt.outcome(ofRows: [5, 6, 5], isEnrolment: false) == nil)

        // Parts that came together know nothing of the order in which they were sent.
        let part = ReceiptRecord(sequence: 3, outcome: .enrolled([.accepted, .replaced]), rowChecksums: [9, 5])
        let joined = receipt.joined(with: part, in: 0 ... .max)
        #expect(joined?.sequence == 3 && joined?.isInherited == true)
        let found = joined?.outcome(ofRows: [9, 5, 6, 5, 5], isEnrolment: true)
        #expect(found == .enrolled([.accepted, .accepted, .replaced, .superseded, .replaced]))
        #expect(joined?.outcome(ofRows: [5, 5, 5, 5], isEnrolment: true) == nil)
        let again = try? joined?.encoded().withUnsafeBytes { try ReceiptRecord(bytes: $0) }
        #expect(again == joined)
        let deletion = ReceiptRecord(sequence: 1, outcome: .deleted([.deleted]), rowChecksums: [5])
        #expect(receipt.joined(with: deletion, in: 0 ... .max) == nil)

        let old = ReceiptRecord(sequence: 1, outcome: .deleted([.absent, .deleted]), rowChecksums: nil)
        #expect(old.outcome(ofRows: [1, 2], isEnrolment: false) == old.outcome)
        #expect(old.outcome(ofRows: [1], isEnrolment: false) == nil)
        #expect(old.outcome(ofRows: [1, 2], isEnrolment: true) == nil)
    }

    @Test func aRowHasTheChecksumOfAllThatItBrings() {
        let row = EnrolRow(id: FaceID(high: 1, low: 2), metadata: FaceMetadata(personID: "p"))
        let changed = [
            EnrolRow(id: FaceID(high: 1, low: 3), metadata: FaceMetadata(personID: "p")),
            EnrolRow(id: row.id, metadata: FaceMetadata(personID: "q")),
            EnrolRow(id: row.id, metadata: FaceMetadata(externalImageID: "p")),
        ]
        let sums =
            changed.map { ReceiptRecord.checksum(of: $0, embeddingChecksum: 7) } + [
                ReceiptRecord.checksum(of: row, embeddingChecksum: 7),
                ReceiptRecord.checksum(of: row, embeddingChecksum: 8),
            ]
        #expect(Set(sums).count == 5)
    }

    // MARK: Damage

    private static let records: [(name: String, bytes: [UInt8], read: @Sendable ([UInt8]) throws -> Void)] = [
        ("face", full.encoded(for: face), { try $0.withUnsafeBytes { _ = try FaceRecord(bytes: $0, face: face) } }),
        ("state", state.encoded(), { try $0.withUnsafeBytes { _ = try PartitionState(bytes: $0) } }),
        ("identity", IdentityRecord.encode(identity), { try $0.withUnsafeBytes { _ = try IdentityRecord.decode($0) } }),
        ("manifest", manifest.encoded(), { try $0.withUnsafeBytes { _ = try RunManifest(bytes: $0, run: 7) } }),
        (
            "digest", DigestRecord(uncountedRow: 7).encoded(),
            { try $0.withUnsafeBytes { _ = try DigestRecord(bytes: $0) } }
        ),
        (
            "recoding", RecodingRecord(run: 3, nextRow: 256, pendingRuns: [4, 6]).encoded(),
            { try $0.withUnsafeBytes { _ = try RecodingRecord(bytes: $0) } }
        ),
        (
            "loose runs", LooseRunsRecord([4, 6]).encoded(),
            { try $0.withUnsafeBytes { _ = try LooseRunsRecord(bytes: $0) } }
        ),
        (
            "receipt times", ReceiptTimesRecord(samples: [.init(number: 1, time: 2)]).encoded(),
            { try $0.withUnsafeBytes { _ = try ReceiptTimesRecord(bytes: $0) } }
        ),
        (
            "earlier receipt", EarlierReceipt(key: IdempotencyKey(high: 1, low: 2), sequence: 3).encoded(),
            { try $0.withUnsafeBytes { _ = try EarlierReceipt(bytes: $0) } }
        ),
        (
            "intake", IntakeRecord(generation: 3, firstRow: 9).encoded(),
            { try $0.withUnsafeBytes { _ = try IntakeRecord(bytes: $0) } }
        ),
        (
            "restoration end", RestorationEndRecord(sequence: 258).encoded(),
            { try $0.withUnsafeBytes { _ = try RestorationEndRecord(bytes: $0) } }
        ),
        (
            "receipt",
            ReceiptRecord(sequence: 1, outcome: .enrolled([.accepted, .rejected(.zeroNorm)]), rowChecksums: [7, 9])
                .encoded(),
            { try $0.withUnsafeBytes { _ = try ReceiptRecord(bytes: $0) } }
        ),
    ]

    @Test func everyTruncationIsAnError() {
        for (name, bytes, read) in Self.records {
            for count in 0..<bytes.count {
                #expect(throws: PartitionStoreError.self, "\(name), \(count) bytes") {
                    try read(Array(bytes.prefix(count)))
                }
            }
            #expect(throws: PartitionStoreError.self, "\(name)") { try read(bytes + [0]) }
        }
    }

    @Test func everyChangedBitIsAnError() {
        for (name, bytes, read) in Self.records {
            for offset in bytes.indices {
                for bit in 0..<8 {
                    var changed = bytes
                    changed[offset] ^= 1 << UInt8(bit)
                    #expect(throws: PartitionStoreError.self, "\(name), offset \(offset)") { try read(changed) }
                }
            }
        }
    }

    /// Cut short or lengthened, and sealed again: the fields themselves must notice.
    @Test func sealedBytesOfAnotherLengthAreMalformed() {
        for (name, bytes, read) in Self.records where name != "face" {
            let body = Array(bytes.dropLast(4))
            // An identity without its last 16 bytes is one of an earlier format.
            for count in 2..<body.count where name != "identity" || count != body.count - 16 {
                #expect(throws: PartitionStoreError.self, "\(name), \(count) bytes") {
                    try read(Self.sealed(Array(body.prefix(count))))
                }
            }
            #expect(throws: PartitionStoreError.self, "\(name)") { try read(Self.sealed(body + [0])) }
        }
    }

    @Test func aNewerStateIsNamedSoWhateverFollows() {
        for bytes: [UInt8] in [[10, 0], [0xff, 0xff, 1, 2, 3], [10, 0] + [UInt8](repeating: 0, count: 100)] {
            #expect {
                try bytes.withUnsafeBytes { try PartitionState(bytes: $0) }
            } throws: { error in
                guard case PartitionStoreError.newerFormat(let version, 9) = error else { return false }
                return version > 9 && "\(error)".contains("use a newer mien")
            }
        }
    }

    @Test func manifestsThatLeadOutsideTheirChunksAreMalformed() {
        let changes: [(inout RunManifest) -> Void] = [
            { $0.firstSlots = [0, 32, 32, 1040] }, { $0.firstSlots = [16, 32, 32, 48] },
            { $0.firstSlots = [0, 32, 16, 48] }, { $0.firstSlots = [0, 33, 33, 48] }, { $0.chunkCount = 0 },
            { $0.listRowCounts = [33, 0, 7] }, { $0.listRowCounts = [30, 1, 9] }, { $0.rowCount = 41 },
            { $0.listRowCounts = [.max, 0, 10] }, { $0.firstRow = 257 },
        ]
        for (index, change) in changes.enumerated() {
            var manifest = Self.manifest
            change(&manifest)
            #expect(throws: PartitionStoreError.self, "change \(index)") {
                try manifest.encoded().withUnsafeBytes { try RunManifest(bytes: $0, run: 7) }
            }
        }
    }

    @Test func anIdentityThatBreaksTheRulesIsMalformed() {
        var configuration = Self.identity.collection.configuration
        configuration.dimension = 71
        let odd = PartitionIdentity(
            collection: Collection(
                id: Self.identity.collection.id,
                configuration: configuration,
                created: Timestamp(milliseconds: 0)
            ),
            shardIndex: 0,
            firstHash: 0,
            lastHash: 1
        )
        let backwards = PartitionIdentity(
            collection: Self.identity.collection,
            shardIndex: 0,
            firstHash: 2,
            lastHash: 1
        )
        for identity in [odd, backwards] {
            #expect(throws: PartitionStoreError.self) {
                try IdentityRecord.encode(identity).withUnsafeBytes { try IdentityRecord.decode($0) }
            }
        }
    }

    @Test func errorsAreOneSentenceAndSayWhetherTheFilesAreDamaged() {
        let errors: [(PartitionStoreError, Bool)] = [
            (.checksumMismatch(table: "rows", key: 5), true), (.malformed(table: "runs", reason: "its slots"), true),
            (.missing(table: "codes", key: 5), true),
            (.contradiction(table: "log", key: 5, reason: "another's"), true), (.notAPartition(path: "/data"), false),
            (.newerFormat(version: 2, newest: 1), false), (.environment(.corrupted(path: "/data")), true),
            (.environment(.noSpace(path: "/data")), false),
        ]
        for (error, isCorruption) in errors {
            #expect(error.isCorruption == isCorruption, "\(error)")
            #expect(!"\(error)".contains("\n") && "\(error)".count > 20)
        }
    }

    private static func sealed(_ body: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(bytes: body)
        return RecordSeal.seal(writer)
    }
}
