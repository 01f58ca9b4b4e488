import ClusterModel
import Crypto
import Glibc
import PartitionEngine
import PartitionStore
import Synchronization
import Threads
import WireProtocol

/// Puts slices of partitions together on disk, and hands each whole copy to its replica.
///
/// What has come stays when its sender is lost, and when this worker is started anew: the sender asks how much it is,
/// and goes on there. A whole copy is read again, compared with its sender's digest, and opened, before it counts.
final class PartitionReceiver: Sendable {
    typealias Finish = @Sendable (Result<Void, WireStatus>) -> Void

    private struct Incoming {
        var copy: UInt64
        var received: UInt64
        var lastUse = ContinuousClock.now
        /// Who waits for the copy to take its place; nil while slices of it are missing.
        var waiting: [Finish]?
    }

    private struct State {
        var incoming: [ShardID: Incoming] = [:]
        /// The copy that last took its place: an answer that says so may be lost.
        var taken: [ShardID: UInt64] = [:]
    }

    /// How long what has come of a copy is kept, when nothing more does. A sender keeps its own for less.
    private static let idleTime = Duration.seconds(15 * 60)
    private static let checkInterval = Duration.seconds(60)

    private let executor: BoundedExecutor
    /// Reads copies that are whole: that may take a minute, in which slices of others come.
    private let checks: BoundedExecutor
    private let options: PartitionOptions
    private let disk: DiskRoom
    private let state = Mutex(State())
    private let isStopping = OneWayFlag()

    /// - Parameters:
    ///   - options: of the partitions that copies are opened as.
    ///   - disk: that they come to.
    init(options: PartitionOptions, disk: DiskRoom) {
        self.options = options
        self.disk = disk
        executor = BoundedExecutor(
            name: "copies",
            threadCount: 1,
            queueLimit: 64,
            queueByteLimit: 16 * PartitionSlice.byteLimit
        )
        // Half a second of a processor for a million faces.
        checks = BoundedExecutor(name: "copy-check", threadCount: 1, queueLimit: 64, priority: .background)
    }

    func stop() {
        isStopping.set()
        executor.stop()
        checks.stop()
    }

    /// Bytes of slices that wait to be written.
    var waitingByteCount: Int { executor.load.waitingByteCount }

