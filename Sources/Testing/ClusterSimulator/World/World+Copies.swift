import ClusterModel
import ShardReplication
import VectorMath

/// Copies of partitions that come in parts, by the rules of the real worker: offered, gone on with where they were, by
/// another life of the process too, compared whole with what was sent, and put into their place by one rename.
/// Only some runs have them: see ``SimulationSettings/hasCopyParts``.
extension World {
    private static var patience: Duration { .milliseconds(1500) }
    private static var pause: Duration { .milliseconds(250) }

    // MARK: The sender

    /// Makes a copy, or takes the one that was interrupted, and offers it.
    mutating func offerCopy(from index: Int, _ replica: Int, to: NodeID) {
        let (name, state) = (workers[index].name, workers[index].replicas[replica])
        if let copy = state.copies[to], copy.end > now { return }
        var time = Duration.zero
        if state.outgoing[to].map({ isUseful($0, of: state, to: to) }) ?? false {
            counts.resumedCopies += 1
        } else {
            workers[index].replicas[replica].outgoing[to] = nil
            guard !isFull(name), !diskFails(name), let epoch = state.machine?.group?.epoch else { return }
            nextCopy += 1
            counts.copies += 1
            workers[index].replicas[replica].outgoing[to] = OutgoingCopy(
                number: nextCopy,
                image: copiedImage(of: state),
                epoch: epoch
            )
            time = diskRandom.duration(.milliseconds(5), .milliseconds(400))
        }
        guard let copy = workers[index].replicas[replica].outgoing[to] else { return }
        workers[index].replicas[replica].copies[to] = (now + time + Self.patience, copy.image.applied.sequence)
        send(copy, part: nil, of: state.shard, from: name, to: to, after: time)
    }

    /// Whether a copy could still be taken, and the log behind it is there.
    private func isUseful(_ copy: OutgoingCopy, of replica: SimulatedReplica, to node: NodeID) -> Bool {
        guard let machine = replica.machine, machine.role == .primary, let group = machine.group else { return false }
        return group.epoch == copy.epoch && group.members.contains(node)
            && replica.disk.logStart.sequence <= copy.image.applied.sequence
    }

    private mutating func send(
        _ copy: OutgoingCopy,
        part: Int?,
        of shard: ShardID,
        from: NodeID,
        to: NodeID,
        after time: Duration = .zero
    ) {
        let slice = CopySlice(shard: shard, copy: copy, from: from, to: to, part: part)
        // No faster than it may be.
        let rest = part == nil ? .zero : diskRandom.duration(.milliseconds(5), .milliseconds(250))
        transmit(.copySlice(slice), from: from, to: to, after: time + rest + (isSlow(from) ? diskDelay(from) : .zero))
    }

    /// The sender hears what became of a slice, or of the whole.
    mutating func hear(_ answer: CopyAnswer, to slice: CopySlice) {
        guard let index = awake(slice.from, life: nil, .copyAnswer(answer, slice)),
            let replica = workers[index].replica(of: slice.shard),
            workers[index].replicas[replica].outgoing[slice.to]?.number == slice.copy.number
        else { return }
        let isOver = answer == .useless || answer == .standing(IncomingCopy.partCount)
        guard !isOver, isUseful(slice.copy, of: workers[index].replicas[replica], to: slice.to) else {
            workers[index].replicas[replica].outgoing[slice.to] = nil
            // It opens it before it says anything else: the log behind it stays until then.
            if answer == .standing(IncomingCopy.partCount) {
                workers[index].replicas[replica].taken[slice.to] = slice.copy.image.applied.sequence
            }
            return
        }
        guard answer != .refused else { return }
        workers[index].replicas[replica].copies[slice.to]?.end = now + Self.patience
        switch answer {
        case .standing(let part): send(slice.copy, part: part, of: slice.shard, from: slice.from, to: slice.to)
        default: send(slice.copy, part: nil, of: slice.shard, from: slice.from, to: slice.to, after: Self.pause)
        }
    }

    // MARK: The receiver

    private mutating func answer(_ answer: CopyAnswer, to slice: CopySlice) {
        transmit(.copyAnswer(answer, slice), from: slice.to, to: slice.from)
    }

    private mutating func answer(_ answer: CopyAnswer, to incoming: IncomingCopy, of shard: ShardID, by name: NodeID) {
        let slice = CopySlice(shard: shard, copy: incoming.copy, from: incoming.sender, to: name, part: nil)
        self.answer(answer, to: slice)
    }

