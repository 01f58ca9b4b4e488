import ClusterModel
import ShardReplication
import Testing

/// Replicas that come back with less than they had said to have, as long runs of the simulator found them: what each of
/// these guards has broken a promise.
struct RejoiningReplicaTests {
    /// Its disk went back to where the last entry, a deletion perhaps, was in the log and not applied.
    @Test func aPrimaryThatBeganAnewAnswersReadsWhenItHasAppliedItsLog() throws {
        var replicas = try written(3)
        putBack(one, to: 3, &replicas)
        replicas.machines[one] = Machine(
            node: one,
            log: DurableLog(
                promised: Epoch(1),
                applied: LogPosition(sequence: 2, epoch: Epoch(1)),
                unapplied: [LogPosition(sequence: 3, epoch: Epoch(1))]
            ),
            timings: ReplicationTimings(),
            now: replicas.now
        )
        replicas.configure(ReplicaFixture.group(minimum: 2), [one])
        replicas.store(one)
        let group = ReplicaFixture.group(epoch: 2, version: 2, minimum: 2)
        replicas.configure(group)
        replicas.store(one)
        replicas.deliver { from, _ in from == one }
        replicas.store(two)
        replicas.deliver { from, _ in from == two }
        // The other one agrees with its log: it leads, and has yet to apply what is in it.
        #expect(replicas.machines[one]?.role == .primary && replicas.machines[one]?.applied == 2)
        #expect(!mayRead(one, group, &replicas))
        replicas.pass(.milliseconds(300))
        #expect(replicas.machines[one]?.applied == 3 && mayRead(one, group, &replicas))
    }

