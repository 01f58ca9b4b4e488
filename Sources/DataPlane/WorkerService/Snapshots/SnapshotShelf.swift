import ClusterModel
import FaceModel
import Glibc
import Logging
import PartitionEngine
import PartitionStore
import Synchronization
import Threads
import WireProtocol

/// The snapshots that backups are made from: copies of partitions, each in a folder of its own, from the cut until the
/// backup has read them.
///
/// A copy is made in one pass, and only for so long a reader is in the partition that was cut. The copy is then read
/// from at the backup's own pace, which holds nobody up. A snapshot that is not asked for any more is removed, and so
/// are all when the worker starts. There are no more at once than ``limitPerShard`` and ``limit(hosting:)`` allow. Any
/// thread may call it.
final class SnapshotShelf: Sendable {
    /// How long a snapshot is kept that nobody asks for.
    static let idleTime = Duration.seconds(600)
    /// The same where there is no room for another. A command that makes a backup asks for all of its snapshots several
    /// times meanwhile; one that was killed does not.
    static let shortIdleTime = Duration.seconds(120)
    private static let checkInterval = Duration.seconds(30)
    private static let queueLimit = 64
    private static let outlivedLimit = 256

    /// Most snapshots of one shard: of a backup or two, of those that were given up or killed and are not removed yet,
    /// and of the attempts of one that is being cut.
    static let limitPerShard = 8
    /// Most snapshots that a worker of few replicas keeps: an open one takes megabytes of memory and some descriptors.
    static let leastLimit = 64

    /// Most snapshots of a worker: twice as many as it has replicas, where these are many, so that a collection of any
    /// number of shards can be backed up, also beside what another backup has left.
    static func limit(hosting replicaCount: Int) -> Int { max(leastLimit, 2 * replicaCount) }

    private struct Key: Hashable {
        var snapshot: SnapshotID
        var shard: ShardID
    }

    private struct State {
        var content: SnapshotDescription.Content?
        /// Why there is no whole copy.
        var failure: WireStatus?
        var lastUse = ContinuousClock.now
    }

    /// One snapshot. Its folder is its own.
    private final class Snapshot: Sendable {
        let shard: ShardID
        let path: String
        let made = ContinuousClock.now
        let totalByteCount: UInt64
        /// Set when it is to go: a copy under way stops.
        let isUnwanted = Atomic(false)
        let state = Mutex(State())
        /// The open copy; the thread that reads and the one that closes take turns.
        let partition = Mutex<Partition?>(nil)
        let reader = Mutex<RingReader?>(nil)
        /// Its place was given up: a copy that ends when it is to go may be removed by two.
        let isDiscarded = Atomic(false)

        init(of shard: ShardID, path: String, totalByteCount: UInt64) {
            self.shard = shard
            self.path = path
            self.totalByteCount = totalByteCount
        }
    }

    private struct Content {
        var byKey: [Key: Snapshot] = [:]
        /// Places taken, from before a copy begins until its folder is removed.
        var counts: [ShardID: Int] = [:]
        var count = 0
        /// Those that wait to be removed, one after the other.
        var leaving: [Snapshot] = []
        /// Those that were kept for as long as one may be, the last so many: whoever asks for them is told that.
        var outlived: [Key] = []
        var isRemoving = false

        mutating func giveUpPlace(of shard: ShardID) {
            count -= 1
            let left = (counts[shard] ?? 1) - 1
            counts[shard] = left == 0 ? nil : left
        }
    }

    private let folder: String
    private let options: PartitionOptions
    private let disk: DiskRoom
    private let threads: ThreadSource
    private let executor: BoundedExecutor
    private let content = Mutex(Content())
    private let logger: Logger

    /// - Parameters:
    ///   - folder: of all snapshots; what is in it is removed.
    ///   - options: of the partitions that copies are opened as.
    ///   - disk: that they lie on.
    ///   - threads: that copies are made on, one each.
    init(
        folder: String,
        options: PartitionOptions,
        disk: DiskRoom,
        threads: ThreadSource,
        logger: Logger
    ) throws(WorkerError) {
        self.folder = folder
        self.options = options
        self.disk = disk
        self.threads = threads
        self.logger = logger
        for name in try DurableFile.names(in: folder) {
            do throws(PartitionError) {
                try Partition.remove(at: "\(folder)/\(name)")
            } catch {
                throw .partitionNotRemoved(path: "\(folder)/\(name)", reason: "\(error)")
            }
        }
        try DurableFile.makeDirectory(folder)
        executor = BoundedExecutor(
            name: "snapshots",
            threadCount: 1,
            queueLimit: Self.queueLimit,
            priority: .background
        )
    }

