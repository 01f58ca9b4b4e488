import ClusterModel
import Crypto
import Logging
import PartitionEngine
import ShardReplication
import Threads
import WireProtocol
import WireTransport

/// A copy of the primary's partition that is complete on this disk, and waits to take the place of what is there.
struct PendingCopy: Sendable {
    /// Folder that holds it.
    let path: String
    let sequence: UInt64
    let epoch: Epoch
    let finish: @Sendable (Result<Void, WireStatus>) -> Void
}

/// A copy of the partition for another worker, that stays on this disk until it is there or of no use any more.
///
/// The file is of one commit and nothing changes it, so that sending goes on where it was interrupted. No reader is
/// open meanwhile: what pins pages is the making of it alone.
struct OutgoingCopy: Sendable {
    /// Tells its slices from those of another.
    let name: UInt64
    let epoch: Epoch
    /// Folder that holds it.
    let path: String
    let copy: PartitionCopy
    /// The entry from which on the log will be wanted, that one among them.
    let wantedFrom: UInt64
    /// Of what was read of it, from its beginning.
    private var hash = SHA256()
    private var hashedByteCount: UInt64 = 0
    /// How much of it the other worker has.
    var sentByteCount: UInt64 = 0
    let made = ContinuousClock.now
    /// When more of it was last taken.
    var lastProgress = ContinuousClock.now

    init(name: UInt64, epoch: Epoch, path: String, copy: PartitionCopy, wantedFrom: UInt64) {
        self.name = name
        self.epoch = epoch
        self.path = path
        self.copy = copy
        self.wantedFrom = wantedFrom
    }

    /// At most so many bytes from an offset, and the digest of all of the file when they are the last.
    ///
    /// What is read again is not taken into the digest again: when it is not what was read before, the other worker
    /// finds it by that.
    mutating func slice(
        at offset: UInt64,
        limit: Int
    ) throws(WorkerError) -> (bytes: [UInt8], digest: [UInt8]?) {
        // As it says itself, and so it cannot be, the other worker may have more than was read here.
        while hashedByteCount < offset { try take(read(at: hashedByteCount, limit: limit)) }
        let bytes = try read(at: offset, limit: limit)
        let end = offset + UInt64(bytes.count)
        if end > hashedByteCount { try take(Array(bytes[Int(hashedByteCount - offset)...])) }
        return (bytes, end == copy.byteCount ? Array(hash.finalize()) : nil)
    }

    private var file: String { "\(path)/data.mdb" }

    private func read(at offset: UInt64, limit: Int) throws(WorkerError) -> [UInt8] {
        try DurableFile.slice(of: file, at: offset, limit: limit, isReadOnce: true).0
    }

    private mutating func take(_ bytes: [UInt8]) throws(WorkerError) {
        guard !bytes.isEmpty else {
            throw .corruptFile(path: file, reason: "it is shorter than it was when it was made")
        }
        unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        hashedByteCount += UInt64(bytes.count)
    }
}

extension Replica {
    /// Seconds.
    private static let longestMaking = 20
    private static let sliceTimeout = Duration.seconds(60)
    private static let offerTimeout = Duration.seconds(10)
    /// How long it is tried to get on over a network that fails.
    private static let slicePatience = Duration.seconds(30)
    private static let slicePause = Duration.milliseconds(250)
    /// Between two looks whether a paused operation goes on.
    private static let holdPause = Duration.milliseconds(250)
    /// How long a copy that the other worker has taken no more of is kept.
    static let outgoingCopyPatience = Duration.seconds(10 * 60)

    /// Folder of a copy that comes, and of one that goes to a worker.
    var incomingCopyPath: String { "\(directory)/incoming" }
    private func outgoingCopyPath(to node: NodeID, _ name: UInt64) -> String {
        "\(directory)/outgoing-\(node)-\(String(name, radix: 16))"
    }

    /// Whether a folder of this name, in that of a replica, holds a copy.
    static func isCopy(_ name: String) -> Bool { name == "incoming" || name.hasPrefix("outgoing-") }

