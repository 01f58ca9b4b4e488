import FaceModel
import FaceRecords
import PartitionEngine
import PartitionStore
import Testing

/// A write of which one partition did its part, and another had not been sent its own when the two became one.
@Suite struct PartlyKnownWriteTests: WritesOfTwoHalves {
    private let folder = TemporaryFolder()

    private func made(
        _ name: String,
        _ range: ClosedRange<UInt64>,
        _ options: PartitionOptions = .small
    ) throws -> Partition {
        try Partition.create(
            at: "\(folder.path)/\(name)",
            identity: .made(shardIndex: 1, range: range),
            options: options
        )
    }

    /// A partition that takes the place of others.
    private func successor(
        _ name: String,
        _ range: ClosedRange<UInt64> = 0...UInt64.max,
        of sources: [Partition],
        _ options: PartitionOptions = .small
    ) throws -> Partition {
        let builder = try SuccessorBuilder(
            at: "\(folder.path)/\(name)",
            identity: .made(shardIndex: 2, range: range),
            sources: sources,
            options: options
        )
        while try builder.copyRows() {}
        while try builder.copyCodes() {}
        while try builder.copyReceipts() {}
        while try builder.follow() > 0 {}
        _ = try #require(try builder.seal())
        builder.release()
        return builder.partition
    }

    private func versions(_ faces: [FaceID], _ partition: Partition) throws -> [FaceVersion] {
        try partition.faces(faces, includesEmbeddings: false).map(\.version)
    }

    private func accepted(_ count: Int) -> WriteReceipt.Outcome {
        .enrolled([EnrolOutcome](repeating: .accepted, count: count))
    }

    /// Writes to a half, and to the other under other keys, so that their sequences differ.
    private func halves(writing isLower: Bool, _ options: PartitionOptions = .small) throws -> [Partition] {
        let halves = [
            try made("lower", 0...Self.half, options), try made("upper", Self.half + 1...UInt64.max, options),
        ]
        let part = enrolment(ids(in: isLower ? 0...Self.half : Self.half + 1...UInt64.max))
        for number in 0..<3 {
            let deletion = WriteBatch(key: IdempotencyKey(high: 6, low: UInt64(number)), operation: .delete([ids[0]]))
            _ = try halves[isLower ? 1 : 0].write([deletion], epoch: 1)
        }
        let receipt = try halves[isLower ? 0 : 1].write([part], epoch: 1)[0]
        #expect(receipt.outcome == accepted(ids(in: isLower ? 0...Self.half : Self.half + 1...UInt64.max).count))
        return halves
    }

    @Test(arguments: [true, false])
    func theRestIsDoneAndAllOfItIsAnsweredFromThenOn(isLower: Bool) throws {
        let halves = try halves(writing: isLower)
        defer { for half in halves { half.close() } }
        let done = ids(in: isLower ? 0...Self.half : Self.half + 1...UInt64.max)
        let rest = ids.filter { !done.contains($0) }
        #expect(done.count > 5 && rest.count > 5)
        var whole = try successor("whole", of: halves)
        defer { whole.close() }
        let before = try versions(done, whole)
        let part = try whole.write([enrolment(done)], epoch: 2)[0]
        #expect(part == WriteReceipt(outcome: accepted(done.count), sequence: 1))
        #expect(whole.committedSequence == 4)

        // Another content of what is known, one row more of it, and another kind of write.
        let others = [
            enrolment(ids, person: "q"), enrolment(ids + [done[1]]), WriteBatch(key: key, operation: .delete(ids)),
        ]
        for other in others {
            #expect(try whole.write([other], epoch: 2)[0].outcome == .keyReused)
        }
        #expect(try whole.statistics().faceCount == UInt64(done.count) && whole.committedSequence == 4)

        // Twice in one commit, and again.
        let answer = WriteReceipt(outcome: accepted(ids.count), sequence: 5)
        #expect(try whole.write([enrolment(ids), enrolment(ids)], epoch: 2) == [answer, answer])
        for _ in 0..<2 {
            #expect(try whole.write([enrolment(ids)], epoch: 3)[0] == answer)
            #expect(try whole.write([enrolment(done)], epoch: 3)[0] == part)
            #expect(try whole.write([enrolment(rest)], epoch: 3)[0].outcome == accepted(rest.count))
            for other in others + [enrolment(ids + [FaceID(99)])] {
                #expect(try whole.write([other], epoch: 3)[0].outcome == .keyReused)
            }
            #expect(try versions(done, whole) == before)
            #expect(try versions(rest, whole).allSatisfy { $0 == FaceVersion(epoch: 2, sequence: 5) })
            #expect(whole.committedSequence == 5)
            #expect(try whole.verifyAll() == whole.digest())
            whole.close()
            whole = try Partition.open(at: "\(folder.path)/whole", options: .small)
        }
    }

