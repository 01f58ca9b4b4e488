import FaceModel
import FaceRecords
import Foundation
import PartitionEngine
import Testing

/// Partitions that take the place of others, made while these are written.
struct PartitionSuccessionTests {
    private static let half = UInt64.max / 2

    private func place(_ face: FaceID) -> UInt64 {
        FaceContribution.place(of: face, in: PartitionIdentity.made().collection.id)
    }

    /// Builds to the end; `between` runs after every step.
    private func build(_ builder: SuccessorBuilder, between: () throws -> Void = {}) throws -> [UInt64] {
        while try builder.copyRows() { try between() }
        try between()
        // Some lists at a time: what the sources have of codes changes between them.
        var codeStepCount = 0
        while try builder.copyCodes() {
            codeStepCount += 1
            if codeStepCount % 5 == 0 { try between() }
        }
        try between()
        while try builder.partition.maintain(now: Timestamp(milliseconds: .min), isIdle: true) != nil { try between() }
        while try builder.copyReceipts() { try between() }
        try between()
        while try builder.follow() > 0 {}
        return try #require(try builder.seal())
    }

    private func answers(_ partition: Partition, _ probes: [[Float]], _ effort: SearchEffort) throws -> [[Found]] {
        try partition.search(
            PartitionSearch(
                parameters: SearchParameters(matchLimit: 10, effort: effort),
                excludedFace: nil,
                probes: EmbeddingMatrix(dimension: 64, values: probes.flatMap { $0 }),
                now: Timestamp(milliseconds: 0)
            ),
            shouldStop: { false }
        ).found
    }

    private func merged(_ answers: [[[Found]]]) -> [[Found]] {
        answers[0].indices.map { probe in
            Array(
                answers.flatMap { $0[probe] }.sorted {
                    let (left, right) = (Float(bitPattern: $0.similarity), Float(bitPattern: $1.similarity))
                    return left != right ? left > right : $0.face < $1.face
                }.prefix(10)
            )
        }
    }

    /// Random writes and maintenance of a partition.
    private struct Writer {
        let fixture: PartitionFixture
        var source: FaceSource
        var live: [FaceID: [Float]] = [:]
        var next = 0

        mutating func write() throws {
            let count = Int.random(in: 1...60, using: &source.generator)
            var ids: [FaceID] = []
            for _ in 0..<count {
                if !live.isEmpty, Bool.random(using: &source.generator),
                    Bool.random(using: &source.generator)
                {
                    ids.append(live.keys.sorted().randomElement(using: &source.generator)!)
                } else {
                    ids.append(FaceID(next))
                    next += 1
                }
            }
            ids = Array(Set(ids)).sorted()
            let embeddings = ids.map { _ in source.embedding() }
            try fixture.enrol(ids, embeddings) { face in
                FaceMetadata(
                    personID: "person \(face.low % 40)",
                    expires: face.low % 50 == 7 ? Timestamp(milliseconds: 1) : nil
                )
            }
            for (id, embedding) in zip(ids, embeddings) { live[id] = embedding }
            let leaving = Array(live.keys.sorted().shuffled(using: &source.generator).prefix(count / 2))
            try fixture.delete(leaving)
            for id in leaving { live[id] = nil }
            if Int.random(in: 0..<3, using: &source.generator) == 0 { try fixture.settle() }
        }
    }

    private func writer(seed: UInt64, faces: Int, hasCodebook: Bool) throws -> Writer {
        var writer = Writer(fixture: try PartitionFixture(), source: FaceSource(dimension: 64, seed: seed))
        let ids = (0..<faces).map { FaceID($0) }
        let embeddings = ids.map { _ in writer.source.embedding() }
        try writer.fixture.enrol(ids, embeddings) { FaceMetadata(personID: "person \($0.low % 40)") }
        for (id, embedding) in zip(ids, embeddings) { writer.live[id] = embedding }
        writer.next = faces
        for _ in 0..<10 { try writer.write() }
        if hasCodebook {
            try writer.fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
            try writer.fixture.settle()
        }
        return writer
    }

