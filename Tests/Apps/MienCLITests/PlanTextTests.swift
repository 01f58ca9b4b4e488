import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Testing
import WireProtocol

/// What people are shown of a plan, whole: of a cluster of three workers, and a collection of two shards with two
/// copies each.
struct PlanTextTests {
    private let workers = (0..<3 as Range<UInt64>).map { NodeID(high: 7, low: $0) }
    private let id = CollectionID(high: 1, low: 2)

    private func placement(_ index: UInt32, on members: [NodeID]) -> ShardPlacement {
        ShardPlacement(
            shard: ShardID(collection: id, index: index),
            range: HashRange.divisions(2)[Int(index)],
            group: ReplicaGroup(
                epoch: Epoch(1),
                version: 1,
                primary: members[0],
                inSync: members.sorted(),
                minimumInSync: 1
            )
        )
    }

    /// Of the first shard replicas have 1 GiB and 2²⁰ faces, of the second half of that.
    private func clusterView() -> ClusterView {
        let placements = [
            placement(0, on: [workers[0], workers[1]]), placement(1, on: [workers[2], workers[0]]),
        ]
        let configuration = CollectionConfiguration(
            name: "people",
            dimension: 64,
            embeddingModel: "model",
            shardCount: 2,
            replicationFactor: 2
        )
        let record = CollectionRecord(
            collection: Collection(id: id, configuration: configuration, created: Timestamp(milliseconds: 0)),
            placements: placements,
            isEstablished: true
        )
        var observations: [NodeID: WorkerObservation] = [:]
        for worker in workers {
            var observation = WorkerObservation(freeDiskByteCount: 100 << 30)
            for placement in placements where placement.group.isInSync(worker) {
                observation.replicas[placement.shard] = ReplicaObservation(
                    epoch: Epoch(1),
                    groupVersion: 1,
                    role: placement.primary == worker ? .primary : .secondary,
                    state: .serving,
                    faceCount: UInt64(1 << 20) >> UInt64(placement.shard.index),
                    diskByteCount: UInt64(1 << 30) >> UInt64(placement.shard.index)
                )
            }
            observations[worker] = observation
        }
        return ClusterView(
            metadata: ClusterMetadata(
                clusterID: NodeID(high: 1, low: 1),
                workers: Dictionary(
                    uniqueKeysWithValues: workers.map { ($0, NodeAddress(host: "127.0.0.1", port: 7401)) }
                ),
                collections: [id: record]
            ),
            observations: observations,
            liveWorkers: Set(workers)
        )
    }

    /// As a coordinator makes it that has seen no copy yet.
    private func plan(
        _ request: OperationRequest,
        in view: ClusterView,
        limits: OperationPlanner.Limits = .init()
    ) throws -> OperationPlan {
        let operation = try request.operation(
            OperationID(high: 0, low: 1),
            in: view,
            now: Timestamp(milliseconds: 1)
        )
        var plan = OperationPlan(of: operation, in: view, OperationLedger(), limits: limits)
        plan.fingerprint = 0x0f0e_4c2a_91d3_7b68
        return plan
    }

    /// What is shown of the plan of an order, given by the words of its command.
    private func text(_ words: [String], _ order: OperationOrder, _ request: OperationRequest) async throws -> String {
        let plan = try plan(request, in: clusterView())
        var text = ""
        try await ToyCluster.run { cluster, address in
            cluster.change { state in
                state.workersAreLive = [true, true, true]
                state.plans = [order: plan]
            }
            let result = await mienCommand(["plan"] + words + ["--coordinator", address])
            #expect(result.status == 0, "\(result)")
            text = result.output.replacing(" --coordinator \(address)", with: "")
        }
        return text
    }

    @Test func aDrainIsShownWhole() async throws {
        let text = try await text(["drain", "127.0.0.1:7401"], .drain(workers[0]), .drain(workers[0]))
        let golden = """
            shard     change                              bytes  held up now by
            people/0  127.0.0.1:7401 -> 127.0.0.1:7403  1.0 GiB
            people/1  127.0.0.1:7401 -> 127.0.0.1:7402  512 MiB

            worker             gets    sends  most disk  free disk  more memory
            127.0.0.1:7401      0 B  1.0 GiB    1.0 GiB    100 GiB          0 B
            127.0.0.1:7402  512 MiB      0 B    512 MiB    100 GiB       64 MiB
            127.0.0.1:7403  1.0 GiB  512 MiB    1.5 GiB    100 GiB      128 MiB

            1.5 GiB to copy, about 36.0 s at 43 MiB/s.
            No copy large enough to tell (8 MiB) was seen since this coordinator started, so that the rate is assumed.
            Each worker has part in one copy at a time: coordinator.copies_per_worker.
            Nothing was changed.
            To begin just this: mien apply 0f0e4c2a91d37b68 drain 127.0.0.1:7401

            """
        #expect(text == golden, "\(text)")
    }

