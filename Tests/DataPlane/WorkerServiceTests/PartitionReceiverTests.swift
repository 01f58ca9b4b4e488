import ClusterModel
import FaceModel
import Foundation
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
    private func slice(at offset: UInt64, copy: UInt64 = 1, epoch: UInt64 = 1) -> PartitionSlice {
        PartitionSlice(
            shard: test.shard(),
            sender: Self.primary,
            epoch: Epoch(epoch),
            copy: copy,
            sequence: 5,
            totalByteCount: 3000,
            offset: offset,
            bytes: [UInt8](repeating: 7, count: 1000)
        )
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

    /// A worker with an empty replica that is to catch up, and another worker's connection to it.
    private func withLearner(
        keepingFree minimumFreeByteCount: UInt64 = 0,
        in folder: TemporaryFolder = TemporaryFolder(),
        _ body: (WorkerHarness, PeerClient) async throws -> Void
    ) async throws {
        var options = WorkerHarness.options(folder)
        options.partition.minimumFreeByteCount = minimumFreeByteCount
        try await WorkerHarness.with(options) { harness in
            let host = HostReplica(
                shard: test.shard(),
                range: test.ranges[0],
                collection: test.collection,
                group: ReplicaGroup(
                    epoch: Epoch(1),
                    version: 1,
                    primary: Self.primary,
                    inSync: [Self.primary],
                    learners: [harness.worker.node],
                    minimumInSync: 1
                )
            )
            _ = try await harness.call(host)
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

    @Test func aWorkerWhoseReplicaIsBehindIsNotReady() async throws {
        try await withLearner { harness, _ in
            #expect(harness.worker.readinessProblem?.contains("1 of 1 replicas have not caught up") == true)
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

    @Test func slicesOutOfOrderAreRefusedAndTheCopyBeginsAnew() async throws {
        try await withLearner { _, peer in
            for wrong in [slice(at: 2000), slice(at: 1000, copy: 2)] {
                try await begin(1, peer)
                for attempt in [wrong, slice(at: 1000)] {
                    let status = try await refusal(of: attempt, peer)
                    #expect(status.code == .invalidRequest && status.message.contains("out of order"), "\(status)")
                }
            }
            try await begin(1, peer)
            let earlier = try await refusal(of: slice(at: 0, epoch: 0), peer)
            #expect(earlier.code == .invalidRequest && earlier.message.contains("takes no such copy"), "\(earlier)")
        }
    }

    @Test func whatIsNoPartitionTakesNobodysPlace() async throws {
        try await withLearner { harness, peer in
            for copy in 1...2 as ClosedRange<UInt64> {
                try await begin(copy, peer)
                _ = try await peer.call(slice(at: 1000, copy: copy), deadline: .after(.seconds(5)))
                let status = try await refusal(of: slice(at: 2000, copy: copy), peer)
                #expect(!status.message.contains("out of order"), "\(status)")
            }
            // The replica is as it was: it waits for a sound copy, and is not damaged.
            let read = try await harness.refusal(test.search(test.ids(1)))
            #expect(read.code == .unavailable && read.message.contains("not confirmed"), "\(read)")
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
            #expect(try incoming(in: folder).isEmpty)
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
