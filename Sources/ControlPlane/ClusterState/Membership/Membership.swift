package import ClusterModel

/// Whether a worker is there, as far as its heartbeats tell.
package enum WorkerLiveness: Hashable, Sendable {
    /// Heard of within the silence limit.
    case live(silence: Duration)
    /// Its last heartbeat is older than the silence limit.
    case silent(Duration)
    /// Not heard of since this coordinator started.
    case neverHeard

    package var isLive: Bool {
        if case .live = self { true } else { false }
    }

    /// Time since the last heartbeat; nil without one.
    package var silence: Duration? {
        switch self {
        case .live(let silence), .silent(let silence): silence
        case .neverHeard: nil
        }
    }
}

/// Failure detector: heartbeats in, liveness out.
///
/// Times are durations since any fixed moment of a monotonic clock, given by the caller and never falling.
/// Liveness steers placement and explains absences; no data is ever decided by it.
package struct Membership: Hashable, Sendable {
    package let silenceLimit: Duration
    private var lastHeard: [NodeID: Duration] = [:]

    package init(silenceLimit: Duration) {
        precondition(silenceLimit > .zero, "a worker needs time to be heard of")
        self.silenceLimit = silenceLimit
    }

    /// Notes a heartbeat; true when the worker was not live before it.
    package mutating func heard(from worker: NodeID, now: Duration) -> Bool {
        let returns = !liveness(of: worker, now: now).isLive
        lastHeard[worker] = max(lastHeard[worker] ?? now, now)
        return returns
    }

    package func liveness(of worker: NodeID, now: Duration) -> WorkerLiveness {
        guard let last = lastHeard[worker] else { return .neverHeard }
        let silence = now - last
        return silence <= silenceLimit ? .live(silence: silence) : .silent(silence)
    }

    /// Those of the workers that have not been heard of for longer than the limit.
    ///
    /// - Parameter start: since when they would have been heard of; what was before tells nothing.
    package func workers(
        among workers: some Sequence<NodeID>,
        silentFor limit: Duration,
        since start: Duration,
        now: Duration
    ) -> Set<NodeID> {
        Set(workers.filter { now - max(lastHeard[$0] ?? start, start) > limit })
    }

    /// The live workers, in order of id.
    package func liveWorkers(now: Duration) -> [NodeID] {
        lastHeard.keys.filter { liveness(of: $0, now: now).isLive }.sorted()
    }
}
