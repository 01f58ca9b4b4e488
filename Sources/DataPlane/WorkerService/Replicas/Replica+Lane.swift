import ClusterModel
import FaceModel
import Glibc
import Logging
import PartitionEngine
import PartitionStore
import ShardReplication
import Synchronization
import Threads
import WireProtocol

/// The write lane: the one thread that opens the partition, commits, installs codebooks, maintains and closes.
///
/// Group commit: whatever waited while a commit ran is the next commit. An error that leaves the disk's state unknown
/// ends the session: readers are asked to leave, the partition is closed, opened again and checked. Pauses between
/// attempts grow.
extension Replica {
    private enum LaneStep {
        case stop
        case leave(PartitionError)
        case beginReplication
        case replace(PendingCopy)
        case cut(PendingCut)
        /// Tells whoever waits that nothing comes of it: once the lock is free, since that may ask for the lock.
        case refuse(@Sendable () -> Void)
        case noteFreeze(version: UInt64)
        case noteGroup(version: UInt64)
        case noteEnd
        case turn(WriteQueue.Turn)
        case storeStep
        case maintain
    }

    /// Why a session of serving ended.
    private enum SessionEnd {
        case stopped
        case failed(PartitionError)
        /// A copy takes the partition's place.
        case replaced(PendingCopy)
    }

    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(10)
    /// Where it can be opened: a disk that fails now and then should not keep it away for longer.
    private static let longestServedPause = Duration.seconds(2)
    /// A session of serving that lasted for so long is no part of what went wrong before.
    private static let settledTime = Duration.seconds(10)
    private static let idleInterval = Duration.seconds(5)
    private static let rowsPerStep = 4096
    /// Time without a write after which fewer rows are worth a fold.
    private static let quietTime = Duration.seconds(1)

    /// - Parameter opened: the partition, when it is open already.
    func startLane(_ opened: Partition? = nil, on reserved: ReservedThread) {
        thread.withLock { thread in
            thread = reserved.begin { self.runLane(opened) }
        }
    }

    /// The thread's body: sessions of serving, with attempts to open between them.
    private func runLane(_ opened: Partition?) {
        var opened = opened
        var pause = Self.firstPause
        var isFirstFailure = true
        while true {
            do throws(PartitionError) {
                let given = opened
                opened = nil
                guard let partition = try openAndCheck(given) else { return refuseUntilStopped() }
                isFirstFailure = true
                let (began, isOver) = (ContinuousClock.now, OneWayFlag())
                beginWarming(until: isOver)
                let end = serve(partition)
                isOver.set()
                retire(partition, because: end)
                let isSettled = ContinuousClock.now - began >= Self.settledTime
                pause = isSettled ? Self.firstPause : min(pause, Self.longestServedPause)
                switch end {
                case .stopped: return
                case .failed(let error): if error.isCorruption { return refuseUntilStopped() }
                case .replaced(let copy):
                    replace(by: copy)
                    continue
                }
            } catch {
                setFailed(error, isFirst: isFirstFailure)
                isFirstFailure = false
                if error.isCorruption { return refuseUntilStopped() }
            }
            if mustStop(within: pause) { return refuseQueue(Refusal.stopping(shard)) }
            pause = min(pause * 2, Self.longestPause)
            monitor.withLock { $0.phase = .opening }
        }
    }

    /// Waits for so long, unless the replica has to stop: then true, at once.
    func mustStop(within time: Duration) -> Bool {
        monitor.wait(atMost: time) { state in state.isStopping ? true : nil } ?? false
    }

