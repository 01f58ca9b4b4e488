import ClusterModel
import ShardReplication
import Testing

/// What strong reads rest on.
struct ConfirmedPositionTests {
    private func position(_ replicas: ReplicaFixture, since asked: Duration, of node: NodeID = one) -> UInt64? {
        replicas.machines[node]!.confirmedPosition(since: asked)
    }

    /// Two replicas with a write that is applied on both, and time that has passed since.
    private func replicasWithAWrite() throws -> ReplicaFixture {
        var replicas = ReplicaFixture([one, two])
        replicas.configure(ReplicaFixture.group())
        replicas.settle()
        try replicas.submit("a", ticket: 1)
        replicas.settle()
        replicas.pass(.milliseconds(500))
        #expect(replicas.acknowledged == [1])
        return replicas
    }

    @Test func aReplicaAloneIsSureAtOnce() throws {
        var replicas = ReplicaFixture([one])
        replicas.configure(ReplicaFixture.group(inSync: [one]))
        replicas.settle()
        try replicas.submit("a", ticket: 1)
        replicas.settle()
        #expect(position(replicas, since: replicas.now) == 1)
    }

    @Test func theOthersAreAskedAnew() throws {
        var replicas = try replicasWithAWrite()
        replicas.now += .milliseconds(1)
        let asked = replicas.now
        #expect(replicas.machines[one]!.mayServeReads(now: asked), "its lease is good")
        #expect(position(replicas, since: asked) == nil, "but of before")
        replicas.with(one) { $0.seekConfirmation(since: asked, now: asked) }
        #expect(replicas.sent.count == 1, "without waiting for the next heartbeat")
        replicas.with(one) { $0.seekConfirmation(since: asked, now: asked) }
        #expect(replicas.sent.count == 1, "once is enough")
        replicas.settle()
        #expect(position(replicas, since: asked) == 1)
        #expect(position(replicas, since: asked + .milliseconds(1)) == nil)
        #expect(position(replicas, since: asked, of: two) == nil, "it does not lead")
    }

    @Test func anEarlierPrimaryIsNotConfirmed() throws {
        var replicas = try replicasWithAWrite()
        replicas.configure(ReplicaFixture.group(epoch: 2, version: 2, primary: two), [two])
        replicas.settle([two])
        replicas.now += .milliseconds(1)
        let asked = replicas.now
        #expect(replicas.machines[one]?.role == .primary, "it has not heard of it")
        replicas.with(one) { $0.seekConfirmation(since: asked, now: asked) }
        replicas.settle()
        #expect(position(replicas, since: asked) == nil)
    }

    @Test func whoKnowsOfANewerRecordConfirmsNothing() throws {
        var replicas = try replicasWithAWrite()
        replicas.configure(ReplicaFixture.group(version: 2, learners: [three]), [two])
        replicas.now += .milliseconds(1)
        let asked = replicas.now
        replicas.with(one) { $0.seekConfirmation(since: asked, now: asked) }
        replicas.settle()
        #expect(position(replicas, since: asked) == nil)
        replicas.configure(ReplicaFixture.group(version: 2, learners: [three]), [one])
        replicas.pass(.milliseconds(300))
        #expect(position(replicas, since: asked) == 1)
    }

    @Test func aFrozenShardIsNotConfirmed() throws {
        var replicas = try replicasWithAWrite()
        replicas.configure(ReplicaFixture.group(version: 2).freezing(true))
        replicas.pass(.milliseconds(500))
        #expect(position(replicas, since: .zero) == nil, "others may have its place")
        replicas.configure(ReplicaFixture.group(version: 4))
        replicas.pass(.milliseconds(500))
        #expect(position(replicas, since: .zero) == 1)
    }

    @Test func aSilentReplicaIsWaitedForUntilItIsOut() throws {
        var replicas = try replicasWithAWrite()
        replicas.now += .milliseconds(1)
        let asked = replicas.now
        replicas.pass(.seconds(3), [one])
        #expect(position(replicas, since: asked) == nil)
        replicas.configure(ReplicaFixture.group(version: 2, inSync: [one], learners: [two]), [one])
        #expect(position(replicas, since: asked) == 1)
    }
}
