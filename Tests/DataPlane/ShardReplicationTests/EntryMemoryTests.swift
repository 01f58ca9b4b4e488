import ClusterModel
import ShardReplication
import Testing

/// How long a primary keeps the entries in memory that it has sent.
struct EntryMemoryTests {
    private final class Content: Sendable {}

    private struct Trace {
        weak var content: Content?
    }

    /// A primary of two replicas that has ordered ten entries; the other one's words are made up.
    private struct Primary {
        var machine = ReplicaStateMachine<Content>(
            node: one,
            log: .empty,
            timings: ReplicationTimings(),
            now: .zero,
            isNew: true
        )
        var traces: [Trace] = []

        init() throws {
            machine.configured(ReplicaFixture.group(), now: .zero)
            store()
            for number in 1...10 { try submit(UInt64(number)) }
            store()
        }

        mutating func submit(_ number: UInt64) throws {
            let content = Content()
            traces.append(Trace(content: content))
            try machine.submit(content, byteCount: 10, as: WriteTicket(number), isDeletion: false, now: .zero)
            _ = machine.takeActions()
        }

        mutating func store() {
            while machine.nextStep() != nil { machine.stored(now: .zero) }
            _ = machine.takeActions()
        }

        /// The other says what it has.
        mutating func hear(matched: UInt64) {
            let reply = AppendReply(
                epoch: Epoch(1),
                outcome: .accepted(matched: matched, applied: 0),
                sent: .zero,
                replied: .zero,
                version: 1
            )
            machine.receive(.reply(reply), from: two, now: .zero)
            _ = machine.takeActions()
        }

        /// Sequences of the entries that are in memory.
        var kept: [Int] { traces.indices.filter { traces[$0].content != nil }.map { $0 + 1 } }
    }

    @Test func nothingIsKeptOfWhatEverybodyHasThoughNoWriteFollows() throws {
        var primary = try Primary()
        #expect(primary.kept == Array(1...10), "the other has yet to get them")
        primary.hear(matched: 10)
        #expect(primary.kept == Array(1...10), "they are not applied here, and cannot be read from disk")
        primary.store()
        #expect(primary.machine.applied == 10)
        #expect(primary.kept == [])
    }

    @Test func aWriteLetsGoOfNothingThatIsNotApplied() throws {
        var primary = try Primary()
        primary.hear(matched: 10)
        try primary.submit(11)
        #expect(primary.kept == Array(1...11), "the first ten cannot be read from disk yet")
        primary.store()
        #expect(primary.kept == [11])
    }

    @Test func whatTheOtherLacksIsKeptAndSentAgain() throws {
        var primary = try Primary()
        primary.hear(matched: 6)
        primary.store()
        #expect(primary.machine.applied == 6)
        #expect(primary.kept == [7, 8, 9, 10])
        primary.machine.tick(now: .seconds(1))
        let sent = primary.machine.takeActions().compactMap { action -> [UInt64]? in
            guard case .send(.append(let request), to: two) = action else { return nil }
            return request.entries.map(\.sequence)
        }
        #expect(sent.contains([7, 8, 9, 10]))
    }
}