    /// Removes the folder of a copy; no error when there is none.
    static func removeCopy(at folder: String) throws(WorkerError) {
        try DurableFile.remove(IncomingCopyRecord.path(in: folder))
        do throws(PartitionError) {
            try Partition.remove(at: folder)
        } catch {
            throw .partitionNotRemoved(path: folder, reason: "\(error)")
        }
    }

    /// Makes a copy of the partition, or takes the one that was interrupted, sends it slice by slice, and removes it.
    /// Ends early when a slice is not taken, or when this replica is no primary any more; the other asks again then.
    ///
    /// - Returns: why it has not come about; nil when it was taken.
    func sendCopy(to node: NodeID, _ attempt: UInt64) async -> CopyFailure? {
        guard let epoch = primaryEpoch else { return .unwanted }
        let start = ContinuousClock.now
        let metadata: Logger.Metadata = ["shard": "\(shard)", "worker": "\(node)"]
        var outgoing = takeOutgoingCopy(to: node, attempt)
        var isMaking = false
        do throws(WireStatus) {
            if outgoing == nil {
                while isHeld(to: node), sends(to: node, under: epoch, attempt) {
                    try? await Task.sleep(for: Self.holdPause)
                }
                guard sends(to: node, under: epoch, attempt) else { return .unwanted }
                outgoing = try await makeCopy(for: node, under: epoch, attempt, &isMaking)
            }
            guard var copy = outgoing else { return .unwanted }
            isMaking = false
            note(copy, to: node, attempt)
            logger.info(
                "a copy of a partition is sent",
                metadata: metadata.merging(
                    ["bytes": "\(copy.copy.byteCount)", "from": "\(copy.sentByteCount)"]
                ) { $1 }
            )
            // What a copy has come to counts also when it is interrupted.
            let result = await send(&copy, to: node, attempt)
            outgoing = copy
            try result.get()
            logger.info(
                "a copy of a partition was taken",
                metadata: metadata.merging(["took": "\(ContinuousClock.now - start)"]) { $1 }
            )
            await removeOutgoingCopy(at: copy.path)
            return nil
        } catch {
            logger.warning(
                "a copy of a partition was not taken",
                metadata: metadata.merging(["reason": "\(error)"]) { $1 }
            )
            if error != Refusal.notPrimary(shard) { note(error, of: node) }
            // What was refused for good would be again; a copy that was damaged is made anew.
            let isForGood = error.code.retry == .doNotRetry && error != Refusal.copyRefused(shard)
            let isKept = !isForGood && outgoing.map { keep($0, to: node) } ?? false
            if !isKept, let path = outgoing?.path { await removeOutgoingCopy(at: path) }
            // An offer that was refused cost nothing. Making that failed did, unless it says itself when to try again.
            let isCostly = isMaking ? error.retryAfterMilliseconds < Refusal.copyRestMilliseconds : outgoing != nil
            return CopyFailure(
                isForGood: isCostly && (isForGood || isMaking),
                pause: .milliseconds(Int64(error.retryAfterMilliseconds))
            )
        }
    }

    private func removeOutgoingCopy(at path: String) async {
        await WorkerThread.run(name: "copy-\(shard.index)", priority: .background) { [logger] in
            do throws(WorkerError) {
                try Self.removeCopy(at: path)
            } catch {
                logger.warning("a copy of a partition was not removed", metadata: ["reason": "\(error)"])
            }
        }
    }

    // MARK: Copies that were interrupted

    private var longestCopy: Duration { ErasureSchedule(period: options.partition.erasurePeriod).longestCopy }

    private func takeOutgoingCopy(to node: NodeID, _ attempt: UInt64) -> OutgoingCopy? {
        monitor.withLock { state in
            guard let copy = state.outgoing[node], state.isUseful(copy, to: node, for: self.longestCopy) else {
                return nil
            }
            guard state.replication?.isCurrent(attempt, for: node) ?? false else { return nil }
            // The log that it needs is older than what another copy would.
            state.replication?.copies[node]?.wantedFrom = copy.wantedFrom
            return state.outgoing.removeValue(forKey: node)
        }
    }

    /// Keeps a copy for another attempt; false when there is to be none.
    private func keep(_ copy: OutgoingCopy, to node: NodeID) -> Bool {
        monitor.withLock { state in
            guard !state.isStopping, state.isUseful(copy, to: node, for: self.longestCopy) else { return false }
            state.outgoing[node] = copy
            return true
        }
    }

