package import ClusterModel

extension ReplicaStateMachine {
    // MARK: Writes

    /// Puts a write into the log; ``ReplicaAction/acknowledge(_:sequence:)`` or ``ReplicaAction/abandon(_:)`` follows.
    ///
    /// - Parameters:
    ///   - isDeletion: the write takes faces away, so that no replica may show them once it is acknowledged.
    ///   - isLast: no other follows at once, with which it could be sent.
    /// - Throws: nothing of it was done.
    package mutating func submit(
        _ payload: Payload,
        byteCount: Int,
        as ticket: WriteTicket,
        isDeletion: Bool,
        isLast: Bool = true,
        now: Duration
    ) throws(WriteRefusal) {
        guard role == .primary, let group else { throw .notPrimary }
        if let stall = stall(of: group, now: now) { throw stall }
        let item = LogItem(
            sequence: log.last.sequence + 1,
            epoch: group.epoch,
            payload: payload,
            byteCount: byteCount
        )
        append(item)
        window.append(item)
        windowByteCount += byteCount
        writes.append(WaitingWrite(ticket: ticket, sequence: item.sequence, isDeletion: isDeletion))
        trimWindow()
        if isLast { transmit(now: now) }
    }

    /// Why nothing can be committed at the moment; nil when nothing is known against it.
    private func stall(of group: ReplicaGroup, now: Duration) -> WriteRefusal? {
        let silent = required.filter { $0 != node && isSilent($0, now: now) }
        guard group.inSync.count < group.minimumInSync || !silent.isEmpty && group.inSync.count <= group.minimumInSync
        else { return nil }
        return .tooFewInSync(inSync: group.inSync.count - silent.count, minimum: group.minimumInSync)
    }

    /// As primary: a replica whose disk is full and that cannot be done without. A write that needs room must not come
    /// into the log: it would wait for that replica, and every later one behind it, deletions among them.
    package var fullReplica: NodeID? {
        guard role == .primary, let group, group.inSync.count <= group.minimumInSync else { return nil }
        return group.inSync.first { $0 != node && !(progress[$0]?.hasRoom ?? true) }
    }

    // MARK: Being primary

    /// The promise to itself is on disk: begins to lead, or, when it may lack what it had acknowledged in an earlier
    /// life, to ask.
    mutating func activate(_ group: ReplicaGroup, now: Duration) {
        window.removeAll()
        // Whatever its predecessors acknowledged is applied here: this replica was in sync.
        acknowledged = applied
        foundation = applied
        inherited = log.last.sequence
        activated = now
        progress = Dictionary(
            uniqueKeysWithValues: group.members.filter { $0 != node }.map {
                var follower = newProgress(by: group, now: now)
                follower.isFounder = group.isInSync($0)
                // So the log is kept for a primary that was lost, too, which this record has as a learner.
                if inSyncBefore.contains($0) { follower.had = applied }
                return ($0, follower)
            }
        )
        if isWhole || bug == .leadWithoutItsEntries {
            role = .primary
        } else {
            isAsking = true
            ask(now: now)
            lead(ifHeard: now)
        }
    }

    /// Asks those in sync how far they are.
    mutating func ask(now: Duration) {
        guard isAsking, let group else { return }
        for member in group.inSync where member != node {
            guard let follower = progress[member], !follower.hasAgreed,
                follower.lastSent.map({ now - $0 >= timings.heartbeat }) ?? true
            else { continue }
            progress[member]?.lastSent = now
            let request = AppendRequest<Payload>(
                epoch: group.epoch,
                previous: log.last,
                entries: [],
                committed: committed,
                sent: now,
                lease: nil,
                asks: true
            )
            actions.append(.send(.append(request), to: member))
        }
    }

    /// Leads once enough of those in sync know of nothing that is not here: as many as a write needs, so that one of
    /// them would know what was acknowledged. Where a write needs no other, or fewer are in sync than it needs, all of
    /// them, unless they are silent. When too few are heard of for long, the others are gone.
    mutating func lead(ifHeard now: Duration) {
        guard isAsking, let group else { return }
        let others = group.inSync.filter { $0 != node }
        let agreedCount = others.count { progress[$0]?.hasAgreed ?? false }
        let isEnough = agreedCount >= min(group.minimumInSync - 1, others.count)
        // One of these would know.
        let isSure = isEnough && (group.minimumInSync > 1 || agreedCount == others.count)
        guard isSure || isUnopposed(now: now) && (isEnough || hearing(now: now) - activated >= timings.patience)
        else { return }
        leadsUnheard = !isSure
        isAsking = false
        // What its log holds may have been acknowledged, and its disk gone back to before it was applied.
        agreement = Agreement(epoch: group.epoch, committed: log.last.sequence)
        noteWhole()
        role = .primary
        // They have not been sent anything yet.
        for member in others { progress[member]?.lastSent = nil }
        lead(now: now)
    }

