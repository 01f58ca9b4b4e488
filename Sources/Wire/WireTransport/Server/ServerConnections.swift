import NIOCore
import Observability
import Synchronization
import WireProtocol

/// The accepted connections of one server, and which of them may stay.
///
/// Whoever has not said a right hello takes none of the places of those who have, but one of a few others, in a
/// ``ConnectionLine``. Where these are taken the connection that has waited longest gives way, and the newcomer is let
/// in.
final class ServerConnections: Sendable {
    private struct Connection: Sendable {
        var channel: any Channel
        var handler: NIOLoopBound<ServerConnectionHandler>
        /// Its hello was right.
        var isAdmitted = false
    }

    private struct State {
        var isStopping = false
        var open: [ObjectIdentifier: Connection] = [:]
        var admittedCount = 0
        /// Those without a right hello.
        var waiting: ConnectionLine<ObjectIdentifier>

        mutating func remove(_ id: ObjectIdentifier) {
            if open.removeValue(forKey: id)?.isAdmitted == true { admittedCount -= 1 }
            waiting.remove(id)
        }
    }

    /// Lines about connections: ten at once, for who looks into why one client does not get in, and one a second in the
    /// long run, since anybody can make them.
    private static let lineAllowance = LogAllowance(10, per: .seconds(10))

    /// Largest payload that is not counted, so that of most nothing is.
    static let uncountedByteCount = 64 << 10

    private let limit: Int
    private let metrics: ServerMetrics
    private let unfinishedByteLimit: Int
    /// Of large payloads of clients that have begun and are not whole, as their headers tell them.
    private let unfinishedByteCount = Mutex(0)
    private let state: Mutex<State>
    private let strangerLines = Mutex(ServerConnections.lineAllowance)
    private let peerLines = Mutex(ServerConnections.lineAllowance)

    init(_ configuration: WireServerConfiguration) {
        limit = configuration.connectionLimit
        metrics = configuration.metrics
        unfinishedByteLimit = configuration.unfinishedByteLimit
        state = Mutex(
            State(
                waiting: ConnectionLine(
                    limit: configuration.unauthenticatedConnectionLimit,
                    bound: configuration.unauthenticatedConnectionBound,
                    patience: TimeAmount(clamping: configuration.unauthenticatedPatience)
                )
            )
        )
    }

    /// Takes in a connection that was just accepted. To be called on its loop.
    func add(_ channel: any Channel, _ handler: ServerConnectionHandler) {
        let id = ObjectIdentifier(handler)
        let connection = Connection(channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
        let now = NIODeadline.now()
        let (isStopping, oldest) = state.withLock { state -> (Bool, Connection?) in
            state.open[id] = connection
            return (state.isStopping, state.waiting.add(id, now: now).flatMap { state.open[$0] })
        }
        metrics.connectionOpened()
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { $0.remove(id) }
            metrics.connectionClosed()
        }
        if isStopping { channel.close(promise: nil) }
        if let oldest { oldest.channel.eventLoop.execute { oldest.handler.value.giveWay() } }
    }

    /// Gives the connection of a right hello its place, also one that was told to give way and has not yet.
    ///
    /// - Returns: why it cannot stay; nil when it can.
    func admit(_ handler: ServerConnectionHandler) -> WireStatus? {
        let id = ObjectIdentifier(handler)
        let isAdmitted = state.withLock { state in
            guard state.admittedCount < limit, state.open[id] != nil else { return false }
            state.open[id]?.isAdmitted = true
            state.admittedCount += 1
            state.waiting.remove(id)
            return true
        }
        if isAdmitted { return nil }
        return WireStatus(
            .overloaded,
            "this node has \(limit) connections open, which is its limit",
            retryAfterMilliseconds: 1000
        )
    }

    /// Counts a client's payload that has begun, until it is given back.
    ///
    /// - Returns: whether there was room for it; else it is not counted.
    func takePayload(_ byteCount: Int) -> Bool {
        unfinishedByteCount.withLock { count in
            guard byteCount <= unfinishedByteLimit - count else { return false }
            count += byteCount
            return true
        }
    }

    /// It is whole, or comes no more.
    func givePayloadBack(_ byteCount: Int) {
        unfinishedByteCount.withLock { $0 -= byteCount }
    }

    /// What is answered to a call whose payload there was no room for.
    var noRoom: WireStatus {
        WireStatus(
            .overloaded,
            "this node is taking in as many bytes of large requests of clients as it may, \(unfinishedByteLimit) "
                + "together",
            retryAfterMilliseconds: 1000
        )
    }

    /// Whether there may be a line in the log about a connection.
    ///
    /// - Parameter hasRightHello: whether its hello was right. Strangers do not use up the lines about those who belong
    ///   here.
    /// - Returns: how many were left out since the last one, when there may be another; else nil.
    func takeLine(hasRightHello: Bool) -> Int? {
        let now = ContinuousClock.now
        return hasRightHello
            ? peerLines.withLock { $0.take(now: now) } : strangerLines.withLock { $0.take(now: now) }
    }

    func drain() {
        let open = state.withLock {
            $0.isStopping = true
            return Array($0.open.values)
        }
        for connection in open { connection.channel.eventLoop.execute { connection.handler.value.drain() } }
    }

    func closeAll() {
        for connection in state.withLock({ Array($0.open.values) }) { connection.channel.close(promise: nil) }
    }

    func allClosed(on eventLoop: any EventLoop) async {
        let futures = state.withLock { $0.open.values.map { $0.channel.closeFuture } }
        try? await EventLoopFuture.andAllComplete(futures, on: eventLoop).get()
    }
}
