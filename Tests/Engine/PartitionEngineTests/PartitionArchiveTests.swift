import BinaryCoding
import FaceModel
import LMDB
import PartitionEngine
import PartitionStore
import Testing

/// What backups are made from and restores are made of: faces in the order of the ring, put back as they were.
@Suite struct PartitionArchiveTests {
    /// A partition with faces in runs, in full chunks and in the tail; some replaced, some deleted.
    private static func filled(precision: StoredPrecision = .float16) throws -> PartitionFixture {
        let fixture = try PartitionFixture(precision: precision)
        var source = FaceSource(dimension: fixture.dimension)
        for part in 0..<6 {
            let ids = (0..<150).map { FaceID(part * 150 + $0) }
            try fixture.enrol(ids, ids.map { _ in source.embedding() }) { face in
                FaceMetadata(
                    personID: face.low % 3 == 0 ? "person-\(face.low % 7)" : nil,
                    created: Timestamp(milliseconds: Int64(face.low & 0xffff)),
                    expires: face.low % 11 == 0 ? Timestamp(milliseconds: 5) : nil,
                    attributes: face.low % 5 == 0 ? ["set": "a"] : [:]
                )
            }
            try fixture.delete(Array(ids.prefix(17)))
            _ = try fixture.partition.maintain(now: Timestamp(milliseconds: 0))
        }
        let again = (300..<360).map { FaceID($0) }
        try fixture.enrol(again, again.map { _ in source.embedding() })
        return fixture
    }

    private static func allFaces(_ partition: Partition, windowFaceLimit: Int = 500_000) throws -> [ArchivedFaces] {
        var reader = RingReader(partition, windowFaceLimit: windowFaceLimit)
        return try (0..<256).map { slice in
            var all: ArchivedFaces?
            while true {
                let page = try reader.page(slice: slice, offset: all?.count ?? 0, limit: 3, byteLimit: 400)
                if all == nil {
                    all = page.faces
                } else {
                    for row in page.faces.rows.indices {
                        all!.append(page.faces.rows[row], embedding: page.faces.embedding(row))
                    }
                }
                if page.isLast { return all! }
                try #require(page.faces.count > 0)
            }
        }
    }

