import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Operations have no more steps than their records may.
struct StepLimitTests {
    private let workers = (1...2).map { ClusterScript.worker(UInt64($0)) }
    private let limit = Operation.newStepLimit

    private func shard(_ index: Int) -> ShardID {
        ShardID(collection: CollectionID(high: 0, low: 1), index: UInt32(index))
    }

    private func leads(_ count: Int) -> [Operation.Step] {
        (0..<count).map { Operation.Step(shard: shard($0), change: .lead(workers[1])) }
    }

    /// A move whose sender is made the primary first.
    private func pair(_ index: Int) -> [Operation.Step] {
        [.lead(workers[1]), .move(from: workers[0], to: workers[1])].map {
            Operation.Step(shard: shard(index), change: $0)
        }
    }

    @Test func aRebalanceBeginsWithAsManyStepsAsItMayHave() {
        let many = RebalancePlanner.limited(leads(limit + 2000))
        #expect(many.count == limit && many.last?.shard == shard(limit - 1))
        #expect(RebalancePlanner.limited(leads(limit)).count == limit)
        #expect(RebalancePlanner.limited([]).isEmpty)
    }

    @Test func aMoveAndTheLeadRightBeforeItStayTogether() {
        let cut = RebalancePlanner.limited(leads(limit - 1) + pair(limit))
        #expect(cut.count == limit - 1)
        let whole = RebalancePlanner.limited(leads(limit - 2) + pair(limit) + leads(1))
        #expect(whole.count == limit && whole.last?.change == pair(limit)[1].change)
    }

    @Test func aDrainOfMoreReplicasThanThatIsRefusedWithTheRule() throws {
        let record = ClusterScript.record(1, shards: limit + 1, on: [workers[0]])
        var reports = ClusterScript.serving(record)
        for worker in workers { reports[worker, default: WorkerObservation()].freeDiskByteCount = 1 << 40 }
        let view = ClusterScript.view([record], reports: reports)
        let refusal = #expect(throws: OperationRefusal.self) {
            try OperationRequest.drain(workers[0]).operation(
                OperationID(high: 0, low: 1),
                in: view,
                now: Timestamp(milliseconds: 1)
            )
        }
        #expect(refusal?.description.hasPrefix("It would have \(limit + 1) steps") == true, "\(refusal as Any)")
    }
}
