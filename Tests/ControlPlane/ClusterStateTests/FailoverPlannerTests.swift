import ClusterModel
import ClusterState
import Testing

struct FailoverPlannerTests {
    private let nodes = (1...5).map { NodeID(high: 0, low: UInt64($0)) }

    private func group(primary: Int = 0, inSync: [Int], learners: [Int] = [], minimum: Int = 1) -> ReplicaGroup {
        ReplicaGroup(
            epoch: Epoch(7),
            version: 12,
            primary: nodes[primary],
            inSync: inSync.map { nodes[$0] },
            learners: learners.map { nodes[$0] },
            minimumInSync: minimum
        )
    }

    private func plan(
        _ group: ReplicaGroup,
        live: [Int],
        gone: [Int] = [],
        candidates: [Int] = [],
        factor: Int = 2,
        applied: @escaping (NodeID) -> UInt64 = { _ in 0 }
    ) -> ReplicaGroup? {
        FailoverPlanner.failover(group, live: Set(live.map { nodes[$0] }), applied: applied)
            ?? FailoverPlanner.restoration(
                group,
                gone: Set(gone.map { nodes[$0] }),
                candidates: candidates.map { nodes[$0] },
                replicationFactor: factor
            )
    }

    @Test func whatIsAsItShouldBeStays() {
        #expect(plan(group(inSync: [0, 1]), live: [0, 1, 2], candidates: [0, 1, 2]) == nil)
        #expect(plan(group(inSync: [0]), live: [0], factor: 1) == nil)
    }

    @Test func aReplicaInSyncTakesOverFromADeadPrimary() throws {
        let next = try #require(plan(group(inSync: [0, 1, 2]), live: [1, 2], factor: 3))
        #expect(next.primary == nodes[1])
        #expect(next.epoch == Epoch(8) && next.version == 13)
        #expect(next.inSync == [nodes[1], nodes[2]] && next.learners == [nodes[0]])
    }

    @Test func theOneThatIsFurthestTakesOver() throws {
        let next = plan(group(inSync: [0, 1, 2]), live: [1, 2], factor: 3) { $0 == nodes[2] ? 9 : 4 }
        #expect(next?.primary == nodes[2])
    }

    @Test func theInSyncSetNeverShrinksBelowItsMinimum() throws {
        let next = try #require(plan(group(inSync: [0, 1], minimum: 2), live: [1]))
        #expect(next.primary == nodes[1])
        #expect(next.inSync == [nodes[0], nodes[1]])
    }

    @Test func nobodyFromOutsideTheInSyncSetTakesOver() {
        #expect(plan(group(inSync: [0], learners: [1]), live: [1], candidates: [1]) == nil)
    }

    @Test func whoIsGoneIsReplacedByALearner() throws {
        let next = try #require(plan(group(inSync: [0, 1]), live: [0, 2, 3], gone: [1], candidates: [0, 3, 2]))
        #expect(next.learners == [nodes[3]])
        #expect(next.inSync == [nodes[0], nodes[1]] && next.epoch == Epoch(7))
        // Merely silent is not gone.
        #expect(plan(group(inSync: [0, 1]), live: [0, 2], candidates: [0, 2]) == nil)
    }

    @Test func whoIsTooManyLeavesThroughTheLearners() throws {
        let first = try #require(plan(group(inSync: [0, 1, 2]), live: [0, 1, 2]))
        #expect(first.inSync == [nodes[0], nodes[1]] && first.learners == [nodes[2]])
        let second = try #require(plan(first, live: [0, 1, 2]))
        #expect(second.members == [nodes[0], nodes[1]])
    }

    @Test func aReplacementStaysWhileTheReplacedCannotLeave() {
        let group = group(inSync: [0, 1], learners: [2], minimum: 2)
        #expect(plan(group, live: [0, 2], gone: [1], candidates: [0, 2]) == nil)
    }

    @Test func aProposalChangesOnlyTheVersionItWasMadeFor() throws {
        let group = group(inSync: [0, 1], learners: [2])
        func proposal(_ change: GroupProposal.Change, version: UInt64 = 12, epoch: UInt64 = 7) -> GroupProposal {
            GroupProposal(version: version, epoch: Epoch(epoch), change: change)
        }
        let grown = try #require(group.applying(proposal(.add(nodes[2]))))
        #expect(grown.inSync.count == 3 && grown.learners == [] && grown.version == 13)
        #expect(grown.applying(proposal(.add(nodes[2]))) == nil)
        #expect(group.applying(proposal(.remove(nodes[1]), epoch: 6)) == nil)
        #expect(group.applying(proposal(.remove(nodes[0]))) == nil, "a primary does not remove itself")
        #expect(group.applying(proposal(.add(nodes[3]))) == nil)
        #expect(group.applying(proposal(.takeOver(nodes[2]))) == nil)
        #expect(group.applying(proposal(.takeOver(nodes[1])))?.epoch == Epoch(8))
        // Asking for the removal of a learner changes the version, so that what was asked for before comes to nothing.
        #expect(group.applying(proposal(.remove(nodes[2])))?.version == 13)
    }
}