    /// Removes what nobody asks for, until cancelled.
    func run() async {
        while !Task.isCancelled {
            removeOld(idleFor: Self.idleTime)
            removeNext()
            try? await Task.sleep(for: Self.checkInterval)
        }
    }

    /// How long a snapshot is kept, however often it is asked for: what is deleted meanwhile is in it.
    private var longestTime: Duration { ErasureSchedule(period: options.erasurePeriod).longestCopy }

    private func removeOld(idleFor idleTime: Duration) {
        let now = ContinuousClock.now
        let longest = longestTime
        let old = content.withLock { content in
            let outlived = content.byKey.filter { now - $0.value.made > longest }.map(\.key)
            content.outlived = Array((content.outlived + outlived).suffix(Self.outlivedLimit))
            let idle = content.byKey.filter { now - $0.value.state.withLock(\.lastUse) > idleTime }.map(\.key)
            return Set(outlived + idle)
        }
        for key in old {
            logger.warning(
                "a snapshot is removed that no backup has read for a while, or that is there for too long",
                metadata: ["snapshot": "\(key.snapshot)", "shard": "\(key.shard)"]
            )
            remove(key)
        }
    }

    /// Ends the thread and closes what is open. Copies under way end with their replicas, which are stopped before.
    func stop() {
        executor.stop()
        let all = content.withLock { content in
            defer { (content.byKey, content.leaving) = ([:], []) }
            return content.byKey.values + content.leaving
        }
        for snapshot in all {
            snapshot.isUnwanted.store(true, ordering: .relaxed)
            discard(snapshot)
        }
    }

    // MARK: Making

    /// Whether there is room for a snapshot; to be asked before writes are held for it.
    ///
    /// - Parameter replicaCount: of the worker.
    /// - Throws: `overloaded`, where as many are kept as may be, not counting an earlier one of this name. What nobody
    ///   has asked for in a short while is removed then, so that there may be room soon.
    func checkRoom(for snapshot: SnapshotID, of shard: ShardID, hosting replicaCount: Int) throws(WireStatus) {
        do throws(WireStatus) {
            let key = Key(snapshot: snapshot, shard: shard)
            try content.withLock { (content) throws(WireStatus) in
                try Self.check(content, key, hosting: replicaCount)
            }
        } catch {
            removeOld(idleFor: Self.shortIdleTime)
            throw error
        }
    }

    private static func check(_ content: Content, _ key: Key, hosting replicaCount: Int) throws(WireStatus) {
        let replacedCount = content.byKey[key] == nil ? 0 : 1
        if (content.counts[key.shard] ?? 0) - replacedCount >= limitPerShard {
            throw Refusal.tooManySnapshots(of: key.shard, limit: limitPerShard)
        }
        let bound = limit(hosting: replicaCount)
        if content.count - replacedCount >= bound { throw Refusal.tooManySnapshots(limit: bound) }
    }

    /// One that takes an earlier one's place needs none of its own: that gives its own up once its folder is removed.
    private func takePlace(for key: Key, hosting replicaCount: Int) throws(WireStatus) {
        try content.withLock { (content) throws(WireStatus) in
            try Self.check(content, key, hosting: replicaCount)
            content.counts[key.shard, default: 0] += 1
            content.count += 1
        }
    }