    @Test func aSplitIsShownWhole() async throws {
        let text = try await text(
            ["shard", "split", "people", "0"],
            .split(collection: "people", shardIndices: [0]),
            .split(id, [0])
        )
        let golden = """
            shard     change                bytes  held up now by
            people/0  split into 2 and 3  1.0 GiB

            worker             gets  sends  most disk  free disk  more memory
            127.0.0.1:7401  1.0 GiB    0 B    1.0 GiB    100 GiB      128 MiB
            127.0.0.1:7402  1.0 GiB    0 B    1.0 GiB    100 GiB      128 MiB

            2.0 GiB to copy, about 16.0 s at 64 MiB/s.
            No split or merge large enough to tell (8 MiB) was seen since this coordinator started, so that their rate \
            is assumed.
            Each worker has part in one copy at a time: coordinator.copies_per_worker.
            Nothing was changed.
            To begin just this: mien apply 0f0e4c2a91d37b68 shard split people 0

            """
        #expect(text == golden, "\(text)")
    }

    @Test func whatSlowsCopiesDownIsTold() throws {
        var view = clusterView()
        for worker in workers { view.observations[worker]!.copyBytesPerSecond = 16 << 20 }
        let plan = try plan(.drain(workers[0]), in: view, limits: .init(copiesPerWorker: 2))
        #expect(
            plan.remarks == [
                "No copy large enough to tell (8 MiB) was seen since this coordinator started, so that the rate is "
                    + "assumed.",
                "Workers make a copy first, and send it no faster than worker.copy_rate.",
                "Each worker has part in 2 copies at a time: coordinator.copies_per_worker.",
            ]
        )
    }

    /// The replicas of the one shard move to the workers of the other before.
    @Test func aStepThatComesLaterTellsWhatItWouldWaitForBesides() throws {
        var view = clusterView()
        let together = "The shards' replicas are not on the same workers yet, or not in sync."
        let earlier = "An earlier step of the operation for the shard comes first."
        let merge = OperationRequest.merge(id, [.init(0, 1)])
        #expect(try plan(merge, in: view).steps.map(\.waitsFor) == [nil, "\(together) \(earlier)"])
        view.observations[workers[1]]!.freeDiskByteCount = 0
        let first = try #require(try plan(merge, in: view).steps.first?.waitsFor)
        #expect(first.hasPrefix("The worker at 127.0.0.1:7401 has 0 MiB of free disk"), "\(first)")
    }

    /// Each of the two copies would fit alone.
    @Test func roomThatIsMissingForAllOfItIsTold() throws {
        var view = clusterView()
        view.metadata.collections[id]!.placements[1] = placement(1, on: [workers[1], workers[0]])
        let shard = ShardID(collection: id, index: 1)
        view.observations[workers[1]]!.replicas[shard] = view.observations[workers[2]]!.replicas[shard]
        view.observations[workers[2]]!.replicas = [:]
        let copies = OperationRequest.copies(id, CopyCount(replicationFactor: 3, minimumInSync: 1))
        let roomy = try plan(copies, in: view)
        #expect(roomy.steps.allSatisfy { $0.waitsFor == nil })
        #expect(!roomy.remarks.contains { $0.hasPrefix("Room") })
        view.observations[workers[2]]!.freeDiskByteCount = 1224 << 20
        let tight = try plan(copies, in: view)
        let reasons = tight.steps.map(\.waitsFor)
        #expect(
            reasons == [
                nil,
                "The worker at 127.0.0.1:7401 has 1224 MiB of free disk, and 1536 MiB are needed with what is "
                    + "reserved.",
            ]
        )
        #expect(
            tight.remarks.first == "Room is missing on the worker at 127.0.0.1:7401: 312 MiB of disk for a step that "
                + "would wait for it."
        )
    }
}