    /// Opens the partition and begins to serve it; nil when it is another shard's, which no second attempt cures.
    private func openAndCheck(_ opened: Partition?) throws(PartitionError) -> Partition? {
        let partition =
            if let opened { opened } else {
                try Partition.open(at: partitionPath, options: options.partition)
            }
        let statistics: PartitionStatistics
        do throws(PartitionError) {
            statistics = try partition.statistics()
        } catch {
            partition.close()
            throw error
        }
        let identity = partition.identity
        let isOurs = monitor.withLock(waking: .all) { state in
            guard self.isOurs(identity, range: state.record.range) else {
                state.phase = .failed(Refusal.foreignPartition(self.shard))
                return false
            }
            state.statistics = statistics
            state.collectionName = identity.collection.name
            // What a reader met as it left the session before this one is settled by having opened again.
            state.readError = nil
            state.damage = nil
            self.isFenced.store(state.isStopping, ordering: .releasing)
            state.phase = .serving(partition)
            state.isWarming = true
            state.residency = nil
            return true
        }
        options.reportChanged()
        if isOurs { return partition }
        logger.error("the partition in this replica's folder is another shard's", metadata: logMetadata)
        partition.close()
        return nil
    }

    /// Whether a partition is this replica's shard's.
    func isOurs(_ identity: PartitionIdentity, range: HashRange) -> Bool {
        identity.collection.id == shard.collection && identity.shardIndex == shard.index
            && identity.firstHash == range.first && identity.lastHash == range.last
    }

    /// Serves until told to stop, until an error asks for the partition to be closed, or a copy for its place.
    private func serve(_ partition: Partition) -> SessionEnd {
        var schedule = LaneSchedule(rowsPerStep: Self.rowsPerStep, idleInterval: Self.idleInterval, now: .now)
        var lastCommit = ContinuousClock.now
        var nextErasing: ContinuousClock.Instant?
        var shortUntil: ContinuousClock.Instant?
        while true {
            growMap(of: partition)
            switch nextStep(schedule) {
            case .stop: return .stopped
            case .leave(let error): return .failed(error)
            case .beginReplication: if let error = beginReplication(of: partition) { return .failed(error) }
            case .replace(let copy): return .replaced(copy)
            case .cut(let cut):
                if let error = begin(cut, in: partition, isReplicated: isReplicated) { return .failed(error) }
            case .refuse(let refuse): refuse()
            case .noteFreeze(let version): noteFreeze(version)
            case .noteGroup(let version): noteGroup(version)
            case .noteEnd: options.reportChanged()
            case .storeStep:
                let start = ContinuousClock.now
                if let error = storeStep(in: partition) { return .failed(error) }
                lastCommit = .now
                noteCommit(rowCount: takeAppliedRowCount(), took: lastCommit - start, in: &schedule)
            case .turn(.writes(let writes)):
                let start = ContinuousClock.now
                var rowCount = writes.reduce(0) { $0 + $1.rowCount }
                if isReplicated {
                    orderMarked(writes, in: partition)
                    if let error = storeStep(in: partition) { return .failed(error) }
                    rowCount = takeAppliedRowCount()
                } else if let error = commit(writes, to: partition) {
                    return .failed(error)
                }
                lastCommit = .now
                noteCommit(rowCount: rowCount, took: lastCommit - start, in: &schedule)
            case .turn(.install(let installation)):
                if let error = install(installation, in: partition) { return .failed(error) }
            case .maintain:
                let start = ContinuousClock.now
                let isIdle = start - lastCommit >= Self.quietTime
                do throws(PartitionError) {
                    if isReplicated {
                        noteRoom(of: partition)
                        try orderExpiry(in: partition)
                        orderCheckpoint(in: partition)
                    }
                    let step =
                        try inRoom(&shortUntil) { () throws(PartitionError) in
                            try partition.maintain(now: .wallClock, isIdle: isIdle, isWarm: !isWarming)
                        } ?? nil
                    var hasMore = step != nil
                    var rest = Duration.zero
                    if step == .settling {
                        // Nobody waits for it, and others read from the disk as well.
                        let end = ContinuousClock.now
                        rest = options.backgroundPace.rest(after: end - start, now: end)
                    }
                    let untilErasing = try eraseRemnants(in: partition, next: &nextErasing)
                    if !hasMore, shortUntil == nil, !options.operationHolds.holdsCodebook(of: shard.collection) {
                        // Nobody waits for it, so it keeps to its share of a processor.
                        hasMore =
                            try inRoom(&shortUntil) { () throws(PartitionError) in try partition.recode() } ?? false
                        let end = ContinuousClock.now
                        rest = options.backgroundPace.rest(after: end - start, now: end)
                    }
                    if let untilErasing { (hasMore, rest) = (true, hasMore ? min(rest, untilErasing) : untilErasing) }
                    options.metrics.maintained(took: .now - start)
                    schedule.maintained(hasMore: hasMore, took: .now - start, rest: rest, now: .now)
                    if !hasMore { options.countsChanged() }
                } catch {
                    noteIfMapIsFull(error)
                    logger.warning("maintenance of a replica failed", metadata: logMetadata(error))
                    if error.requiresReopen || error.isCorruption { return .failed(error) }
                    schedule.maintained(hasMore: false, took: .now - start, now: .now)
                }
            }
        }
    }