    /// Makes a snapshot of a replica behind a write; an earlier one of this name goes, unless there is no place for
    /// this one.
    ///
    /// - Parameters:
    ///   - replicaCount: of the worker.
    ///   - sequence: of the write, behind which the replica orders no other before `began` is called.
    ///   - began: called once: when the copy has begun, so that no later write comes into it, or when it cannot.
    func make(
        _ snapshot: SnapshotID,
        of replica: Replica,
        hosting replicaCount: Int,
        sequence: UInt64,
        began: @escaping @Sendable (WireStatus?) -> Void
    ) {
        let key = Key(snapshot: snapshot, shard: replica.shard)
        do throws(WireStatus) {
            try takePlace(for: key, hosting: replicaCount)
        } catch {
            replica.endHold(of: snapshot)
            return began(error)
        }
        remove(key)
        let work: @Sendable () -> Void = { [self] in
            var hasBegun = false
            func begin(_ failure: WireStatus?) {
                if hasBegun { return }
                hasBegun = true
                replica.endHold(of: snapshot)
                began(failure)
            }
            do throws(WireStatus) {
                let made = try prepare(key, of: replica)
                defer { disk.forgetSnapshot(in: made.path) }
                do throws(WireStatus) {
                    try copy(replica, to: made, sequence: sequence) { begin(nil) }
                } catch {
                    begin(error)
                    made.state.withLock { $0.failure = error }
                    logger.warning(
                        "a snapshot for a backup was not made",
                        metadata: ["shard": "\(key.shard)", "reason": "\(error)"]
                    )
                }
                if made.isUnwanted.load(ordering: .relaxed) { discard(made) }
            } catch {
                begin(error)
            }
        }
        do throws(ThreadRefusal) {
            try threads.start(name: "snap-\(replica.shard.index)", work).detach()
        } catch {
            content.withLock { $0.giveUpPlace(of: key.shard) }
            replica.endHold(of: snapshot)
            began(Refusal.noThread(error))
        }
    }

    /// Notes that there will be a snapshot, when the disk has room for it; else its place is given up.
    private func prepare(_ key: Key, of replica: Replica) throws(WireStatus) -> Snapshot {
        do throws(WireStatus) {
            return try note(key, of: replica)
        } catch {
            content.withLock { $0.giveUpPlace(of: key.shard) }
            throw error
        }
    }

    private func note(_ key: Key, of replica: Replica) throws(WireStatus) -> Snapshot {
        let byteCount = try replica.read(.local) { (partition, _) throws(PartitionError) in
            UInt64(try partition.fileUse().usedByteCount)
        }
        // Every attempt has a folder of its own: one before it may still be under way.
        let name = "\(key.snapshot)-\(key.shard.index)-\(UInt64.random(in: .min ... .max))"
        let snapshot = Snapshot(of: key.shard, path: "\(folder)/\(name)", totalByteCount: byteCount)
        let free = disk.admit(byteCount, to: snapshot.path) {
            disk.noteSnapshot(in: snapshot.path, byteCount: byteCount)
        }
        if let free { throw Refusal.noRoomForSnapshot(key.shard, byteCount: byteCount, freeByteCount: free) }
        // Another of this name may have been on its way to be noted when this one was begun.
        if let former = content.withLock({ $0.byKey.updateValue(snapshot, forKey: key) }) { retire(former) }
        return snapshot
    }

    private func copy(
        _ replica: Replica,
        to snapshot: Snapshot,
        sequence: UInt64,
        _ began: () -> Void
    ) throws(WireStatus) {
        let shard = replica.shard
        // Writes wait until it has begun.
        let copy = try replica.copyPartition(to: snapshot.path, priority: .normal) {
            // Asked for the first time when the copy's transaction has written something, so it has begun.
            began()
            return snapshot.isUnwanted.load(ordering: .relaxed)
        }
        guard let copy else { throw Refusal.opening(shard) }
        guard copy.sequence == sequence else { throw Refusal.cutTooLate(shard) }
        do throws(PartitionError) {
            let partition = try Partition.open(at: snapshot.path, options: options)
            snapshot.partition.withLock { $0 = partition }
            guard let digest = try partition.digest() else { throw .invalidWrite(reason: Self.uncountedReason) }
            snapshot.reader.withLock { $0 = RingReader(partition) }
            snapshot.state.withLock {
                $0.content = .init(faceCount: digest.faceCount, slices: digest.slices)
                $0.lastUse = .now
            }
        } catch {
            throw Refusal.failed(shard, error)
        }
    }

    private static let uncountedReason =
        "its partition is of an earlier format and is still being counted; begin the backup again in some minutes"

    // MARK: Reading

