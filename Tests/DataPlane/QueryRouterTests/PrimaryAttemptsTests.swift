import ClusterModel
import FaceModel
import QueryRouter
import Testing
import WireProtocol

struct PrimaryAttemptsTests {
    static let collection = CollectionID(high: 0, low: 7)

    static func node(_ number: UInt64) -> NodeID { NodeID(high: 0, low: number) }

    static func shard(_ index: UInt32) -> ShardID { ShardID(collection: collection, index: index) }

    /// A shard on workers 1 and 2, or on the first alone; worker 1 orders its writes in odd epochs.
    static func placement(_ index: UInt32 = 0, epoch: UInt64 = 1, copies: UInt64 = 2) -> ShardPlacement {
        let members = (1...copies).map { node($0) }
        return ShardPlacement(
            shard: shard(index),
            range: .all,
            group: ReplicaGroup(
                epoch: Epoch(epoch),
                version: epoch,
                primary: members[epoch % 2 == 1 ? 0 : members.count - 1],
                inSync: members,
                minimumInSync: 1
            )
        )
    }

    static func place(
        _ placement: ShardPlacement,
        isThere: Bool = true,
        isAbsent: Bool = false
    ) -> ShardPlace {
        ShardPlace(
            placement,
            address: isThere ? NodeAddress(host: "worker", port: Int(placement.primary.low)) : nil,
            presence: isAbsent
                ? WorkerPresence(isLive: false, silence: .seconds(2)) : WorkerPresence(isLive: true, silence: .zero)
        )
    }

    /// One shard that is asked, in a deadline of ten seconds.
    struct Script {
        var attempts: PrimaryAttempts
        var lost = LostWorkers()
        var mayRetry = true

        init(_ placement: ShardPlacement, end: Duration = .seconds(10)) {
            attempts = PrimaryAttempts(placement, end: end, options: RouterOptions())
        }

        mutating func event(_ event: PrimaryAttempts.Event, at time: Duration = .zero) -> PrimaryAttempts.Action {
            let mayRetry = mayRetry
            return attempts.event(event, now: time, lost: &lost) { _ in mayRetry }
        }

        mutating func failed(_ status: WireStatus, at time: Duration = .zero) -> PrimaryAttempts.Action {
            event(.failed(status, absence: nil), at: time)
        }
    }

    private func target(_ action: PrimaryAttempts.Action) throws -> ShardTarget {
        guard case .ask(let target) = action else {
            Issue.record("\(action)")
            throw WireStatus(.internalError, "nobody is asked")
        }
        return target
    }

    private func failure(_ action: PrimaryAttempts.Action, isReplaced expected: Bool = false) throws -> ShardFailure {
        guard case .end(let failure, let isReplaced) = action else {
            Issue.record("\(action)")
            throw WireStatus(.internalError, "it goes on")
        }
        #expect(isReplaced == expected)
        return failure
    }

    @Test func theSamePrimaryIsAskedAgainAfterAPauseThatGrows() throws {
        let placement = Self.placement()
        var script = Script(placement)
        #expect(try target(script.event(.begun(Self.place(placement)))).worker == Self.node(1))
        for pause in [2, 4, 8] as [Int64] {
            #expect(script.failed(WireStatus(.unavailable, "Not now.")) == .look(after: .unavailable))
            #expect(script.event(.looked(Self.place(placement))) == .wait(.milliseconds(pause)))
            #expect(try target(script.event(.looked(Self.place(placement)))).worker == Self.node(1))
        }
        let slow = WireStatus(.unavailable, "Not now.", retryAfterMilliseconds: 500)
        #expect(script.failed(slow) == .look(after: .unavailable))
        #expect(script.event(.looked(Self.place(placement))) == .wait(.milliseconds(500)))
    }

    @Test func anotherPrimaryIsAskedAtOnce() throws {
        var script = Script(Self.placement())
        _ = script.event(.begun(Self.place(Self.placement())))
        #expect(script.failed(WireStatus(.staleEpoch, "Another.")) == .look(after: .staleEpoch))
        let next = try target(script.event(.looked(Self.place(Self.placement(epoch: 2)))))
        #expect(next.worker == Self.node(2) && next.placement.epoch == Epoch(2))
    }

