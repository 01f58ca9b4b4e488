import ClusterModel
import FaceModel
import PartitionEngine
import PartitionStore
import ShardReplication
import WireProtocol

/// A replica's part in the log of its shard, and who waits for what of it: all of it under the replica's lock.
struct Replication {
    /// A write that is in the log and not acknowledged.
    struct OrderedWrite {
        let sequence: UInt64
        let rowCount: Int
        /// Of its entry.
        let byteCount: Int
        let finish: @Sendable (Result<WriteReceipt, WireStatus>) -> Void
        /// Known once its entry is applied here.
        var receipt: WriteReceipt?
    }

    /// A primary that waits for the answer to its message.
    struct Caller {
        let sender: NodeID
        let epoch: Epoch
        let sent: Duration
        let arrival: Duration
        let answer: @Sendable (Result<EntriesAppended, WireStatus>) -> Void
    }

    /// What is to be done once the lock is free. Whoever is to be answered has been taken from those who wait, so
    /// nothing that happens meanwhile leaves anybody without an answer.
    enum Effect {
        case send(AppendRequest<LogEntry>, to: NodeID)
        case load(first: UInt64, for: NodeID, in: Epoch)
        case copy(to: NodeID)
        case propose(GroupProposal)
        case tell(DiskLoss)
        case answer(Caller, Result<EntriesAppended, WireStatus>)
        case finish(OrderedWrite, Result<WriteReceipt, WireStatus>)
        case refuse(PositionCallers.Caller, WireStatus)
    }

    /// How far a copy is that is being made or sent.
    struct CopyProgress {
        /// Which of the replica's attempts at copies it is.
        let attempt: UInt64
        /// The entry from which on the replica will want the log, that one among them.
        var wantedFrom: UInt64
        var sentByteCount: UInt64 = 0
        /// 0 while the copy is being made.
        var totalByteCount: UInt64 = 0
    }

    /// Where the next write would be ordered.
    struct Place: Equatable {
        var epoch: Epoch
        var sequence: UInt64
        var previousChain: UInt64
    }

    /// Longest that a caller is kept.
    static let longestCall = Duration.seconds(5)

    private let shard: ShardID
    var machine: ReplicaStateMachine<LogEntry>
    /// As of the last commit.
    private(set) var extent: LogExtent
    var horizon: LogHorizon
    /// Whether there were entries when the session began.
    private let hasFoundLog: Bool
    /// What was applied when the log began, before its first entry and in no log; nil where there were entries.
    let beginning: LogPosition?
    /// Chain of the last entry ordered here as primary; nil while that is the last on disk.
    private var orderedChain: UInt64?
    private var nextTicket: UInt64 = 0
    private var ordered: [WriteTicket: OrderedWrite] = [:]
    private var ticketOfSequence: [UInt64: WriteTicket] = [:]
    private(set) var unacknowledgedRowCount = 0
    private(set) var unacknowledgedByteCount = 0
    private var callers: [Caller] = []
    var positionCallers = PositionCallers()
    /// Rows of entries applied since somebody last asked.
    private var appliedRowCount = 0
    /// Entries that are not applied yet and end with a look at what the replica then holds. Ascending.
    private(set) var checkpoints: [UInt64] = []
    /// The last such look.
    private(set) var checkpoint: WorkerReport.Checkpoint?
    /// When this replica last ordered one.
    var lastCheckpoint: Duration
    /// Copies of the partition that are on their way to other replicas.
    var copies: [NodeID: CopyProgress] = [:]
    /// The entries from which on the log is wanted by replicas that took a copy: until they have some of it, or another
    /// copy is made.
    var taken: [NodeID: UInt64] = [:]
    /// Bytes of copies that are being made or sent, and of those that learners have taken.
    var copySizes: [NodeID: Int] = [:]

    /// - Parameter checkpoints: entries on disk that are not applied and are checkpoints.
    init(
        shard: ShardID,
        machine: ReplicaStateMachine<LogEntry>,
        extent: LogExtent,
        checkpoints: [UInt64],
        horizon: LogHorizon,
        now: Duration
    ) {
        self.shard = shard
        self.machine = machine
        self.checkpoints = checkpoints
        lastCheckpoint = now
        self.extent = extent
        self.horizon = horizon
        hasFoundLog = extent.firstLogged <= extent.lastSequence
        beginning =
            hasFoundLog ? nil : LogPosition(sequence: extent.appliedSequence, epoch: Epoch(extent.appliedEpoch))
    }

    /// Whether an attempt at a copy is the one that is under way; it is not once the replica has begun its log anew.
    func isCurrent(_ attempt: UInt64, for node: NodeID) -> Bool { copies[node]?.attempt == attempt }

    /// A copy is over. The replica that took it opens it before it says anything: the log behind it stays until then.
    mutating func endCopy(for node: NodeID, isTaken: Bool) {
        let copy = copies.removeValue(forKey: node)
        if isTaken { taken[node] = copy?.wantedFrom }
    }

