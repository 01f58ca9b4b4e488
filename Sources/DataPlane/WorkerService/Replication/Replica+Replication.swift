import ClusterModel
import FaceModel
import Logging
import PartitionEngine
import PartitionStore
import ShardReplication
import Threads
import WireProtocol

/// What happens to a replicated replica from outside its lane: messages, news of its group, and time.
///
/// All of it is short and may come from any thread. What the machine wants done is done after the lock is free.
extension Replica {
    /// The metadata store has, or had, this group. One that is older than what the replica goes by, or went by before
    /// a restart, changes nothing. Nor does any for one that stops: it may be about to be removed, and what its lane
    /// has yet to answer must not tell its primary that it goes by a group of after that decision.
    ///
    /// - Parameters:
    ///   - configuration: of the collection, where it was told with the group.
    ///   - asked: it was so at this time at the earliest; nil when that is not known.
    func take(_ group: ReplicaGroup, of configuration: CollectionConfiguration? = nil, asked: Duration?) {
        let now = ReplicationClock.now
        let (effects, isNew, needsLane) = monitor.withLock { state -> ([Replication.Effect], Bool, Bool) in
            guard !state.isStopping else { return ([], false, false) }
            if let configuration { state.replicationFactor = configuration.replicationFactor }
            let isNew = state.group.map { $0.version < group.version } ?? (group.version >= state.record.groupVersion)
            if isNew {
                state.group = group
                state.groupTime = now
                state.confirmation = nil
                if group.isInSync(links.node) { state.isNewcomer = false }
            }
            if let asked, state.group?.version == group.version {
                state.confirmation = state.confirmation.map { max($0, asked) } ?? asked
            }
            guard let version = state.group?.version, state.replication != nil else {
                // Where a hold of writes has run out meanwhile, its lane waits for something else.
                return ([], isNew, isNew || !state.queue.isEmpty)
            }
            if isNew { state.replication?.machine.configured(group, now: now) }
            if let confirmation = state.confirmation {
                state.replication?.machine.confirmed(version: version, asked: confirmation)
            }
            return (state.replication?.takeEffects() ?? [], isNew, isNew || state.mayHaveWork)
        }
        if needsLane { monitor.wakeAll() }
        perform(effects)
        answerConfirmed()
        if isNew { options.reportChanged() }
    }

    /// A message of the primary's has come.
    func append(_ message: AppendEntries, answer: @escaping @Sendable (Result<EntriesAppended, WireStatus>) -> Void) {
        let request: AppendRequest<LogEntry>
        do throws(WireStatus) {
            request = try AppendRequest(message)
        } catch {
            return answer(.failure(error))
        }
        let now = ReplicationClock.now
        let (effects, needsLane) = monitor.withLock { state -> ([Replication.Effect]?, Bool) in
            guard state.replication != nil, !state.isStopping else { return (nil, false) }
            state.replication?.wait(
                Replication.Caller(
                    sender: message.sender,
                    epoch: request.epoch,
                    sent: request.sent,
                    arrival: now,
                    answer: answer
                )
            )
            state.replication?.machine.receive(.append(request), from: message.sender, now: now)
            return (state.replication?.takeEffects(), state.mayHaveWork)
        }
        guard let effects else { return answer(.failure(Refusal.opening(shard))) }
        if needsLane { monitor.wakeAll() }
        perform(effects)
    }

    private func receive(_ reply: EntriesAppended, from sender: NodeID) {
        let now = ReplicationClock.now
        let (effects, needsLane) = monitor.withLock { state -> ([Replication.Effect], Bool) in
            state.replication?.machine.receive(.reply(AppendReply(reply)), from: sender, now: now)
            return (state.replication?.takeEffects() ?? [], state.mayHaveWork)
        }
        if needsLane { monitor.wakeAll() }
        perform(effects)
        answerConfirmed()
    }

    /// Time has passed.
    func tick() {
        let now = ReplicationClock.now
        let (effects, late, hasStep) = monitor.withLock { state -> ([Replication.Effect], [Replication.Caller], Bool) in
            guard state.replication != nil else { return ([], [], false) }
            state.replication?.machine.tick(now: now)
            return (
                state.replication?.takeEffects() ?? [],
                state.replication?.takeCallers(arrivedBefore: now - Replication.longestCall) ?? [],
                state.replication?.machine.hasStep ?? false
            )
        }
        for caller in late { caller.answer(.failure(Refusal.opening(shard))) }
        perform(effects)
        answerConfirmed()
        if hasStep { monitor.wakeAll() }
        dropOutgoingCopies()
    }

    /// Whether a copy of the primary's partition up to a sequence would be taken.
    func mayTake(copyAt sequence: UInt64, from epoch: Epoch) -> Bool {
        monitor.withLock { $0.mayTake(copyAt: sequence, from: epoch) }
    }

    /// Hands the lane a copy that is complete on disk.
    func enqueue(_ copy: PendingCopy) {
        let replaced = monitor.withLock(waking: .all) { state -> PendingCopy? in
            guard !state.isStopping, state.mayTake(copyAt: copy.sequence, from: copy.epoch) else { return copy }
            defer { state.copy = copy }
            return state.copy
        }
        replaced?.finish(.failure(Refusal.copyRefused(shard)))
    }

    // MARK: Doing what the machine wants

