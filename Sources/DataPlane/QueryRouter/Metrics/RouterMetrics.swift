import CoreMetrics
import FaceModel
package import Logging
package import Observability
import Synchronization
import WireProtocol

/// What a router records of its searches, and the coordinator's log of slow ones. May be used from any thread.
package final class RouterMetrics: Sendable {
    /// Where the time of one search went, and whose answer came last.
    struct SearchTimes {
        var prepare = Duration.zero
        var shards = Duration.zero
        var merge = Duration.zero
        var slowestShard: UInt32?

        var total: Duration { prepare + shards + merge }
    }

    /// Lines of the slow-search log in a second: an overload must not fill the disk as well.
    static let slowLinesPerSecond = 10

    private let registry: MetricRegistry
    private let prepare: Timer
    private let shards: Timer
    private let merge: Timer
    private let shardSearch: Timer
    private let exactProbes: Counter
    private let fullProbes: Counter
    private let listsProbes: Counter
    private let recallProbes: Counter
    private let partial: Counter
    private let slow: Counter
    private let retries = Mutex<[StatusCode: Counter]>([:])
    private let switches = Mutex<[StatusCode: Counter]>([:])
    private let wonHedges: Counter
    private let lostHedges: Counter
    private let deadlySuspected: Counter
    private let deadlyGivenUp: Counter
    private let deadlyRefused: Counter
    private let refusalAllowance = Mutex(LogAllowance(perSecond: 1))
    private let overloadAllowance = Mutex(LogAllowance(perSecond: 1))
    /// Zero for no log.
    private let slowSearch: Duration
    private let allowance = Mutex(LogAllowance(perSecond: RouterMetrics.slowLinesPerSecond))
    private let logger: Logger

    package init(_ registry: MetricRegistry, slowSearch: Duration, logger: Logger) {
        self.registry = registry
        self.slowSearch = slowSearch
        self.logger = logger
        prepare = registry.timer(MetricCatalogue.routerStages, LabelValue.prepare)
        shards = registry.timer(MetricCatalogue.routerStages, LabelValue.shards)
        merge = registry.timer(MetricCatalogue.routerStages, LabelValue.merge)
        shardSearch = registry.timer(MetricCatalogue.shardSearchDuration)
        exactProbes = registry.counter(MetricCatalogue.probes, LabelValue.exact)
        fullProbes = registry.counter(MetricCatalogue.probes, LabelValue.full)
        listsProbes = registry.counter(MetricCatalogue.probes, LabelValue.lists)
        recallProbes = registry.counter(MetricCatalogue.probes, LabelValue.recall)
        partial = registry.counter(MetricCatalogue.partialAnswers)
        wonHedges = registry.counter(MetricCatalogue.hedgedReads, LabelValue.won)
        lostHedges = registry.counter(MetricCatalogue.hedgedReads, LabelValue.lost)
        deadlySuspected = registry.counter(MetricCatalogue.deadlyRequests, LabelValue.suspected)
        deadlyGivenUp = registry.counter(MetricCatalogue.deadlyRequests, LabelValue.givenUp)
        deadlyRefused = registry.counter(MetricCatalogue.deadlyRequests, LabelValue.refused)
        slow = registry.counter(MetricCatalogue.slowSearches, LabelValue.coordinator)
        if case .recall(let target) = SearchEffort.default {
            registry.gauge(MetricCatalogue.recallObjective).record(target)
        }
    }

    func shardAnswered(took duration: Duration) { shardSearch.recordNanoseconds(duration.wholeNanoseconds) }

    func retried(after status: StatusCode) {
        let counter = retries.withLock { retries in
            let counter = retries[status] ?? registry.counter(MetricCatalogue.shardRetries, "\(status)")
            retries[status] = counter
            return counter
        }
        counter.increment()
    }

    /// A read goes on to another replica.
    func switched(after status: StatusCode) {
        let counter = switches.withLock { switches in
            let counter = switches[status] ?? registry.counter(MetricCatalogue.replicaSwitches, "\(status)")
            switches[status] = counter
            return counter
        }
        counter.increment()
    }

    /// A request was under way at too many workers that were lost, and is sent to nobody any more.
    func gaveUp(_ collection: String, _ lost: LostWorkers) {
        guard lost.areDeadly else {
            deadlySuspected.increment()
            logger.warning(
                "two workers were lost at once while one request was under way at both; it may come once more",
                metadata: ["collection": "\(collection)"]
            )
            return
        }
        deadlyGivenUp.increment()
        logger.critical(
            "the connections to two workers were lost while one request was under way there; it is not sent on",
            metadata: ["collection": "\(collection)"]
        )
    }

    /// A request that this happened to before came again, and is not taken.
    func refusedDeadly(_ collection: String) {
        deadlyRefused.increment()
        guard let suppressed = refusalAllowance.withLock({ $0.take(now: .now) }) else { return }
        logger.warning(
            "a request that workers were lost under came again and is refused",
            metadata: ["collection": "\(collection.prefix(64))", "suppressed": "\(suppressed)"]
        )
    }

    /// Calls were refused since too many are under way.
    func refusedOverload(_ kind: CallKind, of collection: String, _ reason: String) {
        guard let suppressed = overloadAllowance.withLock({ $0.take(now: .now) }) else { return }
        logger.warning(
            "calls are refused",
            metadata: [
                "kind": "\(kind.name)", "collection": "\(collection)", "reason": "\(reason)",
                "suppressed": "\(suppressed)",
            ]
        )
    }

    func collect(_ collector: @escaping MetricRegistry.Collector) { registry.collect(collector) }

    /// A second replica was asked because the first took long.
    ///
    /// - Parameter won: whether its answer counted.
    func hedged(won: Bool) { (won ? wonHedges : lostHedges).increment() }

    /// A search is answered, or refused, for covering so much: counted unless that is everything. Shards may be
    /// missing, or have stopped at the deadline.
    func missed(_ coverage: Coverage) {
        guard !coverage.isFull else { return }
        partial.increment()
        for shard in coverage.missing { registry.counter(MetricCatalogue.missingShards, "\(shard.reason)").increment() }
    }

    /// A search has been answered.
    func searched(
        _ times: SearchTimes,
        collection: String,
        parameters: SearchParameters,
        probeCount: Int,
        coverage: Coverage
    ) {
        prepare.recordNanoseconds(times.prepare.wholeNanoseconds)
        shards.recordNanoseconds(times.shards.wholeNanoseconds)
        merge.recordNanoseconds(times.merge.wholeNanoseconds)
        probes(parameters.effort).increment(by: probeCount)
        guard slowSearch > .zero, times.total >= slowSearch else { return }
        slow.increment()
        guard let suppressed = allowance.withLock({ $0.take(now: .now) }) else { return }
        logger.notice(
            "slow search",
            metadata: .slowSearch([
                (.collection, collection), (.total, "\(times.total.wholeMicroseconds)"),
                (.prepare, "\(times.prepare.wholeMicroseconds)"), (.shards, "\(times.shards.wholeMicroseconds)"),
                (.merge, "\(times.merge.wholeMicroseconds)"),
                (.slowestShard, times.slowestShard.map(String.init) ?? "none"),
                (.shardCount, "\(coverage.shardsAnswered) of \(coverage.shardsAsked)"),
                (.probeCount, "\(probeCount)"), (.matchLimit, "\(parameters.matchLimit)"),
                (.effort, "\(parameters.effort)"), (.rowsVisited, "\(coverage.rowsVisited)"),
                (.listsVisited, "\(coverage.listsVisited)"),
                (.facesAnswered, "\(coverage.facesAnswered) of \(coverage.facesTotal)"),
                (.suppressed, "\(suppressed)"),
            ])
        )
    }

    private func probes(_ effort: SearchEffort) -> Counter {
        switch effort {
        case .exact: exactProbes
        case .full: fullProbes
        case .lists: listsProbes
        case .recall: recallProbes
        }
    }
}
