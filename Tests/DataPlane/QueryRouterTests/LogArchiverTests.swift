import Backups
import ClusterModel
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

/// What carries logs to an archive: each entry once, and what is listed is there, whatever fails on the way.
@Suite struct LogArchiverTests {
    /// The logs of all shards, as their primaries give them: entries of one byte, one a millisecond.
    final class Logs: Sendable {
        struct State {
            var lastSequence: UInt64 = 0
            /// Entries up to it are forgotten.
            var forgotten: UInt64 = 0
            var isSilent: Set<UInt32> = []
            /// Up to when the logs are said to be whole; nil for the time of the last entry.
            var until: Timestamp?
        }

        static let pageLimit: UInt64 = 3
        /// Of today: a list that is a day old is full.
        private static let start = Int64(Date().timeIntervalSince1970 * 1000) - 60_000
        let state = Mutex(State())

        static func position(_ sequence: UInt64) -> ArchivePosition {
            ArchivePosition(
                sequence: sequence,
                epoch: 1,
                chain: sequence &* 31,
                time: Timestamp(milliseconds: start + Int64(sequence))
            )
        }

        func append(_ count: UInt64) { state.withLock { $0.lastSequence += count } }

        func answer(_ request: ReadLog) -> Result<LogRead, WireStatus> {
            state.withLock { state in
                if state.isSilent.contains(request.route.shard.index) {
                    return .failure(WireStatus(.internalError, "The shard's disk is broken."))
                }
                var start = request.after ?? Self.position(state.lastSequence)
                var continues = request.after != nil
                if start.sequence < state.forgotten {
                    (start, continues) = (Self.position(state.forgotten), false)
                }
                let end = min(state.lastSequence, start.sequence + Self.pageLimit)
                let entries = (start.sequence..<end).map { before in
                    ArchivedEntry(
                        time: Self.position(before + 1).time,
                        effect: .applied,
                        bytes: [UInt8(truncatingIfNeeded: before + 1)]
                    )
                }
                return .success(
                    LogRead(
                        entries: ArchivedEntries(
                            start: start,
                            continues: continues,
                            entries: entries,
                            end: Self.position(end),
                            until: state.until ?? Self.position(end).time,
                            remainingCount: state.lastSequence - end,
                            remainingByteCount: state.lastSequence - end
                        )
                    )
                )
            }
        }
    }

    /// Objects in memory, and a place that can fail.
    final class MemoryStore: BackupStore {
        let objects = Mutex<[String: [UInt8]]>([:])
        let isAway = Mutex(false)
        /// Writes that were refused.
        let refusalCount = Mutex(0)
        var place: String { "memory" }
        var hasLock: Bool { false }

        func put(_ name: String, _ bytes: [UInt8]) throws(BackupError) {
            if isAway.withLock(\.self) {
                refusalCount.withLock { $0 += 1 }
                throw .storeFailed(object: name, reason: "the place is away")
            }
            objects.withLock { $0[name] = bytes }
        }

        func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8] {
            guard let bytes = objects.withLock({ $0[name] }) else { throw .missing(object: name) }
            return bytes
        }

        func list(_ prefix: String) -> [BackupObject] {
            objects.withLock { objects in
                objects.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
                    .map { BackupObject(name: $0.key, byteCount: UInt64($0.value.count)) }
            }
        }