    /// An offer or a part has come.
    mutating func take(_ slice: CopySlice) {
        guard let index = awake(slice.to, life: nil, .copySlice(slice)),
            let replica = workers[index].replica(of: slice.shard)
        else { return }
        let state = workers[index].replicas[replica]
        let number = slice.copy.number
        if state.takenCopy == number { return answer(.standing(IncomingCopy.partCount), to: slice) }
        if let incoming = state.incoming, incoming.isWhole {
            // One that is whole is heard of when it has taken its place; another comes when that is over.
            if incoming.copy.number != number { answer(.refused, to: slice) }
            return
        }
        guard state.machine?.mayTake(copyAt: slice.copy.image.applied, from: slice.copy.epoch) ?? false else {
            return answer(.refused, to: slice)
        }
        guard !isFull(slice.to) else {
            // Others need the room sooner.
            workers[index].replicas[replica].incoming = nil
            return answer(.useless, to: slice)
        }
        guard let part = slice.part else { return stand(slice, index, replica) }
        if part == 0, state.incoming.map({ !$0.isKnown || $0.copy.number != number }) ?? true {
            workers[index].replicas[replica].incoming = IncomingCopy(slice.copy, from: slice.from)
        }
        guard var incoming = workers[index].replicas[replica].incoming, incoming.isKnown,
            incoming.copy.number == number, incoming.received >= part
        else { return answer(.outOfOrder, to: slice) }
        if part == incoming.received {
            if diskFails(slice.to) { return answer(.useless, to: slice) }
            incoming.received += 1
            incoming.torn.remove(part)
        }
        incoming.isWhole = incoming.received == IncomingCopy.partCount
        workers[index].replicas[replica].incoming = incoming
        guard incoming.isWhole else { return answer(.standing(incoming.received), to: slice) }
        let event = Event.copyCompared(slice.to, life: workers[index].life, slice.shard, number: number)
        plan(event, after: diskDelay(slice.to))
    }

    private mutating func stand(_ slice: CopySlice, _ index: Int, _ replica: Int) {
        guard var incoming = workers[index].replicas[replica].incoming, incoming.copy.number == slice.copy.number
        else { return answer(.standing(0), to: slice) }
        if !incoming.isKnown {
            incoming.find()
            workers[index].replicas[replica].incoming = incoming
            counts.foundCopies += 1
        }
        answer(.standing(incoming.received), to: slice)
    }

    /// The whole has been synced, and read again.
    mutating func compared(_ name: NodeID, _ life: Int, _ shard: ShardID, number: Int) throws(Violation) {
        let event = Event.copyCompared(name, life: life, shard, number: number)
        guard let index = awake(name, life: life, event), let replica = workers[index].replica(of: shard),
            let incoming = workers[index].replicas[replica].incoming, incoming.copy.number == number, incoming.isWhole
        else { return }
        let isTorn = !incoming.torn.isEmpty
        if isTorn {
            counts.tornCopies += 1
            note("\(name.low)/\(shard.index) lacks parts \(incoming.torn.sorted()) of a copy")
        }
        guard !diskFails(name), !isTorn || settings.fault == .tornCopyTaken else {
            workers[index].replicas[replica].incoming = nil
            return answer(.useless, to: incoming, of: shard, by: name)
        }
        workers[index].replicas[replica].incoming?.isCompared = true
        try settle(index, replica)
    }

    /// The lane has nothing to make durable: a copy that is sound may take the place of the partition.
    ///
    /// - Returns: whether it does.
    mutating func replacePartition(_ index: Int, _ replica: Int) throws(Violation) -> Bool {
        guard let incoming = workers[index].replicas[replica].incoming, incoming.isCompared,
            let machine = workers[index].replicas[replica].machine, !machine.hasStep
        else { return false }
        let (name, shard) = (workers[index].name, workers[index].replicas[replica].shard)
        guard machine.mayTake(copyAt: incoming.copy.image.applied, from: incoming.copy.epoch) else {
            workers[index].replicas[replica].incoming = nil
            answer(.refused, to: incoming, of: shard, by: name)
            return false
        }
        try close(index, replica)
        workers[index].replicas[replica].isReplacing = true
        plan(.copyInstalled(life(index, replica)), after: diskDelay(name))
        return true
    }

    /// The copy's file has taken the partition's name, or the disk says that it has not.
    mutating func copyInstalled(_ life: ReplicaLife) throws(Violation) {
        guard let index = awake(life.worker, life: nil, .copyInstalled(life)),
            let replica = workers[index].replica(of: life.shard),
            workers[index].replicas[replica].session == life.session, workers[index].replicas[replica].isReplacing,
            let incoming = workers[index].replicas[replica].incoming
        else { return }
        let hasFailed = diskFails(life.worker)
        if hasFailed { counts.failedSteps += 1 }
        if !hasFailed || diskRandom.chance(0.5) {
            note("\(life.worker.low)/\(life.shard.index) takes a copy as of \(incoming.copy.image.applied.sequence)")
            workers[index].replicas[replica].install(incoming.present)
        }
        workers[index].replicas[replica].incoming = nil
        workers[index].replicas[replica].isReplacing = false
        if !hasFailed { workers[index].replicas[replica].takenCopy = incoming.copy.number }
        answer(hasFailed ? .useless : .standing(IncomingCopy.partCount), to: incoming, of: life.shard, by: life.worker)
        try reopen(life, pause: Self.firstPause)
    }
}
