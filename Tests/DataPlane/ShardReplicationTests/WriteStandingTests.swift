import ClusterModel
import ShardReplication
import Testing

/// What a primary knows of a write that it finds done.
@Suite struct WriteStandingTests {
    @Test func aWriteIsSettledOnceEverybodyInSyncIsKnownToHaveAppliedIt() throws {
        var replicas = ReplicaFixture([one, two])
        func standing(at node: NodeID = one, isDeletion: Bool = false) -> WriteStanding {
            replicas.machines[node]!.standing(of: 1, isDeletion: isDeletion, now: replicas.now)
        }
        replicas.configure(ReplicaFixture.group(minimum: 2))
        replicas.settle()
        replicas.pass(.seconds(3))
        try replicas.submit("a", ticket: 1)
        #expect(standing() == .underWay)
        replicas.store(one)
        replicas.deliver()
        replicas.store(two)
        replicas.deliver()
        replicas.store(one)
        #expect(replicas.machines[one]!.applied == 1 && replicas.acknowledged == [])
        #expect(standing() == .underWay)
        replicas.settle()
        #expect(replicas.acknowledged == [1])
        #expect(standing() == .settled && standing(isDeletion: true) == .settled)
        #expect(standing(at: two) == .unknown, "it does not lead")

        // The next primary has it, and does not know whether the other one has.
        replicas.configure(ReplicaFixture.group(epoch: 2, version: 2, primary: two))
        replicas.store(two)
        #expect(replicas.machines[two]!.role == .primary)
        #expect(standing(at: two) == .unknown)
        replicas.settle()
        replicas.pass(.seconds(3))
        #expect(standing(at: two) == .settled && standing(at: two, isDeletion: true) == .settled)
        #expect(standing(at: one) == .unknown)
        // As long as one that has left may answer reads, a deletion is not.
        replicas.configure(ReplicaFixture.group(epoch: 2, version: 3, primary: two, inSync: [two]), [two])
        #expect(standing(at: two) == .settled && standing(at: two, isDeletion: true) == .unknown)
        replicas.pass(.milliseconds(2200), [two])
        #expect(standing(at: two, isDeletion: true) == .settled)
    }
}
