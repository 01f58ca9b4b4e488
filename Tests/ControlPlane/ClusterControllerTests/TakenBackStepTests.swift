import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Testing
import WireProtocol
import WireTransport

/// Steps that are told to be taken back at the moment in which they pass their commit points.
struct TakenBackStepTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    /// A move of the only replica of a shard, which has come to the other worker's group, and counts there not yet.
    private struct Move {
        var id: OperationID
        var shard: ShardID
        var from: NodeID
        var to: NodeID

        /// The newcomer counts as well.
        var counted: ReplicaGroup { group(version: 10, primary: from, inSync: [from, to], learners: []) }
        /// The replica that leaves counts no more.
        var passed: ReplicaGroup { group(version: 12, primary: to, inSync: [to], learners: [from]) }

        private func group(version: UInt64, primary: NodeID, inSync: [NodeID], learners: [NodeID]) -> ReplicaGroup {
            ReplicaGroup(
                epoch: Epoch(10),
                version: version,
                primary: primary,
                inSync: inSync.sorted(),
                learners: learners,
                minimumInSync: 1
            )
        }
    }

    private func withMove(_ body: (FaultyStore, ControlCluster, Move) async throws -> Void) async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 2) { store, cluster, workers in
            try await cluster.create("people", shards: 1)
            try await eventually("it is established") {
                try await ClusterRecords.load(from: store.store).metadata.collection(named: "people")?.isEstablished
                    ?? false
            }
            let from = try #require(workers.first { !$0.shards.isEmpty })
            let to = try #require(workers.first { $0.id != from.id })
            let move = Move(id: .random(), shard: from.shards[0], from: from.id, to: to.id)
            let order = OperationOrder.move(collection: "people", shardIndex: 0, from: from.id, to: to.id)
            _ = try await cluster.client.call(
                BeginOperation(id: move.id, order: order),
                deadline: .after(.seconds(5))
            )
            try await eventually("the replica comes") { to.shards == [move.shard] }
            // Nothing is being recorded any more.
            try await Task.sleep(for: .milliseconds(200))
            try await body(store, cluster, move)
        }
    }

    /// Records a group, as other coordinators do.
    private func put(_ group: ReplicaGroup, of shard: ShardID, in store: FaultyStore) async throws {
        var metadata = try await ClusterRecords.load(from: store.store).metadata
        let index = try #require(metadata.collections[shard.collection]?.index(of: shard))
        metadata.collections[shard.collection]!.placements[index].group = group
        let key = "collection/\(shard.collection)"
        let record = try #require(ClusterRecords.records(of: metadata).first { $0.key == key })
        _ = try await store.store.commit([], [.put(key: key, value: record.value)])
    }

    private func change(
        _ verb: ChangeOperation.Verb,
        _ move: Move,
        _ cluster: ControlCluster
    ) async throws(WireStatus) -> OperationDescription {
        try await cluster.client.call(ChangeOperation(id: move.id, verb: verb), deadline: .after(.seconds(5)))
    }

    /// The newcomer is in sync, and the record by which the replica that leaves counts no more is on its way to the
    /// store.
    private func holdCommit(of move: Move, in store: FaultyStore) async throws {
        let listing = try await store.store.list(prefix: "")
        store.set { faults in
            faults.holds = { changes in
                guard let group = listing.group(of: move.shard, after: changes) else { return false }
                return !group.isInSync(move.from)
            }
        }
        try await put(move.counted, of: move.shard, in: store)
        try await eventually("the replica that leaves is about to count no more") { store.hasHeldCommit }
    }

    /// The group's next record is on its way to the store when the operator is told that the step is taken back.
    @Test func aStepThatWasTakenBackDoesNotPassItsCommitPoint() async throws {
        try await withMove { store, cluster, move in
            try await holdCommit(of: move, in: store)
            let told = try await change(.cancel, move, cluster)
            #expect(told.state == .cancelling && told.steps.map(\.state) == [.undoing])
            store.set { $0.holds = nil }
            try await eventually("it has ended") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(5)))
                return list.operations.first?.state == .cancelled
            }
            let metadata = try await ClusterRecords.load(from: store.store).metadata
            #expect(metadata.operations[move.id]?.steps.map(\.state) == [.undone])
            let group = try #require(metadata.placement(of: move.shard)?.group)
            #expect(group.members == [move.from] && group.primary == move.from)
        }
    }

    @Test func aStepThatIsHeldUpGoesNoFurther() async throws {
        try await withMove { store, cluster, move in
            try await holdCommit(of: move, in: store)
            #expect(try await change(.pause, move, cluster).state == .paused)
            store.set { $0.holds = nil }
            try await Task.sleep(for: .milliseconds(300))
            let group = { try await ClusterRecords.load(from: store.store).metadata.placement(of: move.shard)?.group }
            #expect(try await group()?.inSync == [move.from, move.to].sorted())
            _ = try await change(.resume, move, cluster)
            try await eventually("it goes on") { try await group()?.members == [move.to] }
        }
    }

    /// This coordinator has not heard yet that the step has passed its commit point.
    @Test func aStepIsNotTakenBackByAnOlderRecord() async throws {
        try await withMove { store, cluster, move in
            let listing = try await store.store.list(prefix: "")
            store.set { $0.listing = listing }
            try await put(move.passed, of: move.shard, in: store)
            let refusal = await #expect(throws: WireStatus.self) { try await change(.cancel, move, cluster) }
            let reason = "the replica that leaves does not count any more in shard 0 of collection 'people'"
            #expect(refusal?.code == .invalidRequest)
            #expect(refusal?.message.contains(reason) == true, "\(String(describing: refusal))")
            try await eventually("it comes to its end") {
                let list = try await cluster.client.call(ListOperations(), deadline: .after(.seconds(5)))
                return list.operations.first?.state == .done
            }
        }
    }
}
