import FaceModel
import FaceRecords
import PartitionEngine
import PartitionStore
import Testing

/// Receipts that came over from shards whose place another took. Each replica has put them into an order of its own, so
/// one may have a key among its newest receipts that the primary, which has forgotten it, orders again.
@Suite struct InheritedReceiptTests: WritesOfTwoHalves {
    /// What comes again under the key.
    enum Attempt: CaseIterable {
        /// The rows that the lower half was sent.
        case sameRows
        /// Those and the rows of the upper half, which had not been sent its own.
        case allRows
        /// The same, of which both halves had done their parts.
        case allRowsOfBoth
        /// Another write.
        case otherRows
    }

    private let folder = TemporaryFolder()

    private func deletion(_ number: Int, of faces: [FaceID]) -> WriteBatch {
        WriteBatch(key: IdempotencyKey(high: 6, low: UInt64(number)), operation: .delete(faces))
    }

    /// Deletions of faces that never were, whose receipts have pages of their own.
    private func fillers(_ numbers: Range<Int>) -> [WriteBatch] {
        let faces = (0..<1500).map { FaceID(10_000 + $0) }
        return numbers.map { deletion($0, of: faces) }
    }

    private func made(
        _ name: String,
        _ range: ClosedRange<UInt64>,
        _ options: PartitionOptions
    ) throws -> Partition {
        try Partition.create(
            at: "\(folder.path)/\(name)",
            identity: .made(shardIndex: 1, range: range),
            options: options
        )
    }

    /// - Parameter between: runs when the first receipts have come over.
    private func successor(
        _ name: String,
        _ range: ClosedRange<UInt64> = 0...UInt64.max,
        of sources: [Partition],
        _ options: PartitionOptions = .small,
        between: () throws -> Void = {}
    ) throws -> Partition {
        let builder = try SuccessorBuilder(
            at: "\(folder.path)/\(name)",
            identity: .made(shardIndex: 2, range: range),
            sources: sources,
            options: options
        )
        while try builder.copyRows() {}
        while try builder.copyCodes() {}
        var hasMore = try builder.copyReceipts()
        try between()
        while hasMore { hasMore = try builder.copyReceipts() }
        while try builder.follow() > 0 {}
        _ = try #require(try builder.seal())
        builder.release()
        return builder.partition
    }

    private func accepted(_ count: Int) -> WriteReceipt.Outcome {
        .enrolled([EnrolOutcome](repeating: .accepted, count: count))
    }

    /// Halves that have done the write, or one of them, and have deleted its faces since; with a clock each.
    private func halves(bothWriting: Bool, _ clocks: [SteppedClock]) throws -> [Partition] {
        let ranges = [0...Self.half, Self.half + 1...UInt64.max]
        return try ranges.indices.map { index in
            var options = PartitionOptions.small
            let clock = clocks[index]
            options.steadyClock = { clock.now }
            // Every receipt's age is noted.
            options.receiptLimit = 64
            options.earlierReceipts.leastCount = 0
            let partition = try made("half\(index)", ranges[index], options)
            let own = ids(in: ranges[index])
            var batches = fillers(100 * index..<100 * index + 20)
            if index == 0 { batches.insert(enrolment(own), at: 0) }
            if index == 1, bothWriting { batches.insert(enrolment(own), at: 10) }
            batches.append(deletion(100 * index + 20, of: own))
            _ = try partition.write(batches, epoch: 1)
            return partition
        }
    }