        func remove(_ name: String) { objects.withLock { $0[name] = nil } }
        func removePartial() -> Int { 0 }
        func close() async {}
        func unlock() async {}
    }

    /// A place that takes its time for every call.
    private struct SlowStore: BackupStore {
        let store: MemoryStore
        let time: Duration
        var place: String { store.place }
        var hasLock: Bool { store.hasLock }

        private func wait() async { try? await Task.sleep(for: time) }

        func put(_ name: String, _ bytes: [UInt8]) async throws(BackupError) {
            await wait()
            try store.put(name, bytes)
        }

        func get(_ name: String, limit: Int) async throws(BackupError) -> [UInt8] {
            await wait()
            return try store.get(name, limit: limit)
        }

        func list(_ prefix: String) async throws(BackupError) -> [BackupObject] {
            await wait()
            return store.list(prefix)
        }

        func remove(_ name: String) async throws(BackupError) {
            await wait()
            store.remove(name)
        }

        func removePartial() async throws(BackupError) -> Int { 0 }
        func close() async {}
        func unlock() async {}
    }

    /// A place of which every call fails.
    private struct BrokenStore: BackupStore {
        var place: String { "broken" }
        var hasLock: Bool { false }

        static var failure: BackupError { .storeFailed(object: "broken", reason: "it is read-only") }

        func put(_ name: String, _ bytes: [UInt8]) throws(BackupError) { throw Self.failure }
        func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8] { throw Self.failure }
        func list(_ prefix: String) throws(BackupError) -> [BackupObject] { throw Self.failure }
        func remove(_ name: String) throws(BackupError) { throw Self.failure }
        func removePartial() throws(BackupError) -> Int { throw Self.failure }
        func close() async {}
        func unlock() async {}
    }

    static func archiver(
        _ cluster: FakeCluster,
        _ store: any BackupStore,
        _ ledger: ArchiveLedger? = nil,
        interval: Duration = .milliseconds(5),
        canBeOpened: Bool = true,
        isActive: @escaping @Sendable () -> Bool = { true }
    ) -> LogArchiver {
        LogArchiver(
            router: cluster.router,
            options: .init(interval: interval, cluster: NodeID(high: 1, low: 1)),
            ledger: ledger,
            metrics: cluster.metrics,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "archiver") { _ in SwiftLogNoOpLogHandler() },
            isActive: isActive,
            openStore: { () async throws(BackupError) in
                guard canBeOpened else { throw BrokenStore.failure }
                return store
            }
        )
    }

    /// How far the archive is said to be behind, in seconds; negative when that is not said.
    private static func age(_ cluster: FakeCluster) -> Double {
        cluster.metrics.rendered().split(separator: "\n").first { $0.hasPrefix("mien_archive_behind_seconds{") }
            .flatMap { Double($0.split(separator: " ").last ?? "") } ?? -1
    }

    static func metric(_ cluster: FakeCluster, _ name: String) -> Int {
        cluster.metrics.rendered().split(separator: "\n").first { $0.hasPrefix(name + " ") }
            .flatMap { Int($0.split(separator: " ").last ?? "") } ?? -1
    }

    /// Runs an archiver until the archive has come so far, and ends it.
    static func run(
        _ archiver: LogArchiver,
        until isDone: () async throws -> Bool
    ) async throws {
        let task = Task { await archiver.run() }
        defer { task.cancel() }
        for _ in 0..<4000 {
            if try await isDone() { break }
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(try await isDone())
        task.cancel()
        await task.value
    }

    /// The last sequence of each shard that is archived, by a list whose segments are all there and what it says.
    static func ends(_ cluster: FakeCluster, _ store: MemoryStore) async throws -> [UInt32: UInt64] {
        guard let chain = try await ArchiveChain.read(cluster.collection.id, in: store) else { return [:] }
        for line in chain.lines {
            for run in line.runs {
                var next = run.start.sequence + 1
                for part in run.parts {
                    for entry in try await store.segment(of: part, in: cluster.collection.id).entries {
                        #expect(entry.bytes == [UInt8(truncatingIfNeeded: next)])
                        next += 1
                    }
                }
                #expect(next == run.end.sequence + 1)
            }
        }
        return Dictionary(
            chain.standings.map { ($0.shard.index, $0.position.sequence) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    static func serve(_ logs: Logs, in cluster: FakeCluster) {
        for worker in cluster.workers {
            worker.setScript { request, call in
                guard case .readLog(let request) = request else { return false }
                switch logs.answer(request) {
                case .success(let message): call.reply(message)
                case .failure(let status): call.fail(status)
                }
                return true
            }
        }
    }

    @Test func everyEntryIsCarriedOnceAndWhoComesNextGoesOn() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            let (logs, store) = (Logs(), MemoryStore())
            Self.serve(logs, in: cluster)
            // Only what comes after it has begun.
            logs.append(7)
            try await Self.run(Self.archiver(cluster, store)) {
                try await Self.ends(cluster, store) == [0: 7, 1: 7, 2: 7]
            }
            for round in 1...4 as ClosedRange<UInt64> {
                logs.append(10)
                let wanted = 7 + 10 * round
                try await Self.run(Self.archiver(cluster, store)) {
                    try await Self.ends(cluster, store) == [0: wanted, 1: wanted, 2: wanted]
                }
            }
            let chain = try #require(try await ArchiveChain.read(cluster.collection.id, in: store))
            #expect(chain.gapCount == 0 && chain.entryCount == 120 && chain.strays.isEmpty)
            #expect(chain.volumes.count == 1 && store.list(BackupName.archivePrefix).count == 1)
            #expect(Self.metric(cluster, "mien_archived_bytes_total") == 120)
            #expect(Self.metric(cluster, "mien_archive_gaps_total") == 0)
        }
    }

    @Test func whatIsListedIsThereWhenThePlaceFails() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let (logs, store) = (Logs(), MemoryStore())
            Self.serve(logs, in: cluster)
            let archiver = Self.archiver(cluster, store)
            try await Self.run(archiver) { try await Self.ends(cluster, store).count == 2 }
            let again = Self.archiver(cluster, store)
            let stage = Mutex(0)
            try await Self.run(again) {
                let ends = try await Self.ends(cluster, store)
                switch stage.withLock(\.self) {
                case 0:
                    store.isAway.withLock { $0 = true }
                    logs.append(20)
                    stage.withLock { $0 = 1 }
                case 1 where store.refusalCount.withLock(\.self) > 3:
                    #expect(ends == [0: 0, 1: 0])
                    store.isAway.withLock { $0 = false }
                    stage.withLock { $0 = 2 }
                case 2: return ends == [0: 20, 1: 20]
                default: break
                }
                return false
            }
            #expect(try await ArchiveChain.read(cluster.collection.id, in: store)?.gapCount == 0)
            #expect(Self.metric(cluster, "mien_archive_failures_total") > 0)
        }
    }

    /// - Parameter canBeOpened: then its calls fail.
    @Test(arguments: [true, false])
    func itsAgeRisesWhereNothingWasEverArchived(canBeOpened: Bool) async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            Self.serve(Logs(), in: cluster)
            let archiver = Self.archiver(cluster, BrokenStore(), canBeOpened: canBeOpened)
            cluster.metrics.collect(archiver.collect)
            try await Self.run(archiver) {
                Self.age(cluster) > 0.05 && Self.metric(cluster, "mien_archive_failures_total") > 0
            }
        }
    }

    /// - Parameter isCurrent: whether all of the other is archived; else it ends a minute ago.
    @Test(arguments: [true, false]) func itsAgeRisesWhereAShardWasNeverHeardOf(isCurrent: Bool) async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let (logs, store) = (Logs(), MemoryStore())
            Self.serve(logs, in: cluster)
            logs.state.withLock {
                $0.isSilent = [1]
                if isCurrent { $0.until = Logs.position(3_600_000).time }
            }
            let archiver = Self.archiver(cluster, store)
            cluster.metrics.collect(archiver.collect)
            let least = isCurrent ? 0.05 : 30
            try await Self.run(archiver) { try await Self.ends(cluster, store) == [0: 0] && Self.age(cluster) > least }
        }
    }

    /// Entries are of a minute ago.
    ///
    /// - Parameter shardCount: those from the second on are silent from the start.
    @Test(arguments: [1, 2])
    func whoComesNextKnowsHowFarItIsBehindWhenThePlaceTakesNothing(shardCount: Int) async throws {
        try await FakeCluster.run(shardCount: shardCount) { cluster in
            let (logs, store) = (Logs(), MemoryStore())
            Self.serve(logs, in: cluster)
            logs.state.withLock { $0.isSilent = [1] }
            logs.append(7)
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 7] }
            logs.append(5)
            store.isAway.withLock { $0 = true }
            let next = Self.archiver(cluster, store)
            cluster.metrics.collect(next.collect)
            try await Self.run(next) { store.refusalCount.withLock(\.self) > 3 }
            #expect(Self.age(cluster) > 30)
        }
    }

    @Test func aShardThatFailsHoldsUpNoOtherAndWhatItForgetsIsAGap() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let (logs, store) = (Logs(), MemoryStore())
            Self.serve(logs, in: cluster)
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store).count == 2 }
            logs.append(9)
            logs.state.withLock { $0.isSilent = [1] }
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 9, 1: 0] }
            #expect(Self.metric(cluster, "mien_archive_gaps_total") == 0)
            logs.append(1)
            logs.state.withLock {
                $0.isSilent = []
                $0.forgotten = 4
            }
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 10, 1: 10] }
            let chain = try #require(try await ArchiveChain.read(cluster.collection.id, in: store))
            #expect(chain.gapCount == 1 && chain.lines.map(\.runs.count) == [1, 2])
            #expect(chain.lines[1].runs[1].start == Logs.position(4))
            #expect(Self.metric(cluster, "mien_archive_gaps_total") == 1)
        }
    }

    @Test func aPlaceThatIsAnotherForAWhileIsGoneOnWithWhenItIsBack() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            let (logs, store) = (Logs(), MemoryStore())
            Self.serve(logs, in: cluster)
            let stage = Mutex(0)
            let kept = Mutex<[String: [UInt8]]>([:])
            // Done where nothing is being written.
            let change = Mutex<(@Sendable () -> Void)?>(nil)
            let archiver = Self.archiver(cluster, store) {
                let change = change.withLock { change in
                    defer { change = nil }
                    return change
                }
                change?()
                return true
            }
            try await Self.run(archiver) {
                let ends = try await Self.ends(cluster, store)
                switch stage.withLock(\.self) {
                case 0 where ends == [0: 0]:
                    stage.withLock { $0 = 1 }
                    change.withLock {
                        $0 = {
                            store.objects.withLock { objects in
                                kept.withLock { $0 = objects }
                                objects = [:]
                            }
                            logs.append(5)
                        }
                    }
                case 1 where ends == [0: 5]:
                    stage.withLock { $0 = 2 }
                    change.withLock {
                        $0 = {
                            store.objects.withLock { objects in objects = kept.withLock(\.self) }
                            logs.append(5)
                        }
                    }
                case 2: return ends == [0: 10]
                default: break
                }
                return false
            }
            let chain = try #require(try await ArchiveChain.read(cluster.collection.id, in: store))
            #expect(chain.gapCount == 0 && chain.entryCount == 10)
        }
    }

    /// - Parameter isWhole: whether the archive has the old shard's log to its end.
    @Test(arguments: [true, false])
    func aShardThatIsSplitKeepsWhatIsArchivedOfIt(isWhole: Bool) async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            let (logs, store, ledger) = (Logs(), MemoryStore(), ArchiveLedger())
            Self.serve(logs, in: cluster)
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 0] }
            logs.append(7)
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 7] }
            ledger.end([cluster.shards[0]: isWhole ? 7 : 9])
            cluster.divide([.max / 2, .max])
            logs.append(5)
            // As when it is carried on after a while, and then by others, who know no ends.
            for count in [UInt64(12), 20] {
                logs.append(count - 12)
                try await Self.run(Self.archiver(cluster, store, count == 12 ? ledger : nil)) {
                    try await Self.ends(cluster, store) == [1: count, 2: count]
                }
            }
            let chain = try #require(try await ArchiveChain.read(cluster.collection.id, in: store))
            #expect(chain.gapCount == (isWhole ? 0 : 1))
            #expect(Self.metric(cluster, "mien_archive_gaps_total") == (isWhole ? 0 : 1))
            let old = try #require(chain.lines.first { $0.shard.index == 0 })
            #expect(old.runs.map(\.end) == [Logs.position(7)] && old.runs.map(\.until) == [Logs.position(7).time])
            #expect(ledger.ends(of: cluster.collection.id).isEmpty)
        }
    }

    @Test func shardsThatAreMergedEndWhereTheyDid() async throws {
        try await FakeCluster.run(shardCount: 2, copies: 2) { cluster in
            let (logs, store, ledger) = (Logs(), MemoryStore(), ArchiveLedger())
            Self.serve(logs, in: cluster)
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 0, 1: 0] }
            logs.append(6)
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 6, 1: 6] }
            // Of the other nobody knows where it ended.
            ledger.end([cluster.shards[0]: 6])
            cluster.divide([.max])
            logs.append(6)
            try await Self.run(Self.archiver(cluster, store, ledger)) {
                try await Self.ends(cluster, store) == [2: 12]
            }
            let chain = try #require(try await ArchiveChain.read(cluster.collection.id, in: store))
            #expect(chain.gapCount == 1 && chain.replaced.map(\.index).sorted() == [0, 1])
            #expect(Self.metric(cluster, "mien_archive_gaps_total") == 1)
            for line in chain.lines where line.shard.index < 2 {
                #expect(line.runs.map(\.until) == [Logs.position(6).time])
            }
        }
    }

    @Test func theEndOfAShardThatIsAboutToGoIsCarriedAtOnce() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let (logs, store, ledger) = (Logs(), MemoryStore(), ArchiveLedger())
            Self.serve(logs, in: cluster)
            let wanted = cluster.shards[1]
            let isWanted = Mutex(false)
            try await Self.run(Self.archiver(cluster, store, ledger, interval: .seconds(3600))) {
                let ends = try await Self.ends(cluster, store)
                if ends == [0: 0, 1: 0], !isWanted.withLock(\.self) {
                    logs.append(5)
                    isWanted.withLock { $0 = true }
                    ledger.want([wanted], ended: [wanted], now: .now)
                }
                return ends == [0: 0, 1: 5] && ledger.observation(now: .now).has(wanted, through: 5)
            }
            // What the place does not take is not archived.
            logs.append(1)
            store.isAway.withLock { $0 = true }
            try await Self.run(Self.archiver(cluster, store, ledger)) {
                store.refusalCount.withLock(\.self) > 3
            }
            #expect(!ledger.observation(now: .now).has(wanted, through: 6))
        }
    }

    @Test func aCollectionThatFailsHoldsUpNoOtherWhoseWritesWait() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            let (logs, store, ledger) = (Logs(), MemoryStore(), ArchiveLedger())
            // Of two, it is the first.
            let failing = cluster.shards[0]
            let other = ShardID(collection: cluster.addCollection(named: "others"), index: 0)
            let isBroken = Mutex(false)
            cluster.workers[0].setScript { request, call in
                guard case .readLog(let request) = request else { return false }
                if request.route.shard == failing, isBroken.withLock(\.self) {
                    call.fail(WireStatus(.internalError, "The shard's disk is broken."))
                    return true
                }
                switch logs.answer(request) {
                case .success(let message): call.reply(message)
                case .failure(let status): call.fail(status)
                }
                return true
            }
            try await Self.run(Self.archiver(cluster, store, ledger, interval: .seconds(3600))) {
                guard try await ArchiveChain.read(failing.collection, in: store) != nil,
                    try await ArchiveChain.read(other.collection, in: store) != nil
                else { return false }
                if !isBroken.withLock(\.self) {
                    isBroken.withLock { $0 = true }
                    logs.append(5)
                    ledger.want([failing, other], ended: [failing, other], now: .now)
                }
                let seen = ledger.observation(now: .now)
                return seen.has(other, through: 5) && !seen.has(failing, through: 5)
            }
        }
    }

    /// Half a second for each call, so that a turn takes one and a half: it is not away.
    @Test func aShardIsSplitWhosePlaceIsSlow() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            let (logs, store, ledger) = (Logs(), MemoryStore(), ArchiveLedger())
            Self.serve(logs, in: cluster)
            try await Self.run(Self.archiver(cluster, store)) { try await Self.ends(cluster, store) == [0: 0] }
            let shard = cluster.shards[0]
            let frozen = Mutex<ContinuousClock.Instant?>(nil)
            let appended = Mutex(ContinuousClock.now)
            let end = Mutex<UInt64?>(nil)
            let slow = SlowStore(store: store, time: .milliseconds(500))
            try await Self.run(Self.archiver(cluster, slow, ledger)) {
                if let end = end.withLock(\.self) { return try await Self.ends(cluster, store) == [1: end, 2: end] }
                // What the controller does, and in between is written.
                let now = ContinuousClock.now
                if let since = frozen.withLock(\.self) {
                    ledger.want([shard], ended: now - since > .milliseconds(100) ? [shard] : [], now: now)
                    let last = logs.state.withLock(\.lastSequence)
                    if ledger.observation(now: now).has(shard, through: last) {
                        ledger.end([shard: last])
                        ledger.want([], now: now)
                        cluster.divide([.max / 2, .max])
                        end.withLock { $0 = last }
                    } else if now - since > .seconds(3) {
                        frozen.withLock { $0 = nil }
                    }
                } else {
                    ledger.want([shard], now: now)
                    let isNear = ledger.observation(now: now).isNear(shard)
                    if isNear { frozen.withLock { $0 = now } }
                    if isNear || now - appended.withLock(\.self) > .seconds(1) {
                        logs.append(1)
                        appended.withLock { $0 = now }
                    }
                }
                return false
            }
            let known = end.withLock(\.self)
            let last = try #require(known)
            let chain = try #require(try await ArchiveChain.read(cluster.collection.id, in: store))
            let old = try #require(chain.lines.first { $0.shard.index == 0 })
            #expect(chain.gapCount == 0 && old.runs.map(\.end) == [Logs.position(last)])
            #expect(Self.metric(cluster, "mien_archive_gaps_total") == 0)
        }
    }

    @Test func onlyTheControllerWrites() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            let (logs, store) = (Logs(), MemoryStore())
            Self.serve(logs, in: cluster)
            let isController = Mutex(false)
            let questions = Mutex(0)
            let archiver = Self.archiver(cluster, store) {
                questions.withLock { $0 += 1 }
                return isController.withLock(\.self)
            }
            try await Self.run(archiver) {
                guard questions.withLock(\.self) > 3 else { return false }
                if !isController.withLock(\.self) {
                    let isEmpty = store.objects.withLock(\.isEmpty)
                    #expect(isEmpty)
                    isController.withLock { $0 = true }
                }
                return try await Self.ends(cluster, store).count == 1
            }
        }
    }
}
