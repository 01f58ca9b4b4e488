import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Foundation
import Observability
import Synchronization
import Testing
import WireProtocol
import WireTransport

extension ControlCluster {
    fileprivate func accept(
        _ shard: ShardID,
        isPlan: Bool,
        confirmed: AcceptRecord.Confirmation? = nil
    ) async throws(WireStatus) -> RecordAccepted {
        let request = AcceptRecord(
            collection: "people",
            shardIndex: shard.index,
            isPlan: isPlan,
            confirmed: confirmed
        )
        return try await client.call(request, deadline: .after(.seconds(5)))
    }

    fileprivate func losses(settling settled: [LossList.Loss]? = nil) async throws(WireStatus) -> LossList {
        let request = ReadLosses(collection: "people", isSettling: settled != nil, settled: settled)
        return try await client.call(request, deadline: .after(.seconds(5)))
    }
}

/// A coordinator whose folder was put back to an earlier copy.
struct OlderRecordsTests {
    @Test func aCoordinatorOnAnOlderCopyLeavesWhatWorkersKnowBetter() async throws {
        let kept = TemporaryFolder()
        try await withCluster(workers: 2) { folder, cluster, workers in
            try await cluster.create("people", shards: 1, replicationFactor: 2, minimumInSync: 1)
            let shard = try #require(workers[0].shards.first)
            let group = { cluster.controller.shardMap.placements.values.first!.first!.group }
            try await eventually("both go by the group") { goBy(workers, shard) == [group().version, group().version] }
            // As of now.
            let old = group()
            let earlier = try await cluster.restart(at: folder.path) {
                try! FileManager.default.copyItem(atPath: folder.path, toPath: "\(kept.path)/copy")
            }
            try await earlier.awaitWorkers(workers)
            // Another primary, of which the copy knows nothing.
            let leader = workers.first { $0.id == old.primary }!
            let other = workers.first { $0.id != old.primary }!
            await leader.stop()
            try await eventually("the other leads") {
                earlier.controller.shardMap.placements.values.first!.first!.group.primary == other.id
            }
            let newer = earlier.controller.shardMap.placements.values.first!.first!.group
            try await eventually("it goes by that") { goBy([other], shard).first ?? 0 >= newer.version }
            let later = try await earlier.restart(at: folder.path) {
                try! FileManager.default.removeItem(atPath: folder.path)
                try! FileManager.default.copyItem(atPath: "\(kept.path)/copy", toPath: folder.path)
            }
            let outcome = await Result {
                #expect(later.controller.shardMap.placements.values.first!.first!.group == old)
                let registry = MetricRegistry()
                registry.collect { later.controller.collect(into: &$0) }
                let told = "mien_shards_of_older_records{collection=\"people\"} 1"
                try await eventually("it is noticed") { registry.rendered().contains(told) }
                // People who ask are told, too.
                let problem = try #require(try await later.status().storeProblem)
                #expect(problem.contains("older records of people/\(shard.index) than"), "\(problem)")
                #expect(problem.contains("mien metadata accept"), "\(problem)")
                // The leader of the old record is gone for longer than it takes to put another in its place.
                try await Task.sleep(for: ControlCluster.options.replacementTime * 2)
                #expect(later.controller.shardMap.placements.values.first!.first!.group == old)
                try await eventually("the worker is told nothing") {
                    other.state.withLock { $0.reply?.groups.isEmpty ?? false }
                }
                // It must not take that for being no member, and is asked to drop nothing.
                #expect(other.state.withLock { $0.reply?.omitsGroups ?? false && $0.drops.isEmpty })
                #expect(goBy([other], shard).first ?? 0 >= newer.version)

                // An operator gives up what the copy does not know.
                let plan = try await later.accept(shard, isPlan: true)
                #expect(plan.storedVersion == old.version && plan.knownVersion >= newer.version)
                #expect(plan.primary == other.id && plan.replicas.count == 2)
                #expect(plan.replicas.first { $0.worker == leader.id }?.sequence == nil, "it is away")
                #expect(later.controller.shardMap.placements.values.first!.first!.group == old)
                _ = try await later.accept(shard, isPlan: false)
                try await eventually("it is steered again") {
                    let group = later.controller.shardMap.placements.values.first!.first!.group
                    return group.primary == other.id && group.epoch > newer.epoch
                        && goBy([other], shard) == [group.version]
                }
                try await eventually("nothing is left") { registry.rendered().contains("\(told.dropLast())0") }
                #expect(try await later.accept(shard, isPlan: true).primary == nil)
                // Nobody knows what the one had that is away: answers tell, and no ledger of before is whole any more.
                let list = try await later.losses()
                #expect(list.losses.count == 1 && list.latest == list.losses.first?.time)
                #expect(later.controller.shardMap.lossy.count == 1)
                let settled = try await later.losses(settling: list.losses)
                #expect(settled.losses.isEmpty && settled.latest == list.latest)
                #expect(later.controller.shardMap.lossy.isEmpty)
                #expect(later.controller.storeProblem == nil)
            }
            await later.stop()
            try outcome.get()
        }
    }

