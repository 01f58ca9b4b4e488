import ClusterModel
import FaceModel
import QueryRouter
import Testing
import WireProtocol

struct WriteStateMachineTests {
    private typealias Attempts = PrimaryAttemptsTests

    private static func place(_ index: UInt32, epoch: UInt64 = 1) -> ShardPlace {
        Attempts.place(Attempts.placement(index, epoch: epoch))
    }

    /// A write of five rows over shards with these indices, the first of which has three of them.
    private static func begun(
        _ machine: inout WriteStateMachine,
        shards: [UInt32],
        end: Duration = .seconds(10)
    ) {
        let parts = shards.enumerated().map { number, index in
            BatchPart(placement: Attempts.placement(index), positions: number == 0 ? [0, 2, 4] : [1])
        }
        machine.beginRound(parts, rowCount: 5, collection: "people", end: end)
    }

    private static func event(
        _ machine: inout WriteStateMachine,
        _ event: PrimaryAttempts.Event,
        of part: Int,
        at time: Duration = .zero
    ) -> PrimaryAttempts.Action {
        machine.event(event, ofPart: part, now: time) { _ in true }
    }

    private func status(_ outcome: WriteStateMachine.Outcome, beginsAnew expected: Bool = false) throws -> WireStatus {
        guard case .failed(let status, let beginsAnew) = outcome else {
            Issue.record("\(outcome)")
            throw WireStatus(.internalError, "it is acknowledged")
        }
        #expect(beginsAnew == expected)
        return status
    }

    @Test func rowsAreDividedByWhereTheirFacesAreOnTheRing() {
        let half = UInt64(1) << 63
        let ranges = HashRange.divisions(2)
        let map = ShardMap(
            epoch: Epoch(1),
            collections: [],
            placements: [
                Attempts.collection: ranges.enumerated().map { index, range in
                    ShardPlacement(
                        shard: Attempts.shard(UInt32(index)),
                        range: range,
                        primary: Attempts.node(1),
                        epoch: Epoch(1)
                    )
                }
            ],
            addresses: [:]
        )
        let places: [UInt64?] = [0, half, nil, half - 1, .max]
        let parts = map.divide(places.count, in: Attempts.collection) { places[$0] }
        #expect(parts.map(\.positions) == [[0, 3], [1, 4]])
        #expect(parts.map(\.placement.shard) == [Attempts.shard(0), Attempts.shard(1)])
        #expect(map.divide(1, in: Attempts.collection) { _ in half }.map(\.positions) == [[0]])
        #expect(map.divide(1, in: CollectionID(high: 0, low: 8)) { _ in half }.isEmpty)
    }

    @Test func theTokenHasWhatEveryShardAnswered() {
        var machine = WriteStateMachine(age: .zero, options: RouterOptions())
        Self.begun(&machine, shards: [3, 5])
        for part in 0..<2 { _ = Self.event(&machine, .begun(Self.place(part == 0 ? 3 : 5)), of: part) }
        machine.acknowledged(part: 1, rowCount: 1, sequence: 70)
        machine.acknowledged(part: 0, rowCount: 3, sequence: 9)
        #expect(machine.endRound(now: .zero) == .acknowledged(sequences: [3: 9, 5: 70]))
        #expect(!machine.hasNoEffect)
    }