    @Test func aPrimaryThatHangsIsLeftForTheNextOneAndMayHaveDoneIt() throws {
        var script = Script(Self.placement())
        _ = script.event(.begun(Self.place(Self.placement())))
        #expect(!script.attempts.isOvertaken(by: Self.placement()))
        #expect(script.attempts.isOvertaken(by: Self.placement(epoch: 2)))
        #expect(script.attempts.isOvertaken(by: nil))
        #expect(script.event(.overtaken) == .look(after: .unavailable))
        _ = try target(script.event(.looked(Self.place(Self.placement(epoch: 2)))))
        let end = try failure(script.failed(WireStatus(.storageFull, "Full.").withoutEffect))
        #expect(end.status.code == .storageFull && end.mayHaveBeenDone)
    }

    @Test func whereNobodyTakesOverTheOneIsWaitedFor() {
        let placement = Self.placement(copies: 1)
        var script = Script(placement)
        _ = script.event(.begun(Self.place(placement)))
        #expect(!script.attempts.isOvertaken(by: Self.placement(epoch: 2, copies: 1)))
    }

    @Test func refusalsAloneDidNothing() throws {
        var script = Script(Self.placement())
        _ = script.event(.begun(Self.place(Self.placement())))
        _ = script.failed(WireStatus(.staleEpoch, "Another.").withoutEffect)
        _ = script.event(.looked(Self.place(Self.placement(epoch: 2))))
        let end = try failure(script.failed(WireStatus(.storageFull, "Full.")))
        #expect(!end.mayHaveBeenDone)
    }

    @Test func aKeyThatNobodyRemembersMayHaveBeenUsed() throws {
        var script = Script(Self.placement())
        _ = script.event(.begun(Self.place(Self.placement())))
        #expect(try failure(script.failed(WireStatus(.keyTooOld, "Too old."))).mayHaveBeenDone)
    }

    @Test func aShardThatOthersHaveReplacedEndsSo() throws {
        let placement = Self.placement()
        var script = Script(placement)
        _ = script.event(.begun(Self.place(placement)))
        _ = script.failed(WireStatus(.unknownReplica, "Not here.").withoutEffect)
        #expect(try failure(script.event(.looked(nil)), isReplaced: true).status.code == .unknownReplica)

        // During the pause.
        script = Script(placement)
        _ = script.event(.begun(Self.place(placement)))
        _ = script.failed(WireStatus(.unavailable, "Not now."))
        _ = script.event(.looked(Self.place(placement)))
        #expect(try failure(script.event(.looked(nil)), isReplaced: true).mayHaveBeenDone)
    }

    @Test(arguments: [(1, 1), (2, 6)] as [(UInt64, Int64)])
    func absenceIsWaitedForAsLongAsTheGrace(copies: UInt64, seconds: Int64) throws {
        let placement = Self.placement(copies: copies)
        var script = Script(placement)
        _ = script.event(.begun(Self.place(placement)), at: .seconds(1))
        let status = WireStatus(.unavailable, "Gone.").withoutEffect
        // However long the first call took: who was asked may have stood still.
        let first = Duration.seconds(3)
        let graceEnd = first + .seconds(seconds)
        #expect(script.failed(status, at: first) == .look(after: .unavailable))
        for _ in 0..<2 { _ = script.event(.looked(Self.place(placement)), at: first + .milliseconds(2)) }
        #expect(script.failed(status, at: graceEnd - .milliseconds(5)) == .look(after: .unavailable))
        _ = script.event(.looked(Self.place(placement)), at: graceEnd - .milliseconds(5))
        _ = script.event(.looked(Self.place(placement)), at: graceEnd - .milliseconds(1))
        #expect(try failure(script.failed(status, at: graceEnd - .milliseconds(1))).status.code == .unavailable)
    }

    @Test func overloadIsWaitedForUntilTheDeadlineIfOthersAllow() throws {
        let placement = Self.placement()
        var script = Script(placement)
        _ = script.event(.begun(Self.place(placement)))
        let status = WireStatus(.overloaded, "Full.", retryAfterMilliseconds: 100).withoutEffect
        #expect(script.failed(status, at: .seconds(9)) == .look(after: .overloaded))
        _ = script.event(.looked(Self.place(placement)), at: .seconds(9))
        _ = script.event(.looked(Self.place(placement)), at: .seconds(9.1))
        script.mayRetry = false
        #expect(try failure(script.failed(status, at: .seconds(9.2))).status.code == .overloaded)
    }