    func describe(_ route: SnapshotRoute) throws(WireStatus) -> SnapshotDescription {
        let snapshot = try find(route)
        let (content, failure) = snapshot.state.withLock { ($0.content, $0.failure) }
        if let failure { throw failure }
        let total = snapshot.totalByteCount
        return SnapshotDescription(
            copiedByteCount: content == nil ? min(DurableFile.partitionByteCount(at: snapshot.path), total) : total,
            totalByteCount: total,
            content: content
        )
    }

    /// Reads a page on the shelf's thread.
    func read(_ request: ReadSnapshot, finish: @escaping @Sendable (Result<SnapshotPage, WireStatus>) -> Void) {
        let isQueued = executor.submit(
            BoundedExecutor.Job(
                run: { [self] in
                    finish(Result { () throws(WireStatus) in try page(request) })
                },
                abandon: { finish(.failure(Refusal.stopping)) }
            )
        )
        if !isQueued { finish(.failure(Refusal.controlQueueFull(limit: executor.queueLimit))) }
    }

    private func page(_ request: ReadSnapshot) throws(WireStatus) -> SnapshotPage {
        let snapshot = try find(request.route)
        let result = snapshot.reader.withLock { reader -> Result<SnapshotPage, WireStatus> in
            guard reader != nil else {
                return .failure(Refusal.invalid("the snapshot is not whole yet; ask for its description first"))
            }
            do throws(PartitionError) {
                let page = try reader!.page(
                    slice: Int(request.slice),
                    offset: Int(request.offset),
                    limit: request.limit,
                    byteLimit: ReadSnapshot.pageByteLimit
                )
                return .success(SnapshotPage(faces: page.faces, isLast: page.isLast))
            } catch {
                return .failure(Refusal.failed(request.route.shard, error))
            }
        }
        snapshot.state.withLock { $0.lastUse = .now }
        return try result.get()
    }

    func release(_ route: SnapshotRoute) {
        remove(Key(snapshot: route.snapshot, shard: route.shard))
    }

    private func find(_ route: SnapshotRoute) throws(WireStatus) -> Snapshot {
        let key = Key(snapshot: route.snapshot, shard: route.shard)
        let (found, isOutlived) = content.withLock { ($0.byKey[key], $0.outlived.contains(key)) }
        guard let found else {
            guard isOutlived else { throw Refusal.unknownSnapshot(route.shard) }
            throw Refusal.snapshotTooOld(route.shard, longest: longestTime)
        }
        found.state.withLock { $0.lastUse = .now }
        return found
    }

    // MARK: Removing

    private func remove(_ key: Key) {
        if let snapshot = content.withLock({ $0.byKey.removeValue(forKey: key) }) { retire(snapshot) }
    }

    private func retire(_ snapshot: Snapshot) {
        snapshot.isUnwanted.store(true, ordering: .relaxed)
        // The thread of a copy under way removes it.
        let isSettled = snapshot.state.withLock { $0.content != nil || $0.failure != nil }
        guard isSettled else { return }
        content.withLock { $0.leaving.append(snapshot) }
        removeNext()
    }

    /// Has the shelf's thread remove the snapshot that has waited longest, and then the next, with what else there is
    /// to do between the two. Where the thread's queue is full, ``run()`` has it done later.
    private func removeNext() {
        content.withLock { content in
            guard !content.isRemoving, !content.leaving.isEmpty else { return }
            content.isRemoving = executor.submit(
                BoundedExecutor.Job(
                    run: { [self] in
                        let next = self.content.withLock { $0.leaving.isEmpty ? nil : $0.leaving.removeFirst() }
                        if let next { discard(next) }
                        self.content.withLock { $0.isRemoving = false }
                        removeNext()
                    },
                    abandon: {}
                )
            )
        }
    }

    private func discard(_ snapshot: Snapshot) {
        snapshot.reader.withLock { $0 = nil }
        let partition = snapshot.partition.withLock { partition in
            defer { partition = nil }
            return partition
        }
        partition?.close()
        do throws(PartitionError) {
            try Partition.remove(at: snapshot.path)
        } catch {
            logger.warning("a snapshot was not removed", metadata: ["path": "\(snapshot.path)", "reason": "\(error)"])
        }
        guard !snapshot.isDiscarded.exchange(true, ordering: .relaxed) else { return }
        content.withLock { $0.giveUpPlace(of: snapshot.shard) }
    }

}