    /// Does work in the background. What there is no room for on the disk holds up no erasing: it is tried again
    /// after a while.
    ///
    /// - Parameter shortUntil: until when nothing is tried, since there was no room.
    /// - Returns: nil when it was not done.
    private func inRoom<R>(
        _ shortUntil: inout ContinuousClock.Instant?,
        _ body: () throws(PartitionError) -> R
    ) throws(PartitionError) -> R? {
        if let end = shortUntil, ContinuousClock.now < end { return nil }
        shortUntil = nil
        do throws(PartitionError) {
            return try body()
        } catch {
            guard case .storageFull = error else { throw error }
            logger.warning("maintenance of a replica waits for room on the disk", metadata: logMetadata(error))
            shortUntil = .now + Self.idleInterval
            return nil
        }
    }

    private func noteCommit(rowCount: Int, took duration: Duration, in schedule: inout LaneSchedule) {
        schedule.committed(rowCount: rowCount, took: duration)
        // Counts that people see should soon be those of the write they have just made.
        if rowCount > 0, monitor.withLock({ $0.queue.isEmpty }) { options.countsChanged() }
    }

    private func takeAppliedRowCount() -> Int { monitor.withLock { $0.replication?.takeAppliedRowCount() ?? 0 } }

    private var isReplicated: Bool { monitor.withLock { $0.replication != nil } }

    /// Waits for the next thing to do.
    private func nextStep(_ schedule: LaneSchedule) -> LaneStep {
        var rest = Duration.zero
        while true {
            let step = monitor.wait(atMost: rest) { state -> LaneStep? in
                if state.isStopping { return .stop }
                if let error = state.readError { return .leave(error) }
                let now = ContinuousClock.now
                if self.mustBeginReplication(state) {
                    guard let next = state.nextLogMark, next > now else { return .beginReplication }
                    // Until its record says that it goes by a log nothing is written that the others would not have.
                    rest = next - now
                    return nil
                }
                let hasStep = state.replication?.machine.hasStep ?? false
                if !hasStep, let copy = state.copy {
                    state.copy = nil
                    guard state.mayTake(copyAt: copy.sequence, from: copy.epoch) else {
                        return .refuse { [shard = self.shard] in copy.finish(.failure(Refusal.copyRefused(shard))) }
                    }
                    return .replace(copy)
                }
                if let version = state.freezeToNote(now: now) { return .noteFreeze(version: version) }
                if let cut = state.cut {
                    state.cut = nil
                    guard state.isFrozen else { return .cut(cut) }
                    return .refuse { [shard = self.shard] in cut.finish(.failure(Refusal.frozen(shard))) }
                }
                if state.isFrozen {
                    if hasStep { return .storeStep }
                    if state.noteEnd() { return .noteEnd }
                    // It has nothing to do by the clock, but for what its disk did not take before.
                    rest = state.nextFreezeNote.map { max($0 - now, .milliseconds(1)) } ?? Self.idleInterval
                    return nil
                }
                let hold = state.activeHold(now: now)
                let hasWrites = !state.queue.isEmpty && hold == nil && self.hasRoomToOrder(state)
                switch schedule.next(hasWrites: hasWrites || hasStep, now: now) {
                case .commit:
                    guard hasWrites else { return .storeStep }
                    return state.queue.popTurn(
                        commitRowLimit: self.options.limits.commitRowCount,
                        commitByteLimit: self.options.limits.commitBytes
                    ).map { .turn($0) }
                case .maintain:
                    // Once for a change of the group: nobody waits for it, and writes come first.
                    if let version = state.groupToNote(now: now) { return .noteGroup(version: version) }
                    // Maintenance orders the removal of what has expired: a write too.
                    guard let hold else { return .maintain }
                    if hasStep { return .storeStep }
                    rest = hold.end - now
                    return nil
                case .rest(let end):
                    if let version = state.groupToNote(now: now) { return .noteGroup(version: version) }
                    rest = min(end, hold?.end ?? end) - now
                    return nil
                }
            }
            if let step { return step }
        }
    }