    @Test(arguments: Attempt.allCases)
    func aKeyThatThePrimaryHasForgottenIsDoneOnEveryReplica(_ attempt: Attempt) throws {
        let clocks = [SteppedClock(), SteppedClock()]
        let halves = try halves(bothWriting: attempt == .allRowsOfBoth, clocks)
        defer { for half in halves { half.close() } }
        var options = PartitionOptions.small
        options.receiptLimit = 40
        options.earlierReceipts.byteLimit = 8192
        // The worker of the lower half's replica had been down: its receipts look younger than they are.
        clocks[1].pass(.seconds(100))
        let follower = try successor("follower", of: halves, options)
        defer { follower.close() }
        clocks[0].pass(.seconds(1000))
        let primary = try successor("primary", of: halves, options)
        defer { primary.close() }
        let batch =
            switch attempt {
            case .sameRows: enrolment(ids(in: 0...Self.half))
            case .allRows, .allRowsOfBoth: enrolment(ids(in: 0...Self.half) + ids(in: Self.half + 1...UInt64.max))
            case .otherRows: enrolment(ids, person: "q")
            }
        #expect(try follower.receipt(of: key) != nil && primary.receipt(of: key) == nil)
        #expect(try primary.knownReceipt(of: batch) == nil)
        #expect(try follower.knownReceipt(of: batch)?.isRecent == false)

        // Twice, as of an entry that is ordered again while it is under way.
        var author = try LogAuthor(primary, epoch: 2)
        let entries = try [author.entry(batch), author.entry(batch)]
        let rowCount = attempt == .sameRows ? ids(in: 0...Self.half).count : ids.count
        let answer = WriteReceipt(outcome: accepted(rowCount), sequence: entries[0].sequence)
        for replica in [primary, follower] {
            let outcome = try replica.commit(
                LogTransaction(promise: 2, append: entries, applyThrough: entries[1].sequence)
            )
            #expect(outcome.applied.map(\.receipt) == [answer, answer])
            #expect(try replica.statistics().faceCount == UInt64(rowCount))
            #expect(try replica.receipt(of: key) == answer && replica.knownReceipt(of: batch)?.receipt == answer)
            #expect(try replica.verifyAll() == replica.digest())
        }
        #expect(try primary.digest() == follower.digest())
        // What a partition has that takes its place is whole.
        let next = try successor("next", of: [follower])
        defer { next.close() }
        #expect(try next.verifyAll() == next.digest())

        // As many of the shard's own count everywhere, as more are done than are kept.
        let later = (200..<260).map { deletion($0, of: [FaceID(9999)]) }
        let more = try later.map { try author.entry($0) }
        for replica in [primary, follower] {
            _ = try replica.commit(LogTransaction(append: more, applyThrough: .max))
            #expect(try later.map { try replica.receipt(of: $0.key) != nil } == (0..<60).map { $0 >= 20 })
            #expect(try replica.receipt(of: key) == nil)
            #expect(try replica.verifyAll() == replica.digest())
        }
        #expect(try primary.digest() == follower.digest())
    }

    /// However much each of them remembers.
    @Test func halvesOfAShardThatWasSplitDoAKeyThatOneHasForgotten() throws {
        let whole = try made("whole", 0...UInt64.max, .small)
        defer { whole.close() }
        let own = ids(in: 0...Self.half)
        _ = try whole.write([enrolment(ids), deletion(0, of: ids)] + fillers(1..<4), epoch: 1)
        var (short, forgetful) = (PartitionOptions.small, PartitionOptions.small)
        short.receiptLimit = 2
        short.earlierReceipts = .none
        forgetful.earlierReceipts = .none
        let replicas = try [PartitionOptions.small, short, forgetful].enumerated().map { index, options in
            try successor("half\(index)", 0...Self.half, of: [whole], options)
        }
        defer { for replica in replicas { replica.close() } }
        #expect(try replicas.map { try $0.receipt(of: key) != nil } == [true, false, true])
        let batch = enrolment(own)
        var author = try LogAuthor(replicas[1], epoch: 2)
        let entries = try [author.entry(batch), author.entry(batch)]
        let answer = WriteReceipt(outcome: accepted(own.count), sequence: entries[0].sequence)
        for replica in replicas {
            let outcome = try replica.commit(LogTransaction(promise: 2, append: entries, applyThrough: .max))
            #expect(outcome.applied.map(\.receipt) == [answer, answer])
            #expect(try replica.verifyAll() == replica.digest())
            #expect(try replica.digest() == replicas[0].digest())
        }
    }