    /// Whether nothing that is in the log waits to be durable or applied.
    var isFinished: Bool {
        !machine.hasStep && extent.appliedSequence == extent.lastSequence
            && machine.last.sequence == extent.lastSequence
    }

    // MARK: Ordering

    /// Nil while this replica orders no writes.
    var place: Place? {
        guard machine.role == .primary, let group = machine.group else { return nil }
        return Place(
            epoch: group.epoch,
            sequence: machine.last.sequence + 1,
            previousChain: orderedChain ?? extent.lastChain
        )
    }

    /// Puts writes into the log, each with the entry that was made for its place.
    ///
    /// - Returns: the writes from the first one on that was refused, with the reason; nothing of them was done.
    mutating func order(
        _ entries: [(entry: LogEntry, write: PendingWrite)],
        now: Duration
    ) -> (refused: ArraySlice<PendingWrite>, reason: WriteRefusal)? {
        for (index, (entry, write)) in entries.enumerated() {
            let ticket = WriteTicket(nextTicket)
            do throws(WriteRefusal) {
                try machine.submit(
                    entry,
                    byteCount: entry.byteCount,
                    as: ticket,
                    isDeletion: write.takesFacesAway,
                    isLast: index == entries.count - 1,
                    now: now
                )
            } catch {
                if index > 0 { machine.tick(now: now) }
                return (entries[index...].map(\.write)[...], error)
            }
            nextTicket += 1
            orderedChain = entry.chain
            ordered[ticket] = OrderedWrite(
                sequence: entry.sequence,
                rowCount: write.rowCount,
                byteCount: entry.byteCount,
                finish: write.finish
            )
            ticketOfSequence[entry.sequence] = ticket
            unacknowledgedRowCount += write.rowCount
            unacknowledgedByteCount += entry.byteCount
        }
        return nil
    }

    // MARK: Effects

    /// What the machine wants done.
    mutating func takeEffects() -> [Effect] {
        machine.takeActions().compactMap { action in
            switch action {
            case .send(.reply(let reply), let node):
                caller(of: reply, to: node).map { .answer($0, .success(EntriesAppended(reply))) }
            case .acknowledge(let ticket, _):
                take(ticket).map { write in
                    .finish(write, write.receipt.map { .success($0) } ?? .failure(Refusal.leftBehind(shard)))
                }
            case .abandon(let ticket):
                take(ticket).map { .finish($0, .failure(Refusal.leftBehind(shard))) }
            case .send(.append(let request), let node): .send(request, to: node)
            case .load(let first, let node, let epoch): .load(first: first, for: node, in: epoch)
            case .copy(let node): .copy(to: node)
            case .propose(let proposal): .propose(proposal)
            case .tell(let loss): .tell(loss)
            }
        }
    }

    /// Ends going by the log: nobody waits for it afterwards. What became of a write that waits nobody knows.
    mutating func end() -> [Effect] {
        machine.stop()
        let opening = Refusal.opening(shard)
        return takeEffects()
            + takeCallers().map { .answer($0, .failure(opening)) }
            + positionCallers.take().map { .refuse($0, opening) }
    }

    /// The write is over: what it was told about it is in its receipt.
    private mutating func take(_ ticket: WriteTicket) -> OrderedWrite? {
        guard let write = ordered.removeValue(forKey: ticket) else { return nil }
        ticketOfSequence[write.sequence] = nil
        unacknowledgedRowCount -= write.rowCount
        unacknowledgedByteCount -= write.byteCount
        return write
    }

    // MARK: Disk

    /// The transactions that make a step durable, in order; none while there is nothing to make durable. There is more
    /// than one when a checkpoint is among what is applied: each but the last ends with one.
    ///
    /// - Parameters:
    ///   - archived: the last entry that an archive has which wants those behind; nil without one.
    ///   - kept: copies that are not being sent, and may be again.
    ///   - isRecent: this process has held the replica for too short a time to know who wanted entries before: all that
    ///     were found are kept like those that somebody wants.
    ///   - storedByteCount: how long an entry is in the file.
    mutating func nextTransactions(
        archived: UInt64?,
        kept: [OutgoingCopy],
        isRecent: Bool,
        storedByteCount: (LogEntry) -> Int
    ) -> [LogTransaction] {
        guard let step = machine.nextStep() else { return [] }
        taken = taken.filter { node, sequence in machine.matched(of: node).map { $0 < sequence } ?? false }
        if let sequence = step.truncateAfter {
            horizon.truncated(after: sequence)
            checkpoints.removeAll { $0 > sequence }
        }
        for item in step.append {
            horizon.appended(item.sequence, byteCount: storedByteCount(item.payload))
            if case .beginEpoch = item.payload.operation { checkpoints.append(item.sequence) }
        }
        let wanted = wantedFrom(archived: archived, kept: kept, isRecent: isRecent)
        let passed = checkpoints.filter { $0 <= step.applyThrough }
        checkpoints.removeAll { $0 <= step.applyThrough }
        let ends = passed + (passed.last == step.applyThrough ? [] : [step.applyThrough])
        var transactions = ends.map { LogTransaction(applyThrough: $0) }
        transactions[0].promise = step.promise?.number
        transactions[0].truncateAfter = step.truncateAfter
        transactions[0].append = step.append.map(\.payload)
        transactions[0].forgetThrough = horizon.forgettable(
            applied: machine.applied,
            wanted: wanted,
            copyByteCount: copySizes.filter { machine.group?.learners.contains($0.key) ?? false }.values.max() ?? 0
        )
        return transactions
    }

