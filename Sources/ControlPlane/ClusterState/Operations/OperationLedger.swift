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

    private struct Signature: Hashable {
        var groupVersion: UInt64
        var sentByteCount: UInt64
        var sequence: UInt64
        var state: ReplicaObservation.State?
    }

    private struct Entry {
        var progress: Progress
        var signature: Signature
        var rateStart: (time: Duration, sent: UInt64)
    }

    private static let rateInterval = Duration.seconds(3)

    /// A step of which nothing changed for so long begins anew.
    package let patience: Duration
    private var entries: [Key: Entry] = [:]

    package init(patience: Duration = .seconds(60)) {
        self.patience = patience
    }

    package func progress(of key: Key) -> Progress? { entries[key]?.progress }

    /// Takes note of where the steps under way are.
    package mutating func observe(_ view: ClusterView, now: Duration) {
        var current: [Key: Entry] = [:]
        for operation in view.metadata.openOperations {
            for step in operation.steps where step.state.isUnderWay {
                let key = Key(operation: operation.id, shard: step.shard)
                guard let placement = view.metadata.placement(of: step.shard) else { continue }
                current[key] = entry(entries[key], step, placement, in: view, now: now)
            }
        }
        entries = current
    }

    /// Steps that wait for a replica to catch up and of which nothing has changed for too long.
    package func stalled(now: Duration) -> [Key] {
        entries.filter { now - $0.value.progress.changed >= patience }.map(\.key)
            .sorted { ($0.operation, $0.shard) < ($1.operation, $1.shard) }
    }

    /// Time since something last changed about the step that has waited longest; zero without one.
    package func longestSilence(now: Duration) -> Duration {
        entries.values.map { now - $0.progress.changed }.max() ?? .zero
    }

    /// A step begins anew: it has as much time again.
    package mutating func restarted(_ key: Key, now: Duration) {
        entries[key]?.progress.changed = now
        entries[key]?.progress.restartCount += 1
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
        let signature = Signature(
            groupVersion: placement.group.version,
            sentByteCount: copy?.sentByteCount ?? 0,
            sequence: replica?.sequence ?? 0,
            state: replica?.state
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
