package import ClusterModel

/// One replica of a shard: takes part in a log that the primary orders, and applies what is committed.
///
/// Primary–secondary with epochs fenced by the metadata store. The primary appends a write to its log and sends it to
/// the others; an entry is committed once every replica in sync has it on disk, and acknowledged once every one of them
/// has applied it: so each may answer searches, and each may be the next primary. Entries that are not committed are in
/// logs only, and a later primary cuts them off.
///
/// Knows no clock, socket or disk: its driver hands it events, with the time, carries its actions out
/// (``takeActions()``), and has one ``LogStep`` at a time made durable (``nextStep()``, ``stored(now:)``). Times are
/// durations since any fixed moment of the replica's own monotonic clock.
/// - SeeAlso: Lin et al., "PacificA" (2008). `docs/replication.md` has the rules and why they hold.
package struct ReplicaStateMachine<Payload: Sendable>: Sendable {
    package enum Role: Hashable, Sendable {
        /// Obeys the primary of the promised epoch. Can move to: `activating`.
        case follower
        /// Named primary; the promise to itself is not on disk yet, or others in sync have yet to say whether they know
        /// more, when this replica has begun anew. Can move to: `primary`, `follower`.
        case activating
        /// Orders writes. Can move to: `follower`, `activating`.
        case primary
    }

    package let node: NodeID
    package let timings: ReplicationTimings
    package let bug: PlantedBug?
    /// What the disk holds is taken for all that it ever held.
    let trustsDisk: Bool
    /// As last heard.
    package internal(set) var group: ReplicaGroup?
    /// In sync by the last record of another primary, or since: they have what is applied here.
    var inSyncBefore: Set<NodeID> = []
    package internal(set) var role = Role.follower

    // The log.
    var log: LogTail
    /// Last entry on disk.
    package internal(set) var durableLast: UInt64
    /// As on disk, and as it will be after what is pending.
    package internal(set) var promised: Epoch
    var promisedSoon: Epoch
    /// Everything up to here is committed.
    package internal(set) var committed: UInt64
    /// As primary: the end of the log that it began to lead with. Entries of earlier epochs up to here may have been
    /// committed, and seen, without its knowing.
    var inherited: UInt64 = 0
    var pending = LogStep<Payload>(applyThrough: 0)
    var inFlight: LogStep<Payload>?
    /// Replies that wait for the pending step, and for the one in flight.
    var waitingReplies: [WaitingReply] = []
    var inFlightReplies: [WaitingReply] = []

    /// Whether the disk takes more than what is in the log already; its driver says so.
    package var hasRoom = true

    // As primary.
    var progress: [NodeID: FollowerProgress] = [:]
    /// The last entries, for sending: contiguous, up to the end of the log.
    var window: ArraySlice<LogItem<Payload>> = []
    var windowByteCount = 0
    var writes: [WaitingWrite] = []
    /// The highest sequence acknowledged in this epoch, or applied when it began.
    var acknowledged: UInt64 = 0
    /// The others are asked whether they know more, before this replica leads.
    var isAsking = false
    /// It leads although those that might know more were silent: what its disk may have lost cannot be noticed.
    var leadsUnheard = false
    /// When this epoch began, later by the time that it stood still since, and what was applied then.
    var activated = Duration.zero
    var foundation: UInt64 = 0
    /// A learner that counts although the metadata store does not say so yet.
    var growth: Growth?
    var proposal: (made: GroupProposal, at: Duration)?
    /// Deletions are not acknowledged before: until then replicas that left the in-sync set, in a record that was not
    /// seen, may answer reads.
    var quarantineEnd: Duration = .zero
    /// Replicas that left it in a record that was seen, and until when they may: sooner, once they say that they go by
    /// that record.
    var leavers: [NodeID: (version: UInt64, until: Duration)] = [:]

    // What the disk may have lost before this life.
    /// The disk began with this life.
    let isNew: Bool
    /// Of the first group heard of; nil before, and when the disk is new.
    var firstEpoch: Epoch?
    /// It has everything that it may have acknowledged in an earlier life.
    var isWhole = false
    /// With the primary of the highest epoch that there was one with; nil before the first.
    var agreement: Agreement?
    /// Until a later primary's log agrees with this one.
    var loss: Loss?
    /// The last epoch whose primary was seen to have all in its log that is applied here.
    var sharedEpoch: Epoch?

    // Reads.
    /// What its clock showed when it began: a time of before is another life's.
    let born: Duration
    /// When time last passed.
    var lastTick: Duration
    /// When the metadata store last confirmed the group of this version.
    var confirmation: (version: UInt64, at: Duration)?
    var leaseEnd: Duration?

    var actions: [ReplicaAction<Payload>] = []

    /// A reply that goes out once the disk has what it is about.
    struct WaitingReply: Sendable {
        var to: NodeID
        var epoch: Epoch
        var outcome: Outcome
        var sent: Duration

        enum Outcome: Sendable {
            case accepted(matched: UInt64)
            case mismatch(last: UInt64)
            case ahead
            case standing
        }
    }

    struct WaitingWrite: Sendable {
        var ticket: WriteTicket
        var sequence: UInt64
        var isDeletion: Bool
    }

    /// What a primary told whose log this replica's agrees with.
    struct Agreement: Sendable {
        var epoch: Epoch
        var committed: UInt64
    }

    /// This replica's disk went back, by the word of another in sync, which is to lead.
    struct Loss: Sendable {
        var witness: NodeID
        /// In which it was noticed. Whoever is to lead in a later one asks again.
        var epoch: Epoch
    }

    struct Growth: Sendable {
        var learner: NodeID
        /// It joins when it has applied this much.
        var watermark: UInt64
        /// Version of the group that it was proposed to; nil before.
        var proposedVersion: UInt64?
    }

    /// Bytes of entries in one request, unless one entry alone has more.
    package static var requestByteLimit: Int { 4 << 20 }
    /// Entries on their way to one replica.
    static var entriesOnTheirWay: UInt64 { 256 }
    /// Bytes of them, unless one entry alone has more, or they are read from disk.
    static var bytesOnTheirWay: Int { 24 << 20 }
    /// Bytes of entries kept for sending; what lies before is read from disk.
    static var windowByteLimit: Int { 32 << 20 }
    /// A learner that lacks fewer entries may join.
    static var growthLag: UInt64 { 16 }

    /// - Parameters:
    ///   - log: what the disk holds.
    ///   - now: of the clock that every later event is told.
    ///   - isNew: the disk was made in this life of the process, so that no earlier one can have used it.
    ///   - bug: for tests of the simulator only.
    ///   - trustsDisk: for tests of the simulator only: leaves out every check for disks that went back, which finds
    ///     what other bugs leave behind as well.
    package init(
        node: NodeID,
        log: DurableLog,
        timings: ReplicationTimings,
        now: Duration,
        isNew: Bool = false,
        bug: PlantedBug? = nil,
        trustsDisk: Bool = false
    ) {
        self.node = node
        self.isNew = isNew
        self.trustsDisk = trustsDisk
        isWhole = isNew || trustsDisk
        born = now
        lastTick = now
        self.timings = timings
        self.bug = bug
        self.log = LogTail(log)
        durableLast = self.log.last.sequence
        promised = log.promised
        promisedSoon = log.promised
        committed = log.applied.sequence
    }

    /// Sequence of the last entry applied durably.
    package var applied: UInt64 { log.base.sequence }
    package var last: LogPosition { log.last }

    /// What its driver has to do now, in order.
    package mutating func takeActions() -> [ReplicaAction<Payload>] {
        defer { actions.removeAll(keepingCapacity: true) }
        return actions
    }

    // MARK: Disk

    /// Whether ``nextStep()`` gives one.
    package var hasStep: Bool { inFlight == nil && (!pending.isEmpty || min(committed, log.last.sequence) > applied) }

    /// What to make durable next; nil while there is nothing, or while a step is under way.
    package mutating func nextStep() -> LogStep<Payload>? {
        guard inFlight == nil else { return nil }
        let applicable = min(bug == .applyBeforeCommit ? log.last.sequence : committed, log.last.sequence)
        guard !pending.isEmpty || applicable > applied else { return nil }
        var step = pending
        step.applyThrough = applicable
        if bug == .promiseNotPersisted { step.promise = nil }
        pending = LogStep(applyThrough: 0)
        inFlight = step
        inFlightReplies = waitingReplies
        waitingReplies.removeAll()
        return step
    }

    /// The step that ``nextStep()`` gave is on disk.
    ///
    /// A step that failed ends the machine: call ``stop()``, open the disk anew, and begin from what is there.
    package mutating func stored(now: Duration) {
        guard let step = inFlight else { preconditionFailure("no step was under way") }
        inFlight = nil
        if let cut = step.truncateAfter { durableLast = min(durableLast, cut) }
        durableLast += UInt64(step.append.count)
        promised = bug == .promiseNotPersisted ? promisedSoon : max(promised, step.promise ?? promised)
        // What was cut off meanwhile is not applied: a cut never reaches what is committed.
        log.applied(through: step.applyThrough)
        for reply in inFlightReplies { send(reply, now: now) }
        inFlightReplies.removeAll()
        noteWhole()
        if role == .activating, !isAsking, let group, promised >= group.epoch { activate(group, now: now) }
        if role == .primary { lead(now: now) }
    }

    /// Ends what is under way: writes that were not acknowledged may or may not come to be.
    package mutating func stop() {
        role = .follower
        abandonWrites()
        leaseEnd = nil
    }

    // MARK: Groups

    /// The metadata store's record of the group, as of `now` at the latest.
    package mutating func configured(_ new: ReplicaGroup, now: Duration) {
        if let group, new.version <= group.version { return }
        let old = group
        group = new
        inSyncBefore = new.primary == node ? inSyncBefore.union(new.inSync) : Set(new.inSync)
        if !isNew { firstEpoch = firstEpoch ?? new.epoch }
        // What begins as a learner has nothing, however its primary may come to believe otherwise.
        if old == nil, !new.isInSync(node), !trustsDisk { isWhole = false }
        if proposal.map({ $0.made.version < new.version }) ?? false { proposal = nil }
        quarantine(from: old, to: new, now: now)
        guard new.primary == node else {
            if new.epoch > promisedSoon { promise(new.epoch) }
            if role != .follower { stepDown() }
            return
        }
        if role != .follower, let old, old.epoch == new.epoch {
            if role == .primary || isAsking { regroup(from: old, to: new, now: now) }
            return
        }
        stepDown()
        seekPrimacy(new, now: now)
    }

    /// The metadata store has confirmed, in answer to a question of `asked`, that the group is of this version.
    package mutating func confirmed(version: UInt64, asked: Duration) {
        // Before its birth it may have known more than it does now, unless it began with this disk.
        guard asked >= born || isNew else { return }
        if let confirmation, confirmation.version == version, confirmation.at >= asked { return }
        confirmation = (version, asked)
    }

    /// Becomes the primary of an epoch that it has not promised to anyone, or asks for a new one.
    private mutating func seekPrimacy(_ group: ReplicaGroup, now: Duration) {
        if let loss, group.epoch <= loss.epoch {
            // The witness is to lead. When it is not in sync any more, the others are to be asked again.
            return propose(.takeOver(group.isInSync(loss.witness) ? loss.witness : node), now: now)
        }
        loss = nil
        if group.epoch > promisedSoon, isFresh(group.epoch) {
            promise(group.epoch)
            role = .activating
        } else if bug == .resumeSameEpoch, group.epoch == promisedSoon {
            role = .activating
            activate(group, now: now)
            lead(now: now)
        } else if bug != .noTakeOverRetry || proposal == nil {
            propose(.takeOver(node), now: now)
        }
    }

    /// Whether nobody, and not this replica in an earlier life either, can have led in an epoch: it came about in this
    /// life. The disk alone does not tell: it may have gone back to before a promise.
    private func isFresh(_ epoch: Epoch) -> Bool { trustsDisk || firstEpoch.map { epoch > $0 } ?? true }

    /// Whether it is noticed that a disk went back.
    var noticesLosses: Bool { !trustsDisk && bug != .leadWithoutItsEntries }

    mutating func propose(_ change: GroupProposal.Change, now: Duration) {
        guard let group else { return }
        if let proposal, proposal.made.version == group.version {
            guard bug != .noTakeOverRetry, now - proposal.at >= timings.proposal else { return }
        }
        let made = GroupProposal(version: group.version, epoch: group.epoch, change: change)
        proposal = (made, now)
        actions.append(.propose(made))
    }

    mutating func promise(_ epoch: Epoch) {
        promisedSoon = max(promisedSoon, epoch)
        pending.promise = max(pending.promise ?? epoch, epoch)
    }

    /// Notes which replicas are not in sync any more and may not know it.
    ///
    /// With one record between the two that was not seen, a learner may have joined and left; with more anybody may
    /// have.
    private mutating func quarantine(from old: ReplicaGroup?, to new: ReplicaGroup, now: Duration) {
        let end = now + timings.staleness * (1 + 2 * timings.clockError)
        guard let old, new.version <= old.version + 2 else {
            quarantineEnd = max(quarantineEnd, end)
            return
        }
        let candidates = new.version == old.version + 1 ? old.inSync : old.members
        for leaver in candidates where !new.isInSync(leaver) && leaver != node { leavers[leaver] = (new.version, end) }
        for member in new.inSync { leavers[member] = nil }
    }

    func isQuarantined(now: Duration) -> Bool {
        now < quarantineEnd || leavers.values.contains { now < $0.until }
    }

    /// Ends being or becoming the primary.
    mutating func stepDown() {
        role = .follower
        isAsking = false
        leadsUnheard = false
        progress.removeAll()
        window.removeAll()
        windowByteCount = 0
        growth = nil
        abandonWrites()
    }

    private mutating func abandonWrites() {
        for write in writes { actions.append(.abandon(write.ticket)) }
        writes.removeAll()
    }

    // MARK: Time

    /// Time has passed; call it a few times per heartbeat.
    package mutating func tick(now: Duration) {
        noteTick(now: now)
        guard let group else { return }
        switch role {
        case .primary:
            watch(group, now: now)
            lead(now: now)
        case .activating:
            ask(now: now)
            lead(ifHeard: now)
        case .follower: if group.primary == node { seekPrimacy(group, now: now) }
        }
    }

    /// Most of the time between two ticks that counts as others' silence. A process that stood still, or whose machine
    /// did, goes on with everybody silent for as long, whose words wait to be read; one that is slow all the time
    /// takes longer to notice who is silent, and does.
    private var longestSilence: Duration { timings.silence / 5 }

    /// Until when it could have heard of others, but for what waits to be read.
    func hearing(now: Duration) -> Duration { min(now, lastTick + longestSilence) }

    /// What of the time since the last tick does not count as silence is taken out of it.
    private mutating func noteTick(now: Duration) {
        let heard = hearing(now: now)
        lastTick = max(lastTick, now)
        guard now > heard else { return }
        for member in progress.keys { progress[member]?.countLess(now - heard, now: now) }
        activated = min(now, activated + (now - heard))
    }

    // MARK: Reads

    /// Whether reads may be answered: all that was acknowledged more than ``ReplicationTimings/staleness`` ago is
    /// applied here, and every deletion that was acknowledged at all.
    package func mayServeReads(now: Duration) -> Bool {
        guard let group, group.isInSync(node) else { return false }
        if bug == .readWithoutLease { return true }
        guard isWhole || isUnopposed(now: now) || bug == .readWithoutItsEntries else { return false }
        if bug == .readUnconfirmed, isAsking { return true }
        if let confirmation, confirmation.version == group.version, now - confirmation.at < timings.staleness {
            return true
        }
        if role == .primary { return confirmationAge(now: now, except: nil).map { $0 < timings.staleness } ?? false }
        return leaseEnd.map { now < $0 } ?? false
    }

    /// Notes when everything is applied here that this replica may have acknowledged in an earlier life. Its disk may
    /// have been put back to an earlier state since; in this life it keeps what it has.
    mutating func noteWhole() {
        guard !isWhole, loss == nil, let group, let agreement else { return }
        isWhole = applied >= agreement.committed && agreement.epoch >= group.epoch
    }

    /// Whether reads of this primary may miss what its disk had lost before this life: who would know is silent.
    package var isUnheard: Bool { isAsking || leadsUnheard }

    /// As a primary that is yet to lead: whether everybody in sync knows of nothing more, or is silent.
    func isUnopposed(now: Duration) -> Bool {
        guard isAsking, loss == nil, let group else { return false }
        return group.inSync.allSatisfy { $0 == node || progress[$0]?.hasAgreed ?? false || isSilent($0, now: now) }
    }
}
