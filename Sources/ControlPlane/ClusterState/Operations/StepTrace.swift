import ClusterModel

/// How far one step under way has come, from look to look.
///
/// Two things are told apart: whether anything about the step *moves*, and whether it *gets on*, further than it ever
/// was. A step that begins anew moves, and has got on only when it is further than before.
struct StepTrace: Sendable {
    /// What a step brings about. What is undone and done again counts once.
    private enum Milestone: Hashable {
        case joined
        case served
        case inSync
        /// The replica that has to leave, which is the newcomer's when the step is undone.
        case demoted
        case left
        /// The primary is where the step wants it.
        case led
        case frozen
        case thawed
        /// All that is made on the worker has every row; is whole.
        case following(NodeID)
        case sealed(NodeID)
    }

    /// Figures that only rise while a step gets on.
    private struct Position: Hashable {
        var sentByteCount: UInt64 = 0
        /// Of the replica that catches up; writes that come once it counts are no progress of the step.
        var sequence: UInt64 = 0
        /// On all workers together.
        var preparedRowCount: UInt64 = 0

        func isBeyond(_ other: Position) -> Bool {
            sentByteCount > other.sentByteCount || sequence > other.sequence
                || preparedRowCount > other.preparedRowCount
        }

        mutating func raise(to other: Position) {
            sentByteCount = max(sentByteCount, other.sentByteCount)
            sequence = max(sequence, other.sequence)
            preparedRowCount = max(preparedRowCount, other.preparedRowCount)
        }
    }

    /// What is being made, and would have to be made anew if it was gone.
    private struct Part: Hashable {
        var shard: ShardID
        var worker: NodeID
    }

    private struct Look {
        var position = Position()
        var reached: Set<Milestone> = []
        var parts: Set<Part> = []
        /// Its source makes a copy, how far it is nothing tells, or has made one, which can be gone on with.
        var isBeingCopied = false
    }

    private static let rateInterval = Duration.seconds(3)

    private(set) var progress: OperationLedger.Progress
    /// When anything last changed, be it further or back.
    private(set) var moved: Duration
    /// When this coordinator last had it begin anew, or became the one that may.
    private(set) var attempted: Duration
    private(set) var isPaused = false
    private let began: Duration
    /// Whether it was seen from its beginning, so that its time is that of all of it.
    private var isWhole: Bool
    private var state: OperationStepState
    private var epoch: Epoch
    private var furthest: Position
    private var milestones: Set<Milestone>
    private var last: Look
    private var rateStart: (time: Duration, sent: UInt64)

    init(
        _ step: Operation.Step,
        isPaused: Bool,
        _ placement: ShardPlacement,
        in view: ClusterView,
        now: Duration
    ) {
        let look = Self.look(at: step, placement.group, in: view)
        progress = OperationLedger.Progress(changed: now)
        (moved, attempted, began) = (now, now, now)
        isWhole = look.position == Position() && !look.reached.contains(.inSync)
        state = step.state
        epoch = placement.epoch
        furthest = look.position
        milestones = look.reached
        last = look
        rateStart = (now, look.position.sentByteCount)
        _ = observe(step, isPaused: isPaused, placement, in: view, now: now)
    }

    /// - Returns: what has just been copied or made, whole, when that was seen from its beginning.
    mutating func observe(
        _ step: Operation.Step,
        isPaused: Bool,
        _ placement: ShardPlacement,
        in view: ClusterView,
        now: Duration
    ) -> CopyPace.Sample? {
        let look = Self.look(at: step, placement.group, in: view)
        self.isPaused = isPaused
        let (isTurned, isOfOtherEpoch) = (step.state != state, placement.epoch != epoch)
        if isTurned { milestones = [] }
        // Another primary sends a copy from its beginning; that there is one is by itself no progress of the step.
        if isTurned || isOfOtherEpoch { (state, epoch, furthest) = (step.state, placement.epoch, look.position) }
        if isPaused { isWhole = false }
        let news = look.reached.subtracting(milestones)
        if isTurned || isPaused || look.position.isBeyond(furthest) || !news.isEmpty { progress.changed = now }
        if isTurned || isOfOtherEpoch || isPaused || look.position != last.position || look.reached != last.reached
            || look.parts != last.parts
        {
            moved = now
        }
        if step.state == .running, !last.parts.isSubset(of: look.parts) { progress.restartCount += 1 }
        furthest.raise(to: look.position)
        milestones.formUnion(look.reached)
        last = look
        measure(step, placement, in: view, now: now)
        return sample(step, news, now: now)
    }

