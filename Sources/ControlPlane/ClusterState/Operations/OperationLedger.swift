package import ClusterModel

/// How fast steps get on, as far as this coordinator has seen it.
package struct OperationLedger: Sendable {
    package struct Key: Hashable, Sendable {
        package var operation: OperationID
        package var shard: ShardID

        package init(operation: OperationID, shard: ShardID) {
            self.operation = operation
            self.shard = shard
        }
    }

    /// What is known of a step under way.
    package struct Progress: Hashable, Sendable {
        /// Of the copy that is being sent; both 0 where none is.
        package var sentByteCount: UInt64 = 0
        package var totalByteCount: UInt64 = 0
        /// Of the copy, over the last seconds.
        package var bytesPerSecond: Double = 0
        /// When something about the step last changed.
        package var changed: Duration
        /// How often it began anew, since it did not get on.
        package var restartCount = 0
    }

    /// What is known of a rollout that is running.
    package struct RolloutPace: Hashable, Sendable {
        /// Rows coded again, over the last seconds.
        package var rowsPerSecond: Double = 0
        /// When something about it last changed.
        package var changed: Duration
    }

    private struct RolloutEntry {
        var pace: RolloutPace
        var progress: RolloutProgress
        var rateStart: (time: Duration, rowCount: UInt64)
    }

    private struct Signature: Hashable {
        var groupVersion: UInt64
        var sentByteCount: UInt64
        var sequence: UInt64
        var state: ReplicaObservation.State?
        var preparedRowCount: UInt64
    }

    private struct Entry {
        var progress: Progress
        var signature: Signature
        var rateStart: (time: Duration, sent: UInt64)
    }

    private static let rateInterval = Duration.seconds(3)
    /// Longest time that writes wait for shards that are to take another's place, and how long they go on before they
    /// wait again.
    private static let freezeLimit = Duration.seconds(3)
    private static let restTime = Duration.seconds(10)

    /// A step of which nothing changed for so long begins anew.
    package let patience: Duration
    private var entries: [Key: Entry] = [:]
    private var rollouts: [OperationID: RolloutEntry] = [:]
    private var freezes: [ShardID: Duration] = [:]
    private var rests: [ShardID: Duration] = [:]

    package init(patience: Duration = .seconds(60)) {
        self.patience = patience
    }

    package func progress(of key: Key) -> Progress? { entries[key]?.progress }

    /// Takes note of where the steps under way are.
    package mutating func observe(_ view: ClusterView, now: Duration) {
        observeFreezes(view, now: now)
        var current: [Key: Entry] = [:]
        for operation in view.metadata.openOperations {
            for step in operation.steps where step.state.isUnderWay {
                let key = Key(operation: operation.id, shard: step.shard)
                guard let placement = view.metadata.placement(of: step.shard) else { continue }
                current[key] = entry(entries[key], step, placement, in: view, now: now)
            }
        }
        entries = current
        observeRollouts(view, now: now)
    }

    /// Nil of one that is not running.
    package func pace(of rollout: OperationID) -> RolloutPace? { rollouts[rollout]?.pace }

    /// Rollouts of which nothing has changed for too long.
    package func stalledRollouts(now: Duration) -> [OperationID] {
        rollouts.filter { now - $0.value.pace.changed >= patience }.keys.sorted()
    }

    private mutating func observeRollouts(_ view: ClusterView, now: Duration) {
        var current: [OperationID: RolloutEntry] = [:]
        for operation in view.metadata.openOperations where operation.state == .running {
            guard let rollout = operation.rollout, let progress = RolloutProgress(of: rollout, in: view) else {
                continue
            }
            var entry =
                rollouts[operation.id]
                ?? RolloutEntry(
                    pace: RolloutPace(changed: now),
                    progress: progress,
                    rateStart: (now, progress.codedRowCount)
                )
            if !entry.progress.isAsFar(as: progress) { entry.pace.changed = now }
            entry.progress = progress
            let elapsed = now - entry.rateStart.time
            if elapsed >= Self.rateInterval {
                let (before, count) = (entry.rateStart.rowCount, progress.codedRowCount)
                entry.pace.rowsPerSecond = Double(count > before ? count - before : 0) / (elapsed / .seconds(1))
                entry.rateStart = (now, count)
            }
            current[operation.id] = entry
        }
        rollouts = current
    }

    /// Shards that are not to be frozen now.
    package func restingShards(now: Duration) -> Set<ShardID> { Set(rests.filter { $0.value > now }.keys) }

    private mutating func observeFreezes(_ view: ClusterView, now: Duration) {
        let frozen = view.metadata.placements.filter(\.group.isFrozen).map(\.shard)
        freezes = Dictionary(uniqueKeysWithValues: frozen.map { ($0, freezes[$0] ?? now) })
        rests = rests.filter { $0.value > now }
        for (shard, since) in freezes where now - since >= Self.freezeLimit {
            if rests[shard] == nil { rests[shard] = now + Self.restTime }
        }
    }

    /// Steps that wait for a replica to catch up and of which nothing has changed for too long.
    package func stalled(now: Duration) -> [Key] {
        entries.filter { now - $0.value.progress.changed >= patience }.map(\.key)
            .sorted { ($0.operation, $0.shard) < ($1.operation, $1.shard) }
    }

    /// Time since something last changed about the step, or the rollout, that has waited longest; zero without one.
    package func longestSilence(now: Duration) -> Duration {
        (entries.values.map(\.progress.changed) + rollouts.values.map(\.pace.changed)).map { now - $0 }.max() ?? .zero
    }

    /// A step begins anew: it has as much time again.
    package mutating func restarted(_ key: Key, now: Duration) {
        entries[key]?.progress.changed = now
        entries[key]?.progress.restartCount += 1
    }

    private static func preparation(
        of step: Operation.Step,
        in view: ClusterView
    ) -> (rowCount: UInt64, totalRowCount: UInt64) {
        guard let succession = Succession(step, in: view.metadata) else { return (0, 0) }
        let sums = succession.sources[0].group.inSync.map { worker -> (rowCount: UInt64, totalRowCount: UInt64) in
            let successors = succession.successors.compactMap { view.successor($0.shard, on: worker) }
            return (
                successors.reduce(0) { $0 + $1.rowCount }, successors.reduce(0) { $0 + $1.totalRowCount }
            )
        }
        return sums.min { $0.rowCount < $1.rowCount } ?? (0, 0)
    }

    private func entry(
        _ old: Entry?,
        _ step: Operation.Step,
        _ placement: ShardPlacement,
        in view: ClusterView,
        now: Duration
    ) -> Entry {
        let newcomer = step.change.newcomer
        let replica = newcomer.flatMap { view.replica(of: step.shard, on: $0) }
        let copy = newcomer.flatMap { worker in
            view.replica(of: step.shard, on: placement.primary)?.copies.first { $0.worker == worker }
        }
        // What is made on the slowest worker counts, in bytes of the shards that it is made from.
        let prepared = Self.preparation(of: step, in: view)
        let signature = Signature(
            groupVersion: placement.group.version,
            sentByteCount: copy?.sentByteCount ?? 0,
            sequence: replica?.sequence ?? 0,
            state: replica?.state,
            preparedRowCount: prepared.rowCount
        )
        var entry =
            old
            ?? Entry(
                progress: Progress(changed: now),
                signature: signature,
                rateStart: (now, signature.sentByteCount)
            )
        if entry.signature != signature {
            entry.signature = signature
            entry.progress.changed = now
        }
        if let copy {
            entry.progress.sentByteCount = copy.sentByteCount
            entry.progress.totalByteCount = copy.totalByteCount
        } else if prepared.totalRowCount > 0 {
            let size = (Succession(step, in: view.metadata)?.sources ?? [])
                .reduce(UInt64(0)) { $0 + ReplicaSize(of: $1, in: view).diskByteCount }
            entry.progress.totalByteCount = size
            let share = Double(prepared.rowCount) / Double(prepared.totalRowCount)
            entry.progress.sentByteCount = min(UInt64(Double(size) * share), size)
        } else if entry.progress.totalByteCount > 0 {
            // The copy has arrived.
            entry.progress.sentByteCount = entry.progress.totalByteCount
        }
        let elapsed = now - entry.rateStart.time
        if elapsed >= Self.rateInterval {
            let sent = entry.progress.sentByteCount
            let bytes = sent > entry.rateStart.sent ? sent - entry.rateStart.sent : 0
            entry.progress.bytesPerSecond = Double(bytes) / (elapsed / .seconds(1))
            entry.rateStart = (now, sent)
        }
        return entry
    }
}