    /// New writes between them let others that came over leave by themselves.
    @Test func asManyAsAreSetAsideInOneCommitAreSetAsideOneByOne() throws {
        var options = PartitionOptions.small
        options.receiptLimit = 100
        let whole = try made("whole", 0...UInt64.max, options)
        defer { whole.close() }
        let earlier = (0..<80).map { deletion($0, of: [FaceID(9999)]) }
        _ = try whole.write(earlier, epoch: 1)
        let replicas = try (0..<2).map { try successor("replica\($0)", of: [whole], options) }
        defer { for replica in replicas { replica.close() } }
        var batches: [WriteBatch] = []
        for index in 0..<80 {
            // Neither in the order in which they came nor in the other one.
            batches.append(earlier[index * 37 % 80])
            if index % 2 == 0 { batches.append(deletion(1000 + index, of: [FaceID(9999)])) }
        }
        var author = try LogAuthor(replicas[0], epoch: 2)
        let entries = try batches.map { try author.entry($0) }
        let answers = entries.map { WriteReceipt(outcome: .deleted([.absent]), sequence: $0.sequence) }
        let outcome = try replicas[0].commit(LogTransaction(promise: 2, append: entries, applyThrough: .max))
        #expect(outcome.applied.map(\.receipt) == answers)
        for (entry, answer) in zip(entries, answers) {
            let outcome = try replicas[1].commit(LogTransaction(promise: 2, append: [entry], applyThrough: .max))
            #expect(outcome.applied.map(\.receipt) == [answer])
        }
        // As many of its own as are kept, and no other.
        let newest: [WriteReceipt?] = answers.indices.map { $0 < 20 ? nil : answers[$0] }
        for replica in replicas {
            #expect(try entries.map { try replica.receipt(of: $0.key) } == newest)
            #expect(try replica.verifyAll() == replica.digest())
        }
        #expect(try replicas[0].digest() == replicas[1].digest())
    }

    /// Of a partition that has done a key again which it had from another, and has two receipts of it.
    @Test(arguments: [false, true], [false, true])
    func whoeverComesNextAnswersAsTheLaterOfTwoWritesOfAKey(isDeletion: Bool, isBetween: Bool) throws {
        let whole = try made("whole", 0...UInt64.max, .small)
        defer { whole.close() }
        _ = try whole.write([deletion(0, of: ids), enrolment(ids), deletion(1, of: [FaceID(9999)])], epoch: 1)
        let replica = try successor("replica", of: [whole])
        defer { replica.close() }
        let own = ids(in: 0...Self.half)
        func batch(_ faces: [FaceID], isDeletion: Bool) -> WriteBatch {
            isDeletion ? WriteBatch(key: key, operation: .delete(faces)) : enrolment(faces)
        }
        func outcome(_ count: Int) -> WriteReceipt.Outcome {
            isDeletion
                ? .deleted([DeleteOutcome](repeating: .deleted, count: count))
                : .enrolled([EnrolOutcome](repeating: .replaced, count: count))
        }
        var author = try LogAuthor(replica, epoch: 2)
        let entry = try author.entry(batch(ids, isDeletion: isDeletion))
        func again() throws {
            let done = try replica.commit(LogTransaction(promise: 2, append: [entry], applyThrough: .max))
            #expect(
                done.applied.map(\.receipt) == [WriteReceipt(outcome: outcome(ids.count), sequence: entry.sequence)]
            )
        }
        if !isBetween { try again() }
        let half = try successor("half", 0...Self.half, of: [replica]) { if isBetween { try again() } }
        defer { half.close() }
        let known = try half.knownReceipt(of: batch(own, isDeletion: isDeletion))
        #expect(known?.receipt == WriteReceipt(outcome: outcome(own.count), sequence: entry.sequence))
        #expect(known?.rest == nil)
        // It is no other write, and no more rows than were sent.
        for other in [batch(own, isDeletion: !isDeletion), batch(own + own, isDeletion: isDeletion)] {
            #expect(try half.knownReceipt(of: other)?.receipt.outcome == .keyReused)
        }
        for number in 0..<2 { #expect(try half.receipt(of: deletion(number, of: []).key) != nil) }
        #expect(try half.verifyAll() == half.digest())
        // Whoever comes after that one, too.
        let next = try successor("next", 0...Self.half / 2, of: [half])
        defer { next.close() }
        let left = ids(in: 0...Self.half / 2)
        let answer = try next.knownReceipt(of: batch(left, isDeletion: isDeletion))?.receipt
        #expect(answer == WriteReceipt(outcome: outcome(left.count), sequence: entry.sequence))
        #expect(try next.verifyAll() == next.digest())
    }

