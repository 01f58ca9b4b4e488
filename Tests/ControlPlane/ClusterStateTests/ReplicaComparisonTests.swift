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

    @Test func whereALearnerStandsSaysNothingOfTheOthers() {
        func verdicts(_ learner: ReplicaComparison.Reading) -> [NodeID: ReplicaComparison.Verdict] {
            ReplicaComparison.verdicts(
                [nodes[0]: whole(9, 5), nodes[1]: learner],
                learners: [nodes[1]],
                primary: nodes[0]
            )
        }
        #expect(verdicts(whole(0, 0)) == [nodes[0]: .sound, nodes[1]: .notCompared])
        #expect(verdicts(.damaged) == [nodes[0]: .sound, nodes[1]: .damaged])
        // One that has caught up is held against them.
        #expect(verdicts(whole(9, 5)) == [nodes[0]: .sound, nodes[1]: .sound])
        #expect(verdicts(whole(9, 5, changing: 3)) == [nodes[0]: .sound, nodes[1]: .different(sliceCount: 3)])
        let two = ReplicaComparison.verdicts(
            [nodes[0]: whole(9, 5), nodes[1]: whole(8, 5), nodes[2]: whole(1, 0)],
            learners: [nodes[2]],
            primary: nodes[0]
        )
        #expect(two == [nodes[0]: .notCompared, nodes[1]: .notCompared, nodes[2]: .notCompared])
    }

    @Test func whatWasReadAtAnotherSequenceIsNotCompared() {
        let verdicts = ReplicaComparison.verdicts(
            [nodes[0]: whole(9, 5), nodes[1]: whole(10, 6), nodes[2]: whole(9, 5)],
            primary: nodes[0]
        )
        #expect(verdicts == [nodes[0]: .sound, nodes[1]: .notCompared, nodes[2]: .sound])
    }

    @Test func whatWasReadAtAnotherSequenceIsComparedWhereAllMeet() {
        let readings = [nodes[0]: whole(9, 5), nodes[1]: whole(10, 6), nodes[2]: whole(12, 7)]
        #expect(ReplicaComparison.meetingPlace(of: readings.values) == 12)
        #expect(ReplicaComparison.meetingPlace(of: [whole(9, 5), .damaged, whole(9, 5)]) == nil)
        func verdicts(_ digests: [UInt64]) -> [NodeID: ReplicaComparison.Verdict] {
            ReplicaComparison.verdicts(
                readings,
                checkpoints: Dictionary(
                    uniqueKeysWithValues: zip(nodes, digests.map { .init(sequence: 14, digest: $0) })
                ),
                primary: nodes[0]
            )
        }
        #expect(Set(verdicts([3, 3, 3]).values) == [.sound])
        #expect(verdicts([3, 4, 4]) == [nodes[0]: .different(sliceCount: 1), nodes[1]: .sound, nodes[2]: .sound])
    }

    /// It has joined behind the entry that the others were compared at, or has passed it.
    @Test func aLearnerWithoutACheckpointIsNotHeldAgainstTheOnesOfOthers() {
        let verdicts = ReplicaComparison.verdicts(
            [nodes[0]: whole(100, 5), nodes[1]: whole(99, 4), nodes[2]: whole(101, 6)],
            checkpoints: [
                nodes[0]: .init(sequence: 101, digest: 3), nodes[1]: .init(sequence: 101, digest: 3),
            ],
            learners: [nodes[2]],
            primary: nodes[0]
        )
        #expect(verdicts == [nodes[0]: .sound, nodes[1]: .sound, nodes[2]: .notCompared])
    }

    @Test func whereNobodyCanTellNoneIsGood() {
        for primary in [ReplicaComparison.Reading.damaged, .unreachable] {
            let verdicts = ReplicaComparison.verdicts(
                [nodes[0]: primary, nodes[1]: whole(9, 5), nodes[2]: whole(9, 5, changing: 3)],
                primary: nodes[0]
            )
            #expect(verdicts[nodes[1]] == .different(sliceCount: 3))
            #expect(verdicts[nodes[2]] == .different(sliceCount: 3))
        }
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

@Suite struct CheckpointTests {
    private let nodes = (1...2).map { NodeID(high: 0, low: $0) }

    private func problems(_ first: (UInt64, UInt64)?, _ second: (UInt64, UInt64)?) -> [ReconcileProblem] {
        let record = ClusterScript.replicated(1, on: nodes, minimum: 2)
        var reports: [NodeID: WorkerObservation] = [:]
        for (node, checkpoint) in zip(nodes, [first, second]) {
            reports[node] = WorkerObservation(
                replicas: [
                    record.placements[0].shard: ReplicaObservation(
                        epoch: Epoch(2),
                        groupVersion: 3,
                        role: node == nodes[0] ? .primary : .secondary,
                        state: .serving,
                        checkpoint: checkpoint.map { .init(sequence: $0.0, digest: $0.1) }
                    )
                ]
            )
        }
        return ReconcilePlanner.plan(ClusterScript.view([record], reports: reports)).problems
    }

    @Test func replicasThatDifferAtOneEntryAreAProblem() {
        let shard = ClusterScript.replicated(1, on: nodes).placements[0].shard
        #expect(problems((9, 1), (9, 2)) == [.differentReplicas(shard)])
        #expect(problems((9, 1), (9, 1)).isEmpty)
        #expect(problems((9, 1), (8, 2)).isEmpty)
        #expect(problems((9, 1), nil).isEmpty)
    }
}
