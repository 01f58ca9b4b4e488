import ClusterModel
import Crypto
import FaceModel
import Foundation
import Logging
import PartitionEngine
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// What a replica does with messages of a primary's that are not what they should be.
@Suite struct PartitionReceiverTests {
    private static let primary = NodeID(high: 8, low: 8)
    private let test = TestCollection()

    /// A third of a copy that is no partition.
    private func slice(
        at offset: UInt64,
        copy: UInt64 = 1,
        epoch: UInt64 = 1,
        digest: [UInt8]? = nil
    ) -> PartitionSlice {
        PartitionSlice(
            shard: test.shard(),
            sender: Self.primary,
            epoch: Epoch(epoch),
            copy: copy,
            sequence: 5,
            totalByteCount: 3000,
            offset: offset,
            bytes: [UInt8](repeating: 7, count: 1000),
            digest: digest
        )
    }

    private func offer(of copy: UInt64 = 1, epoch: UInt64 = 1) -> OfferCopy {
        OfferCopy(
            shard: test.shard(),
            sender: Self.primary,
            epoch: Epoch(epoch),
            copy: copy,
            sequence: 5,
            totalByteCount: 3000
        )
    }

    private func standing(of copy: UInt64 = 1, epoch: UInt64 = 1, _ peer: PeerClient) async throws -> UInt64? {
        try await peer.call(offer(of: copy, epoch: epoch), deadline: .after(.seconds(5))).receivedByteCount
    }

    private func append(_ entries: [LogEntryBytes]) -> AppendEntries {
        AppendEntries(
            shard: test.shard(),
            sender: Self.primary,
            epoch: Epoch(1),
            previousSequence: 0,
            previousEpoch: Epoch(0),
            committed: 0,
            sent: 0,
            lease: nil,
            entries: entries
        )
    }

    private func host(_ learner: NodeID, version: UInt64 = 1, isFrozen: Bool = false) -> HostReplica {
        HostReplica(
            shard: test.shard(),
            range: test.ranges[0],
            collection: test.collection,
            group: ReplicaGroup(
                epoch: Epoch(1),
                version: version,
                primary: Self.primary,
                inSync: [Self.primary],
                learners: [learner],
                minimumInSync: 1,
                isFrozen: isFrozen
            )
        )
    }

    /// A worker with an empty replica that is to catch up, and another worker's connection to it.
    private func withLearner(
        keepingFree minimumFreeByteCount: UInt64 = 0,
        in folder: TemporaryFolder = TemporaryFolder(),
        logger: Logger = WorkerHarness.silentLogger,
        _ body: (WorkerHarness, PeerClient) async throws -> Void
    ) async throws {
        var options = WorkerHarness.options(folder)
        options.partition.minimumFreeByteCount = minimumFreeByteCount
        try await WorkerHarness.with(options, logger: logger) { harness in
            _ = try await harness.call(host(harness.worker.node))
            let peer = WorkerHarness.peer(of: harness.worker.address, role: .worker)
            do {
                try await body(harness, peer)
            } catch {
                await peer.close()
                throw error
            }
            await peer.close()
        }
    }