    // MARK: What an operator confirmed

    /// The record of a shard on two workers that go by a newer one, the second of which has applied more.
    private func makeOlder(
        _ cluster: ControlCluster,
        _ workers: [FakeControlWorker]
    ) async throws -> (shard: ShardID, group: ReplicaGroup) {
        try await cluster.create("people", shards: 1, replicationFactor: 2, minimumInSync: 1)
        let shard = try #require(workers[0].shards.first)
        let group = try group(in: cluster)
        try await eventually("both go by the group") { goBy(workers, shard) == [group.version, group.version] }
        for (worker, sequence) in zip(workers, [80, 90] as [UInt64]) {
            worker.state.withLock { state in
                state.replicas[shard]!.groupVersion = group.version + 5
                state.replicas[shard]!.epoch = Epoch(group.epoch.number + 1)
                state.replicas[shard]!.sequence = sequence
            }
        }
        return (shard, group)
    }

    private func group(in cluster: ControlCluster) throws -> ReplicaGroup {
        try #require(cluster.controller.shardMap.placements.values.first?.first?.group)
    }

    /// The worker that has more is on its way, and nobody knows yet that it is there.
    @Test func nothingIsGivenUpByACoordinatorThatHasJustBegun() async throws {
        try await withCluster(workers: 2) { folder, cluster, workers in
            let (shard, old) = try await makeOlder(cluster, workers)
            try await eventually("it is left alone") { try await cluster.status().storeProblem != nil }
            await workers[1].stop()
            var options = ControlCluster.options
            options.silenceLimit = .seconds(60)
            let early = try await cluster.restart(at: folder.path, options: options)
            let outcome = await Result {
                try await early.awaitWorkers([workers[0]])
                for isPlan in [true, false] {
                    let refusal = await #expect(throws: WireStatus.self) {
                        try await early.accept(shard, isPlan: isPlan)
                    }
                    #expect(refusal?.code == .unavailable)
                    #expect(refusal?.message.contains("has just begun") == true, "\(String(describing: refusal))")
                }
                #expect(try group(in: early) == old)
            }
            await early.stop()
            try outcome.get()
        }
    }

    @Test func nothingElseIsAcceptedThanWhatWasConfirmed() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            let (shard, old) = try await makeOlder(cluster, workers)
            var plan: RecordAccepted?
            try await eventually("both are heard") {
                plan = try? await cluster.accept(shard, isPlan: true)
                return plan?.replicas.allSatisfy { $0.sequence != nil } == true && plan?.primary == workers[1].id
            }
            #expect(plan?.storedVersion == old.version)
            let confirmed = AcceptRecord.Confirmation(
                storedVersion: old.version,
                primary: workers[1].id,
                sequence: 90
            )
            func refused(_ confirmed: AcceptRecord.Confirmation) async throws {
                let refusal = await #expect(throws: WireStatus.self) {
                    try await cluster.accept(shard, isPlan: false, confirmed: confirmed)
                }
                #expect(refusal?.code == .unavailable)
                #expect(refusal?.message.contains("ask again what there is") == true, "\(String(describing: refusal))")
                #expect(try group(in: cluster) == old)
            }
            for (version, sequence) in [(old.version + 1, 90), (old.version, 91)] as [(UInt64, UInt64)] {
                var another = confirmed
                (another.storedVersion, another.sequence) = (version, sequence)
                try await refused(another)
            }
            // Who was to lead falls silent while the operator types.
            await workers[1].stop()
            try await eventually("it is silent") { !cluster.controller.liveness(of: workers[1].id).isLive }
            try await refused(confirmed)
            try await workers[1].start(in: cluster)
            try await cluster.awaitWorkers(workers)
            let accepted = try await cluster.accept(shard, isPlan: false, confirmed: confirmed)
            #expect(accepted.primary == workers[1].id && accepted.storedVersion == old.version)
            #expect(try group(in: cluster).version > old.version + RecordAcceptance.leap)
            // The answer was lost, and the request is sent again.
            let again = try await cluster.accept(shard, isPlan: false, confirmed: confirmed)
            #expect(again.primary == workers[1].id && again.storedVersion == old.version)
            // Another may lead by then.
            var other = confirmed
            other.primary = workers[0].id
            let led = try await cluster.accept(shard, isPlan: false, confirmed: other)
            #expect(led.primary == workers[1].id && led.storedVersion == old.version)
        }
    }

    /// Of several coordinators another one changes the record while this one is about to.
    @Test func whatWasChangedBeneathIsNotSaidToBeAccepted() async throws {
        let (shared, own) = (TemporaryFolder(), TemporaryFolder())
        let store = FaultyStore(try await EmbeddedMetadataStore.open(at: shared.path))
        let cluster = try await ControlCluster.start(at: own.path, sharing: store, token: "secret-secret-secret")
        let workers = (0..<2 as Range<UInt64>).map(FakeControlWorker.init)
        for worker in workers { try await worker.start(in: cluster) }
        try await cluster.awaitWorkers(workers)
        let outcome = await Result {
            let (shard, old) = try await makeOlder(cluster, workers)
            try await eventually("it is there to be accepted") {
                (try? await cluster.accept(shard, isPlan: true))?.primary == workers[1].id
            }
            func stored() async throws -> CollectionRecord {
                try #require(
                    try await ClusterRecords.load(from: store.store).metadata.collections[shard.collection]
                )
            }
            try await eventually("it is established") { try await stored().isEstablished }
            // With somebody away a loss is recorded.
            await workers[0].stop()
            try await eventually("it is silent") { !cluster.controller.liveness(of: workers[0].id).isLive }
            let key = "collection/\(shard.collection)"
            store.set { faults in
                faults.holds = { changes in changes.contains { $0.key == key } }
            }
            let accepting = Task { await Result { try await cluster.accept(shard, isPlan: false) } }
            try await eventually("it is about to be recorded") { store.hasHeldCommit }
            var record = try await stored()
            record.placements[0].group.version += 1
            _ = try await store.store.commit([], [ClusterRecords.put(record)])
            store.set { $0.holds = nil }
            let refusal = await #expect(throws: WireStatus.self) { _ = try await accepting.value.get() }
            #expect(refusal?.code == .unavailable)
            #expect(refusal?.message.contains("ask again what there is") == true, "\(String(describing: refusal))")
            record = try await stored()
            #expect(record.losses.isEmpty && record.placements[0].group.version == old.version + 1)
            // Asked again, it is made once, whether its end is heard of or not.
            store.set { $0.lostAnswers = 1 }
            #expect(try await cluster.accept(shard, isPlan: false).primary == workers[1].id)
            record = try await stored()
            #expect(record.losses.count == 1 && record.placements[0].primary == workers[1].id)
        }
        for worker in workers { await worker.stop() }
        await cluster.stop()
        try outcome.get()
    }

    /// The versions of a shard's group that workers go by.
    private func goBy(_ workers: [FakeControlWorker], _ shard: ShardID) -> [UInt64] {
        workers.compactMap { $0.state.withLock { $0.replicas[shard]?.groupVersion } }
    }
}
