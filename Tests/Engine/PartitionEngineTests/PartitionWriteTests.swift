import FaceModel
import PartitionEngine
import PartitionStore
import Testing

struct PartitionWriteTests {
    @Test func aWriteSentAgainAnswersTheSameAndChangesNothing() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let batch = fixture.enrolment([FaceID(1), FaceID(2), FaceID(1)], (0..<3).map { _ in source.embedding() })
        let first = try fixture.partition.write([batch], epoch: 3)[0]
        #expect(first.outcome == .enrolled([.superseded, .accepted, .accepted]))
        #expect(first.sequence == 1)
        try fixture.delete([FaceID(1)])
        let deletion = WriteBatch(key: fixture.nextKey(), operation: .delete([FaceID(2), FaceID(2), FaceID(9)]))
        let deleted = try fixture.partition.write([deletion], epoch: 3)[0]
        #expect(deleted.outcome == .deleted([.deleted, .absent, .absent]))
        let before = try fixture.partition.statistics()
        for _ in 0..<2 {
            #expect(try fixture.partition.write([batch, deletion, batch], epoch: 9) == [first, deleted, first])
            let after = try fixture.partition.statistics()
            #expect(after.faceCount == 0 && after.sequence == before.sequence)
            try fixture.reopen()
            #expect(fixture.partition.committedSequence == 3)
        }
        #expect(try fixture.partition.faces([FaceID(1), FaceID(2)], includesEmbeddings: false).isEmpty)
    }

    @Test func aKeyTwiceInOneGroupCountsOnce() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let batch = fixture.enrolment([FaceID(1)], [source.embedding()])
        let receipts = try fixture.partition.write([batch, batch], epoch: 1)
        #expect(receipts[0] == receipts[1])
        #expect(receipts[0].outcome == .enrolled([.accepted]))
        #expect(fixture.partition.committedSequence == 1)
    }

    /// A key stands for one write: what is sent under it again is the same, or is refused.
    @Test func aKnownKeyWithOtherRowsIsRefused() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<3).map { _ in source.embedding() }
        let ids = (0..<3).map { FaceID($0) }
        let batch = fixture.enrolment(ids, embeddings)
        let first = try fixture.partition.write([batch], epoch: 1)[0]
        let others: [WriteBatch.Operation] = [
            fixture.enrolment(ids, [embeddings[0], embeddings[1], embeddings[0]]).operation,
            fixture.enrolment(ids, embeddings) { _ in FaceMetadata(personID: "p") }.operation,
            fixture.enrolment([ids[0], ids[1], FaceID(9)], embeddings).operation,
            fixture.enrolment(ids + [FaceID(9)], embeddings + [embeddings[0]]).operation,
            fixture.enrolment(ids.reversed(), embeddings.reversed()).operation,
            .delete(ids),
        ]
        for _ in 0..<2 {
            for operation in others {
                let other = WriteBatch(key: batch.key, operation: operation)
                // Others of its commit are done.
                let receipts = try fixture.partition.write([other, batch], epoch: 1)
                #expect(receipts == [WriteReceipt(outcome: .keyReused, sequence: first.sequence), first])
            }
            #expect(try fixture.partition.statistics().faceCount == 3)
            #expect(fixture.partition.committedSequence == 1)
            // What belongs to a part of the shard.
            let part = WriteBatch(key: batch.key, operation: fixture.enrolment([ids[1]], [embeddings[1]]).operation)
            #expect(try fixture.partition.write([part], epoch: 1)[0].outcome == .enrolled([.accepted]))
            try fixture.reopen()
        }
        #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
    }

    /// What is kept of a batch is of its rows as they are stored, so that the log, whose rows are rounded, agrees.
    @Test(arguments: [StoredPrecision.float16, .float32])
    func aWriteSentAgainThroughTheLogIsKnown(precision: StoredPrecision) throws {
        let fixture = try PartitionFixture(precision: precision)
        var source = FaceSource(dimension: 64)
        let batch = fixture.enrolment([FaceID(1)], [source.embedding()])
        let first = try fixture.partition.write([batch], epoch: 1)[0]
        var author = try LogAuthor(fixture.partition, epoch: 2)
        let same = try author.entry(batch)
        let other = try author.entry(WriteBatch(key: batch.key, operation: .delete([FaceID(1)])))
        let outcome = try fixture.partition.commit(
            LogTransaction(promise: 2, append: [same, other], applyThrough: other.sequence)
        )
        #expect(
            outcome.applied.map(\.receipt) == [first, WriteReceipt(outcome: .keyReused, sequence: first.sequence)]
        )
        #expect(outcome.appliedSequence == 3)
        #expect(try fixture.partition.statistics().faceCount == 1)
    }

    @Test func receiptsOfEarlierFormatsAreBelievedByTheirCount() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<2).map { _ in source.embedding() }
        let batch = fixture.enrolment([FaceID(1)], [embeddings[0]])
        let first = try fixture.partition.write([batch], epoch: 1)[0]
        let folder = TemporaryFolder()
        fixture.partition.close()
        try fixture.copy(to: folder.path, asFormat: 3)
        let partition = try Partition.open(at: folder.path, options: .small)
        defer { partition.close() }
        #expect(try partition.write([batch], epoch: 1)[0] == first)
        let longer = fixture.enrolment([FaceID(1), FaceID(2)], embeddings)
        let misused = WriteBatch(key: batch.key, operation: longer.operation)
        #expect(try partition.write([misused], epoch: 1)[0].outcome == .keyReused)
    }

    @Test func receiptsBeyondTheLimitAreForgottenOldestFirst() throws {
        var options = PartitionOptions.small
        options.receiptLimit = 3
        options.earlierReceipts = .none
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let batches = (0..<5).map { fixture.enrolment([FaceID($0)], [source.embedding()]) }
        let receipts = try batches.map { try fixture.partition.write([$0], epoch: 1)[0] }
        try fixture.reopen()
        // The newest three are known; the first two are new writes by now.
        for index in [2, 3, 4] {
            #expect(try fixture.partition.write([batches[index]], epoch: 1)[0] == receipts[index])
        }
        for index in [0, 1] {
            let again = try fixture.partition.write([batches[index]], epoch: 1)[0]
            #expect(again.outcome == .enrolled([.replaced]))
            #expect(again.sequence > 5)
        }
        #expect(try fixture.partition.statistics().faceCount == 5)
    }

    /// One deletion a second; the receipts of the last 128 are kept.
    @Test func aWriteThatMayHaveBeenForgottenIsToldFromOneThatWasNotDone() throws {
        let clock = SteppedClock()
        var options = PartitionOptions.small
        options.receiptLimit = 128
        options.earlierReceipts = .none
        options.steadyClock = { clock.now }
        let fixture = try PartitionFixture(options: options)
        func delete(_ count: Int) throws -> [IdempotencyKey] {
            try (0..<count).map { _ in
                let key = fixture.nextKey()
                _ = try fixture.partition.write([WriteBatch(key: key, operation: .delete([FaceID(1)]))], epoch: 1)
                clock.pass(.seconds(1))
                return key
            }
        }
        func mayHaveForgotten(_ key: IdempotencyKey, _ seconds: Int) throws -> Bool {
            try fixture.partition.mayHaveForgotten(key, age: .seconds(seconds))
        }
        let unknown = IdempotencyKey(high: 9, low: 9)
        let first = try delete(100)
        // None has been forgotten.
        #expect(try !mayHaveForgotten(unknown, 100_000))
        try fixture.reopen()
        #expect(try !mayHaveForgotten(unknown, 100_000))
        let later = try delete(200)
        for _ in 0..<2 {
            #expect(try mayHaveForgotten(first[0], 299))
            #expect(try !mayHaveForgotten(later[199], 299), "it is known")
            #expect(try !mayHaveForgotten(unknown, 120) && mayHaveForgotten(unknown, 130))
            // While nobody has it open its own clock stands still.
            fixture.partition.close()
            clock.pass(.seconds(1000))
            try fixture.reopen()
        }
        clock.pass(.seconds(1000))
        #expect(try !mayHaveForgotten(unknown, 1000) && mayHaveForgotten(unknown, 1200))
        // The wire says no more than 49.7 days, which are read as a hundred years.
        clock.pass(.seconds(60 * 86_400))
        #expect(try !mayHaveForgotten(unknown, Int(UInt32.max / 1000)))
        #expect(try mayHaveForgotten(unknown, 100 * 365 * 86_400))
    }

    /// Of an earlier format nothing is known of how old receipts are.
    @Test func withoutTimesAnyReceiptMayHaveBeenForgotten() throws {
        let fixture = try PartitionFixture()
        let known = fixture.nextKey()
        _ = try fixture.partition.write([WriteBatch(key: known, operation: .delete([FaceID(1)]))], epoch: 1)
        let folder = TemporaryFolder()
        fixture.partition.close()
        try fixture.copy(to: folder.path, asFormat: 3)
        let clock = SteppedClock()
        var options = PartitionOptions.small
        options.steadyClock = { clock.now }
        let partition = try Partition.open(at: folder.path, options: options)
        defer { partition.close() }
        let unknown = IdempotencyKey(high: 9, low: 9)
        #expect(try partition.mayHaveForgotten(unknown, age: .milliseconds(1)))
        #expect(try !partition.mayHaveForgotten(known, age: .seconds(1)))
        _ = try partition.write([WriteBatch(key: fixture.nextKey(), operation: .delete([FaceID(1)]))], epoch: 1)
        clock.pass(.seconds(10))
        #expect(try !partition.mayHaveForgotten(unknown, age: .seconds(9)))
        #expect(try partition.mayHaveForgotten(unknown, age: .seconds(11)))
    }

    /// In its place others may have done what is sent to it again.
    @Test func aPartitionThatStandsInForOthersTellsNothingOfWritesFromBeforeIt() throws {
        let clock = SteppedClock()
        var options = PartitionOptions.small
        options.steadyClock = { clock.now }
        let folder = TemporaryFolder()
        let path = "\(folder.path)/partition"
        var partition = try Partition.create(at: path, identity: .made(), options: options, standsIn: true)
        defer { partition.close() }
        func reopen() throws {
            partition.close()
            partition = try Partition.open(at: path, options: options)
        }
        func mayHaveForgotten(_ seconds: Int) throws -> Bool {
            try partition.mayHaveForgotten(IdempotencyKey(high: 9, low: 9), age: .seconds(seconds))
        }
        clock.pass(.seconds(10))
        #expect(try !mayHaveForgotten(9) && mayHaveForgotten(11))
        // As long as nothing was written nobody knows how long it has been there.
        try reopen()
        clock.pass(.seconds(5))
        #expect(try !mayHaveForgotten(4) && mayHaveForgotten(6))
        clock.pass(.seconds(100))
        let known = IdempotencyKey(high: 7, low: 7)
        _ = try partition.write([WriteBatch(key: known, operation: .delete([FaceID(1)]))], epoch: 1)
        try reopen()
        #expect(try !mayHaveForgotten(100) && mayHaveForgotten(110))
        #expect(try !partition.mayHaveForgotten(known, age: .seconds(110)), "it is known")
    }

    @Test func oneGroupSeesItsOwnChanges() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<300).map { _ in source.embedding() }
        let ids = (0..<100).map { FaceID($0) }
        let groups = [
            fixture.enrolment(ids, Array(embeddings[..<100])),
            WriteBatch(key: fixture.nextKey(), operation: .delete(Array(ids[..<50]))),
            fixture.enrolment(ids, Array(embeddings[100..<200])),
            fixture.enrolment(ids, Array(embeddings[200...])),
        ]
        let receipts = try fixture.partition.write(groups, epoch: 1)
        #expect(receipts.map(\.sequence) == [1, 2, 3, 4])
        #expect(
            receipts[2].outcome
                == .enrolled(
                    [EnrolOutcome](repeating: .accepted, count: 50) + [EnrolOutcome](repeating: .replaced, count: 50)
                )
        )
        let statistics = try fixture.partition.statistics()
        #expect(statistics.faceCount == 100 && statistics.tombstoneCount == 200)
        for number in [0, 49, 50, 99] {
            let found = try fixture.search([embeddings[200 + number]], limit: 1).matches[0]
            #expect(found[0].faceID == FaceID(number))
            let old = try fixture.search([embeddings[number]], limit: 1).matches[0]
            #expect(old[0].similarity < 0.95)
        }
    }

    @Test func versionsRiseWithEpochAndSequence() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        func version() throws -> FaceVersion {
            try fixture.partition.faces([FaceID(1)], includesEmbeddings: false)[0].version
        }
        _ = try fixture.partition.write([fixture.enrolment([FaceID(1)], [source.embedding()])], epoch: 5)
        #expect(try version() == FaceVersion(epoch: 5, sequence: 1))
        // A late write of an older epoch does not go back.
        _ = try fixture.partition.write([fixture.enrolment([FaceID(1)], [source.embedding()])], epoch: 4)
        #expect(try version() == FaceVersion(epoch: 5, sequence: 2))
        try fixture.reopen()
        _ = try fixture.partition.write([fixture.enrolment([FaceID(1)], [source.embedding()])], epoch: 6)
        #expect(try version() == FaceVersion(epoch: 6, sequence: 3))
    }

    @Test func aBatchThatDoesNotFitTheCollectionChangesNothing() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let good = fixture.enrolment([FaceID(1)], [source.embedding()])
        for (ids, dimension, count) in [([2], 128, 1), ([2], 64, 2), ([2, 3], 64, 1), ([2], 64, 0)] {
            let bad = WriteBatch(
                key: fixture.nextKey(),
                operation: .enrol(
                    rows: ids.map { EnrolRow(id: FaceID($0), metadata: FaceMetadata()) },
                    embeddings: EmbeddingMatrix(
                        dimension: dimension,
                        values: [Float](repeating: 0.125, count: dimension * count)
                    )
                )
            )
            #expect {
                try fixture.partition.write([good, bad], epoch: 1)
            } throws: { error in
                guard case PartitionError.invalidWrite(let reason) = error else { return false }
                return reason.contains("64")
            }
        }
        #expect(try fixture.partition.statistics().faceCount == 0)
        #expect(try fixture.partition.write([good], epoch: 1)[0].outcome == .enrolled([.accepted]))
    }

    /// Before anything is written, also of what came with them.
    @Test(arguments: StoredPrecision.allCases)
    func embeddingsThatAreNotOfUnitLengthAreRefused(precision: StoredPrecision) throws {
        let fixture = try PartitionFixture(precision: precision)
        var source = FaceSource(dimension: 64)
        let good = fixture.enrolment([FaceID(1)], [source.embedding()])
        func isRefusal(_ error: any Error) -> Bool {
            guard case PartitionError.invalidWrite(let reason) = error else { return false }
            return reason == UnitLength.problem
        }
        for length in [0, 0.9, 1.1, 1e30, .greatestFiniteMagnitude, .infinity, .nan] as [Float] {
            let embeddings = [source.embedding(), source.embedding().map { length * $0 }]
            let bad = fixture.enrolment([FaceID(2), FaceID(3)], embeddings)
            #expect("\(length)") {
                try fixture.partition.write([good, bad], epoch: 1)
            } throws: { error in
                isRefusal(error)
            }
            #expect("\(length)") {
                try fixture.partition.logEntry(for: bad, epoch: 1, sequence: 1, after: 0)
            } throws: { error in
                isRefusal(error)
            }
        }
        #expect(try fixture.partition.statistics().faceCount == 0)
        #expect(try fixture.partition.write([good], epoch: 1)[0].outcome == .enrolled([.accepted]))
    }

    @Test func emptyWritesAreWrites() throws {
        let fixture = try PartitionFixture()
        #expect(try fixture.partition.write([], epoch: 1) == [])
        #expect(try fixture.enrol([], []).outcome == .enrolled([]))
        #expect(try fixture.delete([]).outcome == .deleted([]))
        #expect(fixture.partition.committedSequence == 2)
    }

    @Test func allMetadataIsKept() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let metadata = FaceMetadata(
            personID: "person ü",
            externalImageID: "door/1.jpg",
            imageID: String(repeating: "i", count: 255),
            boundingBox: BoundingBox(left: 0.1, top: -0.2, width: 0.3, height: 1),
            quality: 99.5,
            confidence: 0,
            created: Timestamp(milliseconds: -1),
            expires: Timestamp(milliseconds: .max),
            attributes: Dictionary(
                uniqueKeysWithValues: (0..<32).map { ("key \($0)", String(repeating: "v", count: $0)) }
            )
        )
        try fixture.enrol([FaceID(1), FaceID(2)], [source.embedding(), source.embedding()]) {
            $0 == FaceID(1) ? metadata : FaceMetadata()
        }
        try fixture.reopen()
        let faces = try fixture.partition.faces([FaceID(2), FaceID(1), FaceID(2)], includesEmbeddings: false)
        #expect(faces.map(\.id) == [FaceID(2), FaceID(1), FaceID(2)])
        #expect(faces[1].metadata == metadata && faces[0].metadata == FaceMetadata())
        #expect(faces.allSatisfy { $0.embedding == nil })
    }

    @Test func pagesKeepToTheirByteLimitAndAlwaysGoOn() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let ids = (0..<40).map { FaceID($0) }
        try fixture.enrol(ids.reversed(), ids.map { _ in source.embedding() })
        var seen: [FaceID] = []
        while true {
            let page = try fixture.partition.page(
                after: seen.last,
                limit: 100,
                byteLimit: 700,
                includesEmbeddings: true
            )
            if page.isEmpty { break }
            #expect(page.count <= 2)
            seen += page.map(\.id)
        }
        #expect(seen == ids)
        #expect(try fixture.partition.page(after: nil, limit: 5, byteLimit: 0, includesEmbeddings: true).count == 1)
        #expect(
            try fixture.partition.page(after: FaceID(1_000_000), limit: 5, byteLimit: 700, includesEmbeddings: false)
                .isEmpty
        )
        // Of a part of the ring, all of its faces and no others.
        let half = UInt64.max / 2
        func page(_ places: ClosedRange<UInt64>, after: FaceID? = nil, limit: Int = 100) throws -> [FaceID] {
            try fixture.partition.page(
                after: after,
                places: places,
                limit: limit,
                byteLimit: 1 << 20,
                includesEmbeddings: false
            ).map(\.id)
        }
        let (lower, upper) = (try page(0...half), try page(half + 1 ... .max))
        #expect(lower.count > 3 && upper.count > 3 && (lower + upper).sorted() == ids)
        #expect(try page(0...half, after: lower[0], limit: 2) == Array(lower[1...2]))
        #expect(try page(0...half, limit: lower.count) == lower)
        // Between two faces, and before all.
        let page = try fixture.partition.page(
            after: FaceID(high: 0, low: 0),
            limit: 3,
            byteLimit: 1 << 20,
            includesEmbeddings: false
        )
        #expect(page.map(\.id) == Array(ids[..<3]))
    }

    /// An empty page would mean that the part of the ring holds no face.
    @Test func aReadThatIsToldToStopThrowsAndGivesNothing() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let ids = (0..<2500).map { FaceID($0) }
        try fixture.enrol(ids, ids.map { _ in source.embedding() })
        // Where no face is.
        let free: ClosedRange<UInt64> = 7...7
        var askedCount = 0
        func page(_ places: ClosedRange<UInt64>, limit: Int, stops: Bool) throws -> [StoredFace] {
            askedCount = 0
            return try fixture.partition.page(
                after: nil,
                places: places,
                limit: limit,
                byteLimit: .max,
                includesEmbeddings: true
            ) {
                askedCount += 1
                return stops
            }
        }
        func isStopped(_ read: () throws -> [StoredFace]) throws -> Bool {
            do {
                _ = try read()
                return false
            } catch PartitionError.stopped {
                return true
            }
        }
        // Everything has to be looked at to know.
        #expect(try page(free, limit: 10, stops: false).isEmpty)
        #expect(askedCount == 2)
        let isNarrowStopped = try isStopped { try page(free, limit: 10, stops: true) }
        #expect(isNarrowStopped && askedCount == 1)
        let isWholeStopped = try isStopped { try page(0 ... .max, limit: 100, stops: true) }
        #expect(isWholeStopped && askedCount == 1)
        #expect(try page(0 ... .max, limit: 100, stops: false).count == 100)
        #expect(askedCount == 3)
        let isGetStopped = try isStopped {
            try fixture.partition.faces(Array(ids[..<100]), includesEmbeddings: true) { true }
        }
        #expect(isGetStopped)
        let few = try fixture.partition.faces(Array(ids[..<31]), includesEmbeddings: true) { true }
        #expect(few.count == 31)
    }
}
