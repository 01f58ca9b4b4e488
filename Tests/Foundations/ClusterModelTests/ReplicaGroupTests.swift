import ClusterModel
import Testing

@Suite struct ReplicaGroupTests {
    private let nodes = (1...4).map { NodeID(high: 0, low: $0) }

    private func group(_ inSync: [Int], learners: [Int] = [], minimum: Int = 2) -> ReplicaGroup {
        ReplicaGroup(
            epoch: Epoch(3),
            version: 8,
            primary: nodes[inSync[0]],
            inSync: inSync.map { nodes[$0] },
            learners: learners.map { nodes[$0] },
            minimumInSync: minimum
        )
    }

    @Test func aReplicaThatIsNotGoodLeavesEvenBelowTheMinimum() throws {
        let next = try #require(group([0, 1]).expelling(nodes[1], successor: nil))
        #expect(next.members == [nodes[0]])
        #expect(next.epoch == Epoch(3) && next.version == 9)
    }

    @Test func aPrimaryThatIsNotGoodNeedsASuccessor() throws {
        #expect(group([0, 1]).expelling(nodes[0], successor: nil) == nil)
        #expect(group([0, 1], learners: [2]).expelling(nodes[0], successor: nodes[2]) == nil)
        let next = try #require(group([0, 1]).expelling(nodes[0], successor: nodes[1]))
        #expect(next.primary == nodes[1] && next.members == [nodes[1]])
        #expect(next.epoch == Epoch(4) && next.version == 9)
    }

    @Test func aLearnerThatIsNotGoodLeavesTheGroup() {
        let next = group([0, 1], learners: [2]).expelling(nodes[2], successor: nil)
        #expect(next?.members == [nodes[0], nodes[1]] && next?.version == 9)
        #expect(group([0, 1]).expelling(nodes[2], successor: nil) == nil)
    }

    @Test func theLastReplicaInSyncStays() {
        #expect(group([0], learners: [1], minimum: 1).expelling(nodes[0], successor: nodes[1]) == nil)
    }

    @Test func withoutBeingExpelledTheSetKeepsItsMinimum() {
        #expect(group([0, 1]).demoting(nodes[1]) == nil)
        #expect(group([0, 1, 2]).demoting(nodes[1])?.inSync == [nodes[0], nodes[2]])
        let failedOver = group([0, 1]).failingOver(to: nodes[1])
        #expect(failedOver?.inSync == [nodes[0], nodes[1]] && failedOver?.primary == nodes[1])
        let remove = GroupProposal(version: 8, epoch: Epoch(3), change: .remove(nodes[1]))
        #expect(group([0, 1]).applying(remove) == nil)
    }
}
