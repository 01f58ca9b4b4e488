import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Testing
import WireProtocol

/// What people are told of operations is so.
struct OperationTextTests {
    private func metadata() async throws -> ClusterMetadata {
        var metadata: ClusterMetadata?
        try await withCluster(workers: 1) { _, cluster, _ in
            try await cluster.create("people", shards: 1)
            metadata = try await ClusterRecords.load(from: cluster.store).metadata
        }
        return try #require(metadata)
    }

    @Test func whatHasTakenAShardsPlaceIsNamedWhenItCannotBeTakenBack() async throws {
        let metadata = try await metadata()
        let collection = try #require(metadata.collections.keys.first)
        func refusal(of changes: (UInt32, ReplicaChange, OperationStepState)...) -> String {
            let operation = Operation(
                id: OperationID(high: 0, low: 1),
                kind: .change,
                created: Timestamp(milliseconds: 1),
                steps: changes.map { index, change, state in
                    Operation.Step(shard: ShardID(collection: collection, index: index), change: change, state: state)
                }
            )
            return OperationText.refusalToCancel(operation, in: metadata)
        }
        let id = OperationID(high: 0, low: 1)
        let beginning = "Past its commit point: nothing of operation \(id) can be taken back any more: "
        let split = ReplicaChange.split(at: 1 << 63, lower: 5, upper: 6)
        #expect(
            refusal(of: (3, split, .running)) == beginning
                + "shards 5 and 6 have taken the place of shard 3 of collection 'people'. It ends by itself."
        )
        #expect(
            refusal(of: (1, split, .done), (3, .merge(with: 4, into: 7), .running)) == beginning
                + "1 of its 2 steps are done, and shard 7 has taken the place of shards 3 and 4 of collection "
                + "'people'. It ends by itself."
        )
        let worker = NodeID(high: 7, low: 0)
        #expect(
            refusal(of: (0, .remove(worker), .running)) == beginning
                + "the replica that leaves does not count any more in shard 0 of collection 'people'. It ends by "
                + "itself."
        )
    }

    /// Of three replicas one has come, one has come by a quarter, and one waits.
    @Test func howFarTheCopyingOfAnOperationIsIsTold() async throws {
        let metadata = try await metadata()
        let placement = try #require(metadata.placements.first)
        var observation = WorkerObservation()
        observation.replicas[placement.shard] = ReplicaObservation(
            epoch: placement.epoch,
            role: .primary,
            state: .serving,
            diskByteCount: 400 << 20
        )
        let view = ClusterView(
            metadata: metadata,
            observations: [placement.primary: observation],
            liveWorkers: [placement.primary]
        )
        let size: UInt64 = ReplicaSize(of: placement, in: view).diskByteCount
        let states: [OperationStepState] = [.done, .running, .waiting]
        var operation = Operation(
            id: OperationID(high: 0, low: 1),
            kind: .change,
            created: Timestamp(milliseconds: 1),
            steps: states.enumerated().map { index, state in
                let newcomer = NodeID(high: 8, low: UInt64(index))
                return Operation.Step(shard: placement.shard, change: .add(newcomer), state: state)
            }
        )
        func told() -> OperationDescription {
            var description = OperationDescription(
                id: operation.id,
                kind: .change,
                state: operation.state,
                created: operation.created,
                steps: operation.steps.map { step in
                    OperationDescription.Step(
                        collection: "people",
                        shardIndex: 0,
                        change: step.change,
                        state: step.state,
                        totalByteCount: step.state == .done ? 0 : size
                    )
                }
            )
            description.steps[1].sentByteCount = size / 4
            description.addCopying(of: operation, in: view, OperationLedger(), limits: .init(copiesPerWorker: 1))
            return description
        }
        #expect(told().totalByteCount == 3 * size && told().copiedByteCount == size + size / 4)
        // The primary sends two after each other, and one of them by three quarters.
        let rate = OperationEstimate.Rates.assumedSendingBytesPerSecond
        let seconds = 1.75 * Double(size) / rate
        #expect(abs(Double(told().remainingMilliseconds) / 1000 - seconds) < 0.2 * seconds, "\(told())")
        operation.state = .paused
        #expect(told().remainingMilliseconds == 0 && told().totalByteCount == 3 * size, "nobody knows")
        operation.state = .done
        #expect(told().totalByteCount == 0)
    }

    @Test func whatIsFreeForShardsThatTakeOthersPlaceIsToldAsItIs() async throws {
        let view = ClusterView(metadata: try await metadata(), observations: [:], liveWorkers: [])
        let worker = NodeID(high: 7, low: 0)
        let copy = OperationText.sentence(.tooLittleMemory(worker, needed: 3 << 20, free: 2 << 20), in: view)
        #expect(copy.contains("has 2 MiB of memory beside what its searches read, and 3 MiB are needed"), "\(copy)")
        let split = OperationText.sentence(.tooLittleMemoryInPlace(worker, needed: 3 << 20, free: 2 << 20), in: view)
        #expect(
            split.contains("has 2 MiB of memory, what its searches read now among it, and what takes the shard's place")
                && split.contains("needs 3 MiB with what is reserved"),
            "\(split)"
        )
    }
}
