import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Testing
import WireProtocol
import WireTransport

/// What is refused since somebody else was first is not done all the same.
struct RefusedRequestTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    /// The pin is recorded, the store's answer lost, and the worker drained before the records are read.
    @Test(arguments: [false, true])
    func aPinThatIsRefusedIsNotInForce(isAnotherPinned: Bool) async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 2) { store, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, minimumInSync: 1, deadline: nil)
            func pin(_ worker: FakeControlWorker) async throws {
                let pin = PinShard.Pin(workers: [worker.id])
                _ = try await cluster.client.call(
                    PinShard(collection: "people", shardIndex: 0, pin: pin),
                    deadline: .after(.seconds(60))
                )
            }
            if isAnotherPinned { try await pin(workers[1]) }
            let key = "worker/\(workers[0].id)"
            let record = try #require(try await store.store.read(key))
            let value = Array(record.value.dropLast()) + [WorkerStanding.draining.rawValue]
            store.set { faults in
                faults.overtakes = { changes in
                    changes.contains { $0.key.hasPrefix("pin/") } ? [.put(key: key, value: value)] : []
                }
            }
            let refusal = await #expect(throws: WireStatus.self) { try await pin(workers[0]) }
            #expect(refusal?.code == .invalidRequest)
            #expect(refusal?.message.contains("is to have no replicas") == true, "\(String(describing: refusal))")
            let pins = try await ClusterRecords.load(from: store.store).metadata.pins
            #expect(pins.values.map(\.workers) == (isAnotherPinned ? [[workers[1].id]] : []))
        }
    }

    @Test func theIdOfAnOperationIsGoodForItsOwnOrderOnly() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            let id = OperationID.random()
            func begin(_ order: OperationOrder) async throws(WireStatus) -> OperationDescription {
                try await cluster.client.call(BeginOperation(id: id, order: order), deadline: .after(.seconds(60)))
            }
            let order = OperationOrder.drain(workers[0].id)
            let begun = try await begin(order)
            // The answer was lost.
            let again = try await begin(order)
            #expect(again.id == begun.id && again.kind == .drain)
            let others: [OperationOrder] = [
                .drain(workers[1].id), .decommission(workers[0].id), .recommission(workers[0].id), .rebalance,
                .train(collection: "people"), .split(collection: "people", shardIndices: []),
                .move(collection: "people", shardIndex: 0, from: workers[0].id, to: nil),
            ]
            for other in others {
                let refusal = await #expect(throws: WireStatus.self) { try await begin(other) }
                #expect(refusal?.code == .invalidRequest)
                #expect(refusal?.message.contains("another order") == true, "\(other)")
            }
        }
    }

    /// Its shard is gone, and so may be its collection.
    @Test func anOperationThatHasEndedIsKnownByItsOrder() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            let collection = try await cluster.create("people", shards: 1).collection.id
            let ended = Timestamp(milliseconds: 1_700_000_000_000)
            let step = Operation.Step(
                shard: ShardID(collection: collection, index: 7),
                change: .split(at: 1 << 63, lower: 8, upper: 9),
                state: .done
            )
            let split = Operation(
                id: .random(),
                kind: .change,
                state: .done,
                created: ended,
                ended: ended,
                steps: [step]
            )
            var metadata = try await ClusterRecords.load(from: cluster.store).metadata
            metadata.operations[split.id] = split
            let key = "operation/\(split.id)"
            let record = try #require(ClusterRecords.records(of: metadata).first { $0.key == key })
            _ = try await cluster.store.commit([], [.put(key: key, value: record.value)])
            // The records are read again.
            try await cluster.create("others", shards: 1, deadline: nil)
            try await eventually("it is known") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(60)))
                return list.operations.contains { $0.id == split.id }
            }
            func begin(_ order: OperationOrder) async throws(WireStatus) -> OperationDescription {
                try await cluster.client.call(
                    BeginOperation(id: split.id, order: order),
                    deadline: .after(.seconds(60))
                )
            }
            for indices in [[7], []] as [[UInt32]] {
                let known = try await begin(.split(collection: "people", shardIndices: indices))
                #expect(known.id == split.id && known.state == .done)
            }
            let refusal = await #expect(throws: WireStatus.self) {
                try await begin(.split(collection: "people", shardIndices: [6]))
            }
            #expect(refusal?.code == .invalidRequest)
            let unknowable = try await begin(.split(collection: "nobody", shardIndices: [7]))
            #expect(unknowable.id == split.id)
        }
    }

    @Test func whatIsRefusedBeforeAnythingIsRecordedHasNoEffect() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            try await cluster.create("people", shards: 1)
            func refusal(_ request: some WireRequest) async -> WireStatus? {
                do throws(WireStatus) {
                    _ = try await cluster.client.call(request, deadline: .after(.seconds(60)))
                    return nil
                } catch {
                    return error
                }
            }
            func creation(_ name: String, copies: Int) -> CreateCollection {
                CreateCollection(
                    configuration: CollectionConfiguration(
                        name: name,
                        dimension: 512,
                        embeddingModel: "model-a/1",
                        shardCount: 1,
                        replicationFactor: copies
                    )
                )
            }
            let drain = OperationOrder.drain(workers[0].id)
            let refusals: [(WireStatus?, StatusCode)] = [
                (await refusal(creation("people", copies: 1)), StatusCode.alreadyExists),
                (await refusal(creation("others", copies: 3)), .unavailable),
                (await refusal(creation("others", copies: 9)), .invalidRequest),
                (await refusal(ExplainShard(collection: "people", shardIndex: 7)), .invalidRequest),
                (await refusal(BeginOperation(id: .random(), order: drain, fingerprint: 1)), .invalidRequest),
                (await refusal(ChangeOperation(id: .random(), verb: .cancel)), .notFound),
                (await refusal(DeleteCollection(name: "nobody")), .notFound),
            ]
            for (status, code) in refusals {
                #expect(status?.code == code && status?.hasNoEffect == true, "\(String(describing: status))")
            }
        }
    }

    /// What it would take back is another drain than the one that had ended when it was planned.
    @Test func aRecommissionIsBegunAsItWasPlannedOrNotAtAll() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            let worker = workers[0].id
            let deadline = Duration.seconds(60)
            func begin(_ order: OperationOrder, fingerprint: UInt64 = 0) async throws -> OperationDescription {
                try await cluster.client.call(
                    BeginOperation(id: .random(), order: order, fingerprint: fingerprint),
                    deadline: .after(deadline)
                )
            }
            func plan() async throws -> UInt64 {
                let request = PlanOperation(order: .recommission(worker))
                return try await cluster.client.call(request, deadline: .after(deadline)).fingerprint
            }
            func awaitEnds() async throws {
                try await eventually("all have ended") {
                    let list = try await cluster.client.call(ListOperations(), deadline: .after(deadline))
                    return list.operations.allSatisfy(\.state.hasEnded)
                }
            }
            _ = try await begin(.drain(worker))
            try await awaitEnds()
            let first = try await plan()
            let again = try await plan()
            #expect(first != 0 && first == again)
            _ = try await begin(.decommission(worker))
            let refusal = await #expect(throws: WireStatus.self) {
                _ = try await begin(.recommission(worker), fingerprint: first)
            }
            #expect(refusal?.message.contains("The cluster has changed since that plan") == true)
            try await awaitEnds()
            let last = try await begin(.recommission(worker), fingerprint: try await plan())
            #expect(last.state == .done)
        }
    }
}