    @Test(arguments: [(1, true), (2, true), (3, false), (4, true)] as [(UInt64, Bool)])
    func halvesOfAWrittenPartitionAreTheWhole(seed: UInt64, hasCodebook: Bool) throws {
        var writer = try writer(seed: seed, faces: 900, hasCodebook: hasCodebook)
        writer.fixture.options.mergeRowLimit = 100
        let whole = writer.fixture.partition
        let folder = writer.fixture.folder.path
        let builders = try [0...Self.half, Self.half + 1...UInt64.max].enumerated().map { index, range in
            try SuccessorBuilder(
                at: "\(folder)/half\(index)",
                identity: .made(shardIndex: UInt32(index + 1), range: range),
                sources: [whole],
                options: writer.fixture.options
            )
        }
        defer { for builder in builders { builder.close() } }
        var codedShares: [Double] = []
        for builder in builders {
            var sequences = try build(builder) { try writer.write() }
            // Writes go on behind a seal, too.
            try writer.write()
            while true {
                if let sealed = try builder.seal() {
                    sequences = sealed
                    break
                }
            }
            #expect(sequences == [whole.committedSequence])
        }
        // The first half has missed what was written for the second.
        let sealed = try #require(try { while true { if let sealed = try builders[0].seal() { return sealed } } }())
        #expect(sealed == [whole.committedSequence] && builders.allSatisfy { $0.pendingChangeCount == 0 })
        let halves = builders.map(\.partition)
        let digests = try halves.map { try #require(try $0.verifyAll()) }
        let digest = try #require(try whole.verifyAll())
        #expect(zip(digests[0].slices, digests[1].slices).map { $0 &+ $1 } == digest.slices)
        #expect(digests.reduce(0) { $0 + $1.faceCount } == digest.faceCount)
        #expect(digests.allSatisfy { $0.sequence == digest.sequence })
        for (face, _) in writer.live {
            let isUpper = place(face) > Self.half
            let found = try halves.map { try $0.faces([face], includesEmbeddings: true).first }
            #expect((found[0] == nil) == isUpper && (found[1] == nil) != isUpper)
            let original = try whole.faces([face], includesEmbeddings: true).first
            let copy = found[isUpper ? 1 : 0]
            #expect(copy?.version == original?.version && copy?.metadata == original?.metadata)
            #expect(copy?.embedding == original?.embedding)
        }
        let probes = writer.live.keys.sorted().prefix(40).map { writer.live[$0]! }
        for effort in [SearchEffort.exact, .full] {
            let found = try merged(halves.map { try answers($0, probes, effort) })
            let expected = try answers(whole, probes, effort)
            #expect(found == expected)
        }
        for half in halves {
            let statistics = try half.statistics()
            #expect(statistics.generation == (hasCodebook ? 1 : 0))
            codedShares.append(1 - Double(statistics.freshCount) / Double(max(statistics.faceCount, 1)))
        }
        if hasCodebook { #expect(codedShares.allSatisfy { $0 > 0.3 }, "codes come along: \(codedShares)") }
        try goOn(halves, whole, writer)
    }

    /// The halves answer writes that the whole was sent before, and take others.
    private func goOn(_ halves: [Partition], _ whole: Partition, _ writer: Writer) throws {
        let faces = writer.live.keys.sorted()
        let key = IdempotencyKey(high: 7, low: 1)
        #expect(try whole.receipt(of: key) != nil)
        for (index, half) in halves.enumerated() {
            #expect(try half.receipt(of: key) != nil)
            let own = faces.filter { (place($0) > Self.half) == (index == 1) }
            let deletion = WriteBatch(key: IdempotencyKey(high: 8, low: 8), operation: .delete([own[0], own[1]]))
            let receipt = try half.write([deletion], epoch: 2)[0]
            #expect(receipt.outcome == .deleted([.deleted, .deleted]))
            #expect(receipt.sequence == whole.committedSequence + 1)
            let ledger = try half.erasures(after: nil, limit: 100_000)
            let original = try whole.erasures(after: nil, limit: 100_000)
            #expect(ledger.erasures.count == original.erasures.count + 2)
            #expect(Array(ledger.erasures.dropLast(2)) == original.erasures)
            _ = try half.verifyAll()
        }
    }

    /// Row ids are used once: what a partition has had before takes neither time nor memory.
    @Test func aPartitionThatHasChangedMuchIsSplitByWhatItHas() throws {
        var writer = try writer(seed: 21, faces: 300, hasCodebook: true)
        let ids = writer.live.keys.sorted()
        for _ in 0..<120 {
            let embeddings = ids.map { _ in writer.source.embedding() }
            try writer.fixture.enrol(ids, embeddings)
            for (id, embedding) in zip(ids, embeddings) { writer.live[id] = embedding }
        }
        try writer.fixture.settle()
        let whole = writer.fixture.partition
        #expect(ids.count * 120 > 3 * 8192)
        let builder = try SuccessorBuilder(
            at: "\(writer.fixture.folder.path)/all",
            identity: .made(shardIndex: 1, range: 0...UInt64.max),
            sources: [whole],
            options: writer.fixture.options
        )
        defer { builder.close() }
        var stepCount = 0
        _ = try build(builder) { stepCount += 1 }
        // One of rows with codes and one of others, some of lists, and those of the end.
        #expect(stepCount < 24, "\(stepCount) steps")
        let (digest, original) = (try builder.partition.verifyAll(), try whole.verifyAll())
        #expect(digest?.slices == original?.slices && digest?.faceCount == UInt64(ids.count))
        let probes = ids.prefix(20).map { writer.live[$0]! }
        #expect(try answers(builder.partition, probes, .full) == answers(whole, probes, .full))
    }

    @Test(arguments: [(11, true), (12, true), (13, false)] as [(UInt64, Bool)])
    func halvesBecomeAWholeAgain(seed: UInt64, hasCodebook: Bool) throws {
        let ranges = [0...Self.half, Self.half + 1...UInt64.max]
        var writers: [Writer] = []
        for (index, range) in ranges.enumerated() {
            var whole = try writer(seed: seed + UInt64(index), faces: 700, hasCodebook: hasCodebook)
            let path = "\(whole.fixture.folder.path)/half"
            let builder = try SuccessorBuilder(
                at: path,
                identity: .made(shardIndex: UInt32(index + 1), range: range),
                sources: [whole.fixture.partition],
                options: whole.fixture.options
            )
            _ = try build(builder)
            builder.close()
            whole.live = whole.live.filter { range.contains(place($0.key)) }
            writers.append(whole)
        }
        let sources = try writers.map {
            try Partition.open(at: "\($0.fixture.folder.path)/half", options: $0.fixture.options)
        }
        defer { for source in sources { source.close() } }
        let builder = try SuccessorBuilder(
            at: "\(writers[0].fixture.folder.path)/whole",
            identity: .made(shardIndex: 3, range: 0...UInt64.max),
            sources: sources,
            options: writers[0].fixture.options
        )
        defer { builder.close() }
        var deleted = 0
        let sequences = try build(builder) {
            // Some go meanwhile.
            guard deleted < 20, let face = writers[deleted % 2].live.keys.sorted().first else { return }
            let key = IdempotencyKey(high: 9, low: UInt64(deleted))
            _ = try sources[deleted % 2].write([WriteBatch(key: key, operation: .delete([face]))], epoch: 1)
            writers[deleted % 2].live[face] = nil
            deleted += 1
        }
        #expect(sequences == sources.map(\.committedSequence))
        let digests = try sources.map { try #require(try $0.verifyAll()) }
        let digest = try #require(try builder.partition.verifyAll())
        #expect(zip(digests[0].slices, digests[1].slices).map { $0 &+ $1 } == digest.slices)
        #expect(digest.faceCount == UInt64(writers.reduce(0) { $0 + $1.live.count }))
        #expect(digest.sequence == sequences.reduce(0, +))
        let probes = writers.flatMap { writer in writer.live.keys.sorted().prefix(20).map { writer.live[$0]! } }
        for effort in [SearchEffort.exact, .full] {
            let found = try merged(sources.map { try answers($0, probes, effort) })
            let expected = try answers(builder.partition, probes, effort)
            #expect(found == expected)
        }
        if hasCodebook {
            let statistics = try builder.partition.statistics()
            #expect(statistics.freshCount < 256 && statistics.runCount > 0)
        }
    }

    /// What its sources forgot before it was whole nobody tells it.
    /// A write that waited while its shard was replaced is sent again, with the time since it was first sent.
    @Test(arguments: [65_536, 2])
    func aSuccessorKnowsSinceWhenReceiptsMayBeForgotten(receiptLimit: Int) throws {
        let writer = try writer(seed: 6, faces: 100, hasCodebook: false)
        let clock = SteppedClock()
        var options = writer.fixture.options
        options.steadyClock = { clock.now }
        options.receiptLimit = receiptLimit
        options.earlierReceipts = .none
        let builder = try SuccessorBuilder(
            at: "\(writer.fixture.folder.path)/half",
            identity: .made(shardIndex: 1, range: 0...Self.half),
            sources: [writer.fixture.partition],
            options: options
        )
        defer { builder.close() }
        for _ in 0..<4 { try writer.fixture.delete([FaceID(2)]) }
        let known = writer.fixture.nextKey()
        let deletion = WriteBatch(key: known, operation: .delete([FaceID(1)]))
        _ = try writer.fixture.partition.write([deletion], epoch: 1)
        _ = try build(builder)
        let unknown = IdempotencyKey(high: 9, low: 9)
        clock.pass(.seconds(10))
        // What its source had kept is all there, or as much of it as there is room for.
        let hasForgotten = receiptLimit == 2
        #expect(try builder.partition.mayHaveForgotten(unknown, age: .seconds(11)) == hasForgotten)
        #expect(try builder.partition.mayHaveForgotten(unknown, age: .seconds(1_000_000)) == hasForgotten)
        #expect(try !builder.partition.mayHaveForgotten(unknown, age: .seconds(9)))
        #expect(try !builder.partition.mayHaveForgotten(known, age: .seconds(11)))
    }

    /// Two shards may have kept more receipts than one keeps: their oldest are forgotten, whichever they are of.
    @Test func theOldestReceiptsOfBothAreForgotten() throws {
        let clock = SteppedClock()
        var options = PartitionOptions.small
        options.steadyClock = { clock.now }
        options.receiptLimit = 64
        options.earlierReceipts = .none
        let fixtures = [try PartitionFixture(options: options), try PartitionFixture(options: options)]
        func key(_ number: Int) -> IdempotencyKey { IdempotencyKey(high: 3, low: UInt64(number)) }
        let builder = try SuccessorBuilder(
            at: "\(fixtures[0].folder.path)/whole",
            identity: .made(shardIndex: 3, range: 0...UInt64.max),
            sources: fixtures.map(\.partition),
            options: options
        )
        defer { withExtendedLifetime(fixtures) { builder.close() } }
        // One a second, in turn.
        for number in 0..<100 {
            clock.pass(.seconds(1))
            let deletion = WriteBatch(key: key(number), operation: .delete([FaceID(1)]))
            _ = try fixtures[number % 2].partition.write([deletion], epoch: 1)
        }
        _ = try build(builder)
        let merged = builder.partition
        for number in 0..<100 {
            #expect(try (merged.receipt(of: key(number)) != nil) == (number >= 36), "\(number)")
        }
        // The youngest of what is forgotten is of 64 seconds before the last.
        let unknown = key(1000)
        #expect(try !merged.mayHaveForgotten(unknown, age: .seconds(60)))
        #expect(try merged.mayHaveForgotten(unknown, age: .seconds(65)))
        // And so on as new ones come.
        for number in 100..<120 {
            clock.pass(.seconds(1))
            _ = try merged.write([WriteBatch(key: key(number), operation: .delete([FaceID(1)]))], epoch: 2)
        }
        for number in 36..<120 {
            #expect(try (merged.receipt(of: key(number)) != nil) == (number >= 56), "\(number)")
        }
        #expect(try !merged.mayHaveForgotten(unknown, age: .seconds(60)))
        #expect(try merged.mayHaveForgotten(unknown, age: .seconds(65)))
    }

    /// Two shards that let many faces expire by writes of the same number.
    @Test func erasuresComeOverBeforeTheEndAndEachOnce() throws {
        let fixtures = [try PartitionFixture(), try PartitionFixture()]
        var faces = FaceSource(dimension: 64, seed: 9)
        for (number, fixture) in fixtures.enumerated() {
            let ids = (0..<1024).map { FaceID(1024 * number + $0) }
            try fixture.enrol(ids, ids.map { _ in faces.embedding() }) { _ in
                FaceMetadata(expires: Timestamp(milliseconds: 1))
            }
            let expiry = try #require(try fixture.partition.expiry(now: Timestamp(milliseconds: 2)))
            let batch = WriteBatch(key: fixture.nextKey(), operation: expiry)
            _ = try fixture.partition.write([batch], epoch: 1)
        }
        let folder = fixtures[0].folder.path
        func begin(_ name: String, _ range: ClosedRange<UInt64>, _ sources: [Partition]) throws -> SuccessorBuilder {
            let identity = PartitionIdentity.made(shardIndex: 3, range: range)
            let options = fixtures[0].options
            return try SuccessorBuilder(at: "\(folder)/\(name)", identity: identity, sources: sources, options: options)
        }
        func ledger(_ builder: SuccessorBuilder) throws -> [Erasure] {
            try builder.partition.erasures(after: nil, limit: 100_000).erasures
        }
        let whole = try begin("whole", 0...UInt64.max, fixtures.map(\.partition))
        defer { withExtendedLifetime(fixtures) { whole.close() } }
        while try whole.copyErasures() {}
        let copied = try ledger(whole)
        #expect(copied.count == 2048 && Set(copied.map(\.pseudonym)).count == 2048)
        #expect(Set(copied.map(\.version.sequence)) == [fixtures[0].partition.committedSequence])
        _ = try build(whole)
        #expect(try ledger(whole) == copied, "nothing was left")
        // Writes went on after all.
        try fixtures[1].delete([FaceID(5000)])
        while try whole.seal() == nil {}
        #expect(try ledger(whole).count == 2049)
        #expect(try whole.partition.verifyAll() != nil)

        // Both halves have all, in the same places, and one that is merged of them has each once.
        let halves = [
            try begin("half0", 0...Self.half, [whole.partition]),
            try begin("half1", Self.half + 1...UInt64.max, [whole.partition]),
        ]
        defer { for half in halves { half.close() } }
        for half in halves { _ = try build(half) }
        let merged = try begin("merged", 0...UInt64.max, halves.map(\.partition))
        defer { merged.close() }
        _ = try build(merged)
        let (before, after) = (try ledger(whole), try ledger(merged))
        #expect(after == before)
        #expect(try merged.partition.verifyAll() != nil)
    }

    /// Faces of a backup that were sent before a restoration ended arrive when its shard has been split, or merged.
    @Test func theEndOfARestorationComesOver() throws {
        let backup = try PartitionRestorationTests.backup()
        let fixture = try PartitionFixture()
        let restoration: [WriteBatch.Operation] = [
            .restore(backup, isLast: false), .restore(backup.rows([]), isLast: true),
        ]
        for operation in restoration {
            _ = try fixture.partition.write([WriteBatch(key: .random(), operation: operation)], epoch: 9)
        }
        let halves = try [0...Self.half, Self.half + 1...UInt64.max].enumerated().map { index, range in
            try SuccessorBuilder(
                at: "\(fixture.folder.path)/half\(index)",
                identity: .made(shardIndex: UInt32(index + 1), range: range),
                sources: [fixture.partition],
                options: fixture.options
            )
        }
        defer { withExtendedLifetime(fixture) { for half in halves { half.close() } } }
        for half in halves { _ = try build(half) }
        let whole = try SuccessorBuilder(
            at: "\(fixture.folder.path)/whole",
            identity: .made(shardIndex: 3, range: 0...UInt64.max),
            sources: halves.map(\.partition),
            options: fixture.options
        )
        defer { whole.close() }
        _ = try build(whole)
        #expect(try whole.partition.statistics().faceCount == UInt64(backup.count))
        let deletion = WriteBatch.Operation.delete(backup.rows.map(\.id))
        for partition in halves.map(\.partition) + [whole.partition] {
            for operation in [deletion, restoration[0]] {
                _ = try partition.write([WriteBatch(key: .random(), operation: operation)], epoch: 9)
            }
            #expect(try partition.statistics().faceCount == 0)
            #expect(try partition.verifyAll() != nil)
        }
    }

    @Test func nothingIsGatheredOnceNobodyFollows() throws {
        let writer = try writer(seed: 5, faces: 100, hasCodebook: false)
        let builder = try SuccessorBuilder(
            at: "\(writer.fixture.folder.path)/half",
            identity: .made(shardIndex: 1, range: 0...Self.half),
            sources: [writer.fixture.partition],
            options: writer.fixture.options
        )
        try writer.fixture.delete([FaceID(1)])
        #expect(builder.pendingChangeCount == 1)
        builder.close()
        #expect(builder.pendingChangeCount == 0)
    }
}
