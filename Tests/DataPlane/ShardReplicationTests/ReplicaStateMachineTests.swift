import ClusterModel
import ShardReplication
import Testing

struct ReplicaStateMachineTests {
    @Test func aReplicaAloneAcknowledgesWhatItsDiskHas() throws {
        var replicas = ReplicaFixture([one])
        replicas.configure(ReplicaFixture.group(inSync: [one]))
        replicas.settle()
        replicas.now += .seconds(3)
        try replicas.submit("a", ticket: 1)
        #expect(replicas.acknowledged == [])
        replicas.settle()
        #expect(replicas.acknowledged == [1])
        #expect(replicas.machines[one]?.applied == 1)
    }

    @Test func aWriteIsAcknowledgedWhenBothReplicasHaveAppliedIt() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        try replicas.submit("a", ticket: 1)
        replicas.store(one)
        #expect(replicas.machines[one]?.committed == 0)
        replicas.deliver()
        // The secondary has the entry, but not on disk.
        replicas.deliver()
        #expect(replicas.machines[one]?.committed == 0)
        replicas.store(two)
        replicas.deliver()
        #expect(replicas.machines[one]?.committed == 1)
        replicas.store(one)
        #expect(replicas.acknowledged == [], "the secondary has not applied it")
        replicas.settle()
        #expect(replicas.acknowledged == [1])
        #expect(replicas.machines[two]?.applied == 1)
    }

    @Test func onlyAPrimaryTakesWrites() {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        #expect(throws: WriteRefusal.notPrimary) { try replicas.submit("a", ticket: 1) }
        replicas.settle()
        #expect(throws: WriteRefusal.notPrimary) { try replicas.submit("a", to: two, ticket: 1) }
    }

    @Test func anEarlierPrimaryIsRefusedAndItsWritesAreAbandoned() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        // The second becomes the primary, and the first does not hear of it.
        replicas.configure(ReplicaFixture.group(epoch: 2, version: 2, primary: two, minimum: 2), [two])
        replicas.settle([two])
        try replicas.submit("lost", ticket: 1)
        replicas.settle()
        #expect(replicas.acknowledged == [])
        #expect(replicas.abandoned == [1])
        #expect(replicas.machines[one]?.role == .follower)
    }

    /// Whatever a reply says, the primary goes on by its own log.
    @Test(arguments: [UInt64.max, UInt64.max - 1, UInt64(1) << 40])
    func sequencesThatCannotBeAreNotBelieved(sequence: UInt64) throws {
        for outcome in [
            AppendReply.Outcome.mismatch(last: sequence), .accepted(matched: sequence, applied: 0),
        ] {
            var replicas = ReplicaFixture([one, two])
            replicas.configure(ReplicaFixture.group())
            replicas.settle([one])
            let now = replicas.now
            let reply = AppendReply(epoch: Epoch(1), outcome: outcome, sent: now, replied: now, version: 1)
            replicas.with(one) { $0.receive(.reply(reply), from: two, now: now) }
            replicas.with(two) { $0.receive(.reply(reply), from: one, now: now) }
            try replicas.submit("a", ticket: 1)
            replicas.pass(.seconds(1))
            #expect(replicas.logs[two]?.map(\.payload) == ["a"])
            #expect(replicas.acknowledged == [1])
        }
    }

    @Test func whatWasNotCommittedIsCutOffByTheNextPrimary() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        try replicas.submit("kept", ticket: 1)
        replicas.settle()
        try replicas.submit("cut", ticket: 2)
        replicas.store(one)
        replicas.sent.removeAll()
        let next = ReplicaFixture.group(epoch: 2, version: 2, primary: two)
        replicas.configure(next)
        replicas.settle()
        try replicas.submit("other", to: two, ticket: 3)
        replicas.settle()
        replicas.pass(.seconds(1))
        #expect(replicas.abandoned == [2])
        #expect(replicas.acknowledged == [1, 3])
        #expect(replicas.logs[one]?.map(\.payload) == ["kept", "other"])
        #expect(replicas.logs[two]?.map(\.payload) == ["kept", "other"])
    }

    // MARK: Disks that went back

    @Test(arguments: [0, 3] as [UInt64])
    func aPrimaryWhoseDiskWentBackLeadsNoMoreAndLosesNothing(last: UInt64) throws {
        var replicas = try written(5)
        putBack(one, to: last, &replicas)
        // It may have led in the epoch that it first hears of: whatever its disk says, it asks for another.
        replicas.configure(ReplicaFixture.group(minimum: 2), [one])
        replicas.store(one)
        #expect(replicas.machines[one]?.role == .follower && replicas.proposals.last?.change == .takeOver(one))
        var group = ReplicaFixture.group(epoch: 2, version: 2, minimum: 2)
        replicas.configure(group)
        // Before it has heard of the other it orders no writes, and answers no reads.
        replicas.store(one)
        #expect(replicas.machines[one]?.role == .activating)
        #expect(throws: WriteRefusal.notPrimary) { try replicas.submit("other", ticket: 9) }
        #expect(!mayRead(one, group, &replicas))
        replicas.pass(.milliseconds(300))
        #expect(replicas.losses == [.own(witness: two, applied: 5, last: last)])
        #expect(replicas.machines[one]?.role == .follower)
        #expect(!mayRead(one, group, &replicas))
        let proposal = try #require(replicas.proposals.last)
        #expect(proposal.change == .takeOver(two))
        group = try #require(group.applying(proposal))
        replicas.configure(group)
        replicas.pass(.seconds(1))
        #expect(replicas.machines[two]?.role == .primary)
        // What it had is on it again.
        for node in [one, two] {
            #expect(replicas.logs[node]?.map(\.payload) == (1...5).map { "\($0)" })
            #expect(replicas.machines[node]?.applied == 5 && mayRead(node, group, &replicas))
        }
        try replicas.submit("next", to: two, ticket: 10)
        replicas.pass(.milliseconds(300))
        #expect(replicas.acknowledged.last == 10)
    }

    /// It may have crashed before its disk had what it had sent already: that is no loss, and the other one leads.
    @Test func aPrimaryThatBeganAnewLeavesTheLeadToALongerLog() throws {
        var replicas = try written(3)
        try replicas.submit("4", ticket: 4)
        // On the disk of the other alone.
        replicas.deliver()
        replicas.store(two)
        replicas.sent.removeAll()
        putBack(one, to: 3, &replicas)
        replicas.configure(ReplicaFixture.group(minimum: 2), [one])
        replicas.configure(ReplicaFixture.group(epoch: 2, version: 2, minimum: 2))
        replicas.pass(.milliseconds(300))
        #expect(replicas.losses.isEmpty)
        let proposal = try #require(replicas.proposals.last)
        #expect(proposal.change == .takeOver(two))
        replicas.configure(try #require(ReplicaFixture.group(epoch: 2, version: 2, minimum: 2).applying(proposal)))
        replicas.pass(.seconds(1))
        for node in [one, two] { #expect(replicas.logs[node]?.map(\.payload) == ["1", "2", "3", "4"]) }
    }

    /// Of those who ask nobody cuts off anything.
    @Test func aPrimaryThatAsksChangesNoLog() throws {
        var replicas = try written(2)
        try replicas.submit("3", ticket: 3)
        replicas.deliver()
        replicas.store(two)
        let ask = AppendRequest<String>(
            epoch: Epoch(2),
            previous: LogPosition(sequence: 3, epoch: Epoch(2)),
            entries: [],
            committed: 0,
            sent: replicas.now,
            lease: nil,
            asks: true
        )
        replicas.sent.removeAll()
        let now = replicas.now
        replicas.with(two) { $0.receive(.append(ask), from: one, now: now) }
        replicas.store(two)
        #expect(replicas.machines[two]?.promised == Epoch(2))
        #expect(replicas.logs[two]?.count == 3)
        guard case .reply(let reply)? = replicas.sent.last?.message else {
            Issue.record("no reply")
            return
        }
        let last = LogPosition(sequence: 3, epoch: Epoch(1))
        #expect(reply.outcome == .standing(last: last, applied: 2))
    }

    @Test func aReplicaWhoseDiskWentBackCountsForNothingUntilItHasTheRest() throws {
        var replicas = try written(5, minimum: 1)
        let group = ReplicaFixture.group()
        putBack(two, to: 2, &replicas)
        replicas.configure(group, [two])
        #expect(!mayRead(two, group, &replicas))
        try replicas.submit("6", ticket: 6)
        replicas.store(one)
        // Whatever it answers first, the write that it lacks is not acknowledged, and nobody reads from it.
        for _ in 0..<3 {
            replicas.deliver()
            replicas.store(two)
            #expect(replicas.acknowledged.count == 5 || replicas.machines[two]?.applied == 6)
            #expect(!mayRead(two, group, &replicas) || replicas.machines[two]?.applied ?? 0 >= 5)
        }
        replicas.pass(.seconds(1))
        #expect(replicas.losses == [.other(two, acknowledged: 5, last: 2)])
        #expect(replicas.proposals.contains { $0.change == .remove(two) })
        #expect(replicas.acknowledged.last == 6 && replicas.machines[two]?.applied == 6)
        #expect(mayRead(two, group, &replicas))
    }

    @Test func aRequestThatOvertookAnotherTellsOfNoLoss() throws {
        var replicas = try written(2, minimum: 1)
        replicas.pass(.milliseconds(10))
        try replicas.submit("3", ticket: 3)
        let first = replicas.sent
        replicas.now += .milliseconds(1)
        replicas.sent = []
        try replicas.submit("4", ticket: 4)
        // The later request finds the log without the entry before it; its answer comes after that to the earlier one.
        replicas.deliver()
        let mismatch = replicas.sent
        replicas.sent = first
        replicas.deliver()
        replicas.store(two)
        replicas.now += .milliseconds(1)
        replicas.sent += mismatch
        replicas.settle()
        replicas.pass(.seconds(1))
        #expect(replicas.losses == [] && replicas.acknowledged == [1, 2, 3, 4])
        #expect(replicas.proposals.isEmpty)
    }

    @Test func aPrimaryThatBeganAnewReadsWhenWhoMightKnowBetterIsSilent() throws {
        var replicas = try written(2)
        putBack(one, to: 2, &replicas)
        replicas.configure(ReplicaFixture.group(minimum: 2), [one])
        let group = ReplicaFixture.group(epoch: 2, version: 2, minimum: 2)
        replicas.configure(group, [one])
        replicas.pass(.milliseconds(1400), [one])
        #expect(!mayRead(one, group, &replicas))
        replicas.pass(.milliseconds(200), [one])
        #expect(mayRead(one, group, &replicas))
    }

    @Test func aSilentReplicaIsProposedForRemovalAndCountsUntilTheAnswer() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        try replicas.submit("a", ticket: 1)
        replicas.pass(.seconds(2), [one])
        let proposal = try #require(replicas.proposals.last)
        #expect(proposal.change == .remove(two))
        #expect(replicas.acknowledged == [])
        let next = try #require(ReplicaFixture.group().applying(proposal))
        #expect(next.inSync == [one])
        replicas.configure(next, [one])
        replicas.settle([one])
        #expect(replicas.acknowledged == [1])
    }

    /// With everybody silent for as long, by its clock: what they said waits to be read.
    @Test func aPrimaryThatStoodStillTakesNobodyForSilent() throws {
        var replicas = ReplicaFixture([one, two, three])
        replicas.configure(ReplicaFixture.group(inSync: [one, two, three], minimum: 2))
        replicas.settle()
        replicas.pass(.seconds(1))
        replicas.now += .seconds(3)
        try replicas.submit("a", ticket: 1)
        let now = replicas.now
        replicas.with(one) { $0.tick(now: now) }
        #expect(replicas.proposals.isEmpty)
        var silent = replicas
        replicas.settle()
        replicas.pass(.seconds(3))
        #expect(replicas.proposals.isEmpty && replicas.acknowledged == [1])
        // Who is silent from then on is.
        silent.pass(.milliseconds(1500), [one])
        #expect(silent.proposals.first?.change == .remove(two))
    }

    /// Nobody may be heard of by one that has no time to listen: its turns are far apart.
    @Test func aPrimaryThatIsSlowAllTheTimeNoticesWhoIsSilentLater() {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        for turn in 1...6 {
            replicas.now += .seconds(1)
            let now = replicas.now
            replicas.with(one) { $0.tick(now: now) }
            #expect(replicas.proposals.isEmpty == (turn < 5))
        }
    }

    /// Where a write needs no other, the word of the other is all that tells of what was lost.
    @Test func aPrimaryThatBeganAnewAndStoodStillWaitsForTheAnswers() throws {
        var replicas = try written(2, minimum: 1)
        putBack(one, to: 1, &replicas)
        replicas.configure(ReplicaFixture.group(), [one])
        let group = ReplicaFixture.group(epoch: 2, version: 2)
        replicas.configure(group, [one])
        replicas.store(one)
        #expect(replicas.machines[one]?.role == .activating)
        replicas.now += .seconds(3)
        let now = replicas.now
        #expect(!mayRead(one, group, &replicas))
        replicas.with(one) { $0.tick(now: now) }
        #expect(replicas.machines[one]?.role == .activating)
        var silent = replicas
        replicas.settle()
        #expect(replicas.machines[one]?.role != .primary)
        #expect(replicas.losses == [.own(witness: two, applied: 2, last: 1)])
        silent.pass(.milliseconds(1500), [one])
        #expect(silent.machines[one]?.role == .primary && silent.machines[one]?.isUnheard == true)
    }

    /// The first and the second do not hear each other, the third hears both, and the metadata store all.
    @Test func aCutLinkCostsAReplicaAndChangesNoPrimary() throws {
        var replicas = ReplicaFixture([one, two, three])
        var group = ReplicaFixture.group(inSync: [one, two, three])
        replicas.configure(group)
        replicas.settle()
        for second in 1...30 {
            try replicas.submit("\(second)", ticket: UInt64(second))
            replicas.pass(.seconds(1), [one, three])
            let now = replicas.now
            replicas.with(two) { $0.tick(now: now) }
            replicas.sent.removeAll()
            let proposals = replicas.proposals
            replicas.proposals.removeAll()
            for proposal in proposals {
                guard let next = group.applying(proposal) else { continue }
                group = next
                replicas.configure(group)
            }
        }
        #expect(group.epoch == Epoch(1) && group.primary == one)
        #expect(group.inSync == [one, three] && group.learners == [two])
        #expect(replicas.acknowledged == Array(1...30))
    }

    @Test func belowTheMinimumNothingIsTakenAndNobodyIsRemoved() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group(minimum: 2))
        replicas.settle()
        replicas.pass(.seconds(2), [one])
        #expect(replicas.proposals == [])
        #expect(throws: WriteRefusal.tooFewInSync(inSync: 1, minimum: 2)) { try replicas.submit("a", ticket: 1) }
        replicas.pass(.seconds(1))
        try replicas.submit("a", ticket: 2)
        replicas.settle()
        #expect(replicas.acknowledged == [2])
    }

    /// It takes nothing, and cannot be done without: what is on its way to it stays as little as it is.
    @Test func ofWhatIsNotAnsweredTheFirstAloneIsSentAgain() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group(minimum: 2))
        replicas.settle()
        try replicas.submit("1", ticket: 1)
        replicas.settle()
        func takeSequences() -> [UInt64] {
            defer { replicas.sent.removeAll() }
            return replicas.sent.flatMap { item -> [UInt64] in
                guard case .append(let request) = item.message else { return [] }
                return request.entries.map(\.sequence)
            }
        }
        _ = takeSequences()
        let now = replicas.now
        for number in 2...11 as ClosedRange<UInt64> {
            try replicas.with(one) {
                try $0.submit("\(number)", byteCount: 3 << 20, as: WriteTicket(number), isDeletion: false, now: now)
            }
        }
        #expect(takeSequences() == Array(2...9), "24 MiB")
        replicas.pass(.milliseconds(1400), [one])
        #expect(takeSequences() == [2, 2], "after half a second, and after another")
        replicas.pass(.seconds(2))
        #expect(replicas.acknowledged == Array(1...11))
        #expect(replicas.logs[two]?.map(\.payload) == (1...11).map { "\($0)" })
    }

    @Test func aReplicaWithoutRoomIsToldOfWhileItCannotBeDoneWithout() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group(minimum: 2))
        replicas.settle()
        // One that has just begun holds deletions back.
        replicas.pass(.seconds(3))
        #expect(replicas.machines[one]!.fullReplica == nil)
        replicas.with(two) { $0.hasRoom = false }
        replicas.pass(.milliseconds(500))
        #expect(replicas.machines[one]!.fullReplica == two)
        #expect(replicas.machines[two]!.fullReplica == nil, "it orders nothing")
        // What it can take it takes.
        try replicas.submit("delete", ticket: 1, isDeletion: true)
        replicas.settle()
        #expect(replicas.acknowledged == [1])
        // Where it can be done without, that is what happens when it does not take something.
        replicas.configure(ReplicaFixture.group(version: 2, minimum: 1))
        #expect(replicas.machines[one]!.fullReplica == nil)
        replicas.configure(ReplicaFixture.group(version: 3, minimum: 2))
        replicas.with(two) { $0.hasRoom = true }
        replicas.pass(.milliseconds(500))
        #expect(replicas.machines[one]!.fullReplica == nil)
    }

    @Test func aLearnerWithoutRoomJoinsOnlyWhereNothingIsWrittenWithoutIt() {
        var replicas = ReplicaFixture([one, two, three])
        replicas.with(three) { $0.hasRoom = false }
        replicas.configure(ReplicaFixture.group(learners: [three], minimum: 2))
        replicas.settle()
        replicas.pass(.seconds(1))
        #expect(replicas.proposals.isEmpty)
        replicas.with(three) { $0.hasRoom = true }
        replicas.pass(.seconds(1))
        #expect(replicas.proposals.first?.change == .add(three))

        var few = ReplicaFixture([one, two])
        few.with(two) { $0.hasRoom = false }
        few.configure(ReplicaFixture.group(inSync: [one], learners: [two], minimum: 2))
        few.settle()
        few.pass(.seconds(1))
        #expect(few.proposals.first?.change == .add(two))
    }

    @Test func aDeletionWaitsUntilARemovedReplicaHasCeasedToAnswer() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        replicas.pass(.seconds(3))
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one], learners: [two]), [one])
        try replicas.submit("upsert", ticket: 1)
        try replicas.submit("delete", ticket: 2, isDeletion: true)
        replicas.settle([one])
        #expect(replicas.acknowledged == [1])
        replicas.pass(.milliseconds(1900), [one])
        #expect(replicas.acknowledged == [1])
        replicas.pass(.milliseconds(300), [one])
        #expect(replicas.acknowledged == [1, 2])
    }

    @Test func aLearnerCatchesUpAndJoins() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group(inSync: [one]), [one])
        replicas.settle([one])
        for ticket in 1...40 { try replicas.submit("\(ticket)", ticket: UInt64(ticket)) }
        replicas.settle([one])
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one], learners: [two]))
        replicas.pass(.seconds(1))
        let proposal = try #require(replicas.proposals.last)
        #expect(proposal.change == .add(two))
        #expect(replicas.machines[two]?.applied == 40)
    }

    /// A read that hung for as long as another led: what it found may have been cut off since.
    @Test(arguments: [0, 1] as [UInt64]) func whatWasReadInAnotherEpochIsSentToNobody(epoch: UInt64) throws {
        var replicas = try written(3)
        replicas.machines[three] = Machine(
            node: three,
            log: .empty,
            timings: ReplicationTimings(),
            now: replicas.now
        )
        replicas.configure(ReplicaFixture.group(version: 2, learners: [three], minimum: 2), [one])
        replicas.sent.removeAll()
        let item = LogItem(sequence: 4, epoch: Epoch(epoch), payload: "of before", byteCount: 10)
        let now = replicas.now
        replicas.with(one) {
            let previous = LogPosition(sequence: 3, epoch: Epoch(1))
            $0.loaded([item], previous: previous, for: three, in: Epoch(epoch), now: now)
        }
        let isSent = replicas.sent.contains {
            if case .append(let request) = $0.message { !request.entries.isEmpty } else { false }
        }
        #expect(isSent == (epoch == 1))
    }

    @Test func aLearnerBehindTheLogAsksForACopy() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group(inSync: [one]), [one])
        replicas.settle([one])
        for ticket in 1...40 { try replicas.submit("\(ticket)", ticket: UInt64(ticket)) }
        replicas.settle([one])
        replicas.logs[one] = []
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one], learners: [two]))
        replicas.pass(.seconds(1))
        #expect(replicas.copies.contains(two))
        #expect(
            replicas.machines[two]?.mayTake(copyAt: LogPosition(sequence: 40, epoch: Epoch(1)), from: Epoch(1)) == true
        )
        #expect(
            replicas.machines[one]?.mayTake(copyAt: LogPosition(sequence: 40, epoch: Epoch(1)), from: Epoch(1)) == false
        )
    }

    /// A replica whose disk is gone begins anew on the same worker; what its predecessor said must not count for it.
    @Test(arguments: [true, false])
    func aLearnerThatBeginsAnewIsNotTakenForItsPredecessor(isEveryRecordSeen: Bool) throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        for ticket in 1...3 { try replicas.submit("\(ticket)", ticket: UInt64(ticket)) }
        replicas.settle()
        // An answer that comes late: to what was asked of the predecessor.
        let late = replicas.lateAnswers(of: two, to: one)
        #expect(!late.isEmpty)

        replicas.now += .milliseconds(10)
        if isEveryRecordSeen { replicas.configure(ReplicaFixture.group(version: 2, inSync: [one]), [one]) }
        replicas.machines[two] = Machine(node: two, log: .empty, timings: ReplicationTimings(), now: replicas.now)
        replicas.logs[two] = []
        replicas.now += .milliseconds(10)
        replicas.configure(ReplicaFixture.group(version: 3, inSync: [one], learners: [two]), [one])
        let now = replicas.now
        for item in late { replicas.with(one) { $0.receive(item.message, from: two, now: now) } }
        #expect(replicas.proposals.isEmpty)
        replicas.configure(ReplicaFixture.group(version: 3, inSync: [one], learners: [two]), [two])
        replicas.pass(.seconds(2))
        #expect(replicas.proposals.last?.change == .add(two))
        #expect(replicas.machines[two]?.applied == 3)
    }

    @Test func aRestartedPrimaryAsksForANewEpochUntilItHasOne() throws {
        let log = DurableLog(promised: Epoch(1), applied: .start, unapplied: [])
        var replicas = ReplicaFixture([one], log: log)
        let group = ReplicaFixture.group(inSync: [one])
        replicas.configure(group)
        replicas.pass(.seconds(2))
        #expect(replicas.proposals.count > 2)
        #expect(replicas.machines[one]?.role == .follower)
        let proposal = try #require(replicas.proposals.last)
        let next = try #require(group.applying(proposal))
        #expect(next.epoch == Epoch(2))
        replicas.configure(next)
        replicas.settle()
        #expect(replicas.machines[one]?.role == .primary)
    }

    @Test func readsAreAnsweredWhileTheOthersConfirmThePrimary() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        replicas.pass(.seconds(1))
        func served(_ node: NodeID) -> Bool { replicas.machines[node]!.mayServeReads(now: replicas.now) }
        #expect(served(one) && served(two))
        // Cut off from each other, each of them stops after a while.
        replicas.pass(.milliseconds(1500), [one])
        #expect(served(one))
        replicas.pass(.milliseconds(700), [one])
        #expect(!served(one) && !served(two))
        // The metadata store may confirm one of them.
        let now = replicas.now
        replicas.with(one) { $0.confirmed(version: 1, asked: now) }
        #expect(served(one) && !served(two))
        // Not for a group that it does not know.
        replicas.with(two) { $0.confirmed(version: 9, asked: now) }
        #expect(!served(two))
    }

    @Test func aReplicaOutsideTheInSyncSetAnswersNoReads() {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group(inSync: [one], learners: [two]))
        replicas.settle()
        replicas.pass(.seconds(1))
        #expect(replicas.machines[two]?.mayServeReads(now: replicas.now) == false)
    }

    @Test func messagesTwiceAndLateChangeNothing() throws {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        var old: [(message: Message, from: NodeID, to: NodeID)] = []
        for ticket in 1...20 {
            try replicas.submit("\(ticket)", ticket: UInt64(ticket))
            old += replicas.sent
            replicas.settle()
        }
        replicas.sent += old + old.reversed()
        replicas.settle()
        try replicas.submit("last", ticket: 21)
        replicas.settle()
        #expect(replicas.acknowledged == Array(1...21))
        #expect(replicas.logs[two]?.count == 21)
        #expect(replicas.logs[one]?.map(\.payload) == replicas.logs[two]?.map(\.payload))
    }
}