    /// Another record of the group in the same epoch.
    mutating func regroup(from old: ReplicaGroup, to new: ReplicaGroup, now: Duration) {
        for member in old.members where !new.members.contains(member) { progress[member] = nil }
        let wanted = progress.compactMapValues(\.wantedFrom)
        if new.version > old.version + 1 {
            // In a record that was not seen a learner may have been no member, and have lost its disk.
            for learner in new.learners { progress[learner] = nil }
            if let growth, new.learners.contains(growth.learner) { self.growth = nil }
        }
        for learner in new.learners {
            progress[learner]?.isFounder = false
            progress[learner]?.hasLost = false
            // It left since it was silent, and may come back with less than it said to have: it says so anew.
            if old.isInSync(learner) { progress[learner] = nil }
        }
        for member in new.members where member != node && progress[member] == nil {
            var follower = newProgress(by: new, now: now)
            follower.had = wanted[member] ?? 0
            progress[member] = follower
        }
        if let growth,
            new.isInSync(growth.learner) || !new.learners.contains(growth.learner)
                || growth.proposedVersion.map({ $0 < new.version }) ?? false
        {
            self.growth = nil
        }
        if role == .primary { lead(now: now) } else { lead(ifHeard: now) }
    }

    private func newProgress(by group: ReplicaGroup, now: Duration) -> FollowerProgress {
        FollowerProgress(began: now, memberSince: group.version, next: log.last.sequence + 1)
    }

    /// Everything that may follow from a step on disk or from a reply.
    mutating func lead(now: Duration) {
        advance()
        acknowledge(now: now)
        trimWindow()
        transmit(now: now)
    }

    /// Replicas without which nothing is committed: those that are in sync by any record that may be in force.
    var required: [NodeID] {
        guard let group else { return [] }
        var required = group.inSync
        if let growth, bug != .growWithoutUnion, !required.contains(growth.learner) { required.append(growth.learner) }
        if bug == .shrinkBeforeAnswer, case .remove(let silent)? = proposal?.made.change {
            required.removeAll { $0 == silent }
        }
        return required
    }

    /// Commits what every required replica has on disk.
    private mutating func advance() {
        guard let group, group.inSync.count >= group.minimumInSync else { return }
        var reached = durableLast
        if bug != .acknowledgeAfterLocalWrite {
            for member in required where member != node { reached = min(reached, progress[member]?.matched ?? 0) }
        }
        committed = max(committed, min(reached, log.last.sequence))
    }

    /// Through where every replica that may answer reads by any record in force has applied the log.
    private var appliedEverywhere: UInt64 {
        required.reduce(applied) { $1 == node ? $0 : min($0, progress[$1]?.applied ?? 0) }
    }

    /// How a write stands that is in the log and applied here.
    ///
    /// - Parameter isDeletion: the write takes faces away.
    package func standing(of sequence: UInt64, isDeletion: Bool, now: Duration) -> WriteStanding {
        guard role == .primary else { return .unknown }
        if sequence <= appliedEverywhere, !isDeletion || !isQuarantined(now: now) { return .settled }
        return sequence > foundation ? .underWay : .unknown
    }

    private mutating func acknowledge(now: Duration) {
        var visible = bug == .acknowledgeAfterLocalWrite ? applied : appliedEverywhere
        if bug == .acknowledgeBeforeApplied { visible = committed }
        guard let first = writes.first, first.sequence <= visible else { return }
        var held: [WaitingWrite] = []
        for write in writes {
            let isQuarantined = write.isDeletion && isQuarantined(now: now) && bug != .deleteWithoutQuarantine
            if write.sequence > visible || isQuarantined {
                held.append(write)
            } else {
                actions.append(.acknowledge(write.ticket, sequence: write.sequence))
                acknowledged = max(acknowledged, write.sequence)
            }
        }
        writes = held
    }

    // MARK: Replies

