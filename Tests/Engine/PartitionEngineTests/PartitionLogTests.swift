import FaceModel
import PartitionEngine
import PartitionStore
import Testing

/// The log of a replica: what is in it alone is invisible, what is applied is as if it had been written.
struct PartitionLogTests {
    private func refusal(_ body: () throws -> Void) -> LogRefusal? {
        do {
            try body()
        } catch PartitionError.logRefused(let refusal) {
            return refusal
        } catch {
            Issue.record(error)
        }
        return nil
    }

    /// A fixture, and `count` entries that each enrol one face.
    private func prepared(_ count: Int, epoch: UInt64 = 1) throws -> (PartitionFixture, LogAuthor, [LogEntry]) {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        var author = try LogAuthor(fixture.partition, epoch: epoch)
        let entries = try (0..<count).map { try author.entry(fixture.enrolment([FaceID($0)], [source.embedding()])) }
        return (fixture, author, entries)
    }

    @Test func aNewPartitionHasAnEmptyLog() throws {
        let fixture = try PartitionFixture()
        let position = try fixture.partition.logExtent()
        #expect(position.promisedEpoch == 0 && position.lastSequence == 0 && position.lastEpoch == 0)
        #expect(position.appliedSequence == 0 && position.firstLogged == 1)
        #expect(try fixture.partition.logEntries(from: 1, byteLimit: 100).isEmpty)
    }

    @Test func entriesAreInvisibleUntilTheyAreApplied() throws {
        let (fixture, _, entries) = try prepared(3)
        let appended = try fixture.partition.commit(LogTransaction(promise: 1, append: entries))
        #expect(appended.applied.isEmpty && appended.lastSequence == 3 && appended.appliedSequence == 0)
        #expect(appended.lastChain == entries[2].chain && appended.lastEpoch == 1 && appended.firstLogged == 1)
        for _ in 0..<2 {
            #expect(try fixture.partition.statistics().faceCount == 0)
            #expect(try fixture.partition.faces([FaceID(0)], includesEmbeddings: true).isEmpty)
            #expect(try fixture.partition.receipt(of: entries[0].key) == nil)
            #expect(fixture.partition.committedSequence == 0)
            try fixture.reopen()
            #expect(try fixture.partition.logExtent() == appended.extent)
        }
        let applied = try fixture.partition.commit(LogTransaction(applyThrough: 2))
        #expect(applied.applied.map(\.sequence) == [1, 2] && applied.appliedSequence == 2 && applied.lastSequence == 3)
        #expect(applied.applied.map(\.receipt.outcome) == [.enrolled([.accepted]), .enrolled([.accepted])])
        #expect(fixture.partition.committedSequence == 2)
        let faces = try fixture.partition.faces((0..<3).map { FaceID($0) }, includesEmbeddings: false)
        #expect(faces.map(\.id) == [FaceID(0), FaceID(1)])
        #expect(faces.map(\.version) == [FaceVersion(epoch: 1, sequence: 1), FaceVersion(epoch: 1, sequence: 2)])
        #expect(try fixture.partition.receipt(of: entries[1].key) == applied.applied[1].receipt)
        #expect(try fixture.partition.receipt(of: entries[2].key) == nil)
        // More than there is.
        #expect(try fixture.partition.commit(LogTransaction(applyThrough: 99)).appliedSequence == 3)
        #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
    }

    @Test func appendingAndApplyingInOneCommitIsTheSame() throws {
        let (fixture, _, entries) = try prepared(5)
        let outcome = try fixture.partition.commit(
            LogTransaction(promise: 1, append: entries, applyThrough: 4, forgetThrough: 9)
        )
        #expect(outcome.applied.count == 4 && outcome.firstLogged == 5 && outcome.lastSequence == 5)
        #expect(try fixture.partition.logEntries(from: 5, byteLimit: 0) == [entries[4]])
        #expect(try fixture.partition.verifyAll() != nil)
    }

    @Test func theEpochOfTheLastEntryAppliedIsKnownWhereTheLogBeginsBehindIt() throws {
        let (fixture, firstAuthor, entries) = try prepared(3, epoch: 4)
        _ = try fixture.partition.commit(LogTransaction(promise: 4, append: entries, applyThrough: 3, forgetThrough: 3))
        var author = firstAuthor
        author.epoch = 6
        _ = try fixture.partition.commit(LogTransaction(promise: 6, append: [author.entry(.beginEpoch)]))
        for _ in 0..<2 {
            let extent = try fixture.partition.logExtent()
            #expect(extent.firstLogged == 4 && extent.lastSequence == 4 && extent.lastEpoch == 6)
            #expect(extent.appliedSequence == 3 && extent.appliedEpoch == 4)
            try fixture.reopen()
        }
    }