    @Test func aDeletionIsAnsweredRowByRow() throws {
        let (lower, upper) = (try made("lower", 0...Self.half), try made("upper", Self.half + 1...UInt64.max))
        defer { for half in [lower, upper] { half.close() } }
        let (low, high) = (ids(in: 0...Self.half), ids(in: Self.half + 1...UInt64.max))
        for (half, faces) in [(lower, low), (upper, high)] {
            var batch = enrolment(faces)
            batch.key = IdempotencyKey(high: 1, low: 1)
            _ = try half.write([batch], epoch: 1)
        }
        _ = try lower.write([WriteBatch(key: key, operation: .delete(low + [FaceID(99)]))], epoch: 1)
        let whole = try successor("whole", of: [lower, upper])
        defer { whole.close() }
        // 99 was never there.
        let faces = [high[0], low[0], FaceID(99), high[1], low[1]]
        let deletion = WriteBatch(key: key, operation: .delete(faces))
        let first = try whole.write([deletion], epoch: 2)[0]
        #expect(first.outcome == .deleted([.deleted, .deleted, .absent, .deleted, .deleted]))
        #expect(try whole.write([deletion], epoch: 2)[0] == first)
        #expect(try whole.statistics().faceCount == UInt64(high.count - 2))
    }

    /// Replicas put receipts of two shards into an order of their own: one has the part among the newest, another does
    /// not. Both do the rest once, though it is in the log twice.
    @Test func replicasThatRememberDifferentlyDoTheSame() throws {
        let halves = try halves(writing: true)
        defer { for half in halves { half.close() } }
        var short = PartitionOptions.small
        short.receiptLimit = 2
        let replicas = [try successor("a", of: halves), try successor("b", of: halves, short)]
        defer { for replica in replicas { replica.close() } }
        #expect(try replicas.map { try $0.receipt(of: key) != nil } == [true, false])
        let done = ids(in: 0...Self.half)
        let before = try versions(done, replicas[0])
        var author = try LogAuthor(replicas[0], epoch: 2)
        let known = try #require(try replicas[0].knownReceipt(of: enrolment(ids)))
        let undone = try #require(known.rest)
        #expect(undone.rows.map { ids[$0] } == ids.filter { !done.contains($0) } && undone.key != key)
        #expect(known.receipt.outcome == accepted(done.count) && !known.isRecent)
        let rest = enrolment(ids).rest(undone)
        let entries = try [author.entry(rest), author.entry(rest)]
        var answers: [WriteReceipt] = []
        for replica in replicas {
            #expect(try replica.knownReceipt(of: enrolment(ids))?.rest == undone)
            let outcome = try replica.commit(
                LogTransaction(promise: 2, append: entries, applyThrough: entries[1].sequence)
            )
            #expect(outcome.applied[0].receipt == outcome.applied[1].receipt)
            answers.append(known.completed(by: outcome.applied[0].receipt))
            let again = try #require(try replica.knownReceipt(of: enrolment(ids)))
            #expect(again.rest == nil && again.receipt == answers[0] && !again.isRecent)
            #expect(try replica.knownReceipt(of: enrolment(ids, person: "q"))?.receipt.outcome == .keyReused)
            #expect(try versions(done, replica) == before)
            #expect(try replica.verifyAll() == replica.digest())
        }
        #expect(answers == [WriteReceipt](repeating: answers[0], count: 2))
        #expect(answers[0] == WriteReceipt(outcome: accepted(ids.count), sequence: entries[0].sequence))
        #expect(try replicas[0].digest() == replicas[1].digest())
    }