    /// Forgets, and removes, what there is of copies that nobody is going to ask for. Costs little while there are
    /// none.
    func dropOutgoingCopies() {
        let dropped = monitor.withLock { state -> [OutgoingCopy] in
            if !state.copyAttempts.refusals.isEmpty {
                let group = state.replication?.machine.role == .primary ? state.replication?.machine.group : nil
                state.copyAttempts.refusals = state.copyAttempts.refusals.filter {
                    group?.learners.contains($0.key) ?? false
                }
            }
            state.copyAttempts.forget(besides: state.group, now: .now)
            guard !state.outgoing.isEmpty else { return [] }
            let useless = state.outgoing.filter { !state.isUseful($0.value, to: $0.key, for: self.longestCopy) }
            for node in useless.keys { state.outgoing[node] = nil }
            return Array(useless.values)
        }
        for copy in dropped { Task { await removeOutgoingCopy(at: copy.path) } }
    }

    // MARK: Making

    /// Makes a copy of the partition, as long as the file does not grow too far and the disk keeps its reserve.
    ///
    /// It is made twice as fast as copies are sent, or faster, so that it takes ``longestMaking`` at most if the disk
    /// allows: pages are pinned meanwhile, and nothing tells how far it is. At the disk's own rate two of them on one
    /// machine had searches wait for a processor.
    ///
    /// - Parameter priority: of the thread that reads the partition.
    /// - Returns: nil when it was stopped.
    /// - Throws: `unavailable` with a time to wait when it had to be given up.
    func copyPartition(
        to path: String,
        priority: WorkerThread.Priority,
        shouldStop: () -> Bool
    ) throws(WireStatus) -> PartitionCopy? {
        var excess: CopyBound.Excess?
        let copy = try read(.local) { (partition, isFenced) throws(PartitionError) in
            let bound = try CopyBound(of: partition)
            let pace = CopyingPace(
                priority: priority,
                bytesPerSecond: max(2 * options.copyBytesPerSecond, bound.liveByteCount / Self.longestMaking)
            )
            return try partition.copy(to: path, pace: pace) {
                if shouldStop() || isFenced() { return true }
                excess = bound.excess(of: partition)
                return excess != nil
            }
        }
        if let excess { throw Refusal.copyGivenUp(shard, excess) }
        return copy
    }

    /// Whether an operator has paused the operation that copies are for.
    private func isHeld(to node: NodeID) -> Bool { options.operationHolds.holdsCopy(of: shard, to: node) }

    /// The epoch that this replica leads in; nil while it does not.
    private var primaryEpoch: Epoch? {
        monitor.withLock { state in
            guard let machine = state.replication?.machine, machine.role == .primary else { return nil }
            return machine.group?.epoch
        }
    }

    /// Whether this replica leads in that epoch, the other one is of its group, and no other attempt has begun.
    private func sends(to node: NodeID, under epoch: Epoch, _ attempt: UInt64) -> Bool {
        monitor.withLock { state in
            guard let replication = state.replication, replication.machine.role == .primary,
                let group = replication.machine.group
            else { return false }
            return group.epoch == epoch && group.members.contains(node) && replication.isCurrent(attempt, for: node)
        }
    }

    /// Makes a copy, when the other worker would take it.
    ///
    /// - Parameter isMaking: true once that is known.
    private func makeCopy(
        for node: NodeID,
        under epoch: Epoch,
        _ attempt: UInt64,
        _ isMaking: inout Bool
    ) async throws(WireStatus) -> OutgoingCopy? {
        let name = UInt64.random(in: .min ... .max)
        let path = outgoingCopyPath(to: node, name)
        guard let wantedFrom = monitor.withLock({ $0.replication?.copies[node]?.wantedFrom }) else { return nil }
        let use = try read(.local) { (partition, _) throws(PartitionError) in try partition.fileUse() }
        // A copy is to be made only to be refused: that costs the disk as much as one that is taken.
        _ = try await standing(
            of: name,
            sequence: wantedFrom,
            byteCount: UInt64(clamping: use.liveByteCount),
            on: node,
            under: epoch
        )
        isMaking = true
        monitor.withLock { state in
            state.copyAttempts.refusals[node] = nil
            state.replication?.copySizes[node] = use.liveByteCount
            state.replication?.taken[node] = nil
        }
        let made = await WorkerThread.run(name: "copy-\(shard.index)", priority: .background) {
            Result { () throws(WireStatus) in
                try self.copyPartition(to: path, priority: .background) { !self.sends(to: node, under: epoch, attempt) }
            }
        }
        do throws(WireStatus) {
            if let copy = try made.get() {
                return OutgoingCopy(name: name, epoch: epoch, path: path, copy: copy, wantedFrom: wantedFrom)
            }
        } catch {
            await removeOutgoingCopy(at: path)
            throw error
        }
        await removeOutgoingCopy(at: path)
        return nil
    }