    mutating func note(_ reply: AppendReply, from sender: NodeID, now: Duration) {
        guard role == .primary || isAsking, let group, var follower = progress[sender] else { return }
        if case .fenced(let other) = reply.outcome {
            if other > group.epoch { stepDown() }
            return
        }
        guard reply.epoch == group.epoch && reply.sent >= follower.began || bug == .countOldReplies else { return }
        if let applied = reply.outcome.applied, applied > log.last.sequence || reply.outcome.isAhead,
            group.isInSync(sender), noticesLosses
        {
            return resign(to: sender, applied: applied, now: now)
        }
        if case .standing(let last, let other) = reply.outcome {
            guard isAsking else { return }
            if last.mayHoldMore(than: log.last), group.isInSync(sender) {
                return resign(to: sender, applied: other, now: now)
            }
            follower.lastHeard = now
            follower.hasAgreed = true
            progress[sender] = follower
            return lead(ifHeard: now)
        }
        guard role == .primary else { return }
        if let leaver = leavers[sender], reply.version >= leaver.version { leavers[sender] = nil }
        follower.lastHeard = now
        follower.version = max(follower.version, reply.version)
        follower.oldestUnanswered = nil
        follower.isUnanswered = false
        let isNewest = follower.confirmed.map { reply.sent >= $0 } ?? true
        // One that knows of a newer group confirms nothing: whom that leaves out must not be lent anything.
        if isNewest, reply.version <= group.version {
            follower.confirmed = reply.sent
            // Not the highest: its clock may have begun anew.
            follower.replied = reply.replied
        }
        if isNewest { follower.hasRoom = reply.hasRoom }
        switch reply.outcome {
        case .accepted(let matched, let applied):
            if min(matched, log.last.sequence) > follower.matched {
                follower.matched = min(matched, log.last.sequence)
                follower.matchedSince = now
            }
            follower.arrived()
            follower.needsCopy = false
            follower.had = 0
            if noticesLosses, applied > log.last.sequence {
                // Of another history: it says nothing of the entries that are to come here under these numbers.
                giveUp(what: applied, of: sender, &follower, group)
            } else {
                follower.applied = max(follower.applied, applied)
                follower.hasAgreed = follower.hasAgreed || applied <= follower.matched
                if follower.matched >= max(committed, foundation) { follower.hasLost = false }
            }
        case .mismatch(let last):
            // A late one tells of a log that has changed since.
            guard isNewest else { break }
            follower.needsCopy = false
            // What was asked before the replica had said what it has may have overtaken the entries that it had not.
            let isSince = follower.matchedSince.map { reply.sent >= $0 } ?? true
            let had = max(isSince ? follower.matched : 0, follower.isFounder ? foundation : 0)
            if last < had, group.isInSync(sender), !follower.hasLost, !trustsDisk {
                follower.hasLost = true
                actions.append(.tell(.other(sender, acknowledged: had, last: last)))
            }
            if last < follower.matched, isSince {
                // What it said to have is gone: whatever else it said counts no more.
                follower.matched = 0
                follower.applied = 0
                if growth?.learner == sender, growth?.proposedVersion == nil { growth = nil }
            }
            // With an entry where it was said to end, it has one of another primary's: so have all behind what this one
            // found in its log, which it need not be asked for one by one.
            let isConflict = last >= inherited && last < follower.agreed && last == follower.agreed - 1
            follower.agreed = max(follower.matched, min(last, isConflict ? inherited : log.last.sequence))
            follower.sendAgain(from: follower.agreed + 1)
            follower.had = 0
        case .fenced, .standing: break
        case .ahead(let other): giveUp(what: other, of: sender, &follower, group)
        }
        progress[sender] = follower
        // What it had said before is no reason to count it: a late word that it lacks something may be right.
        if case .accepted = reply.outcome { grow(with: sender, group, now: now) }
        lead(now: now)
    }

    /// A learner has applied what is not in this log: nobody in sync has its entries any more. A copy mends it that
    /// reaches further, once writes have gone on. Where none can, since too few are in sync, an operator has given up
    /// what only others have, and any copy does.
    private mutating func giveUp(
        what other: UInt64,
        of learner: NodeID,
        _ follower: inout FollowerProgress,
        _ group: ReplicaGroup
    ) {
        if !follower.hasLost {
            follower.hasLost = true
            actions.append(.tell(.own(witness: learner, applied: other, last: log.last.sequence)))
        }
        if applied > other || group.isByDecree { actions.append(.copy(to: learner)) }
    }