    /// Removes what has come of copies that nobody sends any more, until cancelled.
    func run(_ replicas: ReplicaTable) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.checkInterval)
            for replica in replicas.all { _ = await executor.run { self.removeIfIdle(replica) } }
        }
    }

    private func removeIfIdle(_ replica: Replica) {
        guard let incoming = incoming(for: replica, finds: true), incoming.waiting == nil,
            ContinuousClock.now - incoming.lastUse > Self.idleTime
        else { return }
        state.withLock { $0.incoming[replica.shard] = nil }
        try? Replica.removeCopy(at: replica.incomingCopyPath)
    }

    // MARK: Offers

    /// Says how much of a copy has come.
    func stand(
        _ offer: OfferCopy,
        for replica: Replica,
        isRoomInMemory: @escaping @Sendable () throws(WireStatus) -> Void,
        finish: @escaping @Sendable (Result<CopyStanding, WireStatus>) -> Void
    ) {
        // Behind the slices that came before it.
        let isQueued = executor.submit(
            BoundedExecutor.Job(
                run: { [self] in
                    finish(
                        Result { () throws(WireStatus) in try stand(offer, for: replica, isRoomInMemory) }
                    )
                },
                abandon: { finish(.failure(Refusal.stopping)) }
            )
        )
        if !isQueued { finish(.failure(Refusal.controlQueueFull(limit: executor.queueLimit))) }
    }

    private func stand(
        _ offer: OfferCopy,
        for replica: Replica,
        _ isRoomInMemory: () throws(WireStatus) -> Void
    ) throws(WireStatus) -> CopyStanding {
        if isTaken(offer.copy, offer.shard) { return CopyStanding(receivedByteCount: offer.totalByteCount) }
        let incoming = incoming(for: replica, finds: true)
        // What waits to take its place, or does, is the replica's own business.
        if let incoming, incoming.copy == offer.copy, incoming.waiting != nil {
            return CopyStanding(receivedByteCount: incoming.received)
        }
        guard replica.mayTake(copyAt: offer.sequence, from: offer.epoch) else {
            return CopyStanding(receivedByteCount: nil)
        }
        if let incoming, incoming.copy == offer.copy { return CopyStanding(receivedByteCount: incoming.received) }
        try checkIsFree(incoming, offer.shard)
        try isRoomInMemory()
        let folder = replica.incomingCopyPath
        // What is there is of another copy, and goes when this one comes.
        let present = DurableFile.partitionByteCount(at: folder)
        if let free = disk.shortage(of: offer.totalByteCount, in: folder, besides: present) {
            throw Refusal.noRoomForCopy(offer.shard, byteCount: offer.totalByteCount, freeByteCount: free)
        }
        return CopyStanding(receivedByteCount: 0)
    }

    private func isTaken(_ copy: UInt64, _ shard: ShardID) -> Bool { state.withLock { $0.taken[shard] == copy } }

    /// What comes; nil when there is nothing that could be gone on with.
    ///
    /// - Parameter finds: also what came before this process began. Whoever asks for that sends a digest in the end.
    private func incoming(for replica: Replica, finds: Bool = false) -> Incoming? {
        let known = state.withLock { $0.incoming[replica.shard] }
        if let known, known.waiting != nil { return known }
        if let known {
            // The replica may have been dropped meanwhile, and made again.
            guard known.received > 0, !DurableFile.exists(Self.file(of: replica)) else { return known }
            state.withLock { $0.incoming[replica.shard] = nil }
            return nil
        }
        let folder = replica.incomingCopyPath
        guard finds, let record = IncomingCopyRecord.read(in: folder) else { return nil }
        let present = DurableFile.partitionByteCount(at: folder)
        // The last slice is the one that completes it.
        let found = Incoming(copy: record.copy, received: min(present, max(record.totalByteCount, 1) - 1))
        state.withLock { $0.incoming[replica.shard] = found }
        return found
    }

    private func checkIsFree(_ incoming: Incoming?, _ shard: ShardID) throws(WireStatus) {
        if incoming?.waiting != nil { throw Refusal.copyBeingChecked(shard) }
    }

    // MARK: Slices

    /// Takes a slice; `finish` is called once it is on its way to the disk, for the last one once the copy has taken
    /// the place of what was there.
    func add(_ slice: PartitionSlice, for replica: Replica, finish: @escaping Finish) {
        let isQueued = executor.submit(
            BoundedExecutor.Job(
                byteCount: slice.bytes.count,
                run: { [self] in
                    do throws(WireStatus) {
                        guard try write(slice, for: replica, finish) else { return }
                        check(slice, for: replica)
                    } catch {
                        finish(.failure(error))
                    }
                },
                abandon: { finish(.failure(Refusal.stopping)) }
            )
        )
        if !isQueued { finish(.failure(Refusal.controlQueueFull(limit: executor.queueLimit))) }
    }

    /// - Returns: whether the copy is whole by it; then `finish` waits, else it was called.
    private func write(
        _ slice: PartitionSlice,
        for replica: Replica,
        _ finish: @escaping Finish
    ) throws(WireStatus) -> Bool {
        if isTaken(slice.copy, slice.shard) {
            finish(.success(()))
            return false
        }
        // What the wire brings lies inside its copy.
        let end = slice.offset + UInt64(slice.bytes.count)
        var incoming = incoming(for: replica)
        if let incoming, incoming.copy == slice.copy, incoming.waiting != nil {
            // It was taken, and the answer lost.
            guard end == slice.totalByteCount else {
                finish(.success(()))
                return false
            }
            let isWaiting = state.withLock { state in
                guard state.incoming[slice.shard]?.copy == slice.copy else { return false }
                state.incoming[slice.shard]?.waiting?.append(finish)
                return true
            }
            if !isWaiting { throw Refusal.sliceOutOfOrder(slice.shard) }
            return false
        }
        guard replica.mayTake(copyAt: slice.sequence, from: slice.epoch) else {
            throw Refusal.copyRefused(slice.shard)
        }
        if slice.offset == 0, incoming?.copy != slice.copy {
            try checkIsFree(incoming, slice.shard)
            try begin(slice, for: replica)
            incoming = Incoming(copy: slice.copy, received: 0)
        }
        guard var incoming, incoming.copy == slice.copy, incoming.waiting == nil, incoming.received >= slice.offset
        else { throw Refusal.sliceOutOfOrder(slice.shard) }
        if end > incoming.received {
            let skipped = Int(incoming.received - slice.offset)
            do throws(WorkerError) {
                try DurableFile.write(
                    skipped == 0 ? slice.bytes : Array(slice.bytes[skipped...]),
                    into: Self.file(of: replica),
                    at: incoming.received
                )
            } catch {
                // After a failed sync earlier slices may be in memory alone, where the digest would find them; and the
                // room of a full disk others need sooner than the next attempt would give it back.
                remove(slice.shard, of: replica)
                throw Refusal.folder(error)
            }
            incoming.received = end
        }
        incoming.lastUse = .now
        let isWhole = incoming.received == slice.totalByteCount
        if isWhole { incoming.waiting = [finish] }
        state.withLock { [incoming] in $0.incoming[slice.shard] = incoming }
        if !isWhole { finish(.success(())) }
        return isWhole
    }

    private func begin(_ slice: PartitionSlice, for replica: Replica) throws(WireStatus) {
        let folder = replica.incomingCopyPath
        state.withLock { $0.incoming[slice.shard] = nil }
        do throws(WorkerError) {
            try Replica.removeCopy(at: folder)
        } catch {
            throw Refusal.folder(error)
        }
        // All of it comes, or none: what is cut short for want of room would only take some from others.
        let free: UInt64?
        do throws(WorkerError) {
            free = try disk.admit(slice.totalByteCount, to: folder) { () throws(WorkerError) in
                try DurableFile.makeDirectory(folder)
                try IncomingCopyRecord(copy: slice.copy, totalByteCount: slice.totalByteCount).write(in: folder)
            }
        } catch {
            throw Refusal.folder(error)
        }
        if let free {
            throw Refusal.noRoomForCopy(slice.shard, byteCount: slice.totalByteCount, freeByteCount: free)
        }
    }

    private static func file(of replica: Replica) -> String { "\(replica.incomingCopyPath)/data.mdb" }

    private func remove(_ shard: ShardID, of replica: Replica) {
        state.withLock { $0.incoming[shard] = nil }
        try? Replica.removeCopy(at: replica.incomingCopyPath)
    }

    // MARK: Whole copies

    /// Sees that a copy is what its sender has, and a partition, then hands it to the lane.
    private func check(_ slice: PartitionSlice, for replica: Replica) {
        let end: Finish = { [self] in finish(slice, for: replica, $0) }
        let isQueued = checks.submit(
            BoundedExecutor.Job(
                run: { [self] in
                    do throws(WireStatus) {
                        try compare(slice, for: replica)
                        try open(slice, for: replica)
                    } catch {
                        return end(.failure(error))
                    }
                    replica.enqueue(
                        PendingCopy(
                            path: replica.incomingCopyPath,
                            sequence: slice.sequence,
                            epoch: slice.epoch,
                            finish: end
                        )
                    )
                },
                abandon: { end(.failure(Refusal.stopping)) }
            )
        )
        if !isQueued { end(.failure(Refusal.controlQueueFull(limit: checks.queueLimit))) }
    }

    private func compare(_ slice: PartitionSlice, for replica: Replica) throws(WireStatus) {
        let path = Self.file(of: replica)
        let digest: [UInt8]?
        do throws(WorkerError) {
            try DurableFile.sync(path)
            guard slice.digest != nil else { return }
            digest = try digestOfFile(at: path, byteCount: slice.totalByteCount)
        } catch {
            throw Refusal.folder(error)
        }
        if isStopping.isSet { throw Refusal.stopping }
        if digest != slice.digest { throw Refusal.copyDamaged(slice.shard) }
    }

    /// Nil when the file is not so long, or there is no time any more.
    private func digestOfFile(at path: String, byteCount: UInt64) throws(WorkerError) -> [UInt8]? {
        var hash = SHA256()
        var offset: UInt64 = 0
        while !isStopping.isSet {
            let (bytes, total) = try DurableFile.slice(of: path, at: offset, limit: PartitionSlice.byteLimit)
            guard total == byteCount else { return nil }
            guard !bytes.isEmpty else { return Array(hash.finalize()) }
            unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
            offset += UInt64(bytes.count)
        }
        return nil
    }

    private func open(_ slice: PartitionSlice, for replica: Replica) throws(WireStatus) {
        do throws(PartitionError) {
            let partition = try Partition.open(at: replica.incomingCopyPath, options: options)
            defer { partition.close() }
            guard replica.isOurs(partition.identity, range: replica.record.range),
                try partition.logExtent().appliedSequence == slice.sequence
            else { throw .store(.notAPartition(path: replica.incomingCopyPath)) }
        } catch {
            throw Refusal.failed(slice.shard, error)
        }
        do throws(WorkerError) {
            // From here on it is a partition that takes another's place.
            try DurableFile.remove(IncomingCopyRecord.path(in: replica.incomingCopyPath))
        } catch {
            throw Refusal.folder(error)
        }
    }

    /// The copy has taken its place, or is of no use: then nothing of it stays.
    private func finish(_ slice: PartitionSlice, for replica: Replica, _ result: Result<Void, WireStatus>) {
        if case .failure = result, !isStopping.isSet { try? Replica.removeCopy(at: replica.incomingCopyPath) }
        let waiting = state.withLock { state -> [Finish] in
            if case .success = result { state.taken[slice.shard] = slice.copy }
            return state.incoming.removeValue(forKey: slice.shard)?.waiting ?? []
        }
        for finish in waiting { finish(result) }
    }
}
