import FaceModel
import LMDB
import PartitionEngine
import PartitionStore
import Testing

/// What a partition remembers of writes beyond the newest receipts.
@Suite struct EarlierReceiptTests {
    private func key(_ number: Int) -> IdempotencyKey { IdempotencyKey(high: 5, low: UInt64(number)) }

    private func deletion(_ number: Int, of faces: [FaceID] = [FaceID(1)]) -> WriteBatch {
        WriteBatch(key: key(number), operation: .delete(faces))
    }

    /// Which of the first deletions are known, as a range.
    private func known(_ partition: Partition, of count: Int) throws -> Range<Int> {
        let known = try (0..<count).filter { try partition.knownReceipt(of: deletion($0)) != nil }
        guard let first = known.first, let last = known.last else { return 0..<0 }
        #expect(known == Array(first...last))
        return first..<last + 1
    }

    /// One deletion a second.
    @Test func asManyAsMustAreKeptAndMoreAsLongAsTheyAreYoung() throws {
        let clock = SteppedClock()
        var options = PartitionOptions.small
        options.steadyClock = { clock.now }
        options.receiptLimit = 4
        options.earlierReceipts.leastCount = 20
        options.earlierReceipts.age = .seconds(100)
        let fixture = try PartitionFixture(options: options)
        var count = 0
        func delete(_ more: Int) throws {
            for _ in 0..<more {
                _ = try fixture.partition.write([deletion(count)], epoch: 1)
                count += 1
                clock.pass(.seconds(1))
            }
        }
        try delete(90)
        #expect(try known(fixture.partition, of: count) == 0..<90)
        let unknown = key(1000)
        #expect(try !fixture.partition.mayHaveForgotten(unknown, age: .seconds(10_000)))
        // An answer is given again, whether it is one of the newest or not.
        for number in [0, 40, 89] {
            let again = try #require(try fixture.partition.knownReceipt(of: deletion(number)))
            #expect(again.receipt.sequence == UInt64(number + 1) && again.isRecent == (number >= 86))
            #expect(try fixture.partition.write([deletion(number)], epoch: 1)[0] == again.receipt)
        }
        let other = WriteBatch(key: key(3), operation: .delete([FaceID(2)]))
        #expect(try fixture.partition.knownReceipt(of: other)?.receipt.outcome == .keyReused)
        try delete(60)
        #expect(try known(fixture.partition, of: count) == 49..<150)
        #expect(try fixture.partition.verifyAll() != nil)
        #expect(try !fixture.partition.mayHaveForgotten(unknown, age: .seconds(95)))
        #expect(try fixture.partition.mayHaveForgotten(unknown, age: .seconds(105)))
        #expect(try !fixture.partition.mayHaveForgotten(key(60), age: .seconds(105)), "it is known")
        // All are old: they go a few at a time, until as many are left as must be.
        clock.pass(.seconds(1000))
        try delete(2)
        #expect(try known(fixture.partition, of: count) == 57..<152)
        try delete(60)
        #expect(try known(fixture.partition, of: count) == 150..<212)
        clock.pass(.seconds(1000))
        try delete(20)
        #expect(try known(fixture.partition, of: count) == 212..<232)
        try fixture.reopen()
        #expect(try known(fixture.partition, of: count) == 212..<232)
        #expect(try fixture.partition.verifyAll() != nil)
    }

