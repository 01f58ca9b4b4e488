import NIOCore
import Synchronization
import WireProtocol

/// The accepted connections of one server, and which of them may stay.
///
/// Whoever has not said a right hello takes none of the places of those who have, but one of a few others. Where these
/// are taken the connection that has waited longest gives way, and the newcomer is let in: were newcomers refused, then
/// strangers who say nothing would keep everybody out with a few connections a second, since each of theirs stays until
/// its time to say hello is over.
///
/// Who belongs to the cluster says hello at once, but under TLS has to shake hands before. So nobody gives way before
/// it has had some time for that: of hundreds that come back together each would else close another that is nearly
/// there. Until then more are taken than there are places, up to a bound, beyond which the oldest goes all the same.
final class ServerConnections: Sendable {
    private struct Connection: Sendable {
        var channel: any Channel
        var handler: NIOLoopBound<ServerConnectionHandler>
        /// Its hello was right.
        var isAdmitted = false
    }

    private struct Waiting: Sendable {
        var id: ObjectIdentifier
        var since: NIODeadline
    }

    private struct State {
        var isStopping = false
        var open: [ObjectIdentifier: Connection] = [:]
        var admittedCount = 0
        /// Those without a right hello that were not told to give way, in the order in which they came.
        var waiting: [Waiting] = []

        mutating func remove(_ id: ObjectIdentifier) {
            if open.removeValue(forKey: id)?.isAdmitted == true { admittedCount -= 1 }
            waiting.removeAll { $0.id == id }
        }
    }

    private let limit: Int
    private let waitingLimit: Int
    private let waitingBound: Int
    private let patience: TimeAmount
    private let metrics: ServerMetrics
    private let state = Mutex(State())

    init(_ configuration: WireServerConfiguration) {
        limit = configuration.connectionLimit
        waitingLimit = configuration.unauthenticatedConnectionLimit
        waitingBound = configuration.unauthenticatedConnectionBound
        patience = TimeAmount(clamping: configuration.unauthenticatedPatience)
        metrics = configuration.metrics
    }

    /// Takes in a connection that was just accepted. To be called on its loop.
    func add(_ channel: any Channel, _ handler: ServerConnectionHandler) {
        let id = ObjectIdentifier(handler)
        let connection = Connection(channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
        let now = NIODeadline.now()
        let (isStopping, oldest) = state.withLock { state -> (Bool, Connection?) in
            state.open[id] = connection
            state.waiting.append(Waiting(id: id, since: now))
            guard state.waiting.count > waitingLimit,
                state.waiting.count > waitingBound || now - state.waiting[0].since >= patience
            else { return (state.isStopping, nil) }
            return (state.isStopping, state.open[state.waiting.removeFirst().id])
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
            state.waiting.removeAll { $0.id == id }
            return true
        }
        if isAdmitted { return nil }
        return WireStatus(
            .overloaded,
            "this node has \(limit) connections open, which is its limit",
            retryAfterMilliseconds: 1000
        )
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
