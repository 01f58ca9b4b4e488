import ClusterModel
import FaceModel
import PartitionEngine
import Testing
import WireProtocol
import WorkerService

/// Replicas of one shard on workers of their own, with real disks and connections.
@Suite struct ReplicationTests {
    private let test = TestCollection()

    @Test func anAcknowledgedWriteIsOnEveryReplica() async throws {
        try await ReplicatedShard.with(workers: 3, replicas: 3, minimumInSync: 2) { shard in
            let ids = test.ids(60)
            for part in 0..<6 {
                let written = Array(ids[(part * 10)..<(part * 10 + 10)])
                let answer = try await shard.enrol(written)
                #expect(answer.outcomes.count == 10)
                for index in 0..<3 where await shard.isInSync(index) {
                    let found = try await shard.eventually("replica \(index) reads") { () async throws(WireStatus) in
                        try await shard.faces(written, on: index, minimumSequence: answer.sequence)
                    }
                    #expect(found == written, "replica \(index)")
                }
            }
            let gone = Array(ids.prefix(25))
            let answer = try await shard.delete(gone)
            #expect(answer.outcomes.allSatisfy { $0 == .deleted })
            for index in 0..<3 where await shard.isInSync(index) {
                let found = try await shard.eventually("replica \(index) reads") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: index)
                }
                #expect(found == Array(ids.dropFirst(25)), "replica \(index)")
            }
        }
    }

    @Test func onlyThePrimaryOrdersWrites() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            _ = try await shard.enrol(test.ids(1))
            let group = shard.keeper.group!
            let other = await shard.index(of: group.inSync.first { $0 != group.primary }!)
            await #expect(throws: WireStatus.self) {
                try await shard.call(test.enrol(test.ids(2), epoch: group.epoch.number), on: other)
            }
            await #expect {
                try await shard.call(
                    test.enrol(test.ids(2), epoch: group.epoch.number - 1),
                    on: await shard.index(of: group.primary)
                )
            } throws: { ($0 as? WireStatus)?.code == .staleEpoch }
        }
    }

    @Test func withoutAnotherReplicaWritesWaitAndReadsGoOn() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let ids = test.ids(8)
            _ = try await shard.enrol(ids)
            let primary = await shard.index(of: shard.keeper.group!.primary)
            await shard.stop(1 - primary)
            let refusal = try await shard.eventually("writes are refused") { () async throws(WireStatus) in
                do throws(WireStatus) {
                    _ = try await shard.call(
                        test.enrol(test.ids(1), epoch: shard.keeper.group!.epoch.number),
                        on: primary
                    )
                    return WireStatus?.none
                } catch {
                    guard "\(error)".contains("nothing of this one") else { throw error }
                    return error
                }
            }
            #expect(refusal?.code == .unavailable && refusal?.hasNoEffect == true)
            // Longer than any confirmation by the other one lasts: the records' own counts now.
            for _ in 0..<10 {
                try await Task.sleep(for: .milliseconds(200))
                // On a busy machine a confirmation may be late.
                let found = try await shard.eventually("reads go on") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: primary)
                }
                #expect(found == ids)
            }
            shard.keeper.confirm(false)
            _ = try await shard.eventually("an unconfirmed replica answers nothing") { () async throws(WireStatus) in
                do throws(WireStatus) {
                    _ = try await shard.faces(ids, on: primary)
                    return false
                } catch {
                    return error.code == .unavailable
                }
            }
            shard.keeper.confirm(true)
            try await shard.start(1 - primary)
            _ = try await shard.enrol(test.ids(9))
        }
    }

    @Test func anotherReplicaTakesOverAndTheFirstComesBack() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1) { shard in
            let ids = test.ids(40)
            let key = IdempotencyKey.random()
            // On a busy machine the other one may be silent for so long that it is done without; then none takes over.
            shard.keeper.remove(false)
            _ = try await shard.eventually("both are in sync") { () async throws(WireStatus) in
                shard.keeper.group!.inSync.count == 2
            }
            let old = await shard.index(of: shard.keeper.group!.primary)
            let nodes = await shard.nodes
            let before = shard.keeper.group!.epoch
            let first = try await shard.enrol(Array(ids.prefix(20)), key: key)
            await shard.stop(old)
            shard.keeper.change { $0!.failingOver(to: nodes[1 - old]) }
            shard.keeper.remove(true)
            // A write that was acknowledged answers the same under the next primary.
            let again = try await shard.enrol(Array(ids.prefix(20)), key: key)
            #expect(again == first)
            // Whoever searches by the group of before is answered, and told of the newer one.
            let answer = try await shard.eventually("the next primary searches") { () async throws(WireStatus) in
                try await shard.call(test.search([ids[0]], epoch: before.number), on: 1 - old)
            }
            #expect(answer.epoch > before && answer.matches[0].first?.faceID == ids[0])
            _ = try await shard.enrol(Array(ids.suffix(20)))
            _ = try await shard.delete(Array(ids.prefix(5)))
            try await shard.start(old)
            _ = try await shard.eventually("the old primary is in sync again") { () async throws(WireStatus) in
                shard.keeper.group!.isInSync(nodes[old])
            }
            let found = try await shard.eventually("the old primary reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: old)
            }
            #expect(found == Array(ids.dropFirst(5)))
        }
    }

    /// Of what is none of the newest every replica has its own memory, and nothing comes into the log.
    @Test func aWriteOfLongAgoIsAnsweredAndNotOrderedAgain() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1, receiptLimit: 3) { shard in
            let (ids, key) = (test.ids(2), IdempotencyKey.random())
            shard.keeper.remove(false)
            let first = try await shard.enrol(ids, key: key)
            for _ in 0..<5 { _ = try await shard.delete(ids) }
            func again(_ ids: [FaceID]) async throws -> ShardEnrolled {
                try await shard.write { epoch in
                    var again = test.enrol(ids, epoch: epoch.number, key: key)
                    again.age = .seconds(600)
                    return again
                }
            }
            // On a machine that is slow a primary may begin anew meanwhile, which is an entry.
            var isNext = false
            for _ in 0..<20 where !isNext {
                let last = try await shard.delete(ids).sequence
                #expect(try await again(ids) == first)
                isNext = try await shard.delete(ids).sequence == last + 1
            }
            #expect(isNext)
            // And by the next primary, which does not know at once how far the other one is.
            let old = await shard.index(of: shard.keeper.group!.primary)
            let nodes = await shard.nodes
            shard.keeper.change { $0!.failingOver(to: nodes[1 - old]) }
            #expect(try await again(ids) == first)
            #expect(try await shard.delete(ids).outcomes == [.absent, .absent])
            let refusal = await #expect(throws: WireStatus.self) {
                let group = shard.keeper.group!
                let other = test.enrol(test.ids(3), epoch: group.epoch.number, key: key)
                _ = try await shard.call(other, on: shard.index(of: group.primary))
            }
            #expect(refusal?.code == .keyReused)
        }
    }

    @Test func aWriteThatNoReplicaRemembersIsRefused() async throws {
        try await ReplicatedShard.with(
            workers: 2,
            replicas: 2,
            minimumInSync: 2,
            receiptLimit: 3,
            remembersEarlier: false
        ) { shard in
            let (ids, key) = (test.ids(2), IdempotencyKey.random())
            _ = try await shard.enrol(ids, key: key)
            for _ in 0..<5 { _ = try await shard.delete(ids) }
            var again = test.enrol(ids, epoch: shard.keeper.group!.epoch.number, key: key)
            again.age = .seconds(600)
            let refusal = try await shard.eventually("it is refused") { () async throws(WireStatus) in
                do throws(WireStatus) {
                    _ = try await shard.call(again, on: shard.index(of: shard.keeper.group!.primary))
                    return WireStatus?.none
                } catch {
                    guard error.code == .keyTooOld else { throw error }
                    return error
                }
            }
            #expect(refusal?.code == .keyTooOld)
            #expect(try await shard.delete(ids).outcomes == [.absent, .absent])
        }
    }

    @Test(arguments: [true, false])
    func aNewReplicaCatchesUp(byCopy isCopied: Bool) async throws {
        var limits = WorkerLimits()
        if isCopied {
            limits.logBytes = 1
            limits.wantedLogBytes = 1
        }
        try await ReplicatedShard.with(workers: 3, replicas: 2, minimumInSync: 2, limits: limits) { shard in
            let ids = test.ids(200)
            for part in 0..<10 { _ = try await shard.enrol(Array(ids[(part * 20)..<(part * 20 + 20)])) }
            _ = try await shard.delete(Array(ids.prefix(3)))
            let nodes = await shard.nodes
            shard.keeper.change { $0!.adding(learner: nodes[2]) }
            try await shard.host(2)
            _ = try await shard.eventually("the new replica is in sync") { () async throws(WireStatus) in
                shard.keeper.group!.isInSync(nodes[2])
            }
            let found = try await shard.eventually("the new replica reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: 2)
            }
            #expect(found == Array(ids.dropFirst(3)))
            _ = try await shard.enrol(Array(test.ids(201).suffix(1)))
            #expect(shard.keeper.report(of: nodes[2])?.state == .serving)
            let copies = shard.log.lines("a copy of the primary's partition took the place of this replica's")
            #expect(copies.isEmpty != isCopied)
        }
    }

    @Test func replicasTellWhatTheyHoldAtCheckpoints() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let nodes = await shard.nodes
            var seen: Set<UInt64> = []
            for part in 0..<2 {
                let ids = Array(test.ids(40)[(part * 20)..<(part * 20 + 20)])
                let sequence = try await shard.enrol(ids).sequence
                let checkpoint = try await shard.eventually("both pass a checkpoint") { () async throws(WireStatus) in
                    let found = nodes.map { shard.keeper.report(of: $0)?.checkpoint }
                    guard let first = found[0], let second = found[1], first.sequence == second.sequence,
                        first.sequence > sequence
                    else { throw WireStatus(.notYet, "\(found)") }
                    #expect(first.digest == second.digest)
                    return first
                }
                seen.insert(checkpoint.digest)
            }
            #expect(seen.count == 2)
            // Nothing has changed since, so nothing more is written.
            let last = shard.keeper.report(of: nodes[0])?.sequence
            try await Task.sleep(for: .milliseconds(1500))
            #expect(last != nil && shard.keeper.report(of: nodes[0])?.sequence == last)
            for index in 0..<2 {
                let answer = try await shard.call(VerifyReplica(shard: test.shard()), on: index)
                #expect(answer.faceCount == 40 && answer.damage == nil && answer.slices.count == 256)
            }
        }
    }

    @Test func replicasThatStartAnewGoOn() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let ids = test.ids(30)
            _ = try await shard.enrol(Array(ids.prefix(10)))
            for round in 1...2 {
                for index in 0..<2 { await shard.stop(index) }
                for index in 0..<2 { try await shard.start(index) }
                _ = try await shard.enrol(Array(ids[(round * 10)..<(round * 10 + 10)]))
            }
            #expect(shard.keeper.group!.epoch > Epoch(1))
            for index in 0..<2 {
                let found = try await shard.eventually("replica \(index) reads") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: index)
                }
                #expect(found == ids)
            }
        }
    }

    @Test func aSingleReplicaBecomesOneOfTwo() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 1, minimumInSync: 1) { shard in
            let ids = test.ids(30)
            _ = try await shard.enrol(Array(ids.prefix(20)))
            let nodes = await shard.nodes
            shard.keeper.change { $0!.adding(learner: nodes[1]) }
            try await shard.host(1)
            _ = try await shard.eventually("the second replica is in sync") { () async throws(WireStatus) in
                shard.keeper.group!.isInSync(nodes[1])
            }
            _ = try await shard.enrol(Array(ids.suffix(10)))
            let found = try await shard.eventually("the second replica reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: 1)
            }
            #expect(found == ids)
        }
    }

    /// Its log begins behind what is applied: a shard had no log before, or took the place of others.
    @Test func aReplicaWhoseFirstEntryWasNotAppliedStartsAnew() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 1, minimumInSync: 1) { shard in
            let ids = test.ids(20)
            _ = try await shard.enrol(ids)
            await shard.stop(0)
            let folder = await shard.folder(0)
            let partition = try Partition.open(
                at: "\(folder.path)/replicas/\(test.collection.id)/0/partition",
                options: WorkerHarness.options(folder).partition
            )
            let extent = try partition.logExtent()
            #expect(extent.appliedSequence > 0 && extent.firstLogged == extent.appliedSequence + 1)
            let entry = try partition.logEntry(
                for: WriteBatch(key: .random(), operation: .beginEpoch),
                epoch: max(extent.promisedEpoch, 1),
                sequence: extent.lastSequence + 1,
                after: extent.lastChain
            )
            _ = try partition.commit(LogTransaction(append: [entry]))
            partition.close()

            let nodes = await shard.nodes
            shard.keeper.change { $0!.adding(learner: nodes[1]) }
            try await shard.start(0)
            for index in 0..<2 { try await shard.host(index) }
            _ = try await shard.eventually("the second replica is in sync") { () async throws(WireStatus) in
                shard.keeper.group!.isInSync(nodes[1])
            }
            let found = try await shard.eventually("the second replica reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: 1)
            }
            #expect(found == ids)
        }
    }
}