    @Test func whatWasSaidBeforeTheTimeRanOutIsTold() throws {
        let placement = Self.placement()
        var script = Script(placement, end: .seconds(3))
        _ = script.event(.begun(Self.place(placement)))
        _ = script.failed(WireStatus(.unavailable, "Too few copies.").withoutEffect)
        _ = script.event(.looked(Self.place(placement)))
        _ = script.event(.looked(Self.place(placement)))
        let end = try failure(script.failed(WireStatus(.deadlineExceeded, "Late."), at: .seconds(3)))
        #expect(end.status.message == "Too few copies." && end.mayHaveBeenDone)
    }

    @Test func aWorkerThatIsKnownToBeAwayIsNotWaitedForUntilTheDeadline() throws {
        let placement = Self.placement()
        var script = Script(placement, end: .seconds(100))
        let target = try target(script.event(.begun(Self.place(placement, isAbsent: true)), at: .seconds(1)))
        #expect(target.deadline == .seconds(7))
        let end = try failure(script.failed(WireStatus(.deadlineExceeded, "Late."), at: .seconds(7)))
        #expect(end.status.code == .unavailable && end.mayHaveBeenDone)
    }

    @Test func nobodyIsAskedWithoutAnAddress() throws {
        let placement = Self.placement(copies: 1)
        var script = Script(placement)
        let end = try failure(script.event(.begun(Self.place(placement, isThere: false))))
        #expect(end.status.code == .unavailable && !end.mayHaveBeenDone)
    }

    @Test func afterTwoLostWorkersNobodyIsAsked() throws {
        var script = Script(Self.placement())
        var loss = WireStatus(.unavailable, "The connection was lost.")
        loss.isLoss = true
        _ = script.event(.begun(Self.place(Self.placement())))
        #expect(script.failed(loss) == .look(after: .unavailable))
        _ = try target(script.event(.looked(Self.place(Self.placement(epoch: 2)))))
        #expect(!script.lost.areTooMany)
        #expect(script.failed(loss) == .look(after: .unavailable))
        #expect(script.lost.areTooMany && script.lost.areDeadly)
        let end = try failure(script.event(.looked(Self.place(Self.placement(epoch: 3)))))
        #expect(end.status.code == .internalError && end.mayHaveBeenDone)
    }

    /// Two that had it before either was lost: as when a rack fails.
    @Test func whatWasAtBothWhenTheyWereLostMayComeAgain() throws {
        var loss = WireStatus(.unavailable, "The connection was lost.")
        loss.isLoss = true
        var scripts = [Script(Self.placement()), Script(Self.placement(1, epoch: 2))]
        for number in scripts.indices {
            _ = scripts[number].event(.begun(Self.place(Self.placement(UInt32(number), epoch: UInt64(number) + 1))))
        }
        #expect(scripts[0].failed(loss) == .look(after: .unavailable))
        scripts[1].lost = scripts[0].lost
        #expect(scripts[1].failed(loss) == .look(after: .unavailable))
        #expect(scripts[1].lost.areTooMany && !scripts[1].lost.areDeadly)
        let end = try failure(scripts[1].event(.looked(Self.place(Self.placement(1, epoch: 3)))))
        #expect(end.status.code == .unavailable && end.status.retryAfterMilliseconds > 0 && end.mayHaveBeenDone)
    }

    @Test func oneLossIsEnoughForASuspectedRequest() throws {
        var script = Script(Self.placement())
        var loss = WireStatus(.unavailable, "The connection was lost.")
        loss.isLoss = true
        script.lost = LostWorkers(isSuspected: true)
        _ = script.event(.begun(Self.place(Self.placement())))
        _ = script.failed(loss)
        #expect(script.lost.areDeadly)
        let end = try failure(script.event(.looked(Self.place(Self.placement(epoch: 2)))))
        #expect(end.status.code == .internalError)
    }
}
