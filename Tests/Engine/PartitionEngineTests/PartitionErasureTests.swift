import FaceModel
import FaceRecords
import PartitionEngine
import PartitionStore
import Testing

/// The ledger of erasures: an entry for each deletion, in its commit, on every replica.
@Suite struct PartitionErasureTests {
    private static func erasures(_ partition: Partition, limit: Int = 7) throws -> [Erasure] {
        var all: [Erasure] = []
        var position: ErasurePosition?
        while true {
            let page = try partition.erasures(after: position, limit: limit)
            all += page.erasures
            if page.isLast { return all }
            position = page.last
        }
    }

    @Test func everyDeletionIsRememberedUnderItsPseudonym() throws {
        let fixture = try PartitionFixture()
        fixture.options.wallClock = { Timestamp(milliseconds: 1234) }
        try fixture.reopen()
        var source = FaceSource(dimension: fixture.dimension)
        let ids = (0..<30).map { FaceID($0) }
        try fixture.enrol(ids, ids.map { _ in source.embedding() })
        let first = try fixture.delete(Array(ids.prefix(10)) + [FaceID(99)])
        try fixture.enrol([ids[3]], [source.embedding()])
        let second = try fixture.delete([ids[3], ids[20]])
        let key = fixture.partition.identity.erasureKey
        let expected =
            ids.prefix(10).map { ($0, first.sequence) } + [(ids[3], second.sequence), (ids[20], second.sequence)]
        let found = try Self.erasures(fixture.partition)
        #expect(found.map(\.pseudonym) == expected.map { key.pseudonym(of: $0.0) })
        #expect(found.map(\.version) == expected.map { FaceVersion(epoch: 1, sequence: $0.1) })
        #expect(found.allSatisfy { $0.time == Timestamp(milliseconds: 1234) })
        _ = try fixture.partition.verifyAll()
        let copy = TemporaryFolder()
        #expect(try fixture.partition.copy(to: "\(copy.path)/copy") != nil)
        let copied = try Partition.open(at: "\(copy.path)/copy", options: fixture.options)
        defer { copied.close() }
        #expect(try Self.erasures(copied, limit: 1000) == found)
    }

    @Test func oldErasuresAreForgottenAndThatIsSaid() throws {
        let fixture = try PartitionFixture()
        fixture.options.erasureRetention = .seconds(100)
        fixture.options.wallClock = { Timestamp(milliseconds: 50_000) }
        try fixture.reopen()
        var source = FaceSource(dimension: fixture.dimension)
        let ids = (0..<8).map { FaceID($0) }
        try fixture.enrol(ids, ids.map { _ in source.embedding() })
        try fixture.delete(Array(ids.prefix(3)))
        fixture.options.wallClock = { Timestamp(milliseconds: 90_000) }
        try fixture.reopen()
        try fixture.delete(Array(ids.suffix(2)))
        try fixture.settle(now: Timestamp(milliseconds: 150_000))
        #expect(try Self.erasures(fixture.partition).count == 5)
        #expect(try fixture.partition.erasures(after: nil, limit: 9).forgotten == nil)
        try fixture.settle(now: Timestamp(milliseconds: 150_001))
        #expect(try Self.erasures(fixture.partition).count == 2)
        #expect(try fixture.partition.erasures(after: nil, limit: 9).forgotten == Timestamp(milliseconds: 50_000))
        _ = try fixture.partition.verifyAll()
        try fixture.settle(now: Timestamp(milliseconds: 190_001))
        #expect(try Self.erasures(fixture.partition).isEmpty)
        #expect(try fixture.partition.erasures(after: nil, limit: 9).forgotten == Timestamp(milliseconds: 90_000))
    }

    @Test func replicasRememberTheSame() throws {
        let replicas = [try PartitionFixture(), try PartitionFixture()]
        for replica in replicas { _ = try replica.partition.commit(LogTransaction(promise: 4)) }
        var author = try LogAuthor(replicas[0].partition, epoch: 4)
        var source = FaceSource(dimension: replicas[0].dimension)
        let ids = (0..<9).map { FaceID($0) }
        let entries = [
            try author.entry(replicas[0].enrolment(ids, ids.map { _ in source.embedding() })),
            try author.entry(.delete(Array(ids.prefix(4)))), try author.entry(.delete(ids)),
        ]
        for replica in replicas {
            for entry in entries {
                _ = try replica.partition.commit(LogTransaction(append: [entry], applyThrough: entry.sequence))
            }
        }
        let found = try replicas.map {
            try Self.erasures($0.partition).map { [$0.pseudonym, UInt128($0.version.sequence)] }
        }
        #expect(found[0] == found[1] && found[0].count == 9)
    }
}
