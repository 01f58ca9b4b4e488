package import NIOCore
import Synchronization
import WireTransport

/// The accepted connections of one admin endpoint, and which of them may stay: nobody is kept out by those who say
/// nothing, or ask and read no answer.
///
/// All are taken in. Where there are many the one that has been there for longest gives way to the newest, by the rule
/// of ``ConnectionLine``, as on the ports of nodes: probes that restart a node which does not answer come here, and
/// none of them can show a token.
final class AdminConnections: Sendable {
    private struct State {
        var open: [ObjectIdentifier: any Channel] = [:]
        /// Those that have asked for something.
        var asked: Set<ObjectIdentifier> = []
        var line: ConnectionLine<ObjectIdentifier>

        mutating func remove(_ id: ObjectIdentifier) {
            open[id] = nil
            asked.remove(id)
            line.remove(id)
        }
    }

    private let limits: AdminConnectionLimits
    private let state: Mutex<State>

    init(_ limits: AdminConnectionLimits) {
        self.limits = limits
        state = Mutex(
            State(line: ConnectionLine(limit: limits.count, bound: limits.bound, patience: limits.patience))
        )
    }

    /// Takes in a connection that was just accepted. To be called on its loop.
    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let now = NIODeadline.now()
        let oldest = state.withLock { state -> (any Channel)? in
            state.open[id] = channel
            return state.line.add(id, now: now).flatMap { state.open[$0] }
        }
        let firstRequest = channel.eventLoop.scheduleTask(in: limits.firstRequestTime) { [self] in
            if !state.withLock({ $0.asked.contains(id) }) { channel.closeAtOnce() }
        }
        let whole = channel.eventLoop.scheduleTask(in: limits.time) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { $0.remove(id) }
            firstRequest.cancel()
            whole.cancel()
        }
        if let oldest { oldest.eventLoop.execute { oldest.closeAtOnce() } }
    }

    /// The head of a request has come.
    func requestBegan(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        state.withLock { state in
            guard state.open[id] != nil else { return }
            state.asked.insert(id)
            state.line.note(id, isBusy: true)
        }
    }

    /// Its answer has been handed to the connection, or never will be.
    func requestEnded(_ channel: any Channel) {
        state.withLock { $0.line.note(ObjectIdentifier(channel), isBusy: false) }
    }
}

/// How many connections an admin endpoint has at a time, and for how long.
package struct AdminConnectionLimits: Sendable {
    /// Where another one comes the oldest without a request under way is closed, if it has had its time.
    package var count = 64
    /// That time.
    package var patience = TimeAmount.seconds(1)
    /// Most of them, beyond which the oldest is closed whatever it does.
    package var bound = 256
    /// Longest time from accepting a connection to the head of its first request, a handshake of TLS included.
    package var firstRequestTime = TimeAmount.seconds(5)
    /// A connection over which nothing is asked for so long is closed.
    package var idleTime = TimeAmount.seconds(30)
    /// After so long a connection is closed, whatever it does: who asks and reads no answer would keep its place for as
    /// long as nobody else comes. Some seconds from where scrapes are that come every so many seconds.
    package var time = TimeAmount.milliseconds(62_500)

    package init() {}
}
