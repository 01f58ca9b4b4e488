package import ClusterModel
package import NIOCore
import Synchronization
package import WireProtocol

/// Calls to one node over a connection that is made when it is needed and again after a loss.
package final class PeerClient: Sendable {
    private typealias Attempt = Result<WireConnection, WireStatus>
    private typealias Waiter = CheckedContinuation<Attempt, Never>

    package let address: NodeAddress
    private let node: NodeID?
    private let role: PeerRole
    private let token: String
    private let tls: ClientTLS?
    private let agent: String
    private let silenceLimit: Duration?
    private let eventLoop: any EventLoop
    private let machine = Mutex(PeerLinkStateMachine<WireConnection, Waiter>())
    private let nextWaiter = Atomic<UInt64>(0)

    /// Longest attempt to connect and be accepted.
    private static let connectTimeout = Duration.seconds(5)

    /// - Parameters:
    ///   - node: who has to answer at the address; nil for whoever does. Another one may have taken it, whose word must
    ///     not count as that node's.
    ///   - silenceLimit: how long the peer may be silent while calls are under way before it is pinged, and again until
    ///     it is given up; nil for as long as it may be without calls.
    package init(
        address: NodeAddress,
        node: NodeID? = nil,
        role: PeerRole,
        token: String,
        tls: ClientTLS?,
        group: any EventLoopGroup,
        agent: String,
        silenceLimit: Duration? = nil
    ) {
        self.address = address
        self.node = node
        self.role = role
        self.token = token
        self.tls = tls
        self.agent = agent
        self.silenceLimit = silenceLimit
        eventLoop = group.next()
    }

    /// Whether a call would go out at once.
    package var isConnected: Bool { machine.withLock { $0.isConnected { $0.isOpen } } }

    /// Whether the last attempt to connect failed, less than half a minute ago.
    package var hasFailed: Bool { machine.withLock { $0.hasFailed(now: .now()) } }

    /// As ``WireConnection/call(_:deadline:holding:admittedBy:)``; connects first when there is no connection.
    ///
    /// - Parameter connectDeadline: until when a connection is waited for, where that is before the call's deadline:
    ///   nothing was sent then, and another peer can be asked. The attempt goes on, for later calls.
    /// - Throws: also why the peer cannot be reached: at once while the last attempt's failure is fresh.
    package func call<R: WireRequest>(
        _ request: R,
        deadline: WireDeadline,
        connectingBy connectDeadline: WireDeadline = .none,
        holding share: (any AnyObject & Sendable)? = nil,
        admittedBy admission: (any AnswerAdmission)? = nil
    ) async throws(WireStatus) -> R.Reply {
        let decision = machine.withLock { $0.connectionWanted(now: .now()) { $0.isOpen } }
        let connection: WireConnection
        switch decision {
        case .use(let open): connection = open
        case .fail(let status): throw status.withoutEffect
        case .wait(let startsAttempt):
            if startsAttempt { attempt() }
            connection = try await attemptEnd(deadline, connectDeadline).mapError(\.withoutEffect).get()
        }
        return try await connection.call(request, deadline: deadline, holding: share, admittedBy: admission)
    }

    /// Closes the connection; calls under way and later ones fail with `unavailable`.
    package func close() async {
        let (connection, waiters) = machine.withLock { $0.close() }
        for waiter in waiters {
            waiter.resume(returning: .failure(PeerLinkStateMachine<WireConnection, Waiter>.closedStatus))
        }
        await connection?.close()
    }

    private func attempt() {
        Task(executorPreference: EventLoopTaskExecutor(eventLoop)) { [self] in
            var result: Attempt
            do throws(WireStatus) {
                let connection = try await WireConnection.connect(
                    to: address,
                    as: role,
                    token: token,
                    tls: tls,
                    on: eventLoop,
                    agent: agent,
                    timeout: Self.connectTimeout,
                    silenceLimit: silenceLimit
                )
                if let node, connection.peer.node != node {
                    await connection.close()
                    throw WireStatus(
                        .unavailable,
                        "node \(connection.peer.node) answers at \(address), where node \(node) was"
                    )
                }
                result = .success(connection)
            } catch {
                result = .failure(error.ofConnection)
            }
            let ended = result
            let (waiters, discardsConnection) = machine.withLock { $0.attemptEnded(ended, now: .now()) }
            for waiter in waiters { waiter.resume(returning: ended) }
            if discardsConnection, case .success(let connection) = ended { await connection.close() }
        }
    }

    /// What came of the attempt under way, or of waiting for it.
    private func attemptEnd(_ deadline: WireDeadline, _ connectDeadline: WireDeadline) async -> Attempt {
        let id = nextWaiter.add(1, ordering: .relaxed).oldValue
        let end = min(deadline, connectDeadline)
        let late =
            connectDeadline < deadline
            ? WireStatus(.unavailable, "no connection to \(address) in its share of the call's time").ofConnection
            : WireStatus(.deadlineExceeded, "no connection to \(address) before the call's deadline")
        let timer =
            end.isNone
            ? nil
            : eventLoop.scheduleTask(deadline: end.instant) { [self] in
                giveUp(id, late)
            }
        defer { timer?.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let ended = machine.withLock { $0.add(waiter, id: id, now: .now()) }
                if let ended { return waiter.resume(returning: ended) }
                if Task.isCancelled { giveUp(id, .cancelledByCaller) }
                if deadline.hasPassed {
                    giveUp(id, WireStatus(.deadlineExceeded, "the deadline passed before \(address) was called"))
                } else if end.hasPassed {
                    giveUp(id, late)
                }
            }
        } onCancel: {
            giveUp(id, .cancelledByCaller)
        }
    }

    private func giveUp(_ id: UInt64, _ status: WireStatus) {
        machine.withLock { $0.removeWaiter(id) }?.resume(returning: .failure(status))
    }
}