    /// It was made to begin anew, or may have been by another coordinator.
    mutating func beginsAnew(now: Duration) { attempted = now }

    /// It is what began anew after that.
    ///
    /// It gets on when it is further than that one was, as a step does that begins anew.
    mutating func goesOn(from former: StepTrace) {
        progress.changed = former.progress.changed
        progress.restartCount = former.progress.restartCount + 1
        milestones.formUnion(former.milestones)
        if epoch == former.epoch { furthest.raise(to: former.furthest) }
    }

    /// How much longer a step has while a copy is made, and keeps what has come of one, which could go on. Its sender
    /// keeps the rest of it for ten minutes.
    static let copyPatienceFactor = 10

    /// Whether nothing has moved for so long, and it has had as much time since it last began anew.
    func isMotionless(for patience: Duration, now: Duration) -> Bool {
        let factor = last.isBeingCopied ? Self.copyPatienceFactor : 1
        return !isPaused && now - max(moved, attempted) >= patience * factor
    }

    private static func look(at step: Operation.Step, _ group: ReplicaGroup, in view: ClusterView) -> Look {
        var look = Look()
        let isUndone = step.state == .undoing
        if let newcomer = step.change.newcomer {
            let replica = view.replica(of: step.shard, on: newcomer)
            if !isUndone, group.members.contains(newcomer) {
                look.reached.insert(.joined)
                look.parts.insert(Part(shard: step.shard, worker: newcomer))
                if replica?.state == .serving { look.reached.insert(.served) }
            }
            if !isUndone, group.isInSync(newcomer) {
                look.reached.insert(.inSync)
            } else if !isUndone {
                look.position.sequence = replica?.sequence ?? 0
                let copies = view.replica(of: step.shard, on: group.primary)?.copies ?? []
                let copy = copies.first { $0.worker == newcomer }
                look.position.sentByteCount = copy?.sentByteCount ?? 0
                look.isBeingCopied = copy.map { $0.refusal == nil || $0.totalByteCount > 0 } ?? false
            }
        }
        if let leaver = isUndone ? step.change.newcomer : step.change.leaver {
            if !group.isInSync(leaver) { look.reached.insert(.demoted) }
            if !group.members.contains(leaver) { look.reached.insert(.left) }
        }
        if isLedAsWanted(by: step, group) { look.reached.insert(.led) }
        if let succession = Succession(step, in: view.metadata) { add(succession, isUndone, in: view, to: &look) }
        return look
    }

    /// Whether the primary is where it is to be, or has left where it is not to be. Of a step that wants neither never.
    private static func isLedAsWanted(by step: Operation.Step, _ group: ReplicaGroup) -> Bool {
        let isUndone = step.state == .undoing
        if case .lead(let worker) = step.change { return group.primary == (isUndone ? step.formerPrimary : worker) }
        guard let leaver = isUndone ? step.change.newcomer : step.change.leaver else { return false }
        return group.primary != leaver
    }

