package import ClusterModel

extension ReplicaStateMachine {
    /// A message has arrived. Any may be lost, late, repeated or out of order.
    package mutating func receive(_ message: ReplicaMessage<Payload>, from sender: NodeID, now: Duration) {
        switch message {
        case .append(let request): follow(request, from: sender, now: now)
        case .reply(let reply): note(reply, from: sender, now: now)
        }
    }

    private mutating func follow(_ request: AppendRequest<Payload>, from sender: NodeID, now: Duration) {
        guard request.epoch >= promisedSoon || bug == .noPromiseCheck else {
            return refuse(request, of: sender, now: now)
        }
        // Its own messages come back to nobody: a second primary of one epoch would be the metadata store's fault.
        guard !(role != .follower && request.epoch == group?.epoch) else { return }
        if request.epoch > promisedSoon {
            promise(request.epoch)
            stepDown()
        }
        if request.asks { return answer(.standing, to: request, of: sender, now: now) }
        let previous = request.previous
        if noticesLosses, contradicts(request) {
            return answer(.ahead, to: request, of: sender, now: now)
        }
        guard previous.sequence <= log.last.sequence, agrees(previous) else {
            // What disagrees is in no log of this primary's: it was never committed.
            if log.epoch(at: previous.sequence) != nil, previous.sequence > committed, bug != .noTruncation {
                truncate(after: previous.sequence - 1)
            }
            let last = max(applied, min(log.last.sequence, previous.sequence == 0 ? 0 : previous.sequence - 1))
            return answer(.mismatch(last: last), to: request, of: sender, now: now)
        }
        for item in request.entries where item.sequence > applied {
            if let epoch = log.epoch(at: item.sequence) {
                if epoch == item.epoch || bug == .noTruncation { continue }
                // A conflict is always behind what is committed: a primary's log holds all of that.
                guard item.sequence > committed else { return }
                truncate(after: item.sequence - 1)
            }
            append(item)
        }
        let matched = previous.sequence + UInt64(request.entries.count)
        // What is applied was compared: at its end, or in what the log shares behind it.
        if matched >= applied { sharedEpoch = request.epoch }
        committed = max(committed, min(request.committed, matched))
        agree(with: request, now: now)
        // One that echoes another life's clock says nothing of this one.
        if let lease = request.lease, lease.echo >= born, lease.echo <= now {
            let start = bug == .leaseFromArrival ? now : lease.echo
            let age = bug == .leaseWithoutConfirmation ? .zero : lease.confirmationAge
            let end = start + timings.staleness * (1 - timings.clockError) - age
            leaseEnd = max(leaseEnd ?? end, end)
        }
        answer(.accepted(matched: bug == .matchIsLast ? log.last.sequence : matched), to: request, of: sender, now: now)
    }

    /// Whether the primary's log has other entries where some are applied here: it lost those. Epochs never fall along
    /// a log, so at or before an applied entry it has none of a higher one.
    private func contradicts(_ request: AppendRequest<Payload>) -> Bool {
        let base = log.base
        func differs(_ position: LogPosition) -> Bool {
            position.sequence == base.sequence
                ? position.epoch != base.epoch : position.sequence < base.sequence && position.epoch > base.epoch
        }
        return differs(request.previous)
            || request.entries.contains { differs(LogPosition(sequence: $0.sequence, epoch: $0.epoch)) }
    }

    /// A primary whose log this one shares tells what was committed: with that applied, everything is here that this
    /// replica may ever have acknowledged, whatever its disk went through before this life of its process.
    ///
    /// It must have heard of this life: what it sent before may be older than what was acknowledged since.
    private mutating func agree(with request: AppendRequest<Payload>, now: Duration) {
        guard !isWhole, let lease = request.lease, lease.echo >= born, lease.echo <= now, let group,
            request.epoch >= group.epoch, agreement.map({ $0.epoch < request.epoch }) ?? true
        else { return }
        agreement = Agreement(epoch: request.epoch, committed: request.committed)
        if let loss, request.epoch > loss.epoch { self.loss = nil }
        noteWhole()
    }

