import ClusterModel
import FaceModel
import Logging
import PartitionEngine
import PartitionStore
import ShardReplication
import Threads
import WireProtocol

/// What the lane of a replicated replica does: order writes, make steps durable, begin anew from the disk.
extension Replica {
    /// Time that a disk may take for a step of the log before others should order the writes.
    private static let longestStep = Duration.seconds(3)

    /// How long after a restart nobody knows who wanted entries before: archives and replicas have heard of it by then,
    /// and said how far they are.
    private static let recallTime = Duration.seconds(3600)

    /// Stretches of the log that is there, in what is always kept.
    private static let stretchCount = 64

    /// Pause before a replica whose disk is full begins anew.
    static let storageFullPause = Duration.seconds(1)

    // MARK: Beginning

    /// Whether the lane has to begin to go by a log.
    func mustBeginReplication(_ state: State) -> Bool {
        state.replication == nil
            && (state.record.isReplicated || (state.group?.members.count ?? 0) > 1 || state.archive.isOn)
    }

    /// Begins to go by the log that is on disk. From the first time on writes go no other way.
    ///
    /// - Returns: the error when it asks for the partition to be closed.
    func beginReplication(of partition: Partition) -> PartitionError? {
        guard markReplicated() else { return nil }
        do throws(PartitionError) {
            let extent = try partition.logExtent()
            let (log, checkpoints) = try durableLog(of: partition, extent)
            var horizon = LogHorizon(
                keptByteCount: options.limits.logBytes,
                wantedByteCount: options.limits.wantedLogBytes
            )
            for stretch in try partition.logStretches(of: options.limits.logBytes / Self.stretchCount) {
                horizon.appended(stretch.lastSequence, byteCount: stretch.byteCount)
            }
            let now = ReplicationClock.now
            let isNew = monitor.withLock(\.isNew)
            var replication = Replication(
                shard: shard,
                machine: ReplicaStateMachine(
                    node: links.node,
                    log: log,
                    timings: options.replication,
                    now: now,
                    isNew: isNew
                ),
                extent: extent,
                checkpoints: checkpoints,
                horizon: horizon,
                now: now
            )
            replication.machine.hasRoom = Self.hasDisk(partition)
            let effects = monitor.withLock { state in
                if let group = state.group {
                    replication.machine.configured(group, now: now)
                    if let asked = state.confirmation {
                        replication.machine.confirmed(version: group.version, asked: asked)
                    }
                }
                let effects = replication.takeEffects()
                state.replication = replication
                state.isNew = false
                return effects
            }
            perform(effects)
            options.reportChanged()
            return nil
        } catch {
            logger.error("a replica's log cannot be read", metadata: logMetadata(error))
            return error
        }
    }

    /// Writes down that writes go through a log from now on.
    ///
    /// - Returns: false when the disk does not take it: it is tried again, and the partition stays open for reads.
    private func markReplicated() -> Bool {
        guard !record.isReplicated else { return true }
        do throws(WorkerError) {
            try changeRecord { $0.isReplicated = true }
            monitor.withLock { $0.nextLogMark = nil }
            return true
        } catch {
            logger.warning("that a replica goes by a log cannot be remembered", metadata: logMetadata(error))
            let next = ContinuousClock.now + Self.recordPause
            monitor.withLock { $0.nextLogMark = next }
            return false
        }
    }

    /// What is on disk, and which entries of it that are not applied are checkpoints.
    private func durableLog(
        of partition: Partition,
        _ extent: LogExtent
    ) throws(PartitionError) -> (DurableLog, checkpoints: [UInt64]) {
        var positions: [LogPosition] = []
        var checkpoints: [UInt64] = []
        var next = extent.appliedSequence + 1
        while next <= extent.lastSequence {
            for entry in try partition.logEntries(from: next, byteLimit: 1 << 20) {
                positions.append(LogPosition(sequence: entry.sequence, epoch: Epoch(entry.epoch)))
                if case .beginEpoch = entry.operation { checkpoints.append(entry.sequence) }
                next = entry.sequence + 1
            }
        }
        // It need not be in the log: a replica that had none before begins it behind its last write.
        let applied = LogPosition(sequence: extent.appliedSequence, epoch: Epoch(extent.appliedEpoch))
        let log = DurableLog(promised: Epoch(extent.promisedEpoch), applied: applied, unapplied: positions)
        return (log, checkpoints)
    }

    /// Ends going by the log: who waits is told that nothing is known.
    func endReplication() {
        let effects = monitor.withLock { state in
            defer { state.replication = nil }
            return state.replication?.end() ?? []
        }
        perform(effects)
    }

    // MARK: Writes

