import ClusterModel
import FaceModel
import Foundation
import Testing
import Threads
import WireProtocol
import WorkerService

/// Snapshots that backups are made from, on workers with real disks and connections.
@Suite struct BackupCutTests {
    private let test = TestCollection()
    private let snapshot = SnapshotID(high: 7, low: 8)

    private func hold(_ shard: ReplicatedShard, milliseconds: Int = 1000) async throws -> (primary: Int, epoch: UInt64)
    {
        let group = shard.keeper.group!
        let primary = await shard.index(of: group.primary)
        _ = try await shard.eventually("writes are held") { () async throws(WireStatus) in
            try await shard.call(
                HoldWrites(
                    route: test.route(epoch: group.epoch.number),
                    snapshot: snapshot,
                    limit: milliseconds
                ),
                on: primary
            )
        }
        return (primary, group.epoch.number)
    }

    private func content(
        _ shard: ReplicatedShard,
        _ cut: ShardCut,
        on worker: Int
    ) async throws -> (SnapshotDescription.Content, [FaceID]) {
        let route = SnapshotRoute(worker: cut.worker, snapshot: snapshot, shard: test.shard())
        var content: SnapshotDescription.Content?
        while content == nil {
            content = try await shard.call(DescribeSnapshot(route: route), on: worker).content
        }
        var faces: [FaceID] = []
        for slice in 0..<256 {
            var offset = 0
            while true {
                let page = try await shard.call(
                    ReadSnapshot(route: route, slice: UInt8(slice), offset: UInt32(offset), limit: 5),
                    on: worker
                )
                faces += page.faces.rows.map(\.id)
                offset += page.faces.count
                if page.isLast { break }
            }
        }
        return (content!, faces)
    }

