import ClusterModel
import FaceModel
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// How all shards of a collection are cut at one moment while others are about to take the place of one of them.
@Suite struct BackupRoutingTests {
    /// Workers that hold and cut, and count that.
    private final class Cuts: Sendable {
        let holdCount = Mutex(0)
        /// Cuts that are still refused.
        let refusalCount = Mutex(0)
        /// Set when writes are never held any more by the time of the cut.
        let losesHolds = Mutex(false)
        /// Set when there is no room for a snapshot of the second shard.
        let lacksRoom = Mutex(false)
        /// By how much the epochs are higher that the workers go by.
        let epochRise = Mutex<UInt64>(0)
        /// Shards whose snapshots were released.
        let released = Mutex<[ShardID]>([])
        let cluster: FakeCluster

        init(on cluster: FakeCluster) {
            self.cluster = cluster
            for worker in cluster.workers {
                worker.setScript { [self, node = worker.id] request, call in
                    switch request {
                    case .holdWrites(let request):
                        holdCount.withLock { $0 += 1 }
                        if request.route.shard == cluster.shards[1], lacksRoom.withLock(\.self) {
                            call.fail(WireStatus(.overloaded, "There is no room.", retryAfterMilliseconds: 100))
                        } else {
                            call.reply(Acknowledgement())
                        }
                    case .cutShard where losesHolds.withLock(\.self):
                        call.fail(WireStatus(.deadlineExceeded, "Writes were not held any more."))
                    case .cutShard(let request):
                        let isRefused = request.route.shard == cluster.shards[1] && takeRefusal()
                        if isRefused {
                            freeze(true)
                            let status = WireStatus(.unavailable, "It is to go.", retryAfterMilliseconds: 500)
                            call.fail(status)
                        } else {
                            let key = ErasureKey(high: 1, low: 2)
                            let epoch = Epoch(request.route.epoch.number + epochRise.withLock(\.self))
                            call.reply(ShardCut(worker: node, epoch: epoch, sequence: 5, erasureKey: key))
                        }
                    case .releaseSnapshot(let request):
                        released.withLock { $0.append(request.route.shard) }
                        call.reply(Acknowledgement())
                    default: return false
                    }
                    return true
                }
            }
        }

        private func takeRefusal() -> Bool {
            refusalCount.withLock { count in
                guard count > 0 else { return false }
                count -= 1
                return true
            }
        }

        /// Has the map say that writes of the second shard wait for others, or no longer.
        func freeze(_ isFrozen: Bool) {
            cluster.source.state.withLock { state in
                var placements = state.map.placements[cluster.collection.id]!
                placements[1].group = placements[1].group.freezing(isFrozen)
                state.map = ShardMap(
                    epoch: state.map.epoch,
                    collections: [cluster.collection],
                    placements: [cluster.collection.id: placements],
                    addresses: state.map.addresses
                )
            }
        }

        /// So often the second shard is frozen, and then its writes go on.
        func thaw(times count: Int) async {
            var left = count
            while left > 0, !Task.isCancelled {
                if cluster.source.current.placements[cluster.collection.id]![1].group.isFrozen {
                    freeze(false)
                    left -= 1
                }
                try? await Task.sleep(for: .milliseconds(5))
            }
        }

        func begin(within time: Duration = .seconds(60)) async throws(WireStatus) -> BackupBegun {
            try await cluster.router.beginBackup(
                BeginBackup(collection: "people", snapshot: SnapshotID(high: 7, low: 8)),
                deadline: .after(time),
                on: cluster.eventLoop
            )
        }
    }

    @Test func aBackupWaitsForAShardWhosePlaceOthersAreAboutToTake() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let cuts = Cuts(on: cluster)
            cuts.freeze(true)
            async let begun = cuts.begin()
            try await Task.sleep(for: .milliseconds(200))
            // No other's writes are held for nothing.
            let holdCount = cuts.holdCount.withLock(\.self)
            #expect(holdCount == 0)
            cuts.freeze(false)
            let answer = try await begun
            #expect(answer.shards.map(\.index) == [0, 1])
        }
    }

    /// Frozen after the holds and before the cut: more often than is tried otherwise.
    @Test func whatAFreezeUndoesIsNoAttempt() async throws {
        let options = RouterOptions(absenceGrace: .milliseconds(10))
        try await FakeCluster.run(shardCount: 2, options: options) { cluster in
            let cuts = Cuts(on: cluster)
            cuts.refusalCount.withLock { $0 = 5 }
            async let thawing: Void = cuts.thaw(times: 5)
            let begun = try await cuts.begin()
            await thawing
            let holdCount = cuts.holdCount.withLock(\.self)
            #expect(begun.shards.count == 2 && holdCount >= 12)
        }
    }

    /// As when another backup begins at the same moment, again and again: the caller has time left.
    @Test func whatAnotherBackupUndoesIsNoDeadlineOfTheCaller() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let cuts = Cuts(on: cluster)
            cuts.losesHolds.withLock { $0 = true }
            let failure = await #expect(throws: WireStatus.self) { try await cuts.begin(within: .seconds(600)) }
            #expect(failure?.code == .unavailable && failure?.retryAfterMilliseconds == 1000)
            #expect(failure?.message.contains("Another backup") == true, "\(String(describing: failure))")
        }
    }

    /// Those that do hold are to go on, and not when their holds end by themselves.
    @Test func whereOneShardHasNoRoomEveryOneIsReleasedAndTheCallerIsToldSo() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            let cuts = Cuts(on: cluster)
            cuts.lacksRoom.withLock { $0 = true }
            let failure = await #expect(throws: WireStatus.self) { try await cuts.begin(within: .seconds(600)) }
            #expect(failure?.code == .overloaded && failure?.retryAfterMilliseconds == 100)
            #expect(failure?.message.contains("shard 1") == true, "\(String(describing: failure))")
            // Each attempt asks each shard once.
            let holdCount = cuts.holdCount.withLock(\.self)
            #expect(holdCount == 9)
            let released = cuts.released.withLock(\.self)
            #expect(Set(released) == Set(cluster.shards))
        }
    }

    @Test func aBackupSaysWhenFacesWereGivenUpThatItMayLack() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let cuts = Cuts(on: cluster)
            let whole = try await cuts.begin()
            #expect(whole.loss == nil)
            // Primaries tell of a decree that this coordinator has not heard of: when it was nobody says.
            cuts.epochRise.withLock { $0 = Epoch.leap }
            let began = Timestamp.wallClock
            let untold = try await cuts.begin()
            #expect(untold.loss.map { $0 >= began } == true)
            let time = Timestamp(milliseconds: 7)
            cluster.source.state.withLock { state in
                state.map = ShardMap(
                    epoch: state.map.epoch,
                    collections: [cluster.collection],
                    placements: state.map.placements,
                    addresses: state.map.addresses,
                    lossy: [cluster.collection.id: time]
                )
            }
            let told = try await cuts.begin()
            #expect(told.loss == time)
        }
    }

    @Test func aFreezeThatOutlivesTheDeadlineIsToldAsOne() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let cuts = Cuts(on: cluster)
            cuts.freeze(true)
            await #expect { try await cuts.begin(within: .milliseconds(300)) } throws: { error in
                let status = error as? WireStatus
                return status?.code == .unavailable && status?.message.contains("take the place of shard 1") ?? false
            }
            let holdCount = cuts.holdCount.withLock(\.self)
            #expect(holdCount == 0)
        }
    }
}