    /// Whether the rest has been done by then or not: each half finds its own part of it, and so does a whole again.
    @Test(arguments: [true, false])
    func halvesOfTheWholeKnowTheirPart(isDone: Bool) throws {
        let halves = try halves(writing: true)
        defer { for half in halves { half.close() } }
        let whole = try successor("whole", of: halves)
        defer { whole.close() }
        if isDone { _ = try whole.write([enrolment(ids)], epoch: 2) }
        // The second has nothing of what is told.
        let cut = UInt64.max / 4 * 3
        let ranges = [0...cut, cut + 1...UInt64.max]
        let quarters = try ranges.enumerated().map { try successor("part\($0)", $1, of: [whole]) }
        defer { for part in quarters { part.close() } }
        for (range, part) in zip(ranges, quarters) {
            let own = ids(in: range)
            let sequence = part.committedSequence
            let answer = try part.write([enrolment(own)], epoch: 3)[0]
            #expect(answer.outcome == accepted(own.count))
            #expect(part.committedSequence == (isDone ? sequence : sequence + 1))
            #expect(try part.write([enrolment(own)], epoch: 3)[0] == answer)
            #expect(try part.write([enrolment(own, person: "q")], epoch: 3)[0].outcome == .keyReused)
            #expect(try part.statistics().faceCount == UInt64(own.count))
            #expect(try part.verifyAll() == part.digest())
        }
        let again = try successor("again", of: quarters)
        defer { again.close() }
        let sequence = again.committedSequence
        #expect(try again.write([enrolment(ids)], epoch: 4)[0].outcome == accepted(ids.count))
        #expect(try again.write([enrolment(ids, person: "q")], epoch: 4)[0].outcome == .keyReused)
        #expect(again.committedSequence == sequence)
        #expect(try again.statistics().faceCount == UInt64(ids.count))
    }

    /// The next merger brings rows that nobody was sent yet.
    @Test func theRestOfTheRestIsDone() throws {
        let (first, second) = (UInt64.max / 4, UInt64.max / 2)
        let ranges = [0...first, first + 1...second, second + 1...UInt64.max]
        let parts = try ranges.enumerated().map { try made("part\($0)", $1) }
        defer { for part in parts { part.close() } }
        _ = try parts[0].write([enrolment(ids(in: ranges[0]))], epoch: 1)
        let lower = try successor("lower", 0...second, of: Array(parts[..<2]))
        defer { lower.close() }
        _ = try lower.write([enrolment(ids(in: 0...second))], epoch: 2)
        let whole = try successor("whole", of: [lower, parts[2]])
        defer { whole.close() }
        let before = try versions(ids(in: 0...second), whole)
        let answer = try whole.write([enrolment(ids)], epoch: 3)[0]
        #expect(answer.outcome == accepted(ids.count))
        #expect(try whole.write([enrolment(ids)], epoch: 3)[0] == answer)
        #expect(try versions(ids(in: 0...second), whole) == before)
        #expect(try versions(ids(in: ranges[2]), whole).allSatisfy { $0.epoch == 3 })
        let moved = ids(in: 0...first) + ids(in: second + 1...UInt64.max) + ids(in: first + 1...second)
        #expect(try whole.write([enrolment(moved, person: "q")], epoch: 3)[0].outcome == .keyReused)
        #expect(try whole.statistics().faceCount == UInt64(ids.count))
        #expect(try whole.verifyAll() == whole.digest())
    }

    /// The other may have done its part, and forgotten it.
    @Test func theRestMayHaveBeenForgotten() throws {
        let clock = SteppedClock()
        var options = PartitionOptions.small
        options.steadyClock = { clock.now }
        var short = options
        short.receiptLimit = 2
        short.earlierReceipts = .none
        let (lower, upper) = (
            try made("lower", 0...Self.half, options), try made("upper", Self.half + 1...UInt64.max, short)
        )
        defer { for half in [lower, upper] { half.close() } }
        _ = try lower.write([enrolment(ids(in: 0...Self.half))], epoch: 1)
        for number in 0..<4 {
            let deletion = WriteBatch(key: IdempotencyKey(high: 6, low: UInt64(number)), operation: .delete([ids[0]]))
            _ = try upper.write([deletion], epoch: 1)
        }
        #expect(try !lower.mayHaveForgotten(key, age: .seconds(1000)))
        let whole = try successor("whole", of: [lower, upper], options)
        defer { whole.close() }
        clock.pass(.seconds(10))
        #expect(try whole.mayHaveForgotten(key, age: .seconds(11)))
        #expect(try !whole.mayHaveForgotten(key, age: .seconds(9)))
        #expect(try whole.knownReceipt(of: enrolment(ids(in: 0...Self.half)))?.rest == nil)
        #expect(try whole.knownReceipt(of: enrolment(ids))?.rest != nil)
    }
}
