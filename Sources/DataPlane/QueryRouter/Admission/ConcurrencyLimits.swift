import Observability
import Synchronization

/// A ``ConcurrencyLimit`` for each collection, or each shard: what one is late with is no matter of the others. May be
/// used from any thread.
final class ConcurrencyLimits<Key: Hashable & Sendable>: Sendable {
    private struct State {
        var limits: [Key: ConcurrencyLimit] = [:]
        /// With so many limits those of what is gone are looked for.
        var pruningCount = 64
    }

    private let bounds: ConcurrencyLimit.Bounds
    private let state = Mutex(State())

    init(_ bounds: ConcurrencyLimit.Bounds) {
        self.bounds = bounds
    }

    /// - Parameter isThere: whether what has a limit still exists; asked of all now and then.
    /// - Returns: nil when as many calls are under way as may be. Every admission has to ``leave(_:_:_:took:)`` once.
    func enter(_ key: Key, isThere: (Key) -> Bool) -> ConcurrencyLimit.Admission? {
        state.withLock { state in
            if state.limits[key] == nil, state.limits.count >= state.pruningCount {
                state.limits = state.limits.filter { $0.value.underWayCount > 0 || isThere($0.key) }
                state.pruningCount = max(64, 2 * state.limits.count)
            }
            return state.limits[key, default: ConcurrencyLimit(bounds)].enter()
        }
    }

    func leave(_ key: Key, _ admission: ConcurrencyLimit.Admission, _ end: ConcurrencyLimit.End?, took: Duration) {
        state.withLock { $0.limits[key]?.leave(admission, end, took: took) }
    }

    /// Calls under way of the key that has the least share of its limit left, and that limit.
    func collect(into samples: inout MetricSamples, _ queue: String) {
        let fullest = state.withLock { state in
            state.limits.values.max { $0.underWayCount * $1.value < $1.underWayCount * $0.value }
        }
        samples.add(MetricCatalogue.queueLength, queue, value: Double(fullest?.underWayCount ?? 0))
        samples.add(MetricCatalogue.queueLimit, queue, value: Double(fullest?.value ?? bounds.first))
    }
}