    func perform(_ effects: [Replication.Effect]) {
        for effect in effects {
            switch effect {
            case .send(let request, let node):
                links.send(request, of: shard, to: node) { [weak self] reply in
                    self?.receive(reply, from: node)
                }
            case .load(let first, let node, let epoch): load(from: first, for: node, in: epoch)
            case .copy(let node): beginCopy(for: node)
            case .propose(let proposal):
                links.propose(ProposeGroup(shard: shard, proposal: proposal)) { [weak self] group in
                    self?.take(group, asked: nil)
                }
            case .tell(let loss): tell(loss)
            case .answer(let caller, let result): caller.answer(result)
            case .finish(let write, let result): write.finish(result)
            case .refuse(let caller, let status): caller.answer(.failure(status))
            }
        }
    }

    /// A disk went back: people must know, whatever the replicas make of it.
    private func tell(_ loss: DiskLoss) {
        options.metrics.diskWentBack()
        switch loss {
        case .own(let witness, let applied, let last):
            logger.critical(
                "this replica's disk went back: it holds less than the replica had acknowledged, and leads no more",
                metadata: logMetadata.merging(
                    ["last": "\(last)", "worker": "\(witness)", "itsLast": "\(applied)"]
                ) { $1 }
            )
        case .other(let node, let acknowledged, let last):
            logger.critical(
                "a replica's disk went back: it counts for nothing until it has again what it had acknowledged",
                metadata: logMetadata.merging(
                    ["worker": "\(node)", "last": "\(last)", "acknowledged": "\(acknowledged)"]
                ) { $1 }
            )
        }
    }

    /// Reads entries from disk for a replica that lacks them.
    private func load(from first: UInt64, for node: NodeID, in epoch: Epoch) {
        Task { [weak self] in
            guard let self else { return }
            let (items, previous) = await WorkerThread.run(name: "log-\(shard.index)") { self.entries(from: first) }
            let now = ReplicationClock.now
            let effects = monitor.withLock(waking: .all) { state -> [Replication.Effect] in
                state.replication?.machine.loaded(items, previous: previous, for: node, in: epoch, now: now)
                return state.replication?.takeEffects() ?? []
            }
            perform(effects)
        }
    }

    /// Entries from a sequence on and the position before them; none when the log does not have both.
    private func entries(from first: UInt64) -> ([LogItem<LogEntry>], LogPosition) {
        do throws(WireStatus) {
            let beginning = monitor.withLock { $0.replication?.beginning }
            if first > 1, let beginning, first == beginning.sequence + 1 {
                let entries = try read(.local) { (partition, _) throws(PartitionError) in
                    try partition.logEntries(
                        from: first,
                        byteLimit: ReplicaStateMachine<LogEntry>.requestByteLimit
                    )
                }
                return (Self.items(entries), beginning)
            }
            // The entry before the first one tells the epoch there.
            let start = max(first, 2) - 1
            var entries = try read(.local) { (partition, _) throws(PartitionError) in
                try partition.logEntries(
                    from: start,
                    byteLimit: ReplicaStateMachine<LogEntry>.requestByteLimit
                )
            }
            var previous = LogPosition.start
            if first > 1 {
                guard let before = entries.first, before.sequence == first - 1 else { return ([], .start) }
                previous = LogPosition(sequence: before.sequence, epoch: Epoch(before.epoch))
                entries.removeFirst()
                if entries.isEmpty {
                    entries = try read(.local) { (partition, _) throws(PartitionError) in
                        try partition.logEntries(from: first, byteLimit: 1)
                    }
                }
            }
            return (Self.items(entries), previous)
        } catch {
            return ([], .start)
        }
    }

    private static func items(_ entries: [LogEntry]) -> [LogItem<LogEntry>] {
        entries.prefix(AppendEntries.entryLimit).map {
            LogItem(sequence: $0.sequence, epoch: Epoch($0.epoch), payload: $0, byteCount: $0.byteCount)
        }
    }

    private func beginCopy(for node: NodeID) {
        let begun = monitor.withLock { state -> UInt64? in
            guard let replication = state.replication, replication.copies[node] == nil,
                state.copyAttempts.mayBegin(for: node, now: .now)
            else { return nil }
            let progress = Replication.CopyProgress(
                attempt: state.copyAttempts.next(),
                wantedFrom: replication.machine.applied
            )
            state.replication?.copies[node] = progress
            return progress.attempt
        }
        guard let attempt = begun else { return }
        Task { [weak self] in
            guard let self else { return }
            let failure = await sendCopy(to: node, attempt)
            monitor.withLock { state in
                state.copyAttempts.ended(for: node, failure, now: .now)
                guard state.replication?.isCurrent(attempt, for: node) ?? false else { return }
                state.replication?.endCopy(for: node, isTaken: failure == nil)
                // What is kept of it, or was taken before, is of use as long as the log behind it is there.
                let isOfUse = state.outgoing[node] != nil || state.replication?.taken[node] != nil
                if failure != nil, !isOfUse { state.replication?.copySizes[node] = nil }
            }
        }
    }
}

extension Replica.State {
    /// Whether there may be work for the lane after something was heard of the log, of its group or of the others: that
    /// comes several times a second, and a wake-up costs as much as a short read. What is put into the queue, or a
    /// copy, wakes the lane by itself.
    fileprivate var mayHaveWork: Bool {
        guard replication != nil else { return false }
        if replication?.machine.hasStep ?? false { return true }
        // Writes that waited for room, and the end of a frozen log, go by what the others have.
        return !queue.isEmpty || isFrozen || copy != nil || cut != nil
    }

    func mayTake(copyAt sequence: UInt64, from epoch: Epoch) -> Bool {
        replication?.machine.mayTake(copyAt: LogPosition(sequence: sequence, epoch: epoch), from: epoch) ?? false
    }
}