    // MARK: Commit

    /// Commits what is still wanted of `writes` together and tells each its outcome.
    ///
    /// - Returns: the error when it asks for the partition to be closed.
    func commit(_ writes: [PendingWrite], to partition: Partition) -> PartitionError? {
        let epoch = record.epoch
        let group = writes.filter { write in
            guard let refusal = refusal(of: write, under: epoch, in: partition) else { return true }
            write.refuse(refusal)
            return false
        }
        guard !group.isEmpty else { return nil }
        let began = ReplicationClock.now
        do throws(PartitionError) {
            noteStepBegin(began)
            defer { noteStepEnd(began) }
            let start = ContinuousClock.now
            let receipts = try partition.write(group.map(\.batch), epoch: epoch.number)
            options.metrics.committed(group, took: .now - start)
            precondition(receipts.count == group.count, "one receipt per batch")
            for (write, receipt) in zip(group, receipts) { write.finish(.success(receipt)) }
            return nil
        } catch {
            return settle(group, after: error, in: partition)
        }
    }

    func refusal(of write: PendingWrite, under epoch: Epoch, in partition: Partition) -> WireStatus? {
        if write.epoch != epoch { return Refusal.staleEpoch(shard, sent: write.epoch, held: epoch) }
        if write.isAbandoned() { return Refusal.deadlineExceeded }
        if case .enrol(_, let embeddings) = write.batch.operation, !embeddings.values.allSatisfy(\.isFinite) {
            return Refusal.notFinite(shard)
        }
        guard let firstAttempt = write.firstAttempt else { return nil }
        do throws(PartitionError) {
            guard try partition.mayHaveForgotten(write.batch.key, age: .now - firstAttempt) else { return nil }
            // Of one that is known in part it may be that all of it is that is sent now.
            // Where it looks like another one a part of it may have been forgotten.
            if let known = try partition.knownReceipt(of: write.batch), known.rest == nil,
                known.receipt.outcome != .keyReused
            {
                return nil
            }
            return Refusal.keyTooOld(shard)
        } catch {
            return Refusal.failed(shard, error)
        }
    }

    private func settle(
        _ group: [PendingWrite],
        after error: PartitionError,
        in partition: Partition
    ) -> PartitionError? {
        noteIfMapIsFull(error)
        logger.error("a commit failed", metadata: logMetadata(error))
        if error.requiresReopen || error.isCorruption {
            let status = error.isCorruption ? Refusal.failed(shard, error) : Refusal.unknownOutcome(shard, error)
            for write in group { write.finish(.failure(status)) }
            return error
        }
        if group.count > 1 {
            // One bad write must not refuse its neighbours: each gets a commit of its own. On a disk that is nearly
            // full those that delete are done.
            for (index, write) in group.enumerated() {
                if let fatal = commit([write], to: partition) {
                    for later in group[(index + 1)...] { later.refuse(Refusal.failed(shard, fatal)) }
                    return fatal
                }
            }
            return nil
        }
        for write in group { write.refuse(Refusal.failed(shard, error)) }
        return nil
    }