    /// Another replica in sync has what this one lacks, and it may have been committed: the other one is to lead. What
    /// it has applied was committed, so this one had it, and its disk went back.
    private mutating func resign(to witness: NodeID, applied: UInt64, now: Duration) {
        if applied > log.last.sequence || role == .primary {
            actions.append(.tell(.own(witness: witness, applied: applied, last: log.last.sequence)))
        }
        loss = Loss(witness: witness, epoch: promisedSoon)
        agreement = nil
        isWhole = false
        stepDown()
        propose(.takeOver(witness), now: now)
    }

    /// A learner that has caught up counts from now on, and joins once it has applied what was committed without it.
    /// Not before it goes by the group that made it one: until then its worker may remove it on an order that came
    /// late.
    private mutating func grow(with learner: NodeID, _ group: ReplicaGroup, now: Duration) {
        guard group.learners.contains(learner), let follower = progress[learner], follower.hasAgreed || trustsDisk,
            follower.isAware
        else { return }
        // Without room it would hold up faces, unless there are none as long as it is not in sync.
        let isWelcome = follower.hasRoom || group.inSync.count < group.minimumInSync
        if growth == nil, isWelcome, follower.matched + Self.growthLag >= log.last.sequence,
            !isSilent(learner, now: now)
        {
            // What is committed already did not wait for it, and may be applied elsewhere before it is here.
            let reached = bug == .growBeforeCommitted ? applied : committed
            growth = Growth(learner: learner, watermark: max(acknowledged, reached))
        }
        guard var growth, growth.learner == learner,
            follower.applied >= growth.watermark || bug == .growBeforeApplied
        else { return }
        if growth.proposedVersion == nil || growth.proposedVersion == group.version {
            growth.proposedVersion = group.version
            self.growth = growth
            propose(.add(learner), now: now)
        }
    }

    // MARK: Sending

    /// Sends what the others lack, and word of the commit.
    mutating func transmit(now: Duration) {
        guard let group else { return }
        for member in group.members where member != node { transmit(to: member, group, now: now) }
    }

    private mutating func transmit(to member: NodeID, _ group: ReplicaGroup, now: Duration) {
        guard var follower = progress[member] else { return }
        defer { progress[member] = follower }
        if let oldest = follower.oldestUnanswered, now - oldest >= timings.resend {
            follower.sendAgain(
                from: follower.matched == 0 ? log.last.sequence + 1 : min(follower.next, follower.matched + 1)
            )
            follower.oldestUnanswered = nil
            follower.isUnanswered = true
            send([], to: member, &follower, group, now: now)
        }
        let limit = max(follower.matched, follower.agreed) + Self.entriesOnTheirWay
        // Where nothing is heard the first of them is enough to hear of it again.
        let byteLimit = follower.isUnanswered ? Self.requestByteLimit : Self.bytesOnTheirWay
        while follower.next <= log.last.sequence, follower.next <= limit, follower.underWayByteCount < byteLimit,
            !follower.isLoading, !follower.needsCopy
        {
            guard let first = window.first?.sequence, let last = window.last?.sequence,
                first <= follower.next, follower.next <= last, log.epoch(at: follower.next - 1) != nil
            else {
                follower.isLoading = true
                actions.append(.load(first: follower.next, for: member, in: group.epoch))
                break
            }
            let left = byteLimit - follower.underWayByteCount
            let room = min(Self.requestByteLimit, left)
            var items: [LogItem<Payload>] = []
            var byteCount = 0
            for item in window[(window.startIndex + Int(follower.next - first))...] {
                byteCount += item.byteCount
                // One entry may be larger than a request is meant to be.
                let isFirst = items.isEmpty && (byteCount <= left || follower.underWayByteCount == 0)
                guard byteCount <= room || isFirst else { break }
                items.append(item)
            }
            if items.isEmpty { break }
            send(items, to: member, &follower, group, now: now)
        }
        let isDue = follower.lastSent.map { now - $0 >= timings.heartbeat } ?? true
        if isDue || follower.toldCommitted < min(committed, follower.matched) {
            send([], to: member, &follower, group, now: now)
        }
    }

    /// Entries from disk, asked for by ``ReplicaAction/load(first:for:in:)``.
    ///
    /// What was read in another epoch may have been cut off since, and is nothing of this one's.
    ///
    /// - Parameters:
    ///   - items: contiguous; empty when the log no longer has them, so that the replica needs a copy.
    ///   - previous: the position before the first of them.
    package mutating func loaded(
        _ items: [LogItem<Payload>],
        previous: LogPosition,
        for member: NodeID,
        in epoch: Epoch,
        now: Duration
    ) {
        guard role == .primary, let group, group.epoch == epoch, var follower = progress[member] else { return }
        follower.isLoading = false
        if items.isEmpty {
            follower.needsCopy = true
            actions.append(.copy(to: member))
        } else if previous.sequence + 1 == follower.next {
            send(items, behind: previous, to: member, &follower, group, now: now)
        }
        progress[member] = follower
    }

