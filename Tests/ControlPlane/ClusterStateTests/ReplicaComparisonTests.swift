import ClusterModel
import ClusterState
import Testing

@Suite struct ReplicaComparisonTests {
    private let nodes = (1...3).map { NodeID(high: 0, low: $0) }

    private func whole(_ sequence: UInt64, _ sum: UInt128, changing count: Int = 0) -> ReplicaComparison.Reading {
        .whole(sequence: sequence, slices: (0..<256).map { $0 < count ? sum + 1 : sum })
    }

    @Test func equalReplicasAreSound() {
        let verdicts = ReplicaComparison.verdicts(
            [nodes[0]: whole(9, 5), nodes[1]: whole(9, 5)],
            primary: nodes[0]
        )
        #expect(verdicts == [nodes[0]: .sound, nodes[1]: .sound])
    }

    @Test func theMajorityIsGoodEvenAgainstThePrimary() {
        let verdicts = ReplicaComparison.verdicts(
            [nodes[0]: whole(9, 5, changing: 4), nodes[1]: whole(9, 5), nodes[2]: whole(9, 5)],
            primary: nodes[0]
        )
        #expect(verdicts == [nodes[0]: .different(sliceCount: 4), nodes[1]: .sound, nodes[2]: .sound])
    }

    @Test func ofTwoThePrimaryIsGood() {
        for primary in 0...1 {
            let verdicts = ReplicaComparison.verdicts(
                [nodes[0]: whole(9, 5), nodes[1]: whole(9, 5, changing: 1)],
                primary: nodes[primary]
            )
            #expect(verdicts[nodes[primary]] == .sound)
            #expect(verdicts[nodes[1 - primary]] == .different(sliceCount: 1))
        }
    }

    @Test func whatWasReadAtAnotherSequenceIsNotCompared() {
        let verdicts = ReplicaComparison.verdicts(
            [nodes[0]: whole(9, 5), nodes[1]: whole(10, 6), nodes[2]: whole(9, 5)],
            primary: nodes[0]
        )
        #expect(verdicts == [nodes[0]: .sound, nodes[1]: .notCompared, nodes[2]: .sound])
    }

    @Test func damageAndAbsenceAreToldApart() {
        let verdicts = ReplicaComparison.verdicts(
            [nodes[0]: .damaged, nodes[1]: whole(10, 6), nodes[2]: .unreachable],
            primary: nodes[0]
        )
        #expect(verdicts == [nodes[0]: .damaged, nodes[1]: .sound, nodes[2]: .unreachable])
    }

    @Test func aReplicaAloneIsSound() {
        #expect(ReplicaComparison.verdicts([nodes[0]: whole(1, 1)], primary: nodes[0]) == [nodes[0]: .sound])
    }
}