    @Test(arguments: [1, 2]) func aSnapshotHoldsWhatWasAcknowledgedBeforeTheCutAndNothingAfter(
        replicas: Int
    ) async throws {
        try await ReplicatedShard.with(workers: replicas, replicas: replicas, minimumInSync: 1) { shard in
            let ids = test.ids(80)
            let before = Array(ids.prefix(50))
            _ = try await shard.enrol(before)
            _ = try await shard.delete(Array(before.prefix(7)))
            var made: (primary: Int, cut: ShardCut)?
            for _ in 0..<50 where made == nil {
                let (primary, epoch) = try await hold(shard)
                // Sent while writes are held, so acknowledged after the cut.
                let late = Task { try await shard.enrol(Array(ids.suffix(30))) }
                var cut: ShardCut?
                do throws(WireStatus) {
                    cut = try await shard.call(
                        CutShard(route: test.route(epoch: epoch), snapshot: snapshot),
                        on: primary
                    )
                } catch {
                    guard error.code == .deadlineExceeded else { throw error }
                }
                let acknowledged = try await late.value
                if let cut {
                    #expect(acknowledged.sequence > cut.sequence)
                    made = (primary, cut)
                } else {
                    // All of it took longer than writes are held.
                    _ = try await shard.delete(Array(ids.suffix(30)))
                }
            }
            let (primary, cut) = try #require(made)
            let (content, faces) = try await content(shard, cut, on: primary)
            #expect(content.faceCount == 43)
            #expect(Set(faces) == Set(before.dropFirst(7)) && faces.count == 43)
            let route = SnapshotRoute(worker: cut.worker, snapshot: snapshot, shard: test.shard())
            _ = try await shard.call(ReleaseSnapshot(route: route), on: primary)
            await #expect { try await shard.call(DescribeSnapshot(route: route), on: primary) } throws: {
                ($0 as? WireStatus)?.code == .notFound
            }
        }
    }

    @Test func aHoldEndsByItselfAndACutWithoutOneIsRefused() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            _ = try await shard.enrol(test.ids(3))
            let (primary, epoch) = try await hold(shard, milliseconds: 1)
            // Whoever held is gone; the write goes on when the hold ends.
            _ = try await shard.enrol(test.ids(4))
            await #expect {
                try await shard.call(CutShard(route: test.route(epoch: epoch), snapshot: snapshot), on: primary)
            } throws: { ($0 as? WireStatus)?.code == .deadlineExceeded }
            _ = try await shard.enrol(test.ids(5))
        }
    }

    /// As when another shard's writes could not be held.
    @Test func aHoldEndsWhenItsSnapshotIsReleased() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            _ = try await shard.enrol(test.ids(3))
            // A write that waits for the hold's own end is never done earlier. Where all of it took longer anyway,
            // nothing is shown.
            var isEarlier = false
            for _ in 0..<50 where !isEarlier {
                let began = ContinuousClock.now
                let (primary, _) = try await hold(shard)
                let route = SnapshotRoute(
                    worker: await shard.nodes[primary],
                    snapshot: snapshot,
                    shard: test.shard()
                )
                _ = try await shard.call(ReleaseSnapshot(route: route), on: primary)
                _ = try await shard.enrol(test.ids(4))
                isEarlier = ContinuousClock.now - began < .seconds(1)
            }
            #expect(isEarlier)
        }
    }

    /// More often than there are places for snapshots of a shard: none is kept for what is not made.
    @Test func aCutForWhichThereIsNoThreadIsRefusedAndEndsItsHold() async throws {
        let threads = ThreadSource { name in !name.hasPrefix("snap-") }
        try await ReplicatedShard.with(workers: 1, replicas: 1, minimumInSync: 1, threads: threads) { shard in
            _ = try await shard.enrol(test.ids(3))
            var (isEarlier, refusedCount) = (false, 0)
            for _ in 0..<50 where !isEarlier || refusedCount < 10 {
                let began = ContinuousClock.now
                let (primary, epoch) = try await hold(shard)
                let cut = CutShard(route: test.route(epoch: epoch), snapshot: snapshot)
                var refusal: WireStatus?
                do throws(WireStatus) {
                    _ = try await shard.call(cut, on: primary, within: .seconds(60))
                } catch {
                    refusal = error
                }
                // The hold may have ended by itself before the cut came.
                if refusal?.code == .deadlineExceeded { continue }
                #expect(refusal?.code == .overloaded, "\(String(describing: refusal))")
                #expect(refusal?.message.contains("has no thread") == true, "\(String(describing: refusal))")
                refusedCount += 1
                _ = try await shard.enrol(test.ids(4))
                if ContinuousClock.now - began < .seconds(1) { isEarlier = true }
            }
            #expect(isEarlier && refusedCount >= 10)
        }
    }

    /// - Parameter isHeld: whether its writes were held before they had to wait for other shards.
    @Test(arguments: [false, true]) func aShardWhosePlaceOthersAreAboutToTakeIsNotCutAndGoesOn(
        isHeld: Bool
    ) async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            _ = try await shard.enrol(test.ids(3))
            if isHeld { _ = try await hold(shard) }
            shard.keeper.change { $0!.freezing(true) }
            let group = shard.keeper.group!
            let isFrozen = try await shard.eventually("it has ended") { () async throws(WireStatus) in
                shard.keeper.report(of: group.primary)?.end?.groupVersion == group.version
            }
            #expect(isFrozen)
            let primary = await shard.index(of: group.primary)
            let route = test.route(epoch: group.epoch.number)
            await #expect {
                try await shard.call(CutShard(route: route, snapshot: snapshot), on: primary, within: .seconds(30))
            } throws: { ($0 as? WireStatus)?.code == .unavailable }
            await #expect {
                try await shard.call(HoldWrites(route: route, snapshot: snapshot, limit: 1000), on: primary)
            } throws: { ($0 as? WireStatus)?.code == .unavailable }
            shard.keeper.change { $0!.freezing(false) }
            // Its lane does what it did before.
            let later = try await shard.enrol(test.ids(9))
            #expect(later.outcomes.count == 9)
            _ = try await hold(shard)
        }
    }

    /// Names in the folder of a worker's snapshots.
    private func snapshotFolders(_ shard: ReplicatedShard) async throws -> Int {
        let path = await shard.folder(0).path + "/snapshots"
        return try FileManager.default.contentsOfDirectory(atPath: path).count
    }

    /// Cuts the shard for a backup of that name, again when writes were held for too short a time.
    private func cut(_ snapshot: SnapshotID, of shard: ReplicatedShard) async throws(WireStatus) -> ShardCut {
        let group = shard.keeper.group!
        let primary = await shard.index(of: group.primary)
        let route = test.route(epoch: group.epoch.number)
        for _ in 0..<100 {
            do throws(WireStatus) {
                let hold = HoldWrites(route: route, snapshot: snapshot, limit: 1000)
                _ = try await shard.call(hold, on: primary, within: .seconds(60))
                return try await shard.call(
                    CutShard(route: route, snapshot: snapshot),
                    on: primary,
                    within: .seconds(60)
                )
            } catch {
                guard error.code == .deadlineExceeded else { throw error }
            }
        }
        throw WireStatus(.deadlineExceeded, "it was never cut")
    }

    @Test func soManySnapshotsOfAShardAreKeptAndAnotherIsMadeOnceOneIsReleased() async throws {
        try await ReplicatedShard.with(workers: 1, replicas: 1, minimumInSync: 1) { shard in
            _ = try await shard.enrol(test.ids(20))
            _ = try await shard.eventually("it is cut") { () async throws(WireStatus) in
                try await cut(SnapshotID(high: 1, low: 0), of: shard)
            }
            var kept: [(snapshot: SnapshotID, cut: ShardCut)] = []
            var refusals: [StatusCode] = []
            for number in 1...100 as ClosedRange<UInt64> {
                let snapshot = SnapshotID(high: 1, low: number)
                do throws(WireStatus) {
                    let made = try await cut(snapshot, of: shard)
                    kept.append((snapshot, made))
                } catch {
                    refusals.append(error.code)
                }
            }
            #expect(kept.count == 7 && refusals.count == 93)
            #expect(refusals.allSatisfy { $0 == .overloaded })
            let folderCount = try await snapshotFolders(shard)
            #expect(folderCount <= 8)

            // One that is there may be taken anew, though there is no room for another.
            let (again, released) = (kept[0].snapshot, kept[1])
            let anew = try await cut(again, of: shard)
            #expect(anew.sequence > kept[0].cut.sequence)
            let route = SnapshotRoute(worker: released.cut.worker, snapshot: released.snapshot, shard: test.shard())
            _ = try await shard.call(ReleaseSnapshot(route: route), on: 0)
            _ = try await shard.eventually("another one is made") { () async throws(WireStatus) in
                try await cut(SnapshotID(high: 2, low: 0), of: shard)
            }
        }
    }

    /// Though it is asked for again and again: what was deleted since is in it.
    @Test func whoReadsASnapshotForTooLongIsToldWhyItIsGone() async throws {
        let period = Duration.seconds(2)
        try await ReplicatedShard.with(workers: 1, replicas: 1, minimumInSync: 1, erasurePeriod: period) { shard in
            _ = try await shard.enrol(test.ids(3))
            let made = try await shard.eventually("it is cut") { () async throws(WireStatus) in
                try await cut(snapshot, of: shard)
            }
            let route = SnapshotRoute(worker: made.worker, snapshot: snapshot, shard: test.shard())
            var refusal: WireStatus?
            // Whoever finds no room for another has the old ones removed.
            for number in 1...2000 as ClosedRange<UInt64> where refusal == nil {
                _ = try? await cut(SnapshotID(high: 1, low: number), of: shard)
                do throws(WireStatus) {
                    _ = try await shard.call(DescribeSnapshot(route: route), on: 0)
                } catch {
                    if error.code == .notFound { refusal = error }
                }
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(refusal?.message.contains("half of worker.erasure_period, 1 s") == true, "\(refusal as Any)")
            #expect(refusal?.message.contains("a higher --rate") == true)
            let unknown = SnapshotRoute(worker: made.worker, snapshot: SnapshotID(high: 9, low: 9), shard: test.shard())
            await #expect { try await shard.call(DescribeSnapshot(route: unknown), on: 0) } throws: {
                ($0 as? WireStatus)?.message.contains("nobody asked for it") == true
            }
        }
    }

    @Test func onlyThePrimaryIsCut() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            _ = try await shard.enrol(test.ids(3))
            let group = shard.keeper.group!
            let other = await shard.index(of: group.inSync.first { $0 != group.primary }!)
            let hold = HoldWrites(route: test.route(epoch: group.epoch.number), snapshot: snapshot, limit: 10)
            await #expect(throws: WireStatus.self) { try await shard.call(hold, on: other) }
            let cut = CutShard(route: test.route(epoch: group.epoch.number), snapshot: snapshot)
            await #expect(throws: WireStatus.self) { try await shard.call(cut, on: other) }
        }
    }
}
