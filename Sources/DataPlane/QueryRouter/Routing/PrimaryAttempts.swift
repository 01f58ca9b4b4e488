package import ClusterModel
package import WireProtocol

/// One shard asked at its primary, again and again where that can help: whom to ask, what to make of a failure, when
/// to look for a newer map, how long to wait, and when to give up.
///
/// Without clock, connections and tasks: whoever drives it does what it says, and tells it what came of that. Times are
/// spans since the request came.
package struct PrimaryAttempts: Sendable {
    package enum Event: Hashable, Sendable {
        /// The shard is there by the map that the request goes by.
        case begun(ShardPlace)
        /// The primary was asked, and gave this answer or none.
        ///
        /// - Parameter absence: for how long nobody has reached it, if the answer can do without the shard.
        case failed(WireStatus, absence: Duration?)
        /// While the primary is asked the shard has got another one: who hangs answers nobody.
        case overtaken
        /// The shard is there by the newest map that is known; nil when it is in none, since others have taken its
        /// place.
        case looked(ShardPlace?)
    }

    package enum Action: Hashable, Sendable {
        /// Ends with an answer, or with ``Event/failed(_:absence:)`` or ``Event/overtaken``.
        case ask(ShardTarget)
        /// Look where the shard is, in a newer map when the status says that there is one.
        case look(after: StatusCode)
        /// Look where it is after that.
        case wait(Duration)
        /// - Parameter isReplaced: others have taken the shard's place: the request may begin anew by a newer map.
        case end(ShardFailure, isReplaced: Bool)
    }

    private enum State: Sendable {
        case unbegun
        /// - Parameter isSentOn: workers had been lost under the request before.
        case asking(ShardTarget, isSentOn: Bool)
        case looking(ShardFailure, wait: Duration)
        case waiting(ShardFailure)
        case ended
    }

    private let options: RouterOptions
    /// When the shard has to have answered.
    private let end: Duration
    /// Until when a worker is asked that is known to be away.
    private var absenceEnd = Duration.zero
    /// Until when it is tried again. Counted from the first failure on, unless that is of a worker known to be away: a
    /// call that took long, since a node stood still, leaves the time to ask again.
    private var graceEnd: Duration?
    private var pause: Duration
    private var state = State.unbegun
    private var lastRefusal: WireStatus?
    private var mayHaveBeenDone = false
    /// Whether another replica may take over; its doing so is waited for.
    package let mayFailOver: Bool

    package init(_ placement: ShardPlacement, end: Duration, options: RouterOptions) {
        self.options = options
        self.end = end
        pause = options.firstPause
        mayFailOver = placement.group.members.count > 1
    }

    /// - Parameters:
    ///   - lost: of the whole request.
    ///   - mayRetry: whether the shard may be asked again after a status, as far as others are concerned. Asked only
    ///     when it would be.
    /// - Precondition: the event is one that the last action ends with.
    package mutating func event(
        _ event: Event,
        now: Duration,
        lost: inout LostWorkers,
        mayRetry: (StatusCode) -> Bool
    ) -> Action {
        switch (event, state) {
        case (.begun(let place), .unbegun):
            absenceEnd = now + grace
            return ask(place, now: now, lost, mayRetry)
        case (.failed(let status, let absence), .asking(let target, let isSentOn)):
            if status.isLoss { lost.note(target.worker, isSentOn: isSentOn) }
            return failed(target, target.failure(status, now: now), absence: absence, now: now, mayRetry)
        case (.overtaken, .asking(let target, _)):
            let status = WireStatus(.unavailable, "another worker orders the shard's writes by now")
            return failed(target, target.place.failure(status), absence: nil, now: now, mayRetry)
        case (.looked(let place), .looking(let failure, let wait)):
            // A newer placement is tried at once; the same one after a pause.
            guard let place, place.placement.epoch == failure.placement.epoch else {
                return goOn(place, after: failure, now: now, lost, mayRetry)
            }
            state = .waiting(failure)
            return .wait(wait)
        case (.looked(let place), .waiting(let failure)): return goOn(place, after: failure, now: now, lost, mayRetry)
        default: preconditionFailure("\(event) does not follow \(state)")
        }
    }

    /// Whether the one that is asked need not be waited for any longer, by the newest map.
    package func isOvertaken(by newest: ShardPlacement?) -> Bool {
        guard mayFailOver, case .asking(let target, _) = state else { return false }
        return newest?.epoch != target.placement.epoch
    }

    private var grace: Duration {
        mayFailOver ? max(options.absenceGrace, options.failoverGrace) : options.absenceGrace
    }

    private mutating func goOn(
        _ place: ShardPlace?,
        after failure: ShardFailure,
        now: Duration,
        _ lost: LostWorkers,
        _ mayRetry: (StatusCode) -> Bool
    ) -> Action {
        guard let place else { return end(failure, isReplaced: true) }
        return ask(place, now: now, lost, mayRetry)
    }

    private mutating func ask(
        _ place: ShardPlace,
        now: Duration,
        _ lost: LostWorkers,
        _ mayRetry: (StatusCode) -> Bool
    ) -> Action {
        let target = ShardTarget(place, end: end, graceEnd: absenceEnd)
        if let obstacle = target.obstacle(lost) {
            let isLast = lost.areTooMany
            return failed(target, place.failure(obstacle), absence: nil, isLast: isLast, now: now, mayRetry)
        }
        state = .asking(target, isSentOn: !lost.isEmpty)
        return .ask(target)
    }

    private mutating func failed(
        _ target: ShardTarget,
        _ failure: ShardFailure,
        absence: Duration?,
        isLast: Bool = false,
        now: Duration,
        _ mayRetry: (StatusCode) -> Bool
    ) -> Action {
        var failure = failure
        mayHaveBeenDone = mayHaveBeenDone || !failure.hasNoEffect
        failure.mayHaveBeenDone = mayHaveBeenDone
        if isLast { return end(failure) }
        // What the worker said before tells more than that the time then ran out.
        if failure.status.code == .deadlineExceeded, let lastRefusal { failure.status = lastRefusal }
        let status = failure.status
        var retryEnd = end
        switch status.code {
        case .overloaded, .notYet: break
        case .unavailable where !mayFailOver:
            if target.place.address == nil || target.place.presence.isKnownAbsent { return end(failure) }
            retryEnd = endOfGrace(after: target, now: now)
            if let absence { retryEnd = min(retryEnd, now + options.absenceGrace - absence) }
        case .unavailable, .staleEpoch, .unknownReplica: retryEnd = endOfGrace(after: target, now: now)
        default: return end(failure)
        }
        let wait = max(pause, .milliseconds(Int64(status.retryAfterMilliseconds)))
        guard wait < retryEnd - now, mayRetry(status.code) else { return end(failure) }
        pause = min(pause * 2, ReadRetry.longestPause(after: status, options))
        lastRefusal = status
        state = .looking(failure, wait: wait)
        return .look(after: status.code)
    }

    private mutating func endOfGrace(after target: ShardTarget, now: Duration) -> Duration {
        let graceEnd = graceEnd ?? (target.place.presence.isKnownAbsent ? absenceEnd : now + grace)
        self.graceEnd = graceEnd
        return min(end, graceEnd)
    }

    private mutating func end(_ failure: ShardFailure, isReplaced: Bool = false) -> Action {
        state = .ended
        return .end(failure, isReplaced: isReplaced)
    }
}
