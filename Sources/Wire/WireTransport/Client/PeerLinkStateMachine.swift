package import NIOCore
package import WireProtocol

/// When to connect to a peer, and what to tell callers meanwhile: pure, no clock and no socket.
///
/// At most one attempt runs at a time. After a failed one callers fail at once for 50 ms, then for twice as long with
/// each further failure, at most 500 ms.
package struct PeerLinkStateMachine<Connection, Waiter> {
    private enum State {
        /// Can move to: `connecting`, `closed`.
        case idle
        /// Can move to: `connected`, `resting`, `closed`.
        case connecting([UInt64: Waiter])
        /// Can move to: `connecting`, `closed`.
        case connected(Connection)
        /// Can move to: `connecting`, `closed`.
        case resting(until: NIODeadline, WireStatus)
        case closed
    }

    package enum Decision {
        case use(Connection)
        /// Wait for the attempt's end; begin it first when `startsAttempt`.
        case wait(startsAttempt: Bool)
        case fail(WireStatus)
    }

    private var state = State.idle
    private var failureCount = 0
    /// When the last attempt failed; nil where it did not.
    private var failedAt: NIODeadline?

    package init() {}

    /// Whether the last attempt failed, less than half a minute ago; none that is under way counts.
    package func hasFailed(now: NIODeadline) -> Bool { failedAt.map { now < $0 + Self.failureMemory } ?? false }

    /// Whether a call would go out at once.
    package func isConnected(_ isOpen: (Connection) -> Bool) -> Bool {
        if case .connected(let connection) = state { isOpen(connection) } else { false }
    }

    static var shortestRest: TimeAmount { .milliseconds(50) }
    static var longestRest: TimeAmount { .milliseconds(500) }
    /// A peer that is back since would not be tried otherwise by those who have another.
    static var failureMemory: TimeAmount { .seconds(30) }
    static var closedStatus: WireStatus { WireStatus(.unavailable, "this side closed its connection to the peer") }

    /// A call wants the connection.
    package mutating func connectionWanted(now: NIODeadline, isOpen: (Connection) -> Bool) -> Decision {
        switch state {
        case .connected(let connection) where isOpen(connection): return .use(connection)
        case .idle, .connected: break
        case .connecting: return .wait(startsAttempt: false)
        case .resting(let until, let status):
            guard until <= now else {
                var status = status
                status.retryAfterMilliseconds = UInt32(clamping: (until - now).nanoseconds / 1_000_000 + 1)
                return .fail(status)
            }
        case .closed: return .fail(Self.closedStatus)
        }
        state = .connecting([:])
        return .wait(startsAttempt: true)
    }

    /// A caller that was told to wait waits now.
    ///
    /// - Returns: what came of the attempt, when it has ended already.
    package mutating func add(_ waiter: Waiter, id: UInt64, now: NIODeadline) -> Result<Connection, WireStatus>? {
        switch state {
        case .connecting(var waiters):
            waiters[id] = waiter
            state = .connecting(waiters)
            return nil
        case .connected(let connection): return .success(connection)
        case .resting(_, let status): return .failure(status)
        case .idle, .closed: return .failure(Self.closedStatus)
        }
    }

    /// A caller waits no longer.
    package mutating func removeWaiter(_ id: UInt64) -> Waiter? {
        guard case .connecting(var waiters) = state, let waiter = waiters.removeValue(forKey: id) else { return nil }
        state = .connecting(waiters)
        return waiter
    }

    /// The attempt has ended.
    ///
    /// - Returns: who waits for it, and whether the connection is wanted no more.
    package mutating func attemptEnded(
        _ result: Result<Connection, WireStatus>,
        now: NIODeadline
    ) -> (waiters: [Waiter], discardsConnection: Bool) {
        guard case .connecting(let waiters) = state else { return ([], true) }
        switch result {
        case .success(let connection):
            failureCount = 0
            failedAt = nil
            state = .connected(connection)
        case .failure(let status):
            let doublings = min(failureCount, 16)
            failureCount += 1
            failedAt = now
            let rest = min(Self.shortestRest * (1 << doublings), Self.longestRest)
            state = .resting(until: now + rest, status)
        }
        return (Array(waiters.values), false)
    }

    /// - Returns: the connection to close, and who waited for one.
    package mutating func close() -> (connection: Connection?, waiters: [Waiter]) {
        defer { state = .closed }
        switch state {
        case .connected(let connection): return (connection, [])
        case .connecting(let waiters): return (nil, Array(waiters.values))
        case .idle, .resting, .closed: return (nil, [])
        }
    }
}