    @Test func theSuffixThatIsNotAppliedCanBeReplaced() throws {
        let (fixture, firstAuthor, entries) = try prepared(4)
        var author = firstAuthor
        _ = try fixture.partition.commit(LogTransaction(promise: 1, append: entries, applyThrough: 2))
        author.rewind(to: entries[2])
        author.epoch = 2
        let others = try [author.entry(.delete([FaceID(0)])), author.entry(.beginEpoch)]
        let outcome = try fixture.partition.commit(
            LogTransaction(promise: 2, truncateAfter: 3, append: others, applyThrough: 5)
        )
        #expect(outcome.lastSequence == 5 && outcome.lastEpoch == 2 && outcome.lastChain == others[1].chain)
        #expect(
            outcome.applied.map(\.receipt.outcome) == [.enrolled([.accepted]), .deleted([.deleted]), .epochBegun]
        )
        let ids = (0..<4).map { FaceID($0) }
        #expect(try fixture.partition.faces(ids, includesEmbeddings: false).map(\.id) == [FaceID(1), FaceID(2)])
        #expect(try fixture.partition.receipt(of: entries[3].key) == nil)
        #expect(try fixture.partition.receipt(of: others[1].key) == nil)
        #expect(try fixture.partition.logEntries(from: 1, byteLimit: .max) == entries[..<3] + others)
        // To the last one applied, to the end, and beyond it.
        for sequence in [5, 6, .max] as [UInt64] {
            let position = try fixture.partition.commit(LogTransaction(truncateAfter: sequence)).extent
            #expect(position == outcome.extent)
        }
    }

    @Test func whatIsAppliedIsNeverCut() throws {
        let (fixture, _, entries) = try prepared(3)
        let before = try fixture.partition.commit(LogTransaction(promise: 1, append: entries, applyThrough: 2)).extent
        for sequence in [0, 1] as [UInt64] {
            #expect(
                refusal {
                    _ = try fixture.partition.commit(LogTransaction(promise: 7, truncateAfter: sequence))
                } == .truncatesApplied(after: sequence, applied: 2)
            )
        }
        // Nothing of a transaction that was refused is kept.
        #expect(try fixture.partition.logExtent() == before)
        let cut = try fixture.partition.commit(LogTransaction(truncateAfter: 2))
        #expect(cut.lastSequence == 2 && cut.lastChain == entries[1].chain)
        #expect(try fixture.partition.commit(LogTransaction(append: [entries[2]])).lastSequence == 3)
    }

    @Test func entriesThatDoNotContinueTheLogAreRefused() throws {
        let (fixture, firstAuthor, entries) = try prepared(3)
        var author = firstAuthor
        let partition = fixture.partition
        #expect(
            refusal { _ = try partition.commit(LogTransaction(append: entries)) }
                == .epochOutOfOrder(epoch: 1, last: 0, promised: 0)
        )
        _ = try partition.commit(LogTransaction(promise: 3, append: [entries[0]]))
        #expect(
            refusal { _ = try partition.commit(LogTransaction(append: [entries[2]])) } == .notNext(sequence: 3, last: 1)
        )
        #expect(
            refusal { _ = try partition.commit(LogTransaction(append: [entries[0]])) } == .notNext(sequence: 1, last: 1)
        )
        var other = try LogAuthor(partition, epoch: 2)
        let foreign = try [other.entry(.beginEpoch), other.entry(.beginEpoch)]
        other.rewind(to: entries[1])
        #expect(
            refusal { _ = try partition.commit(LogTransaction(append: [entries[1], foreign[0]])) }
                == .notNext(sequence: 2, last: 2)
        )
        #expect(
            refusal { _ = try partition.commit(LogTransaction(append: [entries[1]] + foreign[1...])) }
                == .chainBroken(sequence: 3)
        )
        _ = try partition.commit(LogTransaction(append: [entries[1], other.entry(.beginEpoch)]))
        author.rewind(to: try partition.logEntries(from: 3, byteLimit: 0)[0])
        // A falling epoch, and one that was not promised.
        for (epoch, isRefused) in [(1, true), (4, true), (3, false)] as [(UInt64, Bool)] {
            author.epoch = epoch
            var next = author
            let entry = try next.entry(.beginEpoch)
            let refusal = refusal { _ = try partition.commit(LogTransaction(append: [entry])) }
            #expect(refusal == (isRefused ? .epochOutOfOrder(epoch: epoch, last: 2, promised: 3) : nil))
        }
        #expect(try partition.logExtent().lastSequence == 4)
        #expect(try partition.verifyAll() != nil)
    }

    @Test func entriesOfAnotherShapeAreRefused() throws {
        let (fixture, _, _) = try prepared(0)
        for (dimension, precision) in [(72, StoredPrecision.float16), (64, .float32)] {
            let other = try PartitionFixture(dimension: dimension, precision: precision)
            var author = try LogAuthor(other.partition, epoch: 1)
            let embedding = FaceSource.normalised([Float](repeating: 1, count: dimension))
            let entry = try author.entry(other.enrolment([FaceID(1)], [embedding]))
            #expect {
                try fixture.partition.commit(LogTransaction(promise: 1, append: [entry]))
            } throws: { error in
                guard case PartitionError.invalidWrite(let reason) = error else { return false }
                return reason.contains("\(dimension)") && reason.contains(precision.name)
            }
        }
        #expect(try fixture.partition.logExtent().lastSequence == 0)
    }

    /// As only a replica would send them that takes any write.
    @Test(arguments: StoredPrecision.allCases)
    func entriesOfEmbeddingsThatAreNotOfUnitLengthAreRefused(precision: StoredPrecision) throws {
        let fixture = try PartitionFixture(precision: precision)
        let none = [UInt8](repeating: 0, count: 63 * precision.byteCount)
        var lengths: [Float] = [0, 0.9, 1.1, 60_000]
        if precision == .float32 { lengths += [1e30, .greatestFiniteMagnitude] }
        for length in lengths {
            let component: [UInt8] =
                switch precision {
                case .float16: withUnsafeBytes(of: Float16(length).bitPattern.littleEndian) { Array($0) }
                case .float32: withUnsafeBytes(of: length.bitPattern.littleEndian) { Array($0) }
                }
            let entry = try LogEntry(
                epoch: 1,
                sequence: 1,
                key: .random(),
                operation: .enrol(
                    rows: [EnrolRow(id: FaceID(1), metadata: FaceMetadata())],
                    embeddings: StoredEmbeddings(
                        shape: RowChunk.Shape(dimension: 64, precision: precision),
                        bytes: (none + component)[...]
                    )
                ),
                after: fixture.partition.logExtent().lastChain
            )
            #expect("\(length)") {
                try fixture.partition.commit(LogTransaction(promise: 1, append: [entry], applyThrough: 1))
            } throws: { error in
                guard case PartitionError.invalidWrite(let reason) = error else { return false }
                return reason == UnitLength.problem
            }
        }
        #expect(try fixture.partition.logExtent().lastSequence == 0)
    }

    @Test func aPromiseIsNeverLowered() throws {
        let fixture = try PartitionFixture()
        #expect(try fixture.partition.commit(LogTransaction(promise: 5)).promisedEpoch == 5)
        #expect(try fixture.partition.commit(LogTransaction(promise: 4)).promisedEpoch == 5)
        try fixture.reopen()
        #expect(try fixture.partition.logExtent().promisedEpoch == 5)
        #expect(
            refusal { _ = try fixture.partition.write([fixture.enrolment([], [])], epoch: 4) }
                == .writeBelowPromise(epoch: 4, promised: 5)
        )
        #expect(try fixture.partition.write([fixture.enrolment([], [])], epoch: 5)[0].sequence == 1)
        // A write promises its epoch.
        _ = try fixture.partition.write([fixture.enrolment([], [])], epoch: 8)
        #expect(try fixture.partition.logExtent().promisedEpoch == 8)
    }

    @Test func aWriteWithoutTheLogEndsIt() throws {
        let (fixture, _, entries) = try prepared(3)
        let partition = fixture.partition
        _ = try partition.commit(LogTransaction(promise: 1, append: entries, applyThrough: 2))
        let batch = fixture.enrolment([FaceID(10)], [[Float](repeating: 0.125, count: 64)])
        #expect(
            refusal { _ = try partition.write([batch], epoch: 1) } == .writeBeforeUnapplied(applied: 2, last: 3)
        )
        _ = try partition.commit(LogTransaction(applyThrough: 3))
        // One that is known already is no write.
        let known = WriteBatch(key: entries[0].key, operation: .delete([FaceID(0)]))
        #expect(try partition.write([known], epoch: 1)[0] == WriteReceipt(outcome: .keyReused, sequence: 1))
        #expect(try partition.logEntries(from: 1, byteLimit: .max) == entries)
        #expect(try partition.write([batch], epoch: 1)[0].sequence == 4)
        let position = try partition.logExtent()
        #expect(position.lastSequence == 4 && position.appliedSequence == 4 && position.firstLogged == 5)
        #expect(position.lastChain != entries[2].chain)
        #expect(
            refusal { _ = try partition.logEntries(from: 4, byteLimit: .max) }
                == .notInLog(sequence: 4, first: 5, last: 4)
        )
        // And a log goes on from there.
        var author = try LogAuthor(partition, epoch: 2)
        let entry = try author.entry(.delete([FaceID(10)]))
        let outcome = try partition.commit(LogTransaction(promise: 2, append: [entry], applyThrough: 5))
        #expect(outcome.applied.map(\.receipt.outcome) == [.deleted([.deleted])])
        #expect(try partition.verifyAll() == partition.digest())
    }

    /// Two replicas that each made a write of their own do not take the one for the other.
    @Test func writesWithoutALogHaveChainsOfTheirOwn() throws {
        let (first, second) = (try PartitionFixture(), try PartitionFixture())
        _ = try first.partition.write([WriteBatch(key: .random(), operation: .delete([FaceID(1)]))], epoch: 1)
        _ = try second.partition.write([WriteBatch(key: .random(), operation: .delete([FaceID(1)]))], epoch: 1)
        let position = try first.partition.logExtent()
        #expect(try position.lastChain != second.partition.logExtent().lastChain)
        var author = try LogAuthor(first.partition, epoch: 1)
        let entry = try author.entry(.beginEpoch)
        #expect(
            refusal { _ = try second.partition.commit(LogTransaction(append: [entry])) } == .chainBroken(sequence: 2)
        )
        #expect(try first.partition.commit(LogTransaction(append: [entry])).lastSequence == 2)
    }

    /// A key that comes again has two entries when the primary did not know of the first: one takes effect.
    @Test func aKeyThatWasSeenBeforeChangesNothing() throws {
        let (fixture, firstAuthor, entries) = try prepared(1)
        var author = firstAuthor
        let again = try author.entry(WriteBatch(key: entries[0].key, operation: .delete([FaceID(0)])))
        let outcome = try fixture.partition.commit(
            LogTransaction(promise: 1, append: entries + [again], applyThrough: 2)
        )
        #expect(outcome.applied.map(\.sequence) == [1, 2] && outcome.appliedSequence == 2)
        #expect(outcome.applied[0].receipt == WriteReceipt(outcome: .enrolled([.accepted]), sequence: 1))
        #expect(outcome.applied[1].receipt == WriteReceipt(outcome: .keyReused, sequence: 1))
        #expect(try fixture.partition.statistics().faceCount == 1)
    }

    @Test func catchingUpTakesWhatFitsAndKnowsWhatIsGone() throws {
        let (fixture, _, entries) = try prepared(6)
        let partition = fixture.partition
        _ = try partition.commit(LogTransaction(promise: 1, append: entries, applyThrough: 4, forgetThrough: 2))
        #expect(try partition.logEntries(from: 3, byteLimit: .max) == Array(entries[2...]))
        #expect(try partition.logEntries(from: 4, byteLimit: 0) == [entries[3]])
        let two = entries[3].byteCount + entries[4].byteCount
        #expect(try partition.logEntries(from: 4, byteLimit: two) == Array(entries[3..<5]))
        #expect(try partition.logEntries(from: 4, byteLimit: two - 1) == [entries[3]])
        #expect(try partition.logEntries(from: 7, byteLimit: .max).isEmpty)
        for sequence in [0, 2, 8] as [UInt64] {
            #expect(
                refusal { _ = try partition.logEntries(from: sequence, byteLimit: .max) }
                    == .notInLog(sequence: sequence, first: 3, last: 6)
            )
        }
        // What is not applied is not forgotten.
        #expect(try partition.commit(LogTransaction(forgetThrough: .max)).firstLogged == 5)
        #expect(try partition.logEntries(from: 5, byteLimit: .max) == Array(entries[4...]))
    }

    /// What a primary rounds for the log, its own table and its secondaries' hold, and rounding it again changes no
    /// bit.
    @Test(arguments: StoredPrecision.allCases)
    func embeddingsAreRoundedOnce(precision: StoredPrecision) throws {
        let (primary, secondary) = (
            try PartitionFixture(precision: precision), try PartitionFixture(precision: precision)
        )
        var source = FaceSource(dimension: 64)
        // Subnormal halves among them.
        var embeddings = (0..<200).map { _ in source.embedding() }
        embeddings.append([1] + (1..<64).map { Float($0) * 1e-8 })
        let ids = embeddings.indices.map { FaceID($0) }
        let batch = primary.enrolment(ids, embeddings)
        var author = try LogAuthor(primary.partition, epoch: 1)
        let entry = try author.entry(batch)
        let transaction = LogTransaction(promise: 1, append: [entry], applyThrough: 1)
        _ = try primary.partition.commit(transaction)
        _ = try secondary.partition.commit(transaction)
        let stored = try primary.partition.faces(ids, includesEmbeddings: true).map { $0.embedding! }
        #expect(try secondary.partition.faces(ids, includesEmbeddings: true).map { $0.embedding! } == stored)
        #expect(stored == embeddings.map { $0.map { precision == .float16 ? Float(Float16($0)) : $0 } })
        var again = try LogAuthor(secondary.partition, epoch: 1)
        again.rewind(to: entry)
        let same = try again.entry(WriteBatch(key: batch.key, operation: primary.enrolment(ids, stored).operation))
        guard case .enrol(_, let first) = entry.operation, case .enrol(_, let second) = same.operation else {
            return #expect(Bool(false), "entries of another kind")
        }
        #expect(first == second)
        #expect(try primary.search([embeddings[7]]).found == secondary.search([embeddings[7]]).found)
    }

    @Test func facesOfALoggedPartitionExpireByEntriesAlone() throws {
        let fixture = try PartitionFixture()
        let partition = fixture.partition
        var author = try LogAuthor(partition, epoch: 1)
        let ids = (0..<1500).map { FaceID($0) }
        let noon = Timestamp(milliseconds: 100)
        func enrolment(_ ids: [FaceID], _ expires: Int64) -> WriteBatch {
            let embedding = FaceSource.normalised([Float](repeating: 1, count: 64))
            return fixture.enrolment(ids, [[Float]](repeating: embedding, count: ids.count)) { _ in
                FaceMetadata(expires: Timestamp(milliseconds: expires))
            }
        }
        let entry = try author.entry(enrolment(ids, 100))
        _ = try partition.commit(LogTransaction(promise: 1, append: [entry], applyThrough: 1))
        #expect(try !partition.expiryDue(now: Timestamp(milliseconds: 99)) && partition.expiryDue(now: noon))
        #expect(try partition.expiry(now: Timestamp(milliseconds: 99)) == nil)
        try fixture.settle(now: noon)
        #expect(try partition.statistics().faceCount == 1500)
        // One that is replaced between the look and the entry stays, and one that is deleted is no error.
        let operation = try #require(try partition.expiry(now: noon))
        let entries = try [
            author.entry(enrolment([FaceID(0)], 101)), author.entry(.delete([FaceID(1)])), author.entry(operation),
        ]
        let outcome = try partition.commit(LogTransaction(append: entries, applyThrough: 4))
        #expect(outcome.applied.last?.receipt.outcome == .expired(faceCount: 1022))
        #expect(try partition.expiryDue(now: noon))
        let rest = try author.entry(try #require(try partition.expiry(now: noon)))
        let end = try partition.commit(LogTransaction(append: [rest], applyThrough: 5))
        #expect(end.applied.last?.receipt.outcome == .expired(faceCount: 476))
        #expect(try !partition.expiryDue(now: noon) && partition.expiryDue(now: Timestamp(milliseconds: 101)))
        #expect(try partition.statistics().faceCount == 1)
        #expect(try partition.verifyAll() == partition.digest())
    }

    /// Who has never had a log removes them by itself, as the same write.
    @Test func facesOfAPartitionAloneExpireByMaintenance() throws {
        let fixture = try PartitionFixture()
        let embedding = FaceSource.normalised([Float](repeating: 1, count: 64))
        try fixture.enrol([FaceID(0)], [embedding]) { _ in FaceMetadata(expires: Timestamp(milliseconds: 5)) }
        #expect(try fixture.maintain(now: Timestamp(milliseconds: 5)))
        #expect(fixture.partition.committedSequence == 2)
        #expect(try fixture.partition.statistics().faceCount == 0)
        #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
    }

    @Test func refusalsAreOneSentence() {
        let refusals: [LogRefusal] = [
            .truncatesApplied(after: 1, applied: 2), .notNext(sequence: 1, last: 2), .chainBroken(sequence: 1),
            .epochOutOfOrder(epoch: 1, last: 2, promised: 3), .writeBeforeUnapplied(applied: 1, last: 3),
            .writeBelowPromise(epoch: 1, promised: 2), .notInLog(sequence: 1, first: 2, last: 3),
        ]
        for refusal in refusals {
            let error = PartitionError.logRefused(refusal)
            #expect("\(error)" == "\(refusal)" && !"\(error)".contains("\n") && "\(error)".count > 20)
            #expect(!error.isCorruption && !error.isStorageFull && !error.requiresReopen)
        }
    }
}
