import ClusterModel
import FaceModel
import Foundation
import Synchronization
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// As an earlier build sends ``AbandonSuccessor``.
private struct UntoldAbandon: WireRequest {
    typealias Reply = Acknowledgement
    static var type: MessageType { .abandonSuccessor }

    let shard: ShardID

    init(shard: ShardID) { self.shard = shard }

    func encode(into writer: inout PayloadWriter) { shard.encode(into: &writer) }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) { shard = try ShardID(decoding: &reader) }
}

/// Orders to remove something that arrive long after they were given: whoever gave them was stopped before it sent
/// them, or a connection held them up.
struct LateOrderTests {
    private let test = TestCollection()

    // MARK: Replicas

    /// A worker is none of the group's members any more.
    private func exclude(_ node: NodeID, from shard: ReplicatedShard) throws -> ReplicaGroup {
        shard.keeper.change { group in
            group.map { ($0.demoting(node) ?? $0).removing(learner: node) }
        }
        return try #require(shard.keeper.group)
    }

    @Test func aReplicaThatIsInSyncAgainIsNotDroppedByAnOrderOfBefore() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1) { shard in
            let ids = test.ids(20)
            _ = try await shard.enrol(ids)
            let primary = await shard.index(of: try #require(shard.keeper.group).primary)
            let other = 1 - primary
            let node = await shard.nodes[other]

            let without = try exclude(node, from: shard)
            let order = DropReplica(shard: test.shard(), epoch: without.epoch, groupVersion: without.version)
            _ = try await shard.eventually("it is dropped") { () async throws(WireStatus) in
                try await shard.call(order, on: other)
            }
            // It comes back: of its primary nothing has changed.
            shard.keeper.change { $0?.adding(learner: node) }
            try await shard.host(other)
            _ = try await shard.eventually("it is in sync again") { () async throws(WireStatus) in
                await shard.isInSync(other)
            }
            #expect(shard.keeper.group?.epoch == order.epoch)
            await #expect {
                try await shard.call(order, on: other)
            } throws: { ($0 as? WireStatus)?.code == .staleEpoch }
            let found = try await shard.eventually("it reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: other)
            }
            #expect(found == ids)

            // Of now, it is done.
            let again = try exclude(node, from: shard)
            let current = DropReplica(shard: test.shard(), epoch: again.epoch, groupVersion: again.version)
            _ = try await shard.eventually("it is dropped again") { () async throws(WireStatus) in
                try await shard.call(current, on: other)
            }
            await #expect {
                try await shard.faces(ids, on: other)
            } throws: { ($0 as? WireStatus)?.code == .unknownReplica }
        }
    }

    /// The worker is none of the members, of which the primary knows and it does not yet.
    ///
    /// - Returns: the order to remove its replica.
    private func excludeUnaware(_ index: Int, from shard: ReplicatedShard) async throws -> DropReplica {
        let nodes = await shard.nodes
        shard.keeper.keepUnaware(nodes[index])
        let without = try exclude(nodes[index], from: shard)
        _ = try await shard.eventually("the primary goes by it") { () async throws(WireStatus) in
            shard.keeper.report(of: nodes[1 - index])?.groupVersion == without.version
        }
        return DropReplica(shard: test.shard(), epoch: without.epoch, groupVersion: without.version)
    }

    /// A heartbeat of the worker is on its way until ``tellOfGroup(_:)``, and no other is sent before that.
    private func delayAnswer(to node: NodeID, of shard: ReplicatedShard) async throws {
        shard.keeper.delayAnswers(to: node)
        _ = try await shard.eventually("it waits for an answer") { () async throws(WireStatus) in
            shard.keeper.hasWaiting
        }
    }

    /// With the answer, and gives it time to come: until the worker sends the heartbeats that follow it.
    private func tellOfGroup(_ shard: ReplicatedShard) async throws {
        let node = await shard.nodes[1]
        shard.keeper.keepUnaware(nil)
        let count = shard.keeper.heartbeatCount(of: node)
        shard.keeper.answerWhatWaits()
        let end = ContinuousClock.now + .seconds(5)
        while shard.keeper.heartbeatCount(of: node) < count + 2, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(20))
        }
        try await Task.sleep(for: .milliseconds(500))
    }

    /// Gives the order, with what it is refused with.
    private func dropping(_ order: DropReplica, from shard: ReplicatedShard) -> Task<WireStatus?, Never> {
        Task {
            do throws(WireStatus) {
                _ = try await shard.call(order, on: 1, within: .seconds(30))
                return nil
            } catch {
                return error
            }
        }
    }

    /// A learner of this worker's has all that the others have when it is to be removed by an order of before: then a
    /// commit is under way, the answer to which waits for it.
    @Test func aReplicaThatIsBeingRemovedCountsByNoGroupOfAfterThat() async throws {
        let hold = Hold()
        let setting = (worker: 1, hold: hold)
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1, deletionHold: setting) { shard in
            defer { hold.release() }
            let ids = test.ids(20)
            _ = try await shard.enrol(ids)
            let nodes = await shard.nodes
            try #require(shard.keeper.group?.primary == nodes[0])
            let order = try await excludeUnaware(1, from: shard)
            hold.set()
            _ = try await shard.delete(Array(ids.prefix(5)))
            #expect(!hold.isReached, "it is no member")
            // Otherwise more is written while the other waits, and what that has then is not enough.
            _ = try await shard.eventually("the primary has nothing more to write") { () async throws(WireStatus) in
                guard let report = shard.keeper.report(of: nodes[0]) else { return false }
                return report.faceCount == 15 && report.checkpoint?.sequence == report.sequence
            }

            shard.keeper.change { $0?.adding(learner: nodes[1]) }
            _ = try await shard.eventually("it is sent the deletion") { () async throws(WireStatus) in hold.isReached }
            try await delayAnswer(to: nodes[1], of: shard)
            let dropping = dropping(order, from: shard)
            try await shard.awaitStopping(of: 1, reading: ids)
            try await tellOfGroup(shard)
            hold.release()
            _ = await dropping.value
            _ = try await shard.eventually("it is removed") { () async throws(WireStatus) in
                try await shard.call(order, on: 1)
            }
            // Long enough for a proposal that follows from its answer.
            try await Task.sleep(for: .milliseconds(300))
            #expect(await !shard.isInSync(1), "it holds nothing")

            try await shard.host(1)
            _ = try await shard.eventually("it is in sync again") { () async throws(WireStatus) in
                await shard.isInSync(1)
            }
            let found = try await shard.eventually("it reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: 1)
            }
            #expect(found == Array(ids.dropFirst(5)))
        }
    }

    @Test func anOrderThatWasLookedAtBeforeALaterGroupIsHeardRemovesNothing() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1) { shard in
            let hold = Hold()
            defer { hold.release() }
            let ids = test.ids(20)
            _ = try await shard.enrol(ids)
            let nodes = await shard.nodes
            try #require(shard.keeper.group?.primary == nodes[0])
            let order = try await excludeUnaware(1, from: shard)

            try await delayAnswer(to: nodes[1], of: shard)
            shard.log.hold("replica is to be dropped", hold)
            hold.set()
            let dropping = dropping(order, from: shard)
            _ = try await shard.eventually("the order is looked at") { () async throws(WireStatus) in hold.isReached }
            shard.keeper.change { $0?.adding(learner: nodes[1]) }
            try await tellOfGroup(shard)
            hold.release()
            let status = try #require(await dropping.value)
            #expect(status.code == .staleEpoch && status.message.contains("is a member"), "\(status)")
            let found = try await shard.eventually("it reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: 1)
            }
            #expect(found == ids)
        }
    }

    /// A controller of an earlier build tells no version; the worker goes by what it was told last of its groups.
    @Test func anOrderThatTellsNoVersionRemovesWhatTheWorkerIsNoMemberOf() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1) { shard in
            let ids = test.ids(20)
            _ = try await shard.enrol(ids)
            let group = try #require(shard.keeper.group)
            let other = 1 - (await shard.index(of: group.primary))
            let node = await shard.nodes[other]
            let order = DropReplica(shard: test.shard(), epoch: group.epoch, groupVersion: nil)
            _ = try await shard.eventually("it has heard that it is a member") { () async throws(WireStatus) -> Bool in
                do throws(WireStatus) {
                    _ = try await shard.call(order, on: other)
                    Issue.record("a replica in sync was removed")
                    return true
                } catch {
                    return error.code == .staleEpoch && error.message.contains("tells no version")
                }
            }
            let found = try await shard.eventually("it reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: other)
            }
            #expect(found == ids)

            _ = try exclude(node, from: shard)
            _ = try await shard.eventually("it is dropped") { () async throws(WireStatus) in
                try await shard.call(order, on: other)
            }
            await #expect {
                try await shard.faces(ids, on: other)
            } throws: { ($0 as? WireStatus)?.code == .unknownReplica }
        }
    }

    /// Asks until it is done.
    private func drop(_ order: DropReplica, on worker: WorkerHarness) async throws {
        while true {
            do throws(WireStatus) {
                _ = try await worker.peer.call(order, deadline: .after(.seconds(20)))
                return
            } catch {
                guard error.code == .unavailable else { throw error }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// It has forgotten by which group it is a member. One that was replaced while it was away is told of no group at
    /// all, and drops what it has.
    @Test func aWorkerThatWasStartedAnewDropsNothingBeforeItHasHeardOfItsGroups() async throws {
        let folder = TemporaryFolder()
        let ids = test.ids(5)
        let order = DropReplica(shard: test.shard(), epoch: Epoch(9), groupVersion: 9)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            _ = try await worker.call(test.host())
            _ = try await worker.call(test.enrol(ids))
        }
        try await WorkerHarness.with(WorkerHarness.options(folder)) { worker in
            let status = try await worker.refusal(order)
            #expect(status.code == .unavailable && status.message.contains("started anew"), "\(status)")
            #expect(try await worker.call(test.get(ids)).faces.map(\.id) == ids)
        }
        try await WorkerHarness.withCluster(folder, cluster: .random()) { worker, coordinator in
            try await drop(order, on: worker)
            _ = try await coordinator.report { $0.replicas.isEmpty }
        }
    }

    /// Its coordinator's records know less of a shard than workers do, and it is not told what they say.
    @Test func aWorkerThatIsNotToldOfAllItsGroupsDropsNothing() async throws {
        let folder = TemporaryFolder()
        let order = DropReplica(shard: test.shard(), epoch: Epoch(9), groupVersion: 9)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { _ = try await $0.call(test.host()) }
        try await WorkerHarness.withCluster(folder, cluster: .random(), omittingGroups: true) { worker, coordinator in
            for _ in 0..<3 { _ = try await coordinator.report { !$0.replicas.isEmpty } }
            let status = try await worker.refusal(order)
            #expect(status.code == .unavailable && status.message.contains("started anew"), "\(status)")
            coordinator.omitsGroups.store(false, ordering: .relaxed)
            try await drop(order, on: worker)
        }
    }

    // MARK: Records that went back

    private func recordPath(in folder: TemporaryFolder) -> String {
        "\(folder.path)/replicas/\(test.collection.id)/\(test.shard().index)/record"
    }

    private func awaitNote(of version: UInt64, in folder: TemporaryFolder) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while try ReplicaRecord.read(from: recordPath(in: folder), of: test.shard())?.groupVersion != version {
            try #require(ContinuousClock.now < end, "the version of the group is never written down")
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    @Test func aWorkerThatWasStartedAnewKnowsByWhichGroupItWent() async throws {
        let (folder, cluster, ids) = (TemporaryFolder(), NodeID.random(), test.ids(5))
        var host = test.host()
        host.group.version = 5
        try await WorkerHarness.withCluster(folder, cluster: cluster) { [host] worker, _ in
            _ = try await worker.call(host)
            _ = try await worker.call(test.enrol(ids))
            try await awaitNote(of: 5, in: folder)
        }
        try await WorkerHarness.withCluster(folder, cluster: cluster) { [host] worker, coordinator in
            let report = try await coordinator.report { !$0.replicas.isEmpty }
            #expect(report.replicas.map(\.groupVersion) == [5], "before anybody told it of a group")
            let order = DropReplica(shard: test.shard(), epoch: Epoch(9), groupVersion: 4)
            let status = try await worker.refusal(order)
            #expect(status.code == .staleEpoch && status.message.contains("mien metadata accept"), "\(status)")
            // Nor does it go by what they say.
            var earlier = host
            earlier.group.version = 3
            _ = try await worker.call(earlier)
            #expect(try await coordinator.report { _ in true }.replicas.map(\.groupVersion) == [5])
            #expect(try await worker.call(test.get(ids)).faces.map(\.id) == ids)

            try await drop(DropReplica(shard: test.shard(), epoch: Epoch(9), groupVersion: 5), on: worker)
        }
    }

    /// An earlier build has written down no version: the epoch that the partition has promised to obey tells, too.
    @Test func aReplicaThatObeyedALaterPrimaryIsNotDroppedByRecordsOfBefore() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let ids = test.ids(20)
            _ = try await shard.enrol(Array(ids.prefix(10)))
            let before = try #require(shard.keeper.group)
            let other = try #require(before.inSync.first { $0 != before.primary })
            shard.keeper.change { group in
                group.flatMap {
                    $0.applying(GroupProposal(version: $0.version, epoch: $0.epoch, change: .takeOver(other)))
                }
            }
            _ = try await shard.enrol(Array(ids.suffix(10)))
            let now = try #require(shard.keeper.group)
            #expect(now.epoch > before.epoch)
            let index = await shard.index(of: before.primary)
            await shard.stop(index)

            let folder = await shard.folder(index)
            let path = recordPath(in: folder)
            let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            var record = try RecordText(decoding: bytes, kind: "mien-replica", supportedFormat: 1, path: path)
            record.fields["version"] = nil
            try Data(record.encoded).write(to: URL(fileURLWithPath: path))

            try await WorkerHarness.withCluster(folder, cluster: shard.keeper.cluster) { worker, coordinator in
                // An operator who gives that up needs an epoch above it.
                _ = try await coordinator.report { report in
                    report.promisedEpochs.contains { $0.shard == test.shard() && $0.epoch == now.epoch }
                }
                let order = DropReplica(shard: test.shard(), epoch: before.epoch, groupVersion: before.version)
                let status = try await worker.refusal(order)
                #expect(status.code == .staleEpoch && status.message.contains("has obeyed epoch"), "\(status)")
                try await drop(
                    DropReplica(shard: test.shard(), epoch: now.epoch, groupVersion: now.version),
                    on: worker
                )
            }
        }
    }

    // MARK: Shards that are made to take others' place

    private var successor: ShardID { test.shard(1) }

    private var preparation: PrepareSuccessor {
        PrepareSuccessor(
            shard: successor,
            range: HashRange.divisions(2)[0],
            collection: test.collection,
            erasureKey: ErasureKey(of: test.collection.id),
            sources: [0]
        )
    }

    @Test func whatIsWholeIsNotMadeAnewByAnOrderOfBefore() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.withCluster(folder, cluster: .random()) { worker, coordinator in
            _ = try await worker.call(test.host())
            _ = try await worker.call(test.enrol(test.ids(20)))
            _ = try await worker.call(preparation)
            _ = try await coordinator.report { $0.successors.first?.state == .following }
            let restart = AbandonSuccessor(shard: successor, sparesSealed: true)
            _ = try await worker.call(restart)
            _ = try await coordinator.report { $0.successors.isEmpty }

            _ = try await worker.call(preparation)
            var frozen = test.host()
            frozen.group = frozen.group.freezing(true)
            _ = try await worker.call(frozen)
            _ = try await coordinator.report { $0.successors.first?.state == .sealed }
            // It may be in force, whatever this worker has heard of.
            let status = try await worker.refusal(restart)
            #expect(status.code == .staleEpoch && status.message.contains("is whole"), "\(status)")
            // What makes a replica be gone does nothing to it either.
            _ = try await worker.call(DropReplica(shard: successor, epoch: Epoch(9)))
            #expect(try await coordinator.report { _ in true }.successors.map(\.state) == [.sealed])

            // Of an earlier build, which does not tell whether it is awaited.
            let untold = try await worker.refusal(UntoldAbandon(shard: successor))
            #expect(untold.code == .staleEpoch)

            // Nobody awaits it any more.
            _ = try await worker.call(AbandonSuccessor(shard: successor))
            _ = try await coordinator.report { $0.successors.isEmpty }
        }
    }
}