    // MARK: Sending

    /// How much of a copy a worker has; nil when it is one that cannot tell.
    private func standing(
        of name: UInt64,
        sequence: UInt64,
        byteCount: UInt64,
        on node: NodeID,
        under epoch: Epoch
    ) async throws(WireStatus) -> UInt64? {
        let offer = OfferCopy(
            shard: shard,
            sender: links.node,
            epoch: epoch,
            copy: name,
            sequence: sequence,
            totalByteCount: byteCount
        )
        do throws(WireStatus) {
            let standing = try await links.call(offer, on: node, deadline: .after(Self.offerTimeout))
            guard let received = standing.receivedByteCount else { throw Refusal.copyRefused(shard) }
            return min(received, byteCount)
        } catch  where error.code == .invalidRequest && error != Refusal.copyRefused(shard) {
            // A build before there were offers.
            return nil
        }
    }

    private func send(
        _ copy: inout OutgoingCopy,
        to node: NodeID,
        _ attempt: UInt64
    ) async -> Result<Void, WireStatus> {
        var end = ContinuousClock.now + Self.slicePatience
        // Where the other worker is; nil when it has to be asked.
        var offset: UInt64?
        var canTell = true
        var refusedAt: UInt64?
        // Where the last slice begins, once it was sent.
        var lastStart: UInt64?
        var due = ContinuousClock.now
        repeat {
            guard sends(to: node, under: copy.epoch, attempt) else { return .failure(Refusal.notPrimary(shard)) }
            if isHeld(to: node) {
                try? await Task.sleep(for: Self.holdPause)
                copy.lastProgress = .now
                let held = copy
                guard monitor.withLock({ $0.isUseful(held, to: node, for: self.longestCopy) }) else {
                    return .failure(Refusal.copyHeldTooLong(shard))
                }
                end = copy.lastProgress + Self.slicePatience
                continue
            }
            do throws(WireStatus) {
                var start = offset ?? 0
                if offset == nil {
                    let standing = try await standing(
                        of: copy.name,
                        sequence: copy.copy.sequence,
                        byteCount: copy.copy.byteCount,
                        on: node,
                        under: copy.epoch
                    )
                    canTell = standing != nil
                    if let lastStart, let standing, standing < lastStart { throw Refusal.copyNotKept(shard) }
                    // Of one that has all of it the last byte asks what became of it.
                    start = min(standing ?? 0, copy.copy.byteCount - 1)
                }
                offset = start
                if copy.copy.byteCount - start <= UInt64(options.copySliceByteCount) { lastStart = start }
                let count = try await sendSlice(of: &copy, at: start, to: node)
                offset = start + UInt64(count)
                copy.sentByteCount = start + UInt64(count)
                copy.lastProgress = .now
                end = copy.lastProgress + Self.slicePatience
                note(copy, to: node, attempt, isTaken: true)
                // No faster than it may be: more than a second behind schedule is not made up for.
                due = max(due, .now - .seconds(1)) + .seconds(Double(count) / Double(options.copyBytesPerSecond))
                if due > .now { try? await Task.sleep(until: due) }
            } catch {
                let isOutOfOrder = error.code == .invalidRequest && canTell && offset != nil && offset != refusedAt
                if isOutOfOrder { refusedAt = offset }
                guard isOutOfOrder || error.code.retry == .retryThisCall, ContinuousClock.now < end else {
                    return .failure(error)
                }
                if canTell { offset = nil }
                if !isOutOfOrder { try? await Task.sleep(for: Self.slicePause) }
            }
        } while offset != copy.copy.byteCount
        return .success(())
    }

