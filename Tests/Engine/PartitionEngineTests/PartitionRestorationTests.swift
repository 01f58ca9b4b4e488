import FaceModel
import PartitionEngine
import PartitionStore
import Testing

/// The end of a restoration: what comes behind it brings nobody back who was deleted since.
@Suite struct PartitionRestorationTests {
    private static let later = Timestamp(milliseconds: 10)
    private static let nothing = ArchivedFaces(dimension: 64, precision: .float16)

    /// Thirty faces, of which a third expire.
    static func backup() throws -> ArchivedFaces {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: fixture.dimension)
        let ids = (0..<30).map { FaceID($0) }
        try fixture.enrol(ids, ids.map { _ in source.embedding() }) { face in
            FaceMetadata(expires: face.low % 3 == 0 ? Timestamp(milliseconds: 5) : nil)
        }
        var reader = RingReader(fixture.partition)
        var faces = ArchivedFaces(dimension: fixture.dimension, precision: .float16)
        for slice in 0..<256 {
            let page = try reader.page(slice: slice, offset: 0, limit: 100, byteLimit: 1 << 20)
            for row in page.faces.rows.indices {
                faces.append(page.faces.rows[row], embedding: page.faces.embedding(row))
            }
        }
        #expect(try fixture.partition.statistics().faceCount == UInt64(faces.count))
        return faces
    }

    /// A partition that faces of a backup are put into, by a log or without one.
    private final class Target {
        let fixture: PartitionFixture
        private var author: LogAuthor?

        init(isLogged: Bool) throws {
            fixture = try PartitionFixture()
            guard isLogged else { return }
            _ = try fixture.partition.commit(LogTransaction(promise: 9))
            author = try LogAuthor(fixture.partition, epoch: 9)
        }

        var partition: Partition { fixture.partition }

        func write(_ operation: WriteBatch.Operation) throws -> WriteReceipt.Outcome {
            guard let entry = try author?.entry(operation) else {
                let batch = WriteBatch(key: .random(), operation: operation)
                return try partition.write([batch], epoch: 9)[0].outcome
            }
            let outcome = try partition.commit(LogTransaction(append: [entry], applyThrough: entry.sequence))
            return try #require(outcome.applied.last).receipt.outcome
        }
    }

    @Test(arguments: [false, true]) func whatComesBehindTheEndChangesNothing(isLogged: Bool) throws {
        let target = try Target(isLogged: isLogged)
        let backup = try Self.backup()
        let accepted = WriteReceipt.Outcome.enrolled(backup.rows.map { _ in .accepted })
        let superseded = WriteReceipt.Outcome.enrolled(backup.rows.map { _ in .superseded })
        let none = WriteReceipt.Outcome.enrolled([])
        #expect(try target.write(.restore(backup, isLast: false)) == accepted)
        #expect(try !target.partition.expiryDue(now: Self.later))
        #expect(try target.write(.restore(Self.nothing, isLast: true)) == none)
        let gone = try #require(backup.rows.first { $0.metadata.expires == nil }).id
        #expect(try target.write(.delete([gone])) == .deleted([.deleted]))
        let digest = try #require(try target.partition.digest())
        for isLast in [false, true] {
            // Of another run of the same restoration, which sent it before the end.
            #expect(try target.write(.restore(backup, isLast: isLast)) == superseded)
            #expect(try target.partition.faces([gone], includesEmbeddings: false).isEmpty)
            #expect(try target.partition.digest()?.slices == digest.slices)
            #expect(try target.partition.expiryDue(now: Self.later), "faces do not expire any more")
            try target.fixture.reopen()
        }
        // The end comes again when nobody heard that it had come.
        #expect(try target.write(.restore(Self.nothing, isLast: true)) == none)
        #expect(try target.partition.verifyAll()?.slices == digest.slices)
        // Who has expired does not come back either.
        let expiredCount = backup.rows.count { $0.metadata.expires != nil }
        let expiry = try #require(try target.partition.expiry(now: Self.later))
        #expect(try target.write(expiry) == .expired(faceCount: expiredCount))
        #expect(try target.write(.restore(backup, isLast: false)) == superseded)
        #expect(try target.partition.statistics().faceCount == UInt64(backup.count - 1 - expiredCount))
    }

    @Test func whoOrdersWritesKnowsWhatComesBehindTheEnd() throws {
        let target = try Target(isLogged: true)
        let backup = try Self.backup()
        func known(_ faces: ArchivedFaces, isLast: Bool = false) throws -> Partition.KnownReceipt? {
            let batch = WriteBatch(key: .random(), operation: .restore(faces, isLast: isLast))
            return try target.partition.knownReceipt(of: batch)
        }
        _ = try target.write(.restore(backup, isLast: false))
        // Until the end the same faces may come again, and are compared.
        #expect(try known(backup) == nil)
        _ = try target.write(.restore(Self.nothing, isLast: true))
        let answer = try #require(try known(backup))
        #expect(answer.receipt.outcome == .enrolled(backup.rows.map { _ in .superseded }))
        #expect(answer.receipt.sequence == 2 && answer.isRecent)
        // The end is ordered again: its answer says that every replica has it.
        #expect(try known(Self.nothing, isLast: true) == nil)
    }

    /// A write to what was backed up may have been done there, and its face deleted since.
    @Test func ofAWriteFromBeforeTheEndNobodyKnows() throws {
        let clock = SteppedClock()
        var options = PartitionOptions.small
        options.steadyClock = { clock.now }
        let fixture = try PartitionFixture(options: options)
        func mayHaveForgotten(_ seconds: Int) throws -> Bool {
            try fixture.partition.mayHaveForgotten(IdempotencyKey(high: 9, low: 9), age: .seconds(seconds))
        }
        #expect(try !mayHaveForgotten(1000))
        clock.pass(.seconds(20))
        for _ in 0..<2 {
            let end = WriteBatch(key: .random(), operation: .restore(Self.nothing, isLast: true))
            _ = try fixture.partition.write([end], epoch: 9)
            // The end comes once.
            clock.pass(.seconds(10))
        }
        #expect(try !mayHaveForgotten(19) && mayHaveForgotten(21))
    }

    @Test func theEndGoesAlongWithACopy() throws {
        let target = try Target(isLogged: false)
        let backup = try Self.backup()
        _ = try target.write(.restore(backup, isLast: false))
        _ = try target.write(.restore(Self.nothing, isLast: true))
        _ = try target.write(.delete(backup.rows.map(\.id)))
        let path = "\(target.fixture.folder.path)/copy"
        _ = try #require(try target.partition.copy(to: path))
        let copy = try PartitionFixture(opening: path)
        let late = WriteBatch(key: .random(), operation: .restore(backup, isLast: false))
        _ = try copy.partition.write([late], epoch: 9)
        #expect(try copy.partition.statistics().faceCount == 0)
        #expect(try target.partition.statistics().faceCount == 0)
    }
}