    /// Puts writes into the log, where they are sent from; each that cannot be is told so.
    func order(_ writes: [PendingWrite], in partition: Partition) {
        guard var place = monitor.withLock({ $0.replication?.place }) else {
            for write in writes { write.refuse(Refusal.notPrimary(shard)) }
            return
        }
        // What does not fit on the disk, or finds no row ids, is not to come into the log.
        let full =
            monitor.withLock { $0.replication?.machine.fullReplica }.map { Refusal.noRoom(shard, on: $0) }
            ?? Self.failure { () throws(PartitionError) in
                try partition.checkFreeDisk()
                try partition.checkRowIDs()
            }.map { Refusal.failed(shard, $0) }
        let first = place
        var entries: [(entry: LogEntry, write: PendingWrite)] = []
        for submitted in writes {
            if let refusal = refusal(of: submitted, under: place.epoch, in: partition) {
                submitted.refuse(refusal)
                continue
            }
            let write: PendingWrite
            switch look(at: submitted, in: partition) {
            case .known(let answer):
                submitted.finish(answer)
                continue
            case .toOrder(let undone): write = undone
            }
            if let full, write.batch.operation.bringsFaces {
                write.refuse(full)
                continue
            }
            do throws(PartitionError) {
                let entry = try partition.logEntry(
                    for: write.batch,
                    epoch: place.epoch.number,
                    sequence: place.sequence,
                    after: place.previousChain
                )
                entries.append((entry, write))
                place.sequence += 1
                place.previousChain = entry.chain
            } catch {
                write.refuse(Refusal.failed(shard, error))
            }
        }
        guard !entries.isEmpty else { return }
        let now = ReplicationClock.now
        let (effects, refused) = monitor.withLock { state -> ([Replication.Effect], ([PendingWrite], WireStatus)?) in
            guard state.replication?.place == first else {
                return ([], (entries.map(\.write), Refusal.notPrimary(self.shard)))
            }
            let refused = state.replication?.order(entries, now: now)
            return (
                state.replication?.takeEffects() ?? [],
                refused.map { (Array($0.refused), self.status(of: $0.reason)) }
            )
        }
        perform(effects)
        for write in refused?.0 ?? [] { write.refuse(refused!.1) }
    }

    /// What comes of a write before it is ordered.
    private enum Look {
        /// It is answered: it was done before.
        case known(Result<WriteReceipt, WireStatus>)
        /// All of it, or what is left of it.
        case toOrder(PendingWrite)
    }

    /// Looks whether a write was done before, or a part of it, or brings faces of a backup when the last have been put
    /// back.
    ///
    /// Replicas may remember different writes beyond the newest receipts, so nothing is ordered that is known to be
    /// done. One that was ordered a moment ago is ordered again: then the newest receipts decide, the same everywhere.
    private func look(at write: PendingWrite, in partition: Partition) -> Look {
        do throws(PartitionError) {
            guard let known = try partition.knownReceipt(of: write.batch) else { return .toOrder(write) }
            // When the rest is acknowledged so is the part: it comes before it.
            if let rest = known.rest { return .toOrder(write.rest(rest, of: known)) }
            let now = ReplicationClock.now
            let standing = monitor.withLock { state in
                state.replication?.machine.standing(
                    of: known.receipt.sequence,
                    isDeletion: write.takesFacesAway,
                    now: now
                )
            }
            switch standing {
            case .settled: return .known(.success(known.receipt))
            case .underWay where known.isRecent: return .toOrder(write)
            case .underWay, .unknown, nil: return .known(.failure(Refusal.unsettled(shard)))
            }
        } catch {
            return .known(.failure(Refusal.failed(shard, error)))
        }
    }

    private func status(of refusal: WriteRefusal) -> WireStatus {
        switch refusal {
        case .notPrimary: Refusal.notPrimary(shard)
        case .tooFewInSync(let inSync, let minimum):
            Refusal.tooFewInSync(shard, inSync: inSync, minimum: minimum)
        }
    }

    /// Whether more writes may be put into the log: those that wait for others must fit in memory.
    func hasRoomToOrder(_ state: State) -> Bool {
        guard let replication = state.replication else { return true }
        return replication.unacknowledgedRowCount < options.limits.commitRowCount * 4
            && replication.unacknowledgedByteCount < options.limits.unacknowledgedBytes
    }

    /// Orders the faces that have expired to be removed, when this replica orders writes. Nobody waits for it.
    func orderExpiry(in partition: Partition) throws(PartitionError) {
        guard let place = monitor.withLock({ $0.replication?.place }),
            let operation = try partition.expiry(now: .wallClock)
        else { return }
        order(operation, at: place, in: partition)
    }

    /// Orders a checkpoint when one is due: an entry that changes nothing, behind which every replica says what it
    /// holds.
    func orderCheckpoint(in partition: Partition) {
        let now = ReplicationClock.now
        let place = monitor.withLock { state -> Replication.Place? in
            guard let replication = state.replication, let place = replication.place,
                now - replication.lastCheckpoint >= options.checkpointInterval,
                replication.checkpoint.map({ $0.sequence < replication.machine.applied }) ?? true
            else { return nil }
            state.replication?.lastCheckpoint = now
            return place
        }
        guard let place else { return }
        order(.beginEpoch, at: place, in: partition)
    }

