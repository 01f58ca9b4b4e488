/// How far an operation is.
package enum OperationState: UInt8, CaseIterable, Sendable {
    /// Can move to: `paused`, `cancelling`, `done`, `cancelled`.
    case running = 1
    /// Nothing of it begins, and what is under way stays as it is. Can move to: `running`, `cancelling`.
    case paused = 2
    /// What is under way is taken back, or brought to its end where that is no longer possible. Can move to:
    /// `cancelled`, `done`.
    case cancelling = 3
    case done = 4
    case cancelled = 5

    package var hasEnded: Bool { self == .done || self == .cancelled }
}

/// How far one step of an operation is.
package enum OperationStepState: UInt8, CaseIterable, Sendable {
    /// Can move to: `running`, `undone`.
    case waiting = 1
    /// Can move to: `done`, `undoing`.
    case running = 2
    /// Can move to: `undone`, `done`.
    case undoing = 3
    /// Can move to: `undoing`, where replicas were added and all of them are to leave again.
    case done = 4
    /// The shard's replicas are where they were before.
    case undone = 5

    package var isUnderWay: Bool { self == .running || self == .undoing }
    package var hasEnded: Bool { self == .done || self == .undone }
}

/// How many replicas a shard has, and how many of them must be in sync for writes.
package struct CopyCount: Hashable, Sendable {
    package var replicationFactor: Int
    package var minimumInSync: Int

    package init(replicationFactor: Int, minimumInSync: Int) {
        self.replicationFactor = replicationFactor
        self.minimumInSync = minimumInSync
    }
}

/// What a worker may be used for.
package enum WorkerStanding: UInt8, CaseIterable, Sendable {
    case active = 0
    /// It serves what it has and gets nothing more.
    case draining = 1
    /// It is none of the cluster's any more, and gets nothing.
    case decommissioned = 2
}