    /// The other's part has come over meanwhile.
    @Test func whatOneOfTwoDoesAgainWhileTheyAreMergedIsAnsweredWithThePartOfTheOther() throws {
        let (lower, upper) = (
            try made("lower", 0...Self.half, .small), try made("upper", Self.half + 1...UInt64.max, .small)
        )
        defer { for half in [lower, upper] { half.close() } }
        let (low, high) = (ids(in: 0...Self.half), ids(in: Self.half + 1...UInt64.max))
        _ = try lower.write([deletion(0, of: low), enrolment(low)], epoch: 1)
        _ = try upper.write([enrolment(high), deletion(1, of: [FaceID(9999)])], epoch: 1)
        let replica = try successor("replica", 0...Self.half, of: [lower])
        defer { replica.close() }
        var author = try LogAuthor(replica, epoch: 2)
        let entry = try author.entry(enrolment(low))
        let whole = try successor("whole", of: [replica, upper]) {
            _ = try replica.commit(LogTransaction(promise: 2, append: [entry], applyThrough: .max))
        }
        defer { whole.close() }
        let answer = WriteReceipt.Outcome.enrolled(
            low.map { _ in EnrolOutcome.replaced } + high.map { _ in EnrolOutcome.accepted }
        )
        let known = try whole.knownReceipt(of: enrolment(low + high))
        #expect(known?.receipt.outcome == answer && known?.rest == nil)
        #expect(try whole.knownReceipt(of: enrolment(low + low))?.receipt.outcome == .keyReused)
        #expect(try whole.verifyAll() == whole.digest())
    }

    /// One that was the oldest, and has come over, gets a number that has not.
    @Test func oneThatChangesPlacesWhileReceiptsComeOverComesOnce() throws {
        let whole = try made("whole", 0...UInt64.max, .small)
        defer { whole.close() }
        let face = FaceID(9999)
        let deletions = (0..<8300).map { deletion($0, of: [face]) }
        _ = try whole.write(deletions, epoch: 1)
        let replica = try successor("replica", of: [whole])
        defer { replica.close() }
        var author = try LogAuthor(replica, epoch: 2)
        let entry = try author.entry(deletions[8250])
        let next = try successor("next", of: [replica]) {
            _ = try replica.commit(LogTransaction(promise: 2, append: [entry], applyThrough: .max))
        }
        defer { next.close() }
        let first = WriteReceipt(outcome: .deleted([.absent]), sequence: 1)
        #expect(try next.knownReceipt(of: deletions[0])?.receipt == first)
        #expect(try next.knownReceipt(of: deletion(0, of: [face, face]))?.receipt.outcome == .keyReused)
        #expect(try next.knownReceipt(of: deletions[8250])?.receipt.sequence == entry.sequence)
        #expect(try next.knownReceipt(of: deletion(8250, of: [face, face]))?.receipt.outcome == .keyReused)
        #expect(try next.verifyAll() == next.digest())
    }
}