    mutating func send(
        _ items: [LogItem<Payload>],
        to member: NodeID,
        _ follower: inout FollowerProgress,
        _ group: ReplicaGroup,
        now: Duration
    ) {
        // Without entries any position will do that both may know: the one before the next entry, if it is known here.
        let sequence = max(follower.next - 1, items.isEmpty ? applied : 0)
        guard let epoch = log.epoch(at: sequence) else { return }
        let position = LogPosition(sequence: sequence, epoch: epoch)
        send(items, behind: position, to: member, &follower, group, now: now)
    }

    private mutating func send(
        _ items: [LogItem<Payload>],
        behind previous: LogPosition,
        to member: NodeID,
        _ follower: inout FollowerProgress,
        _ group: ReplicaGroup,
        now: Duration
    ) {
        var lease: AppendRequest<Payload>.Lease?
        if group.isInSync(member), let echo = follower.replied, let age = confirmationAge(now: now, except: member) {
            lease = AppendRequest.Lease(echo: echo, confirmationAge: age)
        }
        let request = AppendRequest(
            epoch: group.epoch,
            previous: previous,
            entries: items,
            committed: committed,
            sent: now,
            lease: lease
        )
        actions.append(.send(.append(request), to: member))
        if !items.isEmpty {
            follower.sent(
                through: previous.sequence + UInt64(items.count),
                byteCount: items.reduce(0) { $0 + $1.byteCount }
            )
        }
        follower.lastSent = now
        follower.oldestUnanswered = follower.oldestUnanswered ?? now
        follower.toldCommitted = min(committed, max(follower.toldCommitted, previous.sequence + UInt64(items.count)))
    }

    /// The entry from which on the log is wanted by a replica that is catching up, or away, that one among them; nil
    /// when no such replica is known.
    package var wantedFrom: UInt64? {
        role == .primary ? progress.values.lazy.compactMap(\.wantedFrom).min() : nil
    }

    /// As primary: through where another member's log is known to agree with this one, durably; nil for one that is no
    /// member.
    package func matched(of member: NodeID) -> UInt64? { role == .primary ? progress[member]?.matched : nil }

    /// Lets go of the first entries: of those that every other member has and that are applied here, and of what is
    /// beyond the limit. What is applied can be read from disk, should one that had it want it again; what is not may
    /// not be there.
    private mutating func trimWindow() {
        let reached = min(applied, progress.values.lazy.map(\.matched).min() ?? applied)
        var count = 0
        for item in window {
            guard item.sequence <= reached || windowByteCount > Self.windowByteLimit else { break }
            windowByteCount -= item.byteCount
            count += 1
        }
        guard count > 0 else { return }
        window.removeFirst(count)
        // What lies before a slice is kept in memory with it.
        if window.startIndex >= window.count { window = ArraySlice(Array(window)) }
    }

    // MARK: Watching

    /// Proposes to go on without those that are silent, or have lost what they had.
    mutating func watch(_ group: ReplicaGroup, now: Duration) {
        for member in required
        where member != node && (isSilent(member, now: now) || progress[member]?.hasLost ?? false) {
            if !group.isInSync(member) {
                // A learner that was about to join. Unless it was proposed, forgetting it is enough.
                guard growth?.proposedVersion != nil else {
                    growth = nil
                    continue
                }
                return propose(.remove(member), now: now)
            }
            if group.inSync.count > group.minimumInSync { return propose(.remove(member), now: now) }
        }
        if let growth, growth.proposedVersion == group.version { propose(.add(growth.learner), now: now) }
    }

    func isSilent(_ member: NodeID, now: Duration) -> Bool {
        progress[member].map { hearing(now: now) - $0.lastHeard >= timings.silence } ?? true
    }

    /// Time since all required replicas, but one, had last obeyed this primary; nil when one of them never has.
    func confirmationAge(now: Duration, except: NodeID?) -> Duration? {
        var age = Duration.zero
        for member in required where member != node && member != except {
            guard let confirmed = progress[member]?.confirmed else { return nil }
            age = max(age, now - confirmed)
        }
        return age
    }
}
