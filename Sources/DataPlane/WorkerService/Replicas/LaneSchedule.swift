/// Decides what a write lane does next: commit what is queued, do a step of maintenance, or rest.
///
/// While both wait, they get equal time: after a step that took a while, commits go on for as long before the next
/// step. So a fold neither delays writes by more than one step, nor starves under a steady import. A step may ask for a
/// rest before the next; rows that were committed meanwhile end it early.
package struct LaneSchedule: Sendable {
    package enum Step: Equatable, Sendable {
        case commit
        case maintain
        /// Nothing to do before this moment, unless a write arrives.
        case rest(until: ContinuousClock.Instant)
    }

    /// Rows committed since the last step that make one due.
    package let rowsPerStep: Int
    /// Rest after which a step is due without writes, for faces that expire.
    package let idleInterval: Duration

    private var rowsSinceStep = 0
    /// When a step is due without writes.
    private var nextStep: ContinuousClock.Instant
    /// Time that commits may still use before a step that is due.
    private var commitAllowance: Duration = .zero

    package init(rowsPerStep: Int, idleInterval: Duration, now: ContinuousClock.Instant) {
        self.rowsPerStep = rowsPerStep
        self.idleInterval = idleInterval
        nextStep = now
    }

    package func next(hasWrites: Bool, now: ContinuousClock.Instant) -> Step {
        let isDue = rowsSinceStep >= rowsPerStep || now >= nextStep
        if hasWrites && !(isDue && commitAllowance <= .zero) { return .commit }
        return isDue ? .maintain : .rest(until: nextStep)
    }

    package mutating func committed(rowCount: Int, took duration: Duration) {
        rowsSinceStep += rowCount
        commitAllowance = max(.zero, commitAllowance - duration)
    }

    /// - Parameters:
    ///   - hasMore: whether another step has work.
    ///   - rest: how long that work can wait.
    package mutating func maintained(
        hasMore: Bool,
        took duration: Duration,
        rest: Duration = .zero,
        now: ContinuousClock.Instant
    ) {
        rowsSinceStep = 0
        commitAllowance = duration
        nextStep = now + (hasMore ? rest : idleInterval)
    }
}
