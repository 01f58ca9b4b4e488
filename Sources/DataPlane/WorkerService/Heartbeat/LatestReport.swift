import Synchronization
package import WireProtocol

/// The last report that was made, for whoever asks between two: metrics, and the heartbeats to several coordinators
/// that are due at about the same time.
package final class LatestReport: Sendable {
    /// Shorter than the pause between two heartbeats to one coordinator: each of these has a report of its own.
    private static let lifetime = Duration.milliseconds(40)

    private struct Made {
        var report: WorkerReport
        var changeCount: UInt64
        var begin: ContinuousClock.Instant
    }

    private let last = Mutex<Made?>(nil)

    package init() {}

    /// - Parameters:
    ///   - changeCount: changes that had been noted when the report was begun.
    ///   - begin: when that was.
    package func set(_ report: WorkerReport, changeCount: UInt64, begin: ContinuousClock.Instant) {
        last.withLock { $0 = Made(report: report, changeCount: changeCount, begin: begin) }
    }

    @Sendable package func get() -> WorkerReport? { last.withLock { $0?.report } }

    /// The last one where it is as good as a new one: it was begun a moment ago, and nothing was noted since that
    /// coordinators must hear of.
    package func shared(changeCount: UInt64, isStopping: Bool, now: ContinuousClock.Instant) -> WorkerReport? {
        last.withLock { last in
            guard let last, last.changeCount == changeCount, last.report.isStopping == isStopping,
                now - last.begin < Self.lifetime
            else { return nil }
            return last.report
        }
    }
}