    private static func add(_ succession: Succession, _ isUndone: Bool, in view: ClusterView, to look: inout Look) {
        let isFrozen = succession.sources.contains { $0.group.isFrozen }
        guard !isUndone else {
            if !isFrozen { look.reached.insert(.thawed) }
            return
        }
        if isFrozen { look.reached.insert(.frozen) }
        for worker in succession.sources[0].group.inSync {
            let made = succession.successors.compactMap { successor in
                view.successor(successor.shard, on: worker).map { (successor.shard, $0) }
            }
            for (shard, successor) in made {
                look.parts.insert(Part(shard: shard, worker: worker))
                look.position.preparedRowCount += successor.rowCount
            }
            guard made.count == succession.successors.count else { continue }
            let states = made.map(\.1.state)
            if states.allSatisfy(\.hasEveryRow) { look.reached.insert(.following(worker)) }
            if states.allSatisfy(\.isSealed) { look.reached.insert(.sealed(worker)) }
        }
    }

    /// What is made on the slowest worker counts, in bytes of the shards that it is made from.
    private static func preparation(
        of step: Operation.Step,
        in view: ClusterView
    ) -> (rowCount: UInt64, totalRowCount: UInt64, byteCount: UInt64) {
        guard let succession = Succession(step, in: view.metadata) else { return (0, 0, 0) }
        let sums = succession.sources[0].group.inSync.map { worker -> (rowCount: UInt64, totalRowCount: UInt64) in
            let successors = succession.successors.compactMap { view.successor($0.shard, on: worker) }
            return (
                successors.reduce(0) { $0 + $1.rowCount }, successors.reduce(0) { $0 + $1.totalRowCount }
            )
        }
        guard let slowest = sums.min(by: { $0.rowCount < $1.rowCount }) else { return (0, 0, 0) }
        return (slowest.rowCount, slowest.totalRowCount, ReplicaSize(of: succession, in: view).diskByteCount)
    }

    private mutating func measure(
        _ step: Operation.Step,
        _ placement: ShardPlacement,
        in view: ClusterView,
        now: Duration
    ) {
        let copies = view.replica(of: step.shard, on: placement.primary)?.copies ?? []
        let prepared = Self.preparation(of: step, in: view)
        if let copy = copies.first(where: { $0.worker == step.change.newcomer }) {
            progress.sentByteCount = copy.sentByteCount
            progress.totalByteCount = copy.totalByteCount
        } else if prepared.totalRowCount > 0 {
            progress.totalByteCount = prepared.byteCount
            let share = min(Double(prepared.rowCount) / Double(prepared.totalRowCount), 1)
            progress.sentByteCount = min(UInt64(Double(prepared.byteCount) * share), prepared.byteCount)
        } else if progress.totalByteCount > 0 {
            // The copy has arrived.
            progress.sentByteCount = progress.totalByteCount
        }
        let elapsed = now - rateStart.time
        guard elapsed >= Self.rateInterval else { return }
        let bytes = progress.sentByteCount > rateStart.sent ? progress.sentByteCount - rateStart.sent : 0
        progress.bytesPerSecond = Double(bytes) / (elapsed / .seconds(1))
        rateStart = (now, progress.sentByteCount)
    }

    private func sample(
        _ step: Operation.Step,
        _ news: Set<Milestone>,
        now: Duration
    ) -> CopyPace.Sample? {
        guard isWhole, progress.restartCount == 0, now > began else { return nil }
        // A copy that took less than the time between two heartbeats was in none, and what the log was enough for was
        // no copy: neither has bytes that tell how fast copies are.
        let sample = CopyPace.Sample(byteCount: progress.totalByteCount, time: now - began)
        if news.contains(.inSync) { return sample }
        let isMade = last.parts.allSatisfy { milestones.contains(.following($0.worker)) }
        let isNews = news.contains { if case .following = $0 { true } else { false } }
        return isNews && isMade && !step.change.successors.isEmpty ? sample : nil
    }
}

extension SuccessorObservation.State {
    var hasEveryRow: Bool {
        switch self {
        case .following, .sealed: true
        case .copying, .failed: false
        }
    }
}