    /// Whether the log holds this entry. What is applied agrees with any primary's log.
    private func agrees(_ position: LogPosition) -> Bool {
        position.sequence < applied || log.epoch(at: position.sequence) == position.epoch
    }

    mutating func append(_ item: LogItem<Payload>) {
        precondition(item.sequence == log.last.sequence + 1, "a log has no gaps")
        log.append(item.epoch)
        pending.append.append(item)
    }

    private mutating func truncate(after sequence: UInt64) {
        let firstPending = log.last.sequence + 1 - UInt64(pending.append.count)
        log.truncate(after: sequence)
        if sequence + 1 >= firstPending {
            pending.append.removeLast(pending.append.count - Int(sequence + 1 - firstPending))
        } else {
            pending.append.removeAll()
            pending.truncateAfter = min(pending.truncateAfter ?? sequence, sequence)
        }
    }

    /// Whether a copy of the primary's partition as of a position may take the place of what this disk holds.
    ///
    /// The copy must reach further than the log: what the log has may have been counted on. Only what is given up gives
    /// way to any.
    package func mayTake(copyAt position: LogPosition, from epoch: Epoch) -> Bool {
        epoch >= promisedSoon && (position.sequence > log.last.sequence || isGivenUp(in: epoch)) && role == .follower
            && inFlight == nil && pending.isEmpty
    }

    /// Whether nothing that is only here counts: by the record of that epoch this replica does not, and others go on
    /// by an operator's decree, and what is applied here has not been seen to be in their log.
    private func isGivenUp(in epoch: Epoch) -> Bool {
        guard noticesLosses, let group, group.epoch == epoch, group.learners.contains(node) else { return false }
        // What it has of that epoch comes from the primary that leads by the record.
        return group.isByDecree && sharedEpoch != epoch && log.last.epoch < epoch
    }

    // MARK: Replies

    private mutating func refuse(_ request: AppendRequest<Payload>, of sender: NodeID, now: Duration) {
        let reply = AppendReply(
            epoch: request.epoch,
            outcome: .fenced(promised: promisedSoon),
            sent: request.sent,
            replied: now,
            version: group?.version ?? 0,
            hasRoom: hasRoom
        )
        actions.append(.send(.reply(reply), to: sender))
    }

    /// Answers at once when the disk already has everything, else when it does.
    private mutating func answer(
        _ outcome: WaitingReply.Outcome,
        to request: AppendRequest<Payload>,
        of sender: NodeID,
        now: Duration
    ) {
        let reply = WaitingReply(to: sender, epoch: request.epoch, outcome: outcome, sent: request.sent)
        if bug == .replyBeforeSync { return send(reply, now: now) }
        let applicable = min(committed, log.last.sequence)
        if !pending.isEmpty || applicable > max(applied, inFlight?.applyThrough ?? 0) {
            waitingReplies.append(reply)
        } else if inFlight != nil {
            inFlightReplies.append(reply)
        } else {
            send(reply, now: now)
        }
    }

    mutating func send(_ waiting: WaitingReply, now: Duration) {
        let outcome: AppendReply.Outcome =
            if waiting.epoch < promisedSoon, bug != .noPromiseCheck {
                .fenced(promised: promisedSoon)
            } else {
                switch waiting.outcome {
                case .accepted(let matched): .accepted(matched: matched, applied: applied)
                case .mismatch(let last): .mismatch(last: last)
                case .ahead: .ahead(applied: applied)
                case .standing: .standing(last: log.last, applied: applied)
                }
            }
        let reply = AppendReply(
            epoch: waiting.epoch,
            outcome: outcome,
            sent: waiting.sent,
            replied: now,
            version: group?.version ?? 0,
            hasRoom: hasRoom
        )
        actions.append(.send(.reply(reply), to: waiting.to))
    }
}

extension ReplicaGroup {
    /// Fewer are in sync than a write needs. Replicas never come to that by themselves, nor does a coordinator make it
    /// so: an operator does, who gives up other replicas.
    var isByDecree: Bool { inSync.count < minimumInSync }
}
