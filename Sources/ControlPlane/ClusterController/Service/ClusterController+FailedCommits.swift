import Logging
import Synchronization

/// A store that cannot write: what is said of it, and when it is tried again.
extension ClusterController {
    /// What came of a commit.
    enum CommitEnd {
        case made
        /// Nobody knows whether it was made; the records have been read since.
        case unknown(reason: String)
        /// It was not, for this reason; or the store, which nobody else changes, cannot be read since.
        case failed(reason: String)
    }

    /// How often a change is tried that the store cannot write: it is opened anew before the second time.
    static let failedCommitLimit = 2

    /// - Parameter began: when the commit began, by ``now``.
    func noteCommitEnd(_ end: CommitEnd, began: Duration) {
        let now = now
        switch end {
        case .made:
            guard state.withLock({ $0.failedCommits.succeeded(began: began) }) else { return }
            logger.notice("the metadata store writes again")
        case .unknown(let reason):
            logger.warning("it is not known whether the metadata was changed", metadata: ["reason": "\(reason)"])
        case .failed(let reason):
            guard state.withLock({ $0.failedCommits.failed(reason, now: now) }) else { return }
            logger.error(
                "the metadata store cannot write; searches and writes go on, changes of the cluster wait",
                metadata: ["reason": "\(reason)"]
            )
        }
    }

    /// Sees whether a store writes again that could not, by commits that change nothing: nobody may ask for a change.
    /// Until the task is cancelled.
    func tryStoreAgain() async {
        guard store.isExclusive else { return }
        while !Task.isCancelled {
            try? await Task.sleep(for: options.tick)
            let now = now
            if state.withLock({ $0.failedCommits.isToBeTried(now: now) }) { _ = try? await commitAndRead([], []) }
        }
    }

    /// Why what was agreed on cannot be changed, as a sentence; nil while the store writes.
    var commitProblem: String? {
        state.withLock(\.failedCommits.reason).map { reason in
            "The metadata store cannot write: what is to be changed of the cluster waits; searches and writes go on. "
                + "\(reason)"
        }
    }

    static func failedCommit(_ reason: String) -> String {
        "The metadata store cannot write, so that nothing of the cluster was changed; searches and writes go on. "
            + "\(reason)"
    }
}
