import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Observability
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// What a controller does when its store does not do as it should.
struct StoreFaultTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()

    private func withFaultyStore(
        _ body: (FaultyStore, ControlCluster, FakeControlWorker) async throws -> Void
    ) async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, workers in
            try await body(store, cluster, workers[0])
        }
    }

    private func isEstablished(_ name: String, in store: FaultyStore) async throws -> Bool {
        try await ClusterRecords.load(from: store.store).metadata.collection(named: name)?.isEstablished ?? false
    }

    @Test func aChangeWhoseAnswerWasLostIsMadeOnce() async throws {
        try await withFaultyStore { store, cluster, _ in
            store.set { $0.lostAnswers = 1 }
            let created = try await cluster.create("people", shards: 2)
            #expect(created.collection.name == "people")
            #expect(try await cluster.status().collections.count == 1)
            try await eventually("it is established") { try await isEstablished("people", in: store) }
            store.set { $0.lostAnswers = 1 }
            _ = try await cluster.delete("people")
            #expect(try await cluster.status().collections.isEmpty)
            let failure = await #expect(throws: WireStatus.self) { try await cluster.delete("people") }
            #expect(failure?.code == .notFound)
        }
    }

    /// What a coordinator does not know is refused for good only when it surely is not there.
    @Test func recordsThatCannotBeReadAnewAreNotTakenForTheNewest() async throws {
        try await withFaultyStore { store, cluster, _ in
            let controller = cluster.controller
            func isNewest() async -> Bool {
                let asked = ContinuousClock.now
                await controller.refresh()
                return controller.knowsRecords(asOf: asked)
            }
            // Not while a commit of its own is under way.
            try await eventually("it has the newest records") { await isNewest() }
            store.set { $0.isAway = true }
            let isNewestWhileAway = await isNewest()
            #expect(!isNewestWhileAway)
        }
    }

    @Test func aRequestThatCannotReadTheRecordsBeforeItBeginsHasNoEffect() async throws {
        try await withFaultyStore { store, cluster, _ in
            store.set { $0.isAway = true }
            let failure = await #expect(throws: WireStatus.self) { try await recover(in: cluster) }
            #expect(failure?.code == .unavailable && failure?.hasNoEffect == true)
        }
    }

    // MARK: Shards that are given up

    private struct LostShard {
        var shard: ShardID
        /// Who had it.
        var lost: NodeID
        /// Who has a replica of it that was behind, unless nothing is left.
        var other: NodeID
        var plan: ShardRecovered
    }

    /// Runs a body with a shard that has no replica in sync any more.
    private func withLostShard(
        isNothingLeft: Bool,
        _ body: (FaultyStore, ControlCluster, LostShard) async throws -> Void
    ) async throws {
        try await withFaultyStore { store, cluster, worker in
            try await cluster.create("people", shards: 1)
            try await eventually("it is established") { try await isEstablished("people", in: store) }
            let shard = try #require(worker.shards.first)
            let other = FakeControlWorker(2)
            let replica = worker.state.withLock { state in
                defer { state.replicas = [:] }
                return state.replicas[shard]
            }
            if !isNothingLeft {
                // It was behind, and has been moved away.
                other.state.withLock { state in
                    state.replicas[shard] = replica
                    state.refusal = { request in
                        guard case .dropReplica = request else { return nil }
                        return WireStatus(.unavailable, "Not now.")
                    }
                }
            }
            try await other.start(in: cluster)
            try await cluster.awaitWorkers([other])
            let outcome = await Result {
                var plan: ShardRecovered?
                try await eventually("the shard can be given up") {
                    plan = try? await recover(in: cluster)
                    return plan?.shardIndex == (isNothingLeft ? 1 : 0)
                }
                let lost = LostShard(shard: shard, lost: worker.id, other: other.id, plan: try #require(plan))
                try await body(store, cluster, lost)
            }
            await other.stop()
            try outcome.get()
        }
    }

    /// - Parameter confirmed: nil for what would come of it.
    private func recover(
        confirmed: RecoverShard.Confirmation? = nil,
        in cluster: ControlCluster
    ) async throws(WireStatus) -> ShardRecovered {
        let request = RecoverShard(
            collection: "people",
            shardIndex: 0,
            isPlan: confirmed == nil,
            confirmed: confirmed
        )
        return try await cluster.client.call(request, deadline: .after(.seconds(5)))
    }

    /// The shard that was given up is not there when the plan is made again, or nothing of it is lost any more.
    @Test(arguments: [true, false])
    func aShardWhoseRecoveryWasNotHeardOfIsGivenUpOnce(isNothingLeft: Bool) async throws {
        try await withLostShard(isNothingLeft: isNothingLeft) { store, cluster, lost in
            let epoch = try #require(lost.plan.epoch)
            let leader = isNothingLeft ? nil : lost.other
            // Somebody leads who has less, somebody else does, or the shard is another.
            for other in [
                RecoverShard.Confirmation(epoch: epoch, primary: lost.other, sequence: 1),
                RecoverShard.Confirmation(epoch: epoch, primary: lost.lost, sequence: 0),
                RecoverShard.Confirmation(epoch: Epoch(epoch.number + 1), primary: leader, sequence: 0),
            ] {
                let refusal = await #expect(throws: WireStatus.self) {
                    try await recover(confirmed: other, in: cluster)
                }
                #expect(refusal?.code == .unavailable)
                #expect(refusal?.message.contains("ask again what would come of it") == true)
            }
            let confirmed = RecoverShard.Confirmation(epoch: epoch, primary: leader, sequence: 0)
            store.set { $0.lostAnswers = 1 }
            let recovered = try await recover(confirmed: confirmed, in: cluster)
            #expect(recovered.shardIndex == lost.plan.shardIndex && recovered.lost == [lost.lost])
            let metadata = try await ClusterRecords.load(from: store.store).metadata
            let record = try #require(metadata.collection(named: "people"))
            #expect(record.losses.count == 1 && record.placements.map(\.shard.index) == [recovered.shardIndex])
        }
    }

    /// The client sends a request again whose answer did not come.
    @Test(arguments: [true, false])
    func aRecoveryThatIsAskedForAgainIsAnsweredAsDone(isNothingLeft: Bool) async throws {
        try await withLostShard(isNothingLeft: isNothingLeft) { store, cluster, lost in
            let confirmed = RecoverShard.Confirmation(
                epoch: try #require(lost.plan.epoch),
                primary: isNothingLeft ? nil : lost.other,
                sequence: 0
            )
            // It is made, and the store is away before it could be read.
            let key = "collection/\(lost.shard.collection)"
            store.set { faults in
                faults.goesAwayAfter = { changes in changes.contains { $0.key == key } }
            }
            let failure = await #expect(throws: WireStatus.self) {
                try await recover(confirmed: confirmed, in: cluster)
            }
            #expect(failure?.code == .unavailable)
            store.set { faults in
                faults.goesAwayAfter = nil
                faults.isAway = false
            }
            for _ in 0..<2 {
                let again = try await recover(confirmed: confirmed, in: cluster)
                #expect(again.shardIndex == lost.plan.shardIndex && again.epoch == confirmed.epoch)
                #expect(isNothingLeft || again.primary == lost.other)
                let metadata = try await ClusterRecords.load(from: store.store).metadata
                let record = try #require(metadata.collection(named: "people"))
                #expect(record.losses.count == 1 && record.placements.map(\.shard.index) == [again.shardIndex])
            }
            await #expect(throws: WireStatus.self) { try await recover(in: cluster) }
        }
    }

    // MARK: Stores that are away

    @Test func withoutAStoreNothingIsChangedAndTheRestGoesOn() async throws {
        try await withFaultyStore { store, cluster, worker in
            try await cluster.create("people", shards: 2)
            try await eventually("it is established") { try await isEstablished("people", in: store) }
            let map = cluster.controller.shardMap
            let registry = MetricRegistry()
            registry.collect { cluster.controller.collect(into: &$0) }
            func isTold(problem: Int, controller: Int) -> Bool {
                let told = registry.rendered()
                return told.contains("mien_metadata_problem \(problem)\n")
                    && told.contains("mien_controller \(controller)\n")
            }
            #expect(isTold(problem: 0, controller: 1))
            store.set { faults in
                faults.isAway = true
                faults.standing = .unreachable(reason: FaultyStore.reason)
            }
            #expect(isTold(problem: 1, controller: 0))
            for name in ["people", "others"] {
                let failure = await #expect(throws: WireStatus.self) {
                    if name == "people" {
                        _ = try await cluster.delete(name)
                    } else {
                        try await cluster.create(name, shards: 1)
                    }
                }
                #expect(failure?.code == .unavailable)
                #expect(failure?.message.contains(FaultyStore.reason) == true, "\(String(describing: failure))")
            }
            // Routers have their map, workers are heard, people are told.
            #expect(cluster.controller.shardMap.placements == map.placements)
            #expect(cluster.controller.readinessProblem == nil)
            #expect(cluster.controller.storeProblem?.contains("searches and writes go on") == true)
            let status = try await cluster.status()
            #expect(status.storeProblem?.contains(FaultyStore.reason) == true)
            #expect(status.workers.first?.isLive == true)
            #expect(status.coordinators.map(\.controllerSince) == [nil])
            #expect(try await cluster.describe("people").shards.allSatisfy { $0.state == .serving })
            store.set { $0 = .init() }
            try await cluster.create("others", shards: 1)
            #expect(cluster.controller.storeProblem == nil)
            #expect(isTold(problem: 0, controller: 1))
            #expect(try await cluster.status().storeProblem == nil)
            #expect(worker.shards.count == 3)
        }
    }

    /// Nobody else changes the metadata, and what is wrong is told.
    @Test(arguments: [true, false])
    func aDiskThatIsFullIsToldAsWhatItIs(isExclusive: Bool) async throws {
        let reason = "There is no room on the disk of the coordinator."
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1, isExclusive: isExclusive) {
            store,
            cluster,
            _ in
            try await cluster.create("people", shards: 1)
            try await eventually("it is established") { try await isEstablished("people", in: store) }
            store.set { $0.fullDisk = reason }
            // What was written before is known, so that the records do not change while it is tried.
            await cluster.controller.refresh()
            let failure = await #expect(throws: WireStatus.self) { try await cluster.delete("people") }
            #expect(failure?.code == .unavailable)
            #expect(failure?.message.contains(reason) == true, "\(String(describing: failure))")
            // Of a store that others may change it cannot be known that nothing was.
            #expect(store.failedDeletionCount == (isExclusive ? 2 : 16))
            #expect(failure?.message.contains("nothing of the cluster was changed") == isExclusive)
            #expect(cluster.controller.storeProblem?.contains(reason) ?? false == isExclusive)
            #expect(cluster.controller.readinessProblem == nil)
            store.set { $0.fullDisk = nil }
            _ = try await cluster.delete("people")
            #expect(cluster.controller.storeProblem == nil)
        }
    }

    /// Others may have begun the shard, filled it with faces and moved it by then: an empty replica would count as all
    /// of it.
    @Test func aReplicaIsNotBegunByRecordsThatMayNotBeTheNewest() async throws {
        try await withFaultyStore { store, cluster, worker in
            // Orders for one replica come one after the other: none is on its way while this one is refused, and from
            // here on it is another that changes the records.
            worker.state.withLock { state in
                state.refusal = { request in
                    guard case .hostReplica = request else { return nil }
                    store.set { $0.isAway = true }
                    return WireStatus(.unavailable, "Not now.")
                }
            }
            let creation = Task { _ = try? await cluster.create("people", shards: 1) }
            try await eventually("it is recorded, and its replica was to begin") { store.isAway }
            let records = try await ClusterRecords.load(from: store.store)
            var record = try #require(records.metadata.collection(named: "people"))
            let other = NodeID(high: 7, low: 99)
            let begun = record.placements[0].group
            record.isEstablished = true
            record.placements[0].group = ReplicaGroup(
                epoch: Epoch(begun.epoch.number + 1),
                version: begun.version + 3,
                primary: other,
                inSync: [other],
                minimumInSync: 1
            )
            _ = try await store.store.commit([], [ClusterRecords.put(record)])
            worker.state.withLock { $0.refusal = nil }
            // It is tried again a few times.
            try await Task.sleep(for: .milliseconds(500))
            #expect(worker.state.withLock(\.beginCount) == 0)
            store.set { $0.isAway = false }
            try await eventually("the newer records are known") {
                cluster.controller.shardMap.placements.values.first?.first?.group.primary == other
            }
            try await Task.sleep(for: .milliseconds(300))
            #expect(worker.state.withLock(\.beginCount) == 0)
            await creation.value
        }
    }

    /// Of a store that others may change, what is in memory ages when it cannot be compared.
    @Test func theAgeOfTheRecordsGrowsWhileTheStoreIsAway() async throws {
        try await withFaultyStore { store, cluster, worker in
            func age() -> UInt64? { worker.state.withLock { $0.reply?.recordAge } }
            try await cluster.create("people", shards: 1)
            try await eventually("the records are compared again and again") { age().map { $0 < 300_000 } ?? false }
            store.set { $0.isAway = true }
            try await eventually("they grow older") { age().map { $0 >= 2_000_000 } ?? false }
            store.set { $0.isAway = false }
            try await eventually("they are compared again") { age().map { $0 < 300_000 } ?? false }
            store.set { $0.isRestored = true }
            try await eventually("older records confirm nothing") { age().map { $0 >= 2_000_000 } ?? false }
        }
    }

    @Test func aStoreThatGoesAwayOnceItWasReadDoesNotEndTheStart() async throws {
        try await withFaultyStore { _, cluster, _ in try await cluster.create("people", shards: 2) }
        let store = FaultyStore(try await EmbeddedMetadataStore.open(at: shared.path))
        store.set { $0.goesAwayOnceListed = true }
        let cluster = try await ControlCluster.start(at: own.path, sharing: store, token: "secret-secret-secret")
        #expect(cluster.controller.shardMap.placements.values.map(\.count) == [2])
        let failure = await #expect(throws: WireStatus.self) { try await cluster.delete("people") }
        #expect(failure?.code == .unavailable)
        store.set { faults in
            faults.goesAwayOnceListed = false
            faults.isAway = false
        }
        _ = try await cluster.delete("people")
        #expect(try await cluster.status().collections.isEmpty)
        await cluster.stop()
    }

    @Test func aStoreThatWentBackInTimeIsNotFollowed() async throws {
        try await withFaultyStore { store, cluster, _ in
            try await cluster.create("people", shards: 1)
            try await eventually("it is established") { try await isEstablished("people", in: store) }
            let epoch = cluster.controller.shardMap.epoch
            store.set { $0.isRestored = true }
            let failure = await #expect(throws: WireStatus.self) { try await cluster.create("others", shards: 1) }
            #expect(failure?.message.contains("restored from an old copy") == true, "\(String(describing: failure))")
            #expect(cluster.controller.shardMap.epoch == epoch)
            #expect(try await cluster.describe("people").shards.map(\.state) == [.serving])
        }
    }

    @Test func whoDoesNotHaveTheLeaseMakesNobodyDoAnything() async throws {
        try await withFaultyStore { store, cluster, worker in
            store.set { $0.standing = .waiting }
            let failure = await #expect(throws: WireStatus.self) {
                try await cluster.create("people", shards: 1, deadline: nil)
            }
            #expect(failure?.code == .unavailable, "it was created, and nobody hosts it")
            #expect(worker.state.withLock { $0.hostCount } == 0)
            store.set { $0.standing = .held(fence: nil) }
            try await eventually("it is hosted") { worker.state.withLock { $0.hostCount } == 1 }
        }
    }

    @Test func aControllerThatSleptPastItsTimeCommitsNothing() async throws {
        try await withFaultyStore { store, cluster, worker in
            // It believes that it has the lease, and another has had it since.
            let version = try await store.store.commit([], [.put(key: "controller", value: term)])
            store.set { $0.standing = .held(fence: .unchanged(key: "controller", version: version)) }
            try await store.store.commit([], [.put(key: "controller", value: term)])
            try await cluster.create("people", shards: 1)
            #expect(worker.shards.count == 1, "hosting again what is placed does no harm")
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await !isEstablished("people", in: store), "what it decides is not recorded")
            let current = try #require(try await store.store.read("controller")?.version)
            store.set { $0.standing = .held(fence: .unchanged(key: "controller", version: current)) }
            try await eventually("it is recorded") { try await isEstablished("people", in: store) }
        }
    }

    /// The record of a holder: layout 1, an id, a time.
    private let term = [1] + [UInt8](repeating: 7, count: 16) + [UInt8](repeating: 0, count: 8)
}