    /// Sends the first slice of a copy, again until the replica has begun to go by its log.
    private func begin(_ copy: UInt64, _ peer: PeerClient) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while true {
            do throws(WireStatus) {
                _ = try await peer.call(slice(at: 0, copy: copy), deadline: .after(.seconds(5)))
                return
            } catch {
                guard ContinuousClock.now < end else { throw error }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func refusal<R: WireRequest>(of request: R, _ peer: PeerClient) async throws -> WireStatus {
        do throws(WireStatus) {
            _ = try await peer.call(request, deadline: .after(.seconds(5)))
        } catch {
            return error
        }
        throw WireStatus(.internalError, "it was not refused")
    }

    @Test func slicesOutOfOrderAreRefusedAndTheCopyGoesOn() async throws {
        try await withLearner { _, peer in
            try await begin(1, peer)
            for wrong in [slice(at: 2000), slice(at: 1000, copy: 2)] {
                let status = try await refusal(of: wrong, peer)
                #expect(status.code == .invalidRequest && status.message.contains("out of order"), "\(status)")
                #expect(try await standing(peer) == 1000)
            }
            // Slices whose answers were lost, and one that has more than was there.
            for again in [slice(at: 0), slice(at: 500), slice(at: 0), slice(at: 500)] {
                _ = try await peer.call(again, deadline: .after(.seconds(5)))
            }
            #expect(try await standing(peer) == 1500)
            let earlier = try await refusal(of: slice(at: 0, epoch: 0), peer)
            #expect(earlier.code == .invalidRequest && earlier.message.contains("takes no such copy"), "\(earlier)")
            #expect(try await standing(epoch: 0, peer) == nil)
            // Another copy takes its place once it begins.
            #expect(try await standing(of: 2, peer) == 0)
            #expect(try await standing(peer) == 1500)
            try await begin(2, peer)
            #expect(try await standing(peer) == 0)
            #expect(try await standing(of: 2, peer) == 1000)
        }
    }

    @Test func whatHasComeIsThereWhenTheWorkerIsStartedAnew() async throws {
        let folder = TemporaryFolder()
        for received in [1000, 2000] as [UInt64] {
            try await withLearner(in: folder) { _, peer in
                let end = ContinuousClock.now + .seconds(10)
                // Before the replica goes by its log it takes no copy.
                while try await standing(peer) == nil, ContinuousClock.now < end {
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(try await standing(peer) == received - 1000)
                _ = try await peer.call(slice(at: received - 1000), deadline: .after(.seconds(5)))
                #expect(try await standing(peer) == received)
            }
        }
    }

    @Test func whatIsNoPartitionTakesNobodysPlace() async throws {
        let folder = TemporaryFolder()
        try await withLearner(in: folder) { harness, peer in
            for copy in 1...2 as ClosedRange<UInt64> {
                try await begin(copy, peer)
                _ = try await peer.call(slice(at: 1000, copy: copy), deadline: .after(.seconds(5)))
                let status = try await refusal(of: slice(at: 2000, copy: copy), peer)
                #expect(!status.message.contains("out of order"), "\(status)")
                #expect(try incoming(in: folder).isEmpty)
            }
            // The replica is as it was: it waits for a sound copy, and is not damaged.
            let read = try await harness.refusal(test.search(test.ids(1)))
            #expect(read.code == .unavailable && read.message.contains("not confirmed"), "\(read)")
        }
    }

    @Test func aCopyThatIsNotWhatItsSenderReadIsRefusedAndRemoved() async throws {
        let folder = TemporaryFolder()
        let sound = Array(SHA256.hash(data: [UInt8](repeating: 7, count: 3000)))
        try await withLearner(in: folder) { _, peer in
            for isFlipped in [false, true] {
                try await begin(1, peer)
                _ = try await peer.call(slice(at: 1000), deadline: .after(.seconds(5)))
                if isFlipped {
                    let file = try #require(try incoming(in: folder).first { $0.hasSuffix("data.mdb") })
                    try FileBytes.overwrite("\(folder.path)/\(file)", at: 700, with: [7 ^ 0x10])
                }
                let status = try await refusal(of: slice(at: 2000, digest: sound), peer)
                // Without damage it is read further, and found to be no partition.
                #expect(status.message.contains("byte for byte") == isFlipped, "\(status)")
                #expect((status.code == .corruptPartition) || !isFlipped)
                #expect(try incoming(in: folder).isEmpty)
                #expect(try await standing(peer) == 0)
            }
        }
    }

    /// The file of a partition of the shard that has one entry applied.
    private func soundCopy() throws -> [UInt8] {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let partition = try Partition.create(
            at: "\(folder.path)/partition",
            identity: PartitionIdentity(
                collection: test.collection,
                shardIndex: 0,
                firstHash: test.ranges[0].first,
                lastHash: test.ranges[0].last
            ),
            options: WorkerHarness.options(folder).partition
        )
        defer { partition.close() }
        let entry = try partition.logEntry(
            for: WriteBatch(key: .random(), operation: .beginEpoch),
            epoch: 1,
            sequence: 1,
            after: partition.logExtent().lastChain
        )
        _ = try partition.commit(LogTransaction(promise: 1, append: [entry], applyThrough: 1))
        _ = try #require(try partition.copy(to: "\(folder.path)/copy"))
        return Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/copy/data.mdb")))
    }

    private func slice(_ range: Range<Int>, of file: [UInt8]) -> PartitionSlice {
        PartitionSlice(
            shard: test.shard(),
            sender: Self.primary,
            epoch: Epoch(1),
            copy: 1,
            sequence: 1,
            totalByteCount: UInt64(file.count),
            offset: UInt64(range.lowerBound),
            bytes: Array(file[range])
        )
    }

    /// Its lane is busy until then.
    @Test func aCopyThatWaitsForAReplicaWhichIsRemovedIsAnsweredAndForgotten() async throws {
        let folder = TemporaryFolder()
        let (log, hold) = (LineRecorder(), Hold())
        log.hold("writes wait: other shards are to take this one's place", hold)
        let file = try soundCopy()
        try await withLearner(in: folder, logger: Logger(label: "test") { _ in log }) { harness, peer in
            defer { hold.release() }
            try await eventually("it goes by its log") { try await standing(of: 7, peer) != nil }
            hold.set()
            _ = try await harness.call(host(harness.worker.node, version: 2, isFrozen: true))
            try await eventually("its lane is held") { hold.isReached }

            let whole = slice(0..<file.count, of: file)
            let sending = Task { () -> WireStatus? in
                do throws(WireStatus) {
                    _ = try await peer.call(whole, deadline: .after(.seconds(60)))
                    return nil
                } catch {
                    return error
                }
            }
            try await eventually("the copy is handed to the lane") {
                let names = try incoming(in: folder)
                return names.contains { $0.hasSuffix("data.mdb") } && !names.contains { $0.hasSuffix("incoming/copy") }
            }
            // It is, a moment later; if the replica stops before, the copy comes to one that takes none.
            try await Task.sleep(for: .milliseconds(100))
            let removing = Task {
                let order = DropReplica(shard: test.shard(), epoch: Epoch(1))
                _ = try await harness.call(order, within: .seconds(60))
            }
            try await eventually("it stops") {
                try await harness.refusal(test.search(test.ids(1))).message.contains("is stopping")
            }
            hold.release()
            try await removing.value
            #expect(try incoming(in: folder).isEmpty)

            _ = try await harness.call(host(harness.worker.node))
            try await eventually("another copy may come") { try await standing(of: 2, peer) == 0 }
            let answer = await sending.value?.message ?? "it was taken"
            #expect(answer.contains("is stopping") || answer.contains("takes no such copy"), "\(answer)")
        }
    }

    /// The folder of the copy cannot be removed, which comes after its file has taken the other's name.
    @Test func whatTookAnothersPlaceIsNotTakenForVerified() async throws {
        let folder = TemporaryFolder()
        let replica = "\(folder.path)/replicas/\(test.collection.id)/0"
        let file = try soundCopy()
        try await withLearner(in: folder) { harness, peer in
            try await eventually("it goes by its log") { try await standing(of: 7, peer) != nil }
            _ = try await harness.call(VerifyReplica(shard: test.shard()))
            #expect(FileManager.default.fileExists(atPath: "\(replica)/verified"))
            let half = file.count / 2
            _ = try await peer.call(slice(0..<half, of: file), deadline: .after(.seconds(20)))
            #expect(FileManager.default.createFile(atPath: "\(replica)/incoming/stray", contents: nil))
            _ = try await refusal(of: slice(half..<file.count, of: file), peer)
            #expect(!FileManager.default.fileExists(atPath: "\(replica)/incoming/data.mdb"), "it took the other's name")
            #expect(!FileManager.default.fileExists(atPath: "\(replica)/verified"))
        }
    }

    private func incoming(in folder: TemporaryFolder) throws -> [String] {
        let files = try #require(FileManager.default.enumerator(atPath: folder.path))
        return files.compactMap { $0 as? String }.filter { $0.contains("incoming") }
    }

    @Test func aCopyForWhichThereIsNoRoomIsRefusedBeforeAnyOfItIsWritten() async throws {
        let folder = TemporaryFolder()
        try await withLearner(keepingFree: .max, in: folder) { _, peer in
            let end = ContinuousClock.now + .seconds(10)
            var status = try await refusal(of: slice(at: 0), peer)
            // Before the replica goes by its log it takes no copy.
            while status.code != .storageFull, ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(20))
                status = try await refusal(of: slice(at: 0), peer)
            }
            #expect(status.code == .storageFull && status.message.contains("MiB free"), "\(status)")
            #expect(try await refusal(of: offer(), peer).code == .storageFull)
            #expect(try incoming(in: folder).isEmpty)
        }
    }

    /// What is to come of another shard's copy is free no more, whatever the system says.
    @Test func roomThatAnotherCopyHasYetToTakeIsNotPromisedAgain() async throws {
        let folder = TemporaryFolder()
        try await withLearner(in: folder) { harness, peer in
            var other = test.host()
            other.shard = ShardID(collection: test.collection.id, index: 1)
            _ = try await harness.call(other)
            let path = "\(folder.path)/replicas/\(test.collection.id)/1/incoming"
            try IncomingCopyFile.begin(in: path, byteCount: 1 << 60)
            let end = ContinuousClock.now + .seconds(10)
            var status = try await refusal(of: slice(at: 0), peer)
            // Before the replica goes by its log it takes no copy.
            while status.code != .storageFull, ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(20))
                status = try await refusal(of: slice(at: 0), peer)
            }
            #expect(status.code == .storageFull && status.message.contains("MiB free"), "\(status)")
            #expect(try await refusal(of: offer(), peer).code == .storageFull)
            #expect(try incoming(in: folder).allSatisfy { $0.contains("/1/incoming") })
            try FileManager.default.removeItem(atPath: path)
            try await begin(1, peer)
            #expect(try await standing(peer) == 1000)
        }
    }

    @Test func aCopyThatTheDiskHasNoRoomForAfterAllLeavesNothingBehind() async throws {
        let folder = TemporaryFolder()
        try await withLearner(in: folder) { _, peer in
            try await begin(1, peer)
            let file = try #require(try incoming(in: folder).first { $0.hasSuffix("data.mdb") })
            try FileManager.default.removeItem(atPath: "\(folder.path)/\(file)")
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder.path)/\(file)",
                withDestinationPath: "/dev/full"
            )
            let status = try await refusal(of: slice(at: 1000), peer)
            #expect(status.code == .storageFull && status.message.contains("free some space"), "\(status)")
            #expect(try incoming(in: folder).isEmpty)
        }
    }

    @Test func logsAndPartitionsAreTakenFromWorkersOnly() async throws {
        try await withLearner { harness, peer in
            let copy = try await harness.refusal(slice(at: 0))
            #expect(copy.code == .invalidRequest && copy.message.contains("from workers only"), "\(copy)")
            let log = try await harness.refusal(append([]))
            #expect(log.code == .invalidRequest && log.message.contains("from workers only"), "\(log)")
            let damaged = try await refusal(of: append([LogEntryBytes([UInt8](repeating: 0, count: 64))]), peer)
            #expect(damaged.code == .invalidRequest && damaged.message.contains("cannot be read"), "\(damaged)")
        }
    }
}
