package import WireProtocol

/// When a call that failed is sent again, and what is known of all its attempts together.
///
/// Without clock and connections: whoever drives it sends the call, and tells it what came of that.
package struct CallAttempts: Sendable {
    package enum Decision: Hashable, Sendable {
        /// To the next coordinator.
        case again(after: Duration)
        /// - Parameter status: what is to be told; its ``WireStatus/hasNoEffect`` is of every attempt.
        case fail(WireStatus)
    }

    /// What the random part of a pause may be, so that clients do not return together.
    package static let spread = 0.75...1.25
    private static let shortestPause = Duration.milliseconds(50)
    private static let longestPause = Duration.seconds(2)
    /// In less no connection may come about to a coordinator that is well but far, or busy.
    private static let shortestConnectTime = Duration.milliseconds(500)

    private let peerCount: Int
    private let timeout: Duration
    private let retryDuration: Duration
    private var retryEnd: Duration?
    private var hasNoEffect = true
    private var failureCount = 0
    /// Coordinators one after the other with which no connection will come about, the last ones asked.
    private var refusalCount = 0
    /// The first such failure.
    private var refusal: WireStatus?
    /// The last failure that a coordinator told of the call itself.
    private var told: WireStatus?

    /// Attempts that were made, the one under way among them.
    package var sendCount: Int { failureCount + 1 }

    /// Whether an attempt that has failed may have had its effect.
    package var mayHaveBeenDone: Bool { !hasNoEffect }

    /// - Parameters:
    ///   - peerCount: coordinators, at least 1: as many are tried one after the other without a pause.
    ///   - timeout: of the call, all attempts together.
    ///   - retryDuration: how long after the first failure it may be sent again.
    package init(peerCount: Int, timeout: Duration, retryDuration: Duration) {
        self.peerCount = peerCount
        self.timeout = timeout
        self.retryDuration = retryDuration
    }

    /// How long the attempt under way may wait for a connection: what is left of the call's time, divided by the
    /// coordinators that its round has left; half a second at least, as far as so much is left. Nil for the last one of
    /// a round, which may take all of it.
    package func connectTime(elapsed: Duration) -> Duration? {
        let leftCount = peerCount - failureCount % peerCount
        let left = max(.zero, timeout - elapsed)
        return leftCount > 1 ? max(left / leftCount, min(Self.shortestConnectTime, left)) : nil
    }

    /// The attempt under way has failed.
    ///
    /// The pause is 50 ms and twice as long after each round of the coordinators, at most 2 s; or what the node asked
    /// for. A coordinator that refuses the connection (its certificate, token, version or port is wrong) ends the call
    /// only where all of them do.
    ///
    /// - Parameters:
    ///   - elapsed: since the call began.
    ///   - spread: what the pause is multiplied with, one of ``spread`` by chance.
    package mutating func next(after failure: WireStatus, elapsed: Duration, spread: Double) -> Decision {
        hasNoEffect = hasNoEffect && failure.hasNoEffect
        note(failure)
        let end = retryEnd ?? elapsed + retryDuration
        retryEnd = end
        let isUntried = sendCount < peerCount
        let pause = pause(after: failure, spread)
        let mayPass = failure.isRefusal ? refusalCount < peerCount : failure.code.retry != .doNotRetry
        let mayRetry =
            mayPass && failure.code != .deadlineExceeded && elapsed + pause < timeout
            && (isUntried || elapsed + pause < end)
        guard mayRetry else { return .fail(ended(by: failure)) }
        failureCount += 1
        return .again(after: pause)
    }

    private mutating func note(_ failure: WireStatus) {
        refusalCount = failure.isRefusal ? refusalCount + 1 : 0
        if failure.isRefusal { refusal = refusal ?? failure }
        if !failure.isOfConnection { told = failure }
    }

    /// What is to be told of a call that is not sent again after this failure of its last attempt: what was told of the
    /// call rather than that a coordinator refuses the connection, and that rather than that another cannot be reached.
    package func ended(by failure: WireStatus) -> WireStatus {
        var status = failure
        if failure.isRefusal, let told {
            status = told
        } else if failure.isOfConnection, told == nil, let refusal {
            status = refusal
        }
        status.hasNoEffect = hasNoEffect
        return status
    }

    private func pause(after status: WireStatus, _ spread: Double) -> Duration {
        guard sendCount.isMultiple(of: peerCount) else { return .zero }
        let step = min(Self.shortestPause * (1 << min(sendCount / peerCount - 1, 16)), Self.longestPause)
        return max(step * spread, .milliseconds(Int(status.retryAfterMilliseconds)))
    }
}

extension WireStatus {
    /// Whether no connection to that coordinator will come about until somebody changes something.
    fileprivate var isRefusal: Bool { isOfConnection && code.retry == .doNotRetry }
}