    /// An operator gave up what the others had: fewer are in sync than a write needs, until another one joins.
    @Test(arguments: [true, false]) func theOnlyOneLeftLeadsAndTakesInAnother(isAloneFirst: Bool) throws {
        var replicas = try written(3)
        putBack(two, to: 2, &replicas)
        replicas.machines[one] = nil
        replicas.machines[three] = Machine(
            node: three,
            log: .empty,
            timings: ReplicationTimings(),
            now: replicas.now,
            isNew: true
        )
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one, three], learners: [two], minimum: 2), [two])
        replicas.pass(.seconds(1))
        if isAloneFirst {
            let alone = ReplicaFixture.group(epoch: 2, version: 3, primary: two, inSync: [two], minimum: 2)
            replicas.configure(alone)
            replicas.pass(.seconds(3))
            #expect(replicas.machines[two]?.role == .primary && mayRead(two, alone, &replicas))
        }
        let group = ReplicaFixture.group(
            epoch: 2,
            version: 4,
            primary: two,
            inSync: [two],
            learners: [three],
            minimum: 2
        )
        replicas.configure(group)
        replicas.pass(.seconds(3))
        #expect(replicas.machines[two]?.role == .primary)
        #expect(replicas.proposals.last?.change == .add(three))
        replicas.configure(
            ReplicaFixture.group(epoch: 2, version: 5, primary: two, inSync: [two, three], minimum: 2)
        )
        try replicas.submit("4", to: two, ticket: 40)
        replicas.settle()
        #expect(replicas.acknowledged.contains(40))
    }

    /// It was cut off as primary and ordered many writes meanwhile, and so did the one that took over. Asked for them
    /// one by one, each with a step on disk, it would hold up writes for as long as they are many.
    @Test func aReplicaWithManyWritesOfAnotherPrimaryIsBackAfterAFewWords() throws {
        var replicas = try written(10)
        for number in 11...400 { try replicas.submit("\(number)", ticket: UInt64(number)) }
        replicas.store(one)
        replicas.sent.removeAll()
        let group = ReplicaFixture.group(epoch: 2, version: 2, primary: two, minimum: 2)
        replicas.configure(group, [two])
        replicas.store(two)
        for number in 11...500 { try replicas.submit("other \(number)", to: two, ticket: UInt64(number * 10)) }
        replicas.pass(.milliseconds(600), [two])
        replicas.sent.removeAll()
        replicas.configure(group, [one])
        replicas.now += .milliseconds(500)
        let now = replicas.now
        replicas.with(two) { $0.tick(now: now) }
        var wordCount = 0
        while !replicas.acknowledged.contains(5000), wordCount < 1000 {
            wordCount += 1
            replicas.deliver()
            for node in [one, two] { replicas.store(node) }
        }
        #expect(wordCount <= 16, "\(wordCount)")
        #expect(replicas.logs[one]?.map(\.payload) == replicas.logs[two]?.map(\.payload))
        #expect(replicas.losses.isEmpty && replicas.copies.isEmpty)
    }

    /// It may have lost its disk since: only what it says as the learner that it is now makes it join.
    @Test func whatAReplicaSaidBeforeItLeftIsNotTheLearners() throws {
        var replicas = try written(3, minimum: 1)
        let late = replicas.lateAnswers(of: two, to: one)
        #expect(!late.isEmpty)
        replicas.now += .milliseconds(10)
        let now = replicas.now
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one], learners: [two]), [one])
        for item in late { replicas.with(one) { $0.receive(item.message, from: two, now: now) } }
        #expect(replicas.proposals.isEmpty)
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one], learners: [two]), [two])
        replicas.pass(.seconds(1))
        #expect(replicas.proposals.last?.change == .add(two))
    }

    /// What it had said to have counts for nothing but this.
    @Test func theLogIsWantedForAReplicaThatLeftUntilItSaysWhatItHas() throws {
        var replicas = try written(3, minimum: 1)
        #expect(replicas.machines[one]?.wantedFrom == 3 && replicas.machines[one]?.matched(of: two) == 3)
        for version in 2...3 as ClosedRange<UInt64> {
            replicas.configure(ReplicaFixture.group(version: version, inSync: [one], learners: [two]), [one])
            for number in 1...3 { try replicas.submit("more", ticket: version * 10 + UInt64(number)) }
            replicas.pass(.seconds(1), [one])
            #expect(replicas.machines[one]?.applied == version * 3)
            #expect(replicas.machines[one]?.wantedFrom == 3 && replicas.machines[one]?.matched(of: two) == 0)
        }
        #expect(replicas.machines[one]?.matched(of: three) == nil)
        replicas.sent.removeAll()
        let now = replicas.now
        let reply = AppendReply(
            epoch: Epoch(1),
            outcome: .mismatch(last: 2),
            sent: now,
            replied: now,
            version: 3
        )
        replicas.with(one) { $0.receive(.reply(reply), from: two, now: now) }
        #expect(replicas.machines[one]?.wantedFrom == 2, "its disk went back")
        replicas.configure(ReplicaFixture.group(version: 3, inSync: [one], learners: [two]), [two])
        replicas.pass(.seconds(1))
        #expect(replicas.machines[one]?.wantedFrom == 9 && replicas.machines[two]?.applied == 9)
        #expect(replicas.copies.isEmpty)
    }

    /// As a primary that was lost: what its successor began with it had.
    @Test func theLogIsWantedForAReplicaThatWasInSyncAndSaysNothing() {
        let applied = LogPosition(sequence: 5, epoch: Epoch(1))
        let log = DurableLog(promised: Epoch(1), applied: applied, unapplied: [])
        var replicas = ReplicaFixture([one, two], log: log)
        replicas.configure(ReplicaFixture.group(epoch: 2), [one])
        replicas.store(one)
        #expect(replicas.machines[one]?.role == .primary && replicas.machines[one]?.wantedFrom == 5)
        replicas.configure(
            ReplicaFixture.group(epoch: 2, version: 2, inSync: [one], learners: [two, three]),
            [one]
        )
        #expect(replicas.machines[one]?.wantedFrom == 5)
    }

    /// As a primary that was lost: the record that names its successor has it as a learner.
    @Test func theLogIsWantedForThePrimaryOfBefore() {
        let applied = LogPosition(sequence: 5, epoch: Epoch(1))
        let log = DurableLog(promised: Epoch(1), applied: applied, unapplied: [])
        var replicas = ReplicaFixture([one, two], log: log)
        replicas.configure(ReplicaFixture.group(epoch: 1, version: 1, primary: two), [one])
        replicas.configure(
            ReplicaFixture.group(epoch: 2, version: 2, inSync: [one], learners: [two], minimum: 1),
            [one]
        )
        replicas.store(one)
        #expect(replicas.machines[one]?.role == .primary && replicas.machines[one]?.wantedFrom == 5)
    }

    /// Whatever it had said to have, and though that came later than what it answers: it may be right.
    @Test func aLearnerDoesNotJoinByTheWordThatItLacksSomething() throws {
        var replicas = ReplicaFixture([one])
        replicas.configure(ReplicaFixture.group(inSync: [one], learners: [two, three]), [one])
        replicas.settle()
        for number in 1...3 { try replicas.submit("\(number)", ticket: UInt64(number)) }
        replicas.settle()
        func reply(_ node: NodeID, _ outcome: AppendReply.Outcome, sent: Duration, version: UInt64) {
            let now = replicas.now
            let reply = AppendReply(epoch: Epoch(1), outcome: outcome, sent: sent, replied: now, version: version)
            replicas.with(one) { $0.receive(.reply(reply), from: node, now: now) }
        }
        replicas.now += .milliseconds(10)
        for node in [two, three] { reply(node, .accepted(matched: 3, applied: 3), sent: .zero, version: 1) }
        // One after the other.
        #expect(replicas.proposals.map(\.change) == [.add(two)])
        replicas.configure(ReplicaFixture.group(version: 2, learners: [three]), [one])
        reply(three, .mismatch(last: 0), sent: .milliseconds(5), version: 1)
        #expect(replicas.proposals.map(\.change) == [.add(two)])
        reply(three, .accepted(matched: 3, applied: 3), sent: .milliseconds(10), version: 2)
        #expect(replicas.proposals.map(\.change) == [.add(two), .add(three)])
    }

    @Test func whatALearnerHadBeforeItLeftDoesNotMakeItJoin() throws {
        var replicas = try written(5)
        try replicas.submit("6", ticket: 6)
        let late = replicas.sent.filter { $0.to == two }
        #expect(!late.isEmpty)
        replicas.pass(.seconds(1))
        // It is away, comes back with an empty disk, and answers what was sent when it had nearly everything.
        putBack(two, to: 0, &replicas)
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one], learners: [two]))
        replicas.sent = late
        replicas.deliver()
        replicas.store(two)
        replicas.deliver { from, _ in from == two }
        #expect(replicas.proposals.isEmpty)
        replicas.pass(.seconds(1))
        #expect(replicas.proposals.last?.change == .add(two))
        #expect(replicas.machines[two]?.applied == 6)
    }

    /// Until then its worker may remove it, on an order by a group that it was no member of.
    @Test func aLearnerThatHasNotHeardThatItIsOneDoesNotJoin() throws {
        var replicas = try written(3, minimum: 1)
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one]), [one])
        replicas.configure(ReplicaFixture.group(version: 3, inSync: [one], learners: [two]), [one])
        replicas.pass(.seconds(1))
        #expect(replicas.proposals.isEmpty)
        // It is no member of the second any more, which does not count as having heard.
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one]), [two])
        replicas.pass(.seconds(1))
        #expect(replicas.proposals.isEmpty)
        replicas.configure(ReplicaFixture.group(version: 3, inSync: [one], learners: [two]), [two])
        replicas.pass(.seconds(1))
        #expect(replicas.proposals.last?.change == .add(two))
    }

    /// The second has more than the first, and is away while an operator accepts records by which that leads alone.
    private func withALearnerThatHasMore(minimum: Int) throws -> ReplicaFixture {
        var replicas = try written(5)
        putBack(one, to: 3, &replicas)
        replicas.configure(ReplicaFixture.group(minimum: 2), [one])
        let position = LogPosition(sequence: 3, epoch: Epoch(1))
        #expect(replicas.machines[two]?.mayTake(copyAt: position, from: Epoch(1 << 20)) == false)
        replicas.configure(
            ReplicaFixture.group(epoch: 1 << 20, version: 1 << 20, inSync: [one], learners: [two], minimum: minimum)
        )
        replicas.pass(.seconds(1))
        #expect(replicas.machines[one]?.role == .primary)
        #expect(replicas.losses == [.own(witness: two, applied: 5, last: 3)])
        #expect(!replicas.proposals.contains { $0.change == .add(two) })
        return replicas
    }

    /// Nothing is written before it joins, so that a copy never reaches further than it does.
    @Test func aLearnerWithMoreThanWhatWasAcceptedGetsACopyOfThat() throws {
        var replicas = try withALearnerThatHasMore(minimum: 2)
        #expect(throws: WriteRefusal.tooFewInSync(inSync: 1, minimum: 2)) { try replicas.submit("4", ticket: 40) }
        #expect(replicas.copies.contains(two))
        let position = LogPosition(sequence: 3, epoch: Epoch(1))
        let epoch = Epoch(1 << 20)
        #expect(replicas.machines[two]?.mayTake(copyAt: position, from: epoch) == true)
        #expect(replicas.machines[two]?.mayTake(copyAt: position, from: Epoch(1)) == false)
        replicas.machines[two] = Machine(
            node: two,
            log: DurableLog(promised: epoch, applied: position, unapplied: []),
            timings: ReplicationTimings(),
            now: replicas.now
        )
        replicas.logs[two] = replicas.logs[one]
        let group = ReplicaFixture.group(
            epoch: epoch.number,
            version: epoch.number,
            inSync: [one],
            learners: [two],
            minimum: 2
        )
        replicas.configure(group, [two])
        replicas.pass(.seconds(1))
        // It shares the history of what it follows: what it has counts from now on.
        #expect(
            replicas.machines[two]?.mayTake(copyAt: LogPosition(sequence: 2, epoch: Epoch(1)), from: epoch) == false
        )
        let proposal = try #require(replicas.proposals.last)
        #expect(proposal.change == .add(two))
        replicas.configure(try #require(group.applying(proposal)))
        try replicas.submit("4", ticket: 40)
        replicas.store(one)
        replicas.deliver()
        replicas.store(two)
        replicas.deliver()
        replicas.store(one)
        #expect(replicas.machines[one]?.applied == 4)
        #expect(!replicas.acknowledged.contains(40), "what the other had applied under this number was not this")
        replicas.settle()
        #expect(replicas.acknowledged.contains(40))
        for node in [one, two] { #expect(replicas.logs[node]?.map(\.payload) == ["1", "2", "3", "4"]) }
    }

    /// The record may be one that replicas came to by themselves: what is here gives way when it is passed.
    @Test func whereWritesGoOnALearnerWithMoreGetsACopyThatReachesFurther() throws {
        var replicas = try withALearnerThatHasMore(minimum: 1)
        let epoch = Epoch(1 << 20)
        func mayTake(_ sequence: UInt64) -> Bool? {
            let position = LogPosition(sequence: sequence, epoch: sequence > 3 ? epoch : Epoch(1))
            return replicas.machines[two]?.mayTake(copyAt: position, from: epoch)
        }
        #expect(replicas.copies.isEmpty && mayTake(3) == false)
        for number in 4...6 { try replicas.submit("other \(number)", ticket: UInt64(number * 10)) }
        replicas.pass(.seconds(2))
        #expect(replicas.acknowledged.suffix(3) == [40, 50, 60])
        #expect(replicas.copies.contains(two) && mayTake(6) == true && mayTake(5) == false)
        #expect(replicas.losses.count == 1)
    }

    @Test func whatBeganAsALearnerAnswersNoReadsBeforeItsLogAgrees() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group(inSync: [one], learners: [two]))
        replicas.settle([one])
        for number in 1...3 { try replicas.submit("\(number)", ticket: UInt64(number)) }
        replicas.pass(.seconds(1), [one])
        // Whoever put it among those in sync was wrong about it.
        let group = ReplicaFixture.group(version: 2)
        replicas.configure(group)
        #expect(!mayRead(two, group, &replicas))
        replicas.pass(.seconds(1))
        #expect(mayRead(two, group, &replicas))
        #expect(replicas.machines[two]?.applied == 3)
    }
}