    /// Orders a write of this replica's own.
    private func order(_ operation: WriteBatch.Operation, at place: Replication.Place, in partition: Partition) {
        let write = PendingWrite(
            batch: WriteBatch(key: .random(), operation: operation),
            epoch: place.epoch,
            rowCount: 0,
            byteCount: 0,
            isAbandoned: { false },
            finish: { _ in }
        )
        order([write], in: partition)
    }

    private func noteCheckpoint(of partition: Partition) throws(PartitionError) {
        guard let digest = try partition.digest() else { return }
        let checkpoint = WorkerReport.Checkpoint(sequence: digest.sequence, digest: digest.summary)
        monitor.withLock { $0.replication?.passed(checkpoint) }
    }

    // MARK: Disk

    /// Whether the disk takes very long for a step of the log, or for a write without one, and goes on doing so.
    var isStuck: Bool {
        let now = ReplicationClock.now
        return monitor.withLock { $0.stepBegan.map { now - $0 >= Self.longestStep } ?? false }
    }

    /// Whether the process has held the replica for too short a time to know who wanted entries of its log before.
    func isRecent(at now: Duration) -> Bool { now - born < Self.recallTime }

    /// Makes the machine's next step durable.
    ///
    /// - Returns: the error when it asks for the partition to be closed.
    func storeStep(in partition: Partition) -> PartitionError? {
        let began = ReplicationClock.now
        let transactions = monitor.withLock { state in
            state.replication?.nextTransactions(
                archived: state.archive.wanted(now: .now),
                kept: Array(state.outgoing.values),
                isRecent: isRecent(at: began),
                storedByteCount: { partition.storedByteCount(of: $0) }
            ) ?? []
        }
        guard !transactions.isEmpty else { return nil }
        noteStepBegin(began)
        defer { noteStepEnd(began) }
        do throws(PartitionError) {
            for transaction in transactions {
                let start = ContinuousClock.now
                let outcome = try partition.commit(transaction)
                options.metrics.committed(outcome.applied, took: .now - start)
                monitor.withLock { $0.replication?.committed(transaction, outcome) }
                if outcome.applied.last?.receipt.outcome == .epochBegun { try noteCheckpoint(of: partition) }
            }
            noteRoom(of: partition)
            let now = ReplicationClock.now
            let effects = monitor.withLock { state in
                state.replication?.stored(now: now)
                return state.replication?.takeEffects() ?? []
            }
            perform(effects)
            answerConfirmed()
            return nil
        } catch {
            noteIfMapIsFull(error)
            logger.error("a step of a replica's log failed", metadata: logMetadata(error))
            // Nothing else can follow the step: what the disk has decides how to go on.
            endReplication()
            if error.requiresReopen || error.isCorruption { return error }
            // Who has no room for entries must not promise to take them: until there is room it stays silent.
            var isFull = error.isStorageFull
            repeat {
                if mustStop(within: Self.storageFullPause) { return nil }
                isFull = isFull && !Self.hasDisk(partition)
            } while isFull
            return beginReplication(of: partition)
        }
    }

    /// - Parameter began: by ``ReplicationClock``.
    func noteStepBegin(_ began: Duration) { monitor.withLock { $0.stepBegan = began } }

    /// Whoever looked for a replica that is stuck looks again.
    func noteStepEnd(_ began: Duration) {
        monitor.withLock { $0.stepBegan = nil }
        if ReplicationClock.now - began >= Self.longestStep { options.reportChanged() }
    }

    private static func hasDisk(_ partition: Partition) -> Bool {
        failure { () throws(PartitionError) in try partition.checkFreeDisk() } == nil
    }

    /// Looks whether there is room for more, so that the primary orders nothing that this replica cannot take.
    ///
    /// For want of row ids a learner is not kept from being in sync: what it is a copy of has none either, and no
    /// replica could be moved.
    func noteRoom(of partition: Partition) {
        let hasDisk = Self.hasDisk(partition)
        let hasRowIDs = Self.failure { () throws(PartitionError) in try partition.checkRowIDs() } == nil
        monitor.withLock { state in
            let group = state.replication?.machine.group
            let isSecondary = group.map { $0.isInSync(links.node) && $0.primary != links.node } ?? false
            state.replication?.machine.hasRoom = hasDisk && (hasRowIDs || !isSecondary)
        }
    }

    private static func failure(of body: () throws(PartitionError) -> Void) -> PartitionError? {
        do throws(PartitionError) {
            try body()
            return nil
        } catch {
            return error
        }
    }
}
