import FaceModel
import FaceRecords
import PartitionEngine
import PartitionStore
import Testing

/// The ledger of erasures: an entry for each deletion and each expiry, in its commit, on every replica.
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
            (ids.prefix(10) + [FaceID(99)]).map { ($0, first.sequence) }
            + [(ids[3], second.sequence), (ids[20], second.sequence)]
        let found = try Self.erasures(fixture.partition)
        let inOrder = expected.map { (sequence: $0.1, pseudonym: key.pseudonym(of: $0.0)) }.sorted {
            ($0.sequence, $0.pseudonym) < ($1.sequence, $1.pseudonym)
        }
        #expect(found.map(\.pseudonym) == inOrder.map(\.pseudonym))
        #expect(found.map(\.version) == inOrder.map { FaceVersion(epoch: 1, sequence: $0.sequence) })
        #expect(found.allSatisfy { $0.time == Timestamp(milliseconds: 1234) })
        _ = try fixture.partition.verifyAll()
        let copy = TemporaryFolder()
        #expect(try fixture.partition.copy(to: "\(copy.path)/copy") != nil)
        let copied = try Partition.open(at: "\(copy.path)/copy", options: fixture.options)
        defer { copied.close() }
        #expect(try Self.erasures(copied, limit: 1000) == found)
    }

    /// A backup may have it, where it was lost here with its shard, or has expired.
    @Test func theDeletionOfAFaceThatIsNotThereIsRememberedOnce() throws {
        let fixture = try PartitionFixture()
        let face = FaceID(7)
        let pseudonym = fixture.partition.identity.erasureKey.pseudonym(of: face)
        let batch = WriteBatch(key: fixture.nextKey(), operation: .delete([face, face]))
        let receipt = try fixture.partition.write([batch], epoch: 1)[0]
        #expect(receipt.outcome == .deleted([.absent, .absent]))
        let found = try Self.erasures(fixture.partition)
        #expect(found.map(\.pseudonym) == [pseudonym])
        #expect(found.map(\.version) == [FaceVersion(epoch: 1, sequence: receipt.sequence)])
        // Sent again it is the same write.
        #expect(try fixture.partition.write([batch], epoch: 1)[0] == receipt)
        #expect(try Self.erasures(fixture.partition) == found)
        _ = try fixture.partition.verifyAll()
    }

    /// What a backup has of it may be from before it was given an expiry.
    @Test(arguments: [false, true]) func anExpiryIsRememberedUnderAPseudonymOfItsOwn(isLogged: Bool) throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: fixture.dimension)
        if isLogged { _ = try fixture.partition.commit(LogTransaction(promise: 2)) }
        func write(_ operation: WriteBatch.Operation) throws {
            let batch = WriteBatch(key: fixture.nextKey(), operation: operation)
            guard isLogged else {
                _ = try fixture.partition.write([batch], epoch: 1)
                return
            }
            var author = try LogAuthor(fixture.partition, epoch: 2)
            let entry = try author.entry(batch)
            _ = try fixture.partition.commit(LogTransaction(append: [entry], applyThrough: entry.sequence))
        }
        let ids = (0..<5).map { FaceID($0) }
        func enrol(_ ids: [FaceID], expires: Int64?) throws {
            let metadata = FaceMetadata(expires: expires.map { Timestamp(milliseconds: $0) })
            try write(fixture.enrolment(ids, ids.map { _ in source.embedding() }) { _ in metadata }.operation)
        }
        try enrol(ids, expires: nil)
        try enrol(Array(ids[..<3]), expires: 1000)
        try enrol([ids[2]], expires: 5000)
        let expiry = try #require(try fixture.partition.expiry(now: Timestamp(milliseconds: 2000)))
        // Meanwhile one has been given more time.
        try enrol([ids[1]], expires: nil)
        try write(expiry)
        let key = fixture.partition.identity.erasureKey
        let found = try Self.erasures(fixture.partition)
        #expect(found.map(\.pseudonym) == [key.pseudonym(ofExpired: ids[0])])
        #expect(found.map(\.version.sequence) == [fixture.partition.committedSequence])
        #expect(key.pseudonym(ofExpired: ids[0]) != key.pseudonym(of: ids[0]))
        #expect(try fixture.partition.faces(ids, includesEmbeddings: false).map(\.id) == Array(ids[1...]))
        _ = try fixture.partition.verifyAll()
    }

    /// The clock of the replica that ordered it may be ahead: a restore goes by what expired first.
    @Test(arguments: [(500, 1000), (1700, 1700)] as [(Int64, Int64)])
    func anExpiryIsNotDatedBeforeItWasDue(clock: Int64, time: Int64) throws {
        let fixture = try PartitionFixture()
        fixture.options.wallClock = { Timestamp(milliseconds: clock) }
        try fixture.reopen()
        var source = FaceSource(dimension: fixture.dimension)
        try fixture.enrol([FaceID(1)], [source.embedding()]) { _ in
            FaceMetadata(expires: Timestamp(milliseconds: 1000))
        }
        let expiry = try #require(try fixture.partition.expiry(now: Timestamp(milliseconds: 2000)))
        let batch = WriteBatch(key: fixture.nextKey(), operation: expiry)
        _ = try fixture.partition.write([batch], epoch: 1)
        #expect(try Self.erasures(fixture.partition).map(\.time) == [Timestamp(milliseconds: time)])
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
        // Of the nine that the second deletion named four were gone.
        #expect(found[0] == found[1] && found[0].count == 4 + 9)
    }

    /// Each replica of a merged shard takes the ledgers of its sources over in a time of its own, and each page may
    /// come from another.
    @Test(arguments: [1, 7, 20, 1000]) func pagesOfSeveralReplicasOfAMergedShardMakeOneLedger(limit: Int) throws {
        let fixtures = [try PartitionFixture(), try PartitionFixture()]
        let replicas = try (0..<2).map { number in
            try SuccessorBuilder(
                at: "\(fixtures[0].folder.path)/merged\(number)",
                identity: .made(shardIndex: 3),
                sources: fixtures.map(\.partition),
                options: fixtures[0].options
            )
        }
        defer { withExtendedLifetime(fixtures) { for replica in replicas { replica.close() } } }
        for round in 0..<4 {
            // Both delete by writes of one number, and only one of the replicas looks between the two.
            try fixtures[1].delete((0..<9).map { FaceID(100 * round + 50 + $0) })
            while try replicas[0].copyErasures() {}
            try fixtures[0].delete((0..<9).map { FaceID(100 * round + $0) })
        }
        for replica in replicas { while try replica.copyErasures() {} }
        let key = fixtures[0].partition.identity.erasureKey
        let numbers: [Int] = (0..<400).filter { $0 % 50 < 9 }
        let all = Set(numbers.map { key.pseudonym(of: FaceID($0)) })
        for first in 0..<2 {
            var found: [Erasure] = []
            var (position, turn) = (ErasurePosition?.none, first)
            while true {
                let page = try replicas[turn % 2].partition.erasures(after: position, limit: limit)
                #expect(page.erasures.count <= limit)
                found += page.erasures
                if page.isLast { break }
                // One of before, which counts those of a number in its own order, is told of whole numbers where it
                // can be.
                if limit >= 18 { #expect(page.last?.index == UInt32.max) }
                (position, turn) = (page.last, turn + 1)
                try #require(turn < 200, "the ledger has an end")
            }
            #expect(found.count == all.count && Set(found.map(\.pseudonym)) == all)
        }
    }

    /// The halves of a split have its erasures both, as replicas with clocks of their own noted them.
    @Test func anErasureThatBothHalvesHaveIsOneWhateverTheirClocksSaid() throws {
        let fixtures = try (0..<2).map { number in
            var options = PartitionOptions.small
            options.wallClock = { Timestamp(milliseconds: 1000 + Int64(number)) }
            return try PartitionFixture(options: options)
        }
        let ids = (0..<30).map { FaceID($0) }
        for fixture in fixtures {
            for id in ids[..<10] { try fixture.delete([id]) }
            try fixture.delete(Array(ids[10...]))
        }
        for isReversed in [false, true] {
            let path = "\(fixtures[0].folder.path)/merged-\(isReversed)"
            let builder = try SuccessorBuilder(
                at: path,
                identity: .made(shardIndex: 3),
                sources: (isReversed ? fixtures.reversed() : fixtures).map(\.partition),
                options: fixtures[0].options
            )
            let found: [Erasure]
            do {
                defer { builder.close() }
                while try builder.copyErasures() {}
                found = try Self.erasures(builder.partition, limit: 1000)
            }
            #expect(found.map(\.time) == ids.map { _ in Timestamp(milliseconds: 1001) })
            let dump = try PartitionDump(of: path, answers: [])
            #expect(dump.entries.count { $0.table == "erasures" && !$0.key.isEmpty } == ids.count)
        }
    }
}