    /// Small ones have to go, many for one, when large ones come.
    @Test func theyTakeNoMoreOfTheDiskThanTheyMay() throws {
        var options = PartitionOptions.small
        options.receiptLimit = 8
        options.earlierReceipts.byteLimit = 256 << 10
        let fixture = try PartitionFixture(options: options)
        _ = try fixture.partition.write((0..<2000).map { deletion($0) }, epoch: 1)
        let before = try known(fixture.partition, of: 2000)
        #expect(before.upperBound == 2000 && before.count > 1000)
        let faces = (0..<1500).map { FaceID($0) }
        for number in 2000..<2100 { _ = try fixture.partition.write([deletion(number, of: faces)], epoch: 1) }
        #expect(try known(fixture.partition, of: 2000).isEmpty)
        #expect(try fixture.partition.mayHaveForgotten(key(9999), age: .seconds(1_000_000)))
        #expect(try fixture.partition.verifyAll() != nil)
        fixture.partition.close()
        let environment = try Environment(path: fixture.directory, options: EnvironmentOptions())
        let byteCount = try ["earlierReceipts", "earlierReceiptOrder"].map { name in
            let table = try environment.openTable(named: name)
            return try environment.read { transaction in try transaction.statistics(of: table).byteCount }
        }
        environment.close()
        #expect(byteCount[0] > 128 << 10 && byteCount.reduce(0, +) <= 256 << 10 + 16 << 10)
        try fixture.reopen()
    }

    /// Takes the receipts of a partition over, into one that is made beside it.
    private func copyReceipts(of fixture: PartitionFixture) throws {
        let builder = try SuccessorBuilder(
            at: "\(fixture.folder.path)/successor",
            identity: .made(shardIndex: 7),
            sources: [fixture.partition],
            options: .small
        )
        defer { builder.close() }
        while try builder.copyReceipts() {}
    }

    /// No checksum covers the numbers: one that was changed loses no receipt, and ends nothing but the partition.
    @Test(arguments: [(5, 1 << 40), (30, 1 << 40), (30, 8), (30, 26)])
    func aChangedNumberIsNoticedBeforeReceiptsComeOver(writeCount: Int, number: Int) throws {
        var options = PartitionOptions.small
        options.receiptLimit = 4
        let fixture = try PartitionFixture(options: options)
        _ = try fixture.partition.write((0..<writeCount).map { deletion($0) }, epoch: 1)
        fixture.partition.close()
        try fixture.change { tables, transaction in
            // As if the first ten had been forgotten, if there are so many.
            let first = UInt64(writeCount > 20 ? 10 : 0)
            _ = try transaction.removeAll(tables.earlierReceiptOrder, in: .before(first))
            let place = Array(try #require(try transaction.reading.value(of: tables.earlierReceiptOrder, key: first)))
            try transaction.delete(tables.earlierReceiptOrder, key: first)
            try transaction.put(tables.earlierReceiptOrder, key: UInt64(number), value: place)
        }
        try fixture.reopen()
        #expect { try copyReceipts(of: fixture) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    /// Those of both come over while the shards are written, some at a time, and what is written then afterwards.
    @Test func whoeverTakesAPartitionsPlaceRemembersWhatItDid() throws {
        var options = PartitionOptions.small
        options.receiptLimit = 100
        let fixtures = [try PartitionFixture(options: options), try PartitionFixture(options: options)]
        for index in 0..<2 {
            _ = try fixtures[index].partition.write((0..<5000).map { deletion(2 * $0 + index) }, epoch: 1)
        }
        var identity = fixtures[0].partition.identity
        identity = PartitionIdentity(
            collection: identity.collection,
            shardIndex: 7,
            firstHash: 0,
            lastHash: .max,
            erasureKey: identity.erasureKey
        )
        let builder = try SuccessorBuilder(
            at: "\(fixtures[0].folder.path)/whole",
            identity: identity,
            sources: fixtures.map(\.partition),
            options: options
        )
        defer { withExtendedLifetime(fixtures) { builder.close() } }
        while try builder.copyRows() {}
        while try builder.copyCodes() {}
        #expect(try builder.copyReceipts())
        #expect(try !builder.copyReceipts())
        for index in 0..<2 {
            _ = try fixtures[index].partition.write((5000..<5100).map { deletion(2 * $0 + index) }, epoch: 1)
        }
        while try builder.follow() > 0 {}
        _ = try #require(try builder.seal())
        #expect(try known(builder.partition, of: 10_200) == 0..<10_200)
        #expect(try !builder.partition.mayHaveForgotten(key(99_999), age: .seconds(1_000_000)))
        #expect(try builder.partition.verifyAll() != nil)
    }
}