    @Test func whatOneShardDidIsToldWhenAnotherRefuses() throws {
        var machine = WriteStateMachine(age: .zero, options: RouterOptions())
        Self.begun(&machine, shards: [3, 5])
        for part in 0..<2 { _ = Self.event(&machine, .begun(Self.place(part == 0 ? 3 : 5)), of: part) }
        machine.acknowledged(part: 0, rowCount: 3, sequence: 9)
        _ = Self.event(&machine, .failed(WireStatus(.storageFull, "Full.").withoutEffect, absence: nil), of: 1)
        let status = try status(machine.endRound(now: .zero))
        #expect(status.code == .storageFull)
        #expect(
            status.message.hasSuffix("Nothing was done for 1 of 5 rows; the other shards have done theirs."),
            "\(status)"
        )
        #expect(!machine.told(status).hasNoEffect)
    }

    @Test func refusedByAllItDidNothing() throws {
        var machine = WriteStateMachine(age: .zero, options: RouterOptions())
        Self.begun(&machine, shards: [3, 5])
        for part in 0..<2 {
            _ = Self.event(&machine, .begun(Self.place(part == 0 ? 3 : 5)), of: part)
            _ = Self.event(&machine, .failed(WireStatus(.memoryFull, "Full."), absence: nil), of: part)
        }
        let status = try status(machine.endRound(now: .zero))
        #expect(machine.told(status).hasNoEffect)
    }

    /// Nobody is told at once not to send it again and to do so.
    @Test(arguments: [
        (StatusCode.unavailable, "); send the same batch again"),
        (StatusCode.cancelled, "); the call was cancelled: if it is to be done all the same, send the same batch"),
        (StatusCode.corruptPartition, "); when that is mended, send the same batch again"),
    ])
    func whenItIsToBeSentAgainIsSaid(code: StatusCode, words: String) throws {
        var machine = WriteStateMachine(age: .zero, options: RouterOptions())
        Self.begun(&machine, shards: [3])
        machine.refused(part: 0, Self.place(3).failure(WireStatus(code, "So it is.")))
        let status = try status(machine.endRound(now: .zero))
        #expect(status.code == code && status.message.contains(words), "\(status)")
    }

    @Test func aPartThatNobodyWasAskedForDidNothing() throws {
        var machine = WriteStateMachine(age: .zero, options: RouterOptions())
        Self.begun(&machine, shards: [3])
        machine.refused(part: 0, Self.place(3).failure(WireStatus(.overloaded, "As many as can be.")))
        let status = try status(machine.endRound(now: .zero))
        #expect(status.code == .overloaded && machine.told(status).hasNoEffect)
    }

    @Test func anAnswerOfOtherRowsIsNone() throws {
        var machine = WriteStateMachine(age: .zero, options: RouterOptions())
        Self.begun(&machine, shards: [3])
        _ = Self.event(&machine, .begun(Self.place(3)), of: 0)
        machine.acknowledged(part: 0, rowCount: 2, sequence: 9)
        let status = try status(machine.endRound(now: .zero))
        #expect(status.code == .internalError && !machine.told(status).hasNoEffect)
    }

    @Test func onlyTheFirstAttemptAtAShardIsNew() {
        var machine = WriteStateMachine(age: .zero, options: RouterOptions())
        Self.begun(&machine, shards: [3, 5])
        _ = Self.event(&machine, .begun(Self.place(3)), of: 0, at: .milliseconds(1))
        #expect(machine.age(ofPart: 0, now: .milliseconds(2)) == .zero)
        _ = Self.event(&machine, .overtaken, of: 0, at: .milliseconds(300))
        _ = Self.event(&machine, .looked(Self.place(3, epoch: 2)), of: 0, at: .milliseconds(300))
        #expect(machine.age(ofPart: 0, now: .milliseconds(300)) == .milliseconds(300))
        // It waited for its turn at the worker.
        #expect(machine.age(ofPart: 0, now: .milliseconds(450)) == .milliseconds(450))
        _ = Self.event(&machine, .begun(Self.place(5)), of: 1, at: .milliseconds(400))
        #expect(machine.age(ofPart: 1, now: .milliseconds(400)) == .zero)

        var older = WriteStateMachine(age: .seconds(7), options: RouterOptions())
        Self.begun(&older, shards: [3])
        _ = Self.event(&older, .begun(Self.place(3)), of: 0, at: .milliseconds(1))
        #expect(older.age(ofPart: 0, now: .milliseconds(1)) == .milliseconds(7001))
    }

    /// Others have taken a shard's place: what was tried before counts on.
    @Test func whatWasTriedBeforeItBeganAnewIsNotForgotten() throws {
        var machine = WriteStateMachine(age: .zero, options: RouterOptions())
        Self.begun(&machine, shards: [3])
        _ = Self.event(&machine, .begun(Self.place(3)), of: 0)
        _ = Self.event(&machine, .failed(WireStatus(.unavailable, "Changed hands."), absence: nil), of: 0)
        _ = Self.event(&machine, .looked(nil), of: 0)
        _ = try status(machine.endRound(now: .seconds(1)), beginsAnew: true)

        Self.begun(&machine, shards: [4])
        _ = Self.event(&machine, .begun(Self.place(4)), of: 0, at: .seconds(1))
        #expect(machine.age(ofPart: 0, now: .seconds(1)) == .seconds(1))
        _ = Self.event(&machine, .failed(WireStatus(.storageFull, "Full.").withoutEffect, absence: nil), of: 0)
        let status = try status(machine.endRound(now: .seconds(1)))
        #expect(status.message.contains("It is not known whether an earlier attempt did anything"), "\(status)")
        #expect(!machine.told(status).hasNoEffect)
    }

    @Test func nothingBeginsAnewBehindTheDeadlineOrForNobody() throws {
        for (now, isCancelled) in [(Duration.seconds(2), false), (.seconds(1), true)] {
            var machine = WriteStateMachine(age: .zero, options: RouterOptions())
            Self.begun(&machine, shards: [3], end: .seconds(2))
            _ = Self.event(&machine, .begun(Self.place(3)), of: 0)
            let refusal = WireStatus(.unknownReplica, "Not here.").withoutEffect
            _ = Self.event(&machine, .failed(refusal, absence: nil), of: 0)
            _ = Self.event(&machine, .looked(nil), of: 0)
            let status = try status(machine.endRound(now: now, isCancelled: isCancelled))
            #expect(machine.told(status).hasNoEffect)
        }
    }
}