    private func install(_ installation: PendingInstallation, in partition: Partition) -> PartitionError? {
        do throws(PartitionError) {
            try partition.install(codebook: installation.bytes)
            installation.finish(.success(()))
            logger.info("codebook installed", metadata: logMetadata)
            options.reportChanged()
            return nil
        } catch {
            logger.error("a codebook could not be installed", metadata: logMetadata(error))
            installation.finish(.failure(Refusal.failed(shard, error)))
            return error.requiresReopen || error.isCorruption ? error : nil
        }
    }

    // MARK: Leaving service

    /// Takes the partition out of service: refuses what waits, waits for readers to leave, closes.
    private func retire(_ partition: Partition, because end: SessionEnd) {
        let error: PartitionError? = if case .failed(let error) = end { error } else { nil }
        let isStopped = if case .stopped = end { true } else { false }
        endReplication()
        isFenced.store(true, ordering: .releasing)
        let (refused, cut, copy, isSucceeded) = monitor.withLock(waking: .all) { state in
            state.hold = nil
            state.end = nil
            state.damage = error.flatMap { $0.isCorruption ? $0 : nil }
            defer {
                state.cut = nil
                // What is opened again may take it yet. Where nothing follows, whoever sent it would wait for ever.
                if isStopped { state.copy = nil }
            }
            state.phase =
                switch error {
                case nil: isStopped ? .stopped : .opening
                case let error? where error.isCorruption: .failed(Refusal.failed(self.shard, error))
                case _?: .opening
                }
            return (state.queue.removeAll(), state.cut, isStopped ? state.copy : nil, state.isSucceeded)
        }
        let stopping = isSucceeded ? Refusal.succeeded(shard) : Refusal.stopping(shard)
        let status = error.map { Refusal.failed(shard, $0) } ?? (isStopped ? stopping : Refusal.opening(shard))
        for job in refused { job.fail(status) }
        cut?.finish(.failure(status))
        copy?.finish(.failure(status))
        monitor.wait { state in state.readerCount == 0 ? () : nil }
        partition.close()
        if let error {
            logger.error("replica left service", metadata: logMetadata(error))
            options.reportChanged()
        }
    }

    /// Puts a copy into the place of the partition, which is closed.
    private func replace(by copy: PendingCopy) {
        do throws(PartitionError) {
            // Before, since what fails may do so once the copy has the other's name.
            forgetVerification()
            try Partition.replace(at: partitionPath, byCopyAt: copy.path)
            logger.notice(
                "a copy of the primary's partition took the place of this replica's",
                metadata: logMetadata.merging(["sequence": "\(copy.sequence)"]) { $1 }
            )
            copy.finish(.success(()))
        } catch {
            logger.error("a copy of a partition could not be used", metadata: logMetadata(error))
            copy.finish(.failure(Refusal.failed(shard, error)))
        }
    }

    private func setFailed(_ error: PartitionError, isFirst: Bool) {
        logger.log(
            level: isFirst ? .error : .debug,
            "replica cannot be opened; trying on",
            metadata: logMetadata(error)
        )
        monitor.withLock(waking: .all) { state in
            state.phase = .failed(Refusal.failed(self.shard, error))
            state.damage = error.isCorruption ? error : nil
        }
        options.reportChanged()
    }

    /// What a lane does once opening again cannot help.
    private func refuseUntilStopped() {
        monitor.wait { state in state.isStopping ? () : nil }
        refuseQueue(Refusal.stopping(shard))
    }

    private func refuseQueue(_ status: WireStatus) {
        for job in monitor.withLock({ $0.queue.removeAll() }) { job.fail(status) }
        let (copy, cut) = monitor.withLock { state in
            defer {
                state.copy = nil
                state.cut = nil
            }
            return (state.copy, state.cut)
        }
        copy?.finish(.failure(status))
        cut?.finish(.failure(status))
    }

    var logMetadata: Logger.Metadata {
        ["collection": "\(shard.collection)", "shard": "\(shard.index)"]
    }

    func logMetadata(_ error: any Error) -> Logger.Metadata {
        logMetadata.merging(["error": "\(error)"]) { $1 }
    }
}
