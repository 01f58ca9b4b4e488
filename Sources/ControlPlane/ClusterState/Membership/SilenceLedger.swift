package import ClusterModel

/// When workers that are silent are to be called, and what came of it. Pure.
///
/// Each is called when it falls silent and from then on after longer and longer pauses, one call at a time. Times are
/// durations since any fixed moment of a monotonic clock, given by the caller.
package struct SilenceLedger: Hashable, Sendable {
    /// One call of a silent worker, told from those of earlier silences of it.
    package struct Call: Hashable, Sendable {
        package let worker: NodeID
        fileprivate let number: UInt64
    }

    private struct Entry: Hashable {
        var cause = SilenceCause.unknown
        /// Of the call under way.
        var callNumber: UInt64?
        var nextCall: Duration
        var pause: Duration
    }

    private let firstPause: Duration
    private let longestPause: Duration
    private var entries: [NodeID: Entry] = [:]
    private var callCount: UInt64 = 0

    package init(firstPause: Duration = .seconds(2), longestPause: Duration = .seconds(30)) {
        self.firstPause = firstPause
        self.longestPause = longestPause
    }

    /// Takes note of who is silent; of others nothing is kept.
    ///
    /// - Returns: whom to call now, in order of id; the end of each call is to be told.
    package mutating func callsToBegin(silent: Set<NodeID>, now: Duration) -> [Call] {
        for worker in entries.keys where !silent.contains(worker) { entries[worker] = nil }
        var calls: [Call] = []
        for worker in silent.sorted() {
            var entry = entries[worker] ?? Entry(nextCall: now, pause: firstPause)
            if entry.callNumber == nil, entry.nextCall <= now {
                callCount += 1
                entry.callNumber = callCount
                calls.append(Call(worker: worker, number: callCount))
            }
            entries[worker] = entry
        }
        return calls
    }

    /// A call has ended. One of an earlier silence tells nothing of the present one.
    ///
    /// - Returns: whether it tells something new of a worker that is silent still.
    package mutating func ended(_ call: Call, _ cause: SilenceCause, now: Duration) -> Bool {
        guard var entry = entries[call.worker], entry.callNumber == call.number else { return false }
        let isNew = entry.cause != cause
        entry.callNumber = nil
        entry.cause = cause
        entry.nextCall = now + entry.pause
        entry.pause = min(entry.pause * 2, longestPause)
        entries[call.worker] = entry
        return isNew
    }

    package func cause(of worker: NodeID) -> SilenceCause { entries[worker]?.cause ?? .unknown }
}