    /// - Returns: how many bytes were taken.
    private func sendSlice(
        of copy: inout OutgoingCopy,
        at offset: UInt64,
        to node: NodeID
    ) async throws(WireStatus) -> Int {
        let (limit, original) = (options.copySliceByteCount, copy)
        let read = await WorkerThread.run(name: "copy-\(shard.index)", priority: .background) {
            Result { () throws(WorkerError) in
                var copy = original
                let slice = try copy.slice(at: offset, limit: limit)
                return (copy, slice)
            }
        }
        let slice: (bytes: [UInt8], digest: [UInt8]?)
        do throws(WorkerError) {
            (copy, slice) = try read.get()
        } catch {
            throw Refusal.folder(error)
        }
        let message = PartitionSlice(
            shard: shard,
            sender: links.node,
            epoch: copy.epoch,
            copy: copy.name,
            sequence: copy.copy.sequence,
            totalByteCount: copy.copy.byteCount,
            offset: offset,
            bytes: slice.bytes,
            digest: slice.digest
        )
        _ = try await links.call(message, on: node, deadline: .after(Self.sliceTimeout))
        return slice.bytes.count
    }

    /// Why copies to other workers do not come about, for the report.
    var copyRefusals: [WorkerReport.CopyRefusal] {
        monitor.withLock(\.copyAttempts.refusals).sorted { $0.key < $1.key }.map {
            WorkerReport.CopyRefusal(shard: shard, worker: $0.key, reason: $0.value)
        }
    }

    private func note(_ refusal: WireStatus, of node: NodeID) {
        let reason = String(refusal.message.prefix(WorkerReport.CopyRefusal.reasonLimit / 4))
        let isNew = monitor.withLock { state in
            defer { state.copyAttempts.refusals[node] = reason }
            return state.copyAttempts.refusals[node] == nil
        }
        if isNew { options.reportChanged() }
    }

    /// - Parameter isTaken: more of it than before.
    private func note(_ copy: OutgoingCopy, to node: NodeID, _ attempt: UInt64, isTaken: Bool = false) {
        monitor.withLock { state in
            if isTaken { state.copyAttempts.refusals[node] = nil }
            guard state.replication?.isCurrent(attempt, for: node) ?? false else { return }
            state.replication?.copies[node]?.sentByteCount = copy.sentByteCount
            state.replication?.copies[node]?.totalByteCount = copy.copy.byteCount
            state.replication?.copySizes[node] = Int(clamping: copy.copy.byteCount)
        }
    }
}

extension Replica.State {
    /// Copies that are made or sent, and those that wait to be gone on with.
    var reportedCopies: [WorkerReport.Copy] {
        var sizes = outgoing.mapValues { (sent: $0.sentByteCount, total: $0.copy.byteCount) }
        for (node, copy) in replication?.copies ?? [:] { sizes[node] = (copy.sentByteCount, copy.totalByteCount) }
        return sizes.sorted { $0.key < $1.key }.map { node, size in
            WorkerReport.Copy(worker: node, sentByteCount: size.sent, totalByteCount: size.total)
        }
    }

    /// Whether a copy could still be sent, and the log behind it is there.
    fileprivate func isUseful(_ copy: OutgoingCopy, to node: NodeID, for longestCopy: Duration) -> Bool {
        guard let replication, replication.machine.role == .primary, replication.machine.hasRoom,
            let group = replication.machine.group, group.epoch == copy.epoch, group.members.contains(node)
        else { return false }
        // The next entry is told by the epoch of this one, which is known of the last one applied in any case.
        let (extent, sequence) = (replication.extent, copy.copy.sequence)
        let isOfBeginning = extent.firstLogged == sequence + 1 && replication.beginning?.sequence == sequence
        return (extent.firstLogged <= max(sequence, 1) || extent.appliedSequence <= sequence || isOfBeginning)
            && ContinuousClock.now - copy.lastProgress < Replica.outgoingCopyPatience
            // What is deleted meanwhile is in it.
            && ContinuousClock.now - copy.made < longestCopy
    }
}
