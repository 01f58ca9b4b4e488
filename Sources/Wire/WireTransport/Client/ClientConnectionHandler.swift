import NIOCore
import Synchronization
import WireProtocol

/// Drives one connection that this side made: says hello, matches replies to calls, keeps the connection alive.
///
/// Lives on the channel's event loop only.
final class ClientConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    typealias Answer = CheckedContinuation<Result<Frame, WireStatus>, Never>

    private enum State {
        /// Can move to: `open`, `closed`.
        case awaitingHelloReply
        /// Can move to: `draining`, `closed`.
        case open
        /// The peer is stopping: calls under way finish, new ones are refused. Can move to: `closed`.
        case draining
        case closed(WireStatus)
    }

    private struct Call {
        var answer: Answer
        var deadline: WireDeadline
        var began: NIODeadline
    }

    /// How long a peer may take to answer a ping when it let a call's time pass without a word.
    private static let suspicion = TimeAmount.seconds(2)
    /// Enough for another look at the socket.
    private static let lastLook = TimeAmount.milliseconds(10)

    private let hello: ByteBuffer
    private let helloDeadline: NIODeadline
    private let keepAlive: TimeAmount
    /// How long the peer may be silent while it has calls before it is asked for a sign, and how long it has for that;
    /// nil where it is asked only once it has let a call's time pass.
    private let silenceLimit: TimeAmount?
    private let peerName: String
    /// What TLS trusts, to name it where it does not; nil for the machine's roots.
    private let trustRootsFile: String?
    private let openness: ConnectionOpenness
    let helloReply: EventLoopPromise<HelloReply>

    private var state = State.awaitingHelloReply
    private var decoder = FrameDecoder(payloadLimit: 16 << 10, isOpen: true)
    private var calls: [UInt64: Call] = [:]
    private var streamLimit = 0
    private var context: ChannelHandlerContext?
    private var flushTurn = FlushTurn()
    private var helloTimer: Scheduled<Void>?
    private var keepAliveTimer: RepeatedTask?
    private var hasReadSinceCheck = false
    private var isPingUnanswered = false
    private var lastRead = NIODeadline.now()
    private var suspicionTimer: Scheduled<Void>?
    /// The next look at how long the peer has been silent.
    private var silenceTimer: Scheduled<Void>?
    /// The next look at the deadlines: one timer serves all calls.
    private var deadlineTimer: (at: NIODeadline, task: Scheduled<Void>)?

    init(
        hello: ByteBuffer,
        helloDeadline: NIODeadline,
        keepAlive: TimeAmount,
        silenceLimit: TimeAmount?,
        peerName: String,
        trustRootsFile: String?,
        openness: ConnectionOpenness,
        helloReply: EventLoopPromise<HelloReply>
    ) {
        self.hello = hello
        self.helloDeadline = helloDeadline
        self.keepAlive = keepAlive
        self.silenceLimit = silenceLimit
        self.peerName = peerName
        self.trustRootsFile = trustRootsFile
        self.openness = openness
        self.helloReply = helloReply
    }

    // MARK: Calls

    /// - Parameter share: held until the frame is written, or never will be.
    func start(_ call: CallTicket, frame: ByteBuffer, holding share: (any AnyObject & Sendable)?, answer: Answer) {
        func refuse(_ status: WireStatus) { answer.resume(returning: .failure(status.withoutEffect)) }
        if call.isCancelled { return refuse(.cancelledByCaller) }
        switch state {
        case .open: break
        case .awaitingHelloReply, .draining:
            return refuse(WireStatus(.unavailable, "\(peerName) is stopping; call again in a moment"))
        case .closed(let status): return refuse(status)
        }
        guard calls.count < streamLimit else {
            return refuse(
                WireStatus(
                    .overloaded,
                    "\(calls.count) calls to \(peerName) are under way, which is its limit",
                    retryAfterMilliseconds: 20
                )
            )
        }
        let now = NIODeadline.now()
        calls[call.stream] = Call(answer: answer, deadline: call.deadline, began: now)
        watch(call.deadline)
        watchSilence(from: now)
        write(frame, holding: share)
    }

    func cancel(stream: UInt64) {
        abandon(stream, .cancelledByCaller)
    }

    /// Ends a call on this side and tells the peer.
    private func abandon(_ stream: UInt64, _ status: WireStatus) {
        guard let call = calls.removeValue(forKey: stream) else { return }
        call.answer.resume(returning: .failure(status))
        if let frame = try? Frame.encode(Cancel(), stream: stream, payloadLimit: .max) { write(frame) }
        closeIfDrained()
    }

    private func watch(_ deadline: WireDeadline) {
        guard !deadline.isNone, let context else { return }
        if let deadlineTimer {
            if deadlineTimer.at <= deadline.instant { return }
            deadlineTimer.task.cancel()
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        deadlineTimer = (
            deadline.instant,
            context.eventLoop.scheduleTask(deadline: deadline.instant) { bound.value.expireCalls() }
        )
    }

    private func expireCalls() {
        deadlineTimer = nil
        let now = NIODeadline.now()
        for (stream, call) in calls where call.deadline <= WireDeadline(now) {
            if call.began > lastRead { askForSign() }
            abandon(
                stream,
                WireStatus(.deadlineExceeded, "\(peerName) did not answer before the call's deadline")
            )
        }
        if let next = calls.values.map(\.deadline).min() { watch(next) }
    }

    private func write(_ frame: ByteBuffer, holding share: (any AnyObject & Sendable)? = nil) {
        guard let context else { return }
        var promise: EventLoopPromise<Void>?
        if let share {
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.whenComplete { _ in withExtendedLifetime(share) {} }
            promise = written
        }
        context.write(wrapOutboundOut(frame), promise: promise)
        guard flushTurn.written() else { return }
        context.flush()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { bound.value.endFlushTurn() }
    }

    private func endFlushTurn() {
        if flushTurn.end() { context?.flush() }
    }

    // MARK: Life of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(connectionLost)
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        helloTimer = context.eventLoop.scheduleTask(deadline: helloDeadline) { bound.value.helloIsDue() }
        keepAliveTimer = context.eventLoop.scheduleRepeatedTask(initialDelay: keepAlive, delay: keepAlive) { _ in
            bound.value.checkAlive()
        }
        write(hello)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(connectionLost)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if TransportFailure.isOfClosing(error) { return close(connectionLost) }
        close(TransportFailure.status(for: error, peer: peerName, trustRootsFile: trustRootsFile))
    }

    private var connectionLost: WireStatus {
        if case .awaitingHelloReply = state {
            return WireStatus(
                .unavailable,
                "\(peerName) closed the connection instead of answering the hello. Check that it is a Mien node, and "
                    + "that both sides use TLS or neither does; or it may have too many connections that have not said "
                    + "hello"
            )
        }
        return .connectionLost(peerName)
    }

    /// Where this process stood still while it connected, what the peer said or did meanwhile has yet to be read.
    private func helloIsDue() {
        guard case .awaitingHelloReply = state, let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        helloTimer = context.eventLoop.scheduleTask(in: Self.lastLook) { bound.value.helloTimedOut() }
    }

    private func helloTimedOut() {
        guard case .awaitingHelloReply = state else { return }
        var status = WireStatus(
            .unavailable,
            "\(peerName) accepted the connection but did not answer the hello in time"
        )
        status.isOfSilence = true
        close(status)
    }

    private func checkAlive() {
        defer { hasReadSinceCheck = false }
        if hasReadSinceCheck {
            isPingUnanswered = false
        } else if isPingUnanswered {
            giveUp()
        } else if answersPings, let frame = try? Frame.encode(Ping(), stream: 0, payloadLimit: .max) {
            isPingUnanswered = true
            write(frame)
        }
    }

    /// Whether a peer that is there answers pings: it does also while it stops.
    private var answersPings: Bool {
        switch state {
        case .open, .draining: true
        case .awaitingHelloReply, .closed: false
        }
    }

    private func watchSilence(from start: NIODeadline) {
        guard silenceTimer == nil, let silenceLimit, let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        silenceTimer = context.eventLoop.scheduleTask(deadline: start + silenceLimit) { bound.value.checkSilence() }
    }

    /// Asks a peer for a sign that has said nothing for too long since it was called.
    private func checkSilence() {
        silenceTimer = nil
        guard let silenceLimit, let firstBegan = calls.values.map(\.began).min() else { return }
        let (now, silentSince) = (NIODeadline.now(), max(lastRead, firstBegan))
        guard silentSince + silenceLimit <= now else { return watchSilence(from: silentSince) }
        askForSign(within: silenceLimit)
        watchSilence(from: now)
    }

    /// The peer has let a call's time pass without a word, or much of it: it is asked whether it is there. Bytes that
    /// still wait to be sent explain its silence.
    private func askForSign(within time: TimeAmount = ClientConnectionHandler.suspicion) {
        guard suspicionTimer == nil, answersPings, let context else { return }
        // What waits for the end of this turn alone explains nothing.
        context.flush()
        guard let frame = try? Frame.encode(Ping(), stream: 0, payloadLimit: .max),
            (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 == 0
        else { return }
        let asked = NIODeadline.now()
        write(frame)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        suspicionTimer = context.eventLoop.scheduleTask(in: time) {
            bound.value.suspicionTimer = nil
            if bound.value.lastRead < asked { bound.value.giveUp() }
        }
    }

    private func giveUp() {
        close(WireStatus(.unavailable, "\(peerName) gives no sign of life; the connection was given up"))
    }

    private func close(_ status: WireStatus) {
        end(status)
        context?.close(promise: nil)
    }

    private func closeIfDrained() {
        if case .draining = state, calls.isEmpty { close(connectionLost) }
    }

    private func end(_ status: WireStatus) {
        if case .closed = state { return }
        state = .closed(status)
        openness.close()
        helloTimer?.cancel()
        helloTimer = nil
        keepAliveTimer?.cancel()
        keepAliveTimer = nil
        suspicionTimer?.cancel()
        suspicionTimer = nil
        silenceTimer?.cancel()
        silenceTimer = nil
        deadlineTimer?.task.cancel()
        deadlineTimer = nil
        helloReply.fail(status)
        let ended = calls
        calls.removeAll()
        // Whatever the end was about, these calls had been sent.
        var status = status
        status.hasNoEffect = false
        for call in ended.values { call.answer.resume(returning: .failure(status)) }
    }

    // MARK: Inbound

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        hasReadSinceCheck = true
        lastRead = .now()
        decoder.feed(unwrapInboundIn(data))
        do throws(FrameError) {
            while !isClosed, let event = try decoder.next() { receive(event) }
        } catch {
            // Of a peer that has spoken the protocol they were damaged on their way, which others need not be.
            let code: StatusCode = if case .awaitingHelloReply = state { .malformedFrame } else { .unavailable }
            close(WireStatus(code, "\(peerName) sent bytes that are no frames: \(error)"))
        }
    }

    private var isClosed: Bool { if case .closed = state { true } else { false } }

    private func receive(_ event: FrameDecoder.Event) {
        switch event {
        case .unknown(let header):
            finish(
                header.stream,
                .failure(
                    WireStatus(
                        .incompatibleVersion,
                        "\(peerName) answered with a message of type \(header.typeNumber), which this build does not "
                            + "know"
                    )
                )
            )
        // This side has nothing skipped.
        case .skipped: break
        case .frame(let frame):
            if case .awaitingHelloReply = state { return receiveHelloReply(frame) }
            switch frame.header.type {
            case .goAway where frame.header.stream == 0:
                state = .draining
                openness.close()
                closeIfDrained()
            case .status where frame.header.stream == 0: close(status(in: frame))
            case .pong where frame.header.stream == 0: break
            default: finish(frame.header.stream, .success(frame))
            }
        }
    }

    private func receiveHelloReply(_ frame: Frame) {
        switch frame.header.type {
        case .helloReply:
            do throws(WireDecodingError) {
                let reply = try frame.decode(HelloReply.self, limits: WireLimits())
                guard WireVersion.agreed(lowest: reply.version, highest: reply.version) == reply.version else {
                    return close(
                        WireStatus(
                            .incompatibleVersion,
                            "\(peerName) chose protocol version \(reply.version), which this build does not speak"
                        )
                    )
                }
                // Replies are never a part of a trace.
                decoder.open(
                    payloadLimit: reply.limits.payloadByteCount,
                    features: WireFeatures(rawValue: reply.features).intersection(.laterFields)
                )
                streamLimit = Int(reply.limits.streamCount)
                helloTimer?.cancel()
                state = .open
                openness.open()
                helloReply.succeed(reply)
            } catch {
                close(WireStatus(.malformedFrame, "\(peerName) sent a hello reply that cannot be read: \(error)"))
            }
        case .status: close(status(in: frame))
        default: close(WireStatus(.malformedFrame, "\(peerName) did not answer the hello as a Mien node does"))
        }
    }

    private func status(in frame: Frame) -> WireStatus {
        do throws(WireDecodingError) {
            return try frame.decode(WireStatus.self, limits: WireLimits())
        } catch {
            return WireStatus(.malformedFrame, "\(peerName) sent a status that cannot be read: \(error)")
        }
    }

    /// An answer to a call that was given up is dropped.
    private func finish(_ stream: UInt64, _ result: Result<Frame, WireStatus>) {
        guard let call = calls.removeValue(forKey: stream) else { return }
        call.answer.resume(returning: result)
        closeIfDrained()
    }
}

/// Names one call to the connection that carries it.
final class CallTicket: Sendable {
    let stream: UInt64
    let deadline: WireDeadline
    private let cancelled = Atomic<Bool>(false)

    init(stream: UInt64, deadline: WireDeadline) {
        self.stream = stream
        self.deadline = deadline
    }

    var isCancelled: Bool { cancelled.load(ordering: .sequentiallyConsistent) }
    func cancel() { cancelled.store(true, ordering: .sequentiallyConsistent) }
}

/// Whether a connection takes calls, for threads other than its own.
final class ConnectionOpenness: Sendable {
    private let value = Atomic<Bool>(false)

    var isOpen: Bool { value.load(ordering: .acquiring) }
    func open() { value.store(true, ordering: .releasing) }
    func close() { value.store(false, ordering: .releasing) }
}

extension WireStatus {
    static let cancelledByCaller = WireStatus(.cancelled, "the caller cancelled the call")

    static func connectionLost(_ peer: String) -> WireStatus {
        var status = WireStatus(
            .unavailable,
            "the connection to \(peer) was lost before the answer came; a write may have been done, and may be "
                + "sent again under the same key"
        )
        status.isLoss = true
        return status
    }
}
