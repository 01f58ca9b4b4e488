import FaceModel
import Threads
import WireProtocol

/// What searches of a replica cost.
extension Replica {
    /// How long a search is going to take; nil when there is no telling.
    func estimate(of search: ShardSearch) -> Duration? {
        monitor.withLock {
            $0.pace.estimate(search.parameters, probeCount: search.probes.rowCount, now: .now)
        }
    }

    /// Notes what a whole search took.
    func searched(_ search: ShardSearch, rowsVisited: UInt64, took time: Duration) {
        monitor.withLock {
            $0.pace.searched(
                search.parameters,
                probeCount: search.probes.rowCount,
                rowsVisited: rowsVisited,
                took: time,
                now: .now
            )
        }
    }

    /// After an estimate that was wrong: there is none before the next measurement.
    func forgetPace() {
        monitor.withLock { $0.pace.forget() }
    }

    /// What its searches have cost so far.
    var searchedRows: WorkerReport.SearchedRows {
        WorkerReport.SearchedRows(shard: shard, rowCount: monitor.withLock(\.pace.rowCount))
    }
}
