import Backups
import ClusterModel
import Dispatch
import FaceModel
import Foundation
import Logging
import NIOPosix
import Observability
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// An archive in a folder whose disk has gone, where a call does not come back.
@Suite struct StuckArchiveTests {
    /// Segments that are put do not end before they are let go.
    private final class StuckStore: BlockingStore {
        struct State {
            var objects: [String: [UInt8]] = [:]
            var reachedCount = 0
            var leftCount = 0
        }

        let state = Mutex(State())
        private let released = DispatchSemaphore(value: 0)
        var place: String { "stuck" }
        var hasLock: Bool { false }

        func release() {
            let count = state.withLock(\.reachedCount)
            for _ in 0..<count { released.signal() }
        }

        func put(_ name: String, _ bytes: [UInt8]) {
            if name.hasPrefix(BackupName.segmentPrefix) {
                state.withLock { $0.reachedCount += 1 }
                released.wait()
            }
            state.withLock { state in
                state.objects[name] = bytes
                state.leftCount += 1
            }
        }

        func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8] {
            guard let bytes = state.withLock({ $0.objects[name] }) else { throw .missing(object: name) }
            return bytes
        }

        func list(_ prefix: String) -> [BackupObject] {
            state.withLock { state in
                state.objects.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
                    .map { BackupObject(name: $0.key, byteCount: UInt64($0.value.count)) }
            }
        }

        func remove(_ name: String) { state.withLock { $0.objects[name] = nil } }
        func removePartial() -> Int { 0 }
        func unlock() {}
    }

    /// What a primary answers that is asked for its log for the first time: one entry.
    private static let log: LogRead = {
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        func position(_ sequence: UInt64) -> ArchivePosition {
            let time = Timestamp(milliseconds: now - 1000 + Int64(sequence))
            return ArchivePosition(sequence: sequence, epoch: 1, chain: sequence, time: time)
        }
        return LogRead(
            entries: ArchivedEntries(
                start: position(0),
                continues: false,
                entries: [ArchivedEntry(time: position(1).time, effect: .applied, bytes: [1])],
                end: position(1),
                until: position(1).time,
                remainingCount: 0,
                remainingByteCount: 0
            )
        )
    }()

    @Test func aPlaceThatDoesNotComeBackHoldsUpNoOtherTaskAndNoEnd() async throws {
        try await FakeCluster.run(shardCount: 6) { cluster in
            for worker in cluster.workers {
                worker.setScript { request, call in
                    guard case .readLog = request else { return false }
                    call.reply(Self.log)
                    return true
                }
            }
            let store = StuckStore()
            let archiver = LogArchiver(
                router: cluster.router,
                options: .init(interval: .milliseconds(5), cluster: NodeID(high: 1, low: 1)),
                metrics: cluster.metrics,
                group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "archiver") { _ in SwiftLogNoOpLogHandler() },
                isActive: { true },
                openStore: { () async throws(BackupError) in
                    try await ThreadedStore.opening("stuck") { () throws(BackupError) in store }
                }
            )
            let run = Task { await archiver.run() }
            // Of as many shards as are carried at once.
            while store.state.withLock(\.reachedCount) < 4 { try await Task.sleep(for: .milliseconds(1)) }
            let others = (0..<100).map { number in Task { number } }
            for (number, other) in others.enumerated() { #expect(await other.value == number) }
            run.cancel()
            await run.value
            let leftCount = store.state.withLock(\.leftCount)
            #expect(leftCount == 0)
            // Whoever is told to end has not failed.
            let metrics = cluster.metrics.rendered()
            #expect(metrics.contains("\nmien_archive_failures_total 0"))
            store.release()
            while store.state.withLock(\.leftCount) < 4 { try await Task.sleep(for: .milliseconds(1)) }
        }
    }
}
