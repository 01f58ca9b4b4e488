import ClusterModel

/// Which actions are under way, and which have to wait after a failure.
///
/// An action is admitted when nothing of its subject is under way, its pause after failures is over, and its worker
/// has room.
package struct ActionLedger: Sendable {
    package struct Limits: Hashable, Sendable {
        /// Actions under way at once on one worker.
        package var actionsPerWorker: Int
        /// Pause after the first failure; doubled by each further one.
        package var firstPause: Duration
        package var longestPause: Duration

        package init(
            actionsPerWorker: Int = 8,
            firstPause: Duration = .milliseconds(250),
            longestPause: Duration = .seconds(30)
        ) {
            self.actionsPerWorker = actionsPerWorker
            self.firstPause = firstPause
            self.longestPause = longestPause
        }
    }

    private struct Pause {
        var failureCount: Int
        var until: Duration
        /// Why the last attempt failed, as a sentence.
        var reason: String
    }

    package let limits: Limits
    private var underWay: [ReconcileAction.Subject: NodeID?] = [:]
    private var pauses: [ReconcileAction.Subject: Pause] = [:]

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// The actions of the plan to begin now, in the plan's order; they count as under way until
    /// ``finished(_:failure:now:)``.
    package mutating func admit(_ actions: [ReconcileAction], now: Duration) -> [ReconcileAction] {
        forgetPauses(except: actions)
        var load: [NodeID: Int] = [:]
        for case let worker? in underWay.values { load[worker, default: 0] += 1 }
        return actions.filter { action in
            let subject = action.subject
            guard underWay[subject] == nil, pauses[subject].map({ $0.until <= now }) ?? true else { return false }
            if let worker = action.worker {
                guard load[worker, default: 0] < limits.actionsPerWorker else { return false }
                load[worker, default: 0] += 1
            }
            underWay[subject] = .some(action.worker)
            return true
        }
    }

    /// - Parameter failure: why it failed, as a sentence; nil when it succeeded.
    package mutating func finished(_ action: ReconcileAction, failure: String?, now: Duration) {
        let subject = action.subject
        precondition(underWay.removeValue(forKey: subject) != nil, "the action was not under way")
        guard let failure else {
            pauses[subject] = nil
            return
        }
        let failureCount = min((pauses[subject]?.failureCount ?? 0) + 1, 30)
        // Writes wait for another primary.
        let longestPause = if case .groups = subject { limits.firstPause } else { limits.longestPause }
        let pause = min(limits.firstPause * (1 << (failureCount - 1)), longestPause)
        pauses[subject] = Pause(failureCount: failureCount, until: now + pause, reason: failure)
    }

    /// Why the last attempt at something about the subject failed; nil once one succeeded or none is wanted any more.
    package func lastFailure(of subject: ReconcileAction.Subject) -> String? { pauses[subject]?.reason }

    /// A pause ends with its need: a worker that was away and returns is asked at once.
    private mutating func forgetPauses(except actions: [ReconcileAction]) {
        guard !pauses.isEmpty else { return }
        let wanted = Set(actions.map(\.subject))
        pauses = pauses.filter { wanted.contains($0.key) || underWay[$0.key] != nil }
    }
}