    @Test func everyFaceIsReadOnceInTheOrderOfTheRing() throws {
        let fixture = try Self.filled()
        let partition = fixture.partition
        let digest = try #require(try partition.digest())
        let collection = partition.identity.collection.id
        // Windows of all slices, and of one at a time.
        for limit in [500_000, 1] {
            let slices = try Self.allFaces(partition, windowFaceLimit: limit)
            #expect(slices.reduce(0) { $0 + $1.count } == Int(digest.faceCount))
            for (slice, faces) in slices.enumerated() {
                #expect(faces.rows.allSatisfy { DigestRecord.slice(of: $0.id, in: collection) == slice })
                let listed = try partition.faces(faces.rows.map(\.id), includesEmbeddings: true)
                #expect(listed.map(\.version) == faces.rows.map(\.version))
                #expect(listed.map(\.metadata) == faces.rows.map(\.metadata))
                for row in faces.rows.indices {
                    let bits = try #require(listed[row].embedding).flatMap { value -> [UInt8] in
                        let half = Float16(value).bitPattern
                        return [UInt8(truncatingIfNeeded: half), UInt8(truncatingIfNeeded: half >> 8)]
                    }
                    #expect(Array(faces.embedding(row)) == bits)
                }
            }
        }
    }

    @Test(arguments: StoredPrecision.allCases) func whatIsPutBackIsTheSame(precision: StoredPrecision) throws {
        let fixture = try Self.filled(precision: precision)
        let expected = try #require(try fixture.partition.digest())
        let restored = try PartitionFixture(precision: precision)
        let slices = try Self.allFaces(fixture.partition)
        for faces in slices where faces.count > 0 {
            let receipt = try restored.partition.write([Self.restoration(faces)], epoch: 9)[0]
            #expect(receipt.outcome == .enrolled(Array(repeating: .accepted, count: faces.count)))
        }
        let digest = try #require(try restored.partition.digest())
        #expect(digest.slices == expected.slices && digest.faceCount == expected.faceCount)
        #expect(try restored.partition.verifyAll()?.slices == expected.slices)
        // Once more changes nothing.
        let again = try restored.partition.write([Self.restoration(slices.first { $0.count > 0 }!)], epoch: 9)[0]
        guard case .enrolled(let outcomes) = again.outcome else {
            Issue.record("no enrolment")
            return
        }
        #expect(outcomes.allSatisfy { $0 == .superseded })
        #expect(try restored.partition.digest()?.slices == expected.slices)
    }

    private static func restoration(_ faces: ArchivedFaces, isLast: Bool = false) -> WriteBatch {
        WriteBatch(key: .random(), operation: .restore(faces, isLast: isLast))
    }

    @Test func nothingExpiresBeforeTheEnd() throws {
        let fixture = try Self.filled()
        let restored = try PartitionFixture()
        let later = Timestamp(milliseconds: 10)
        for faces in try Self.allFaces(fixture.partition) where faces.count > 0 {
            _ = try restored.partition.write([Self.restoration(faces)], epoch: 9)
        }
        let faceCount = try restored.partition.statistics().faceCount
        #expect(try !restored.partition.expiryDue(now: later))
        try restored.reopen()
        try restored.settle(now: later)
        #expect(try restored.partition.statistics().faceCount == faceCount)
        let nothing = ArchivedFaces(dimension: restored.dimension, precision: .float16)
        _ = try restored.partition.write([Self.restoration(nothing, isLast: true)], epoch: 9)
        #expect(try restored.partition.expiryDue(now: later))
        try restored.settle(now: later)
        let expired = (0..<900).count { number in
            let isAlive = number % 150 >= 17 && !(300..<360).contains(number)
            return isAlive && FaceID(number).low % 11 == 0
        }
        #expect(try restored.partition.statistics().faceCount == faceCount - UInt64(expired))
        #expect(expired > 20)
    }

    @Test func whatCannotBePutBackIsRefused() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: fixture.dimension)
        try fixture.enrol([FaceID(1)], [source.embedding()])
        var reader = RingReader(fixture.partition)
        let slice = DigestRecord.slice(of: FaceID(1), in: fixture.partition.identity.collection.id)
        let faces = try reader.page(slice: slice, offset: 0, limit: 10, byteLimit: 1 << 20).faces
        let restored = try PartitionFixture()
        // Its own epoch: a later write of the face would not be newer.
        #expect(throws: PartitionError.self) {
            try restored.partition.write([Self.restoration(faces)], epoch: faces.rows[0].version.epoch)
        }
        for byte: UInt8 in [0x00, 0x7c, 0x7e] {
            var embeddings = faces.embeddings
            for index in stride(from: 1, to: embeddings.count, by: 2) { embeddings[index] = byte }
            let bad = ArchivedFaces(
                dimension: faces.dimension,
                precision: faces.precision,
                rows: faces.rows,
                embeddings: embeddings
            )
            #expect(throws: PartitionError.self) {
                try restored.partition.write([Self.restoration(bad)], epoch: 9)
            }
        }
        let other = try PartitionFixture(dimension: 128)
        #expect(throws: PartitionError.self) { try other.partition.write([Self.restoration(faces)], epoch: 9) }
        #expect(try restored.partition.statistics().faceCount == 0)
    }

    @Test func replicasPutBackTheSameByTheirLogs() throws {
        let fixture = try Self.filled()
        let first = try PartitionFixture()
        let second = try PartitionFixture()
        _ = try first.partition.commit(LogTransaction(promise: 9))
        _ = try second.partition.commit(LogTransaction(promise: 9))
        var author = try LogAuthor(first.partition, epoch: 9)
        for faces in try Self.allFaces(fixture.partition) where faces.count > 0 {
            let entry = try author.entry(.restore(faces, isLast: false))
            for replica in [first, second] {
                _ = try replica.partition.commit(
                    LogTransaction(append: [entry], applyThrough: entry.sequence)
                )
            }
        }
        let end = try author.entry(
            .restore(ArchivedFaces(dimension: fixture.dimension, precision: .float16), isLast: true)
        )
        for replica in [first, second] {
            _ = try replica.partition.commit(LogTransaction(append: [end], applyThrough: end.sequence))
            let digest = try #require(try replica.partition.verifyAll())
            #expect(digest.slices == (try fixture.partition.digest())?.slices)
        }
    }

    @Test func damageIsMetAndNotCopied() throws {
        let fixture = try Self.filled()
        let ids = try fixture.partition.page(after: nil, limit: 1, byteLimit: 1 << 20, includesEmbeddings: false)
        let face = ids[0].id
        fixture.partition.close()
        do {
            var options = EnvironmentOptions()
            options.mapByteCount = 1 << 30
            let environment = try Environment(path: fixture.directory, options: options)
            defer { environment.close() }
            let tables = try PartitionTables(environment, create: false)
            try environment.write { transaction in
                var record = Array(try #require(try transaction.reading.value(of: tables.faces, key: face)))
                record[6] ^= 1
                try transaction.put(tables.faces, key: face, value: record)
            }
        }
        try fixture.reopen()
        var reader = RingReader(fixture.partition)
        let slice = DigestRecord.slice(of: face, in: fixture.partition.identity.collection.id)
        #expect {
            _ = try reader.page(slice: slice, offset: 0, limit: 1000, byteLimit: 1 << 20)
        } throws: { ($0 as? PartitionError)?.isCorruption == true }
    }
}