    /// Entries behind this one are wanted by somebody, or may be; nil when none is known to.
    private func wantedFrom(archived: UInt64?, kept: [OutgoingCopy], isRecent: Bool) -> UInt64? {
        if isRecent, hasFoundLog { return 0 }
        var first = machine.wantedFrom
        for sequence in copies.values.map(\.wantedFrom) + kept.map(\.wantedFrom) + taken.values {
            first = min(first ?? sequence, sequence)
        }
        // The entry itself is wanted, too: the next one is told by its epoch. An archive goes by its own chain.
        return [first.map { $0 - min($0, 1) }, archived].compactMap { $0 }.min()
    }

    /// The last entry, up to a sequence, that may be forgotten so that its embeddings are erased; nil when none may.
    ///
    /// - Parameters:
    ///   - archived, kept, isRecent: as in ``nextTransactions(archived:kept:isRecent:storedByteCount:)``.
    ///   - isPressing: nobody is waited for any more: a replica that wants the entries needs a copy, and an archive has
    ///     a gap.
    func erasable(
        through sequence: UInt64,
        archived: UInt64?,
        kept: [OutgoingCopy],
        isRecent: Bool,
        isPressing: Bool
    ) -> UInt64? {
        // The last one applied is kept, since the next one is told by its epoch.
        guard extent.appliedSequence > 0 else { return nil }
        let wanted = isPressing ? nil : wantedFrom(archived: archived, kept: kept, isRecent: isRecent)
        let through = min(sequence, extent.appliedSequence - 1, wanted ?? .max)
        return through >= extent.firstLogged ? through : nil
    }

    /// One of the transactions of the step is on disk.
    mutating func committed(_ transaction: LogTransaction, _ outcome: LogOutcome) {
        extent = outcome.extent
        if let sequence = transaction.forgetThrough { horizon.forgot(through: sequence) }
        for applied in outcome.applied {
            appliedRowCount += applied.receipt.rowCount
            guard let ticket = ticketOfSequence[applied.sequence] else { continue }
            ordered[ticket]?.receipt = applied.receipt
        }
    }

    mutating func takeAppliedRowCount() -> Int {
        defer { appliedRowCount = 0 }
        return appliedRowCount
    }

    mutating func passed(_ checkpoint: WorkerReport.Checkpoint) { self.checkpoint = checkpoint }

    /// All of the step is on disk.
    mutating func stored(now: Duration) {
        let wasPrimary = machine.role == .primary
        machine.stored(now: now)
        if !wasPrimary { orderedChain = nil }
    }

    // MARK: Callers

    mutating func wait(_ caller: Caller) { callers.append(caller) }

    /// Who waits for this answer. Any of several calls with one time will do: the answer is the same.
    private mutating func caller(of reply: AppendReply, to sender: NodeID) -> Caller? {
        callers.firstIndex { $0.sender == sender && $0.epoch == reply.epoch && $0.sent == reply.sent }
            .map { callers.remove(at: $0) }
    }

    /// Callers that have waited for too long, or all of them.
    mutating func takeCallers(arrivedBefore time: Duration? = nil) -> [Caller] {
        guard let time else {
            defer { callers.removeAll() }
            return callers
        }
        guard let first = callers.first, first.arrival < time else { return [] }
        let late = callers.filter { $0.arrival < time }
        callers.removeAll { $0.arrival < time }
        return late
    }

    /// Those whose position is confirmed, with it.
    mutating func takeConfirmedCallers() -> (callers: ArraySlice<PositionCallers.Caller>, position: UInt64) {
        positionCallers.takeConfirmed { [machine] asked in machine.confirmedPosition(since: asked) }
    }
}

extension WriteReceipt {
    fileprivate var rowCount: Int {
        switch outcome {
        case .enrolled(let outcomes): outcomes.count
        case .deleted(let outcomes): outcomes.count
        case .expired(let faceCount): faceCount
        case .epochBegun, .keyReused: 0
        }
    }
}

extension PendingWrite {
    /// Whether faces are gone once it is acknowledged.
    var takesFacesAway: Bool {
        switch batch.operation {
        case .delete: true
        case .expire(_, let faces): !faces.isEmpty
        case .enrol, .restore, .beginEpoch: false
        }
    }
}
