import Crypto
import Logging
import NIOCore
import WireProtocol

/// Drives one accepted connection: bytes to frames, frames to the machine, the machine's actions to the channel.
///
/// Lives on the channel's event loop only.
final class ServerConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let configuration: WireServerConfiguration
    private let handler: any RequestHandler
    private let metrics: ServerMetrics
    /// Those of the server, this one among them.
    private let connections: ServerConnections
    private let tokenDigest: SHA256.Digest?
    private var machine: ServerConnectionStateMachine
    private var decoder: FrameDecoder
    /// Of the connection; none before the hello.
    private var features: WireFeatures = []
    /// Its hello was right.
    private var hasRightHello = false
    private var streams: [UInt64: ServerStream] = [:]

    private var context: ChannelHandlerContext?
    private var executor: EventLoopTaskExecutor?
    private var helloTimer: Scheduled<Void>?
    private var checkTimer: RepeatedTask?
    private var watch: ConnectionWatch

    private var isReading = false
    private var hasUnflushed = false
    /// Of what is sent while nothing is read.
    private var flushTurn = FlushTurn()
    private var isReadWanted = false
    /// Of the large payload that is not whole, as ``ServerConnections`` counts it; 0 when there is none.
    private var countedByteCount = 0
    private var queuedByteCount = 0

    /// Time that a refused peer has to read why, before its connection is closed.
    private static let linger = TimeAmount.milliseconds(500)

    init(
        _ configuration: WireServerConfiguration,
        tokenDigest: SHA256.Digest?,
        handler: any RequestHandler,
        connections: ServerConnections
    ) {
        self.configuration = configuration
        self.tokenDigest = tokenDigest
        self.handler = handler
        self.connections = connections
        metrics = configuration.metrics
        machine = ServerConnectionStateMachine(configuration)
        decoder = FrameDecoder(payloadLimit: configuration.unauthenticatedByteLimit, isOpen: false)
        watch = ConnectionWatch(configuration, now: .now())
    }

    // MARK: Life of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        executor = EventLoopTaskExecutor(context.eventLoop)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        startTimers(context.eventLoop)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(because: SystemText.reason(error))
    }

    private func startTimers(_ eventLoop: any EventLoop) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        helloTimer = eventLoop.scheduleTask(in: TimeAmount(clamping: configuration.helloTimeout)) {
            bound.value.helloTimedOut()
        }
        let interval = TimeAmount(clamping: configuration.checkInterval)
        checkTimer = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            bound.value.check()
        }
    }

    private func end() {
        helloTimer?.cancel()
        helloTimer = nil
        checkTimer?.cancel()
        checkTimer = nil
        givePayloadBack()
        for stream in streams.values {
            stream.cancel()
            metrics.requestEnded(stream.type, .cancelled, took: .since(stream.began))
        }
        streams.removeAll()
    }

    private func helloTimedOut() {
        guard machine.isAwaitingHello else { return }
        close(because: "no hello came within \(configuration.helloTimeout)")
    }

    /// Others have come, and of those without a right hello this one has waited longest.
    func giveWay() {
        if machine.isAwaitingHello {
            close(because: "no hello came before too many others had connected")
        } else if machine.isClosing {
            closeAtOnce()
        }
    }

    private func check() {
        guard let channel = context?.channel else { return }
        let waiting = (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        let reason = watch.check(
            now: .now(),
            isWritable: channel.isWritable,
            takenByteCount: queuedByteCount - waiting,
            isIdle: streams.isEmpty
        )
        if let reason { close(because: reason) }
    }

    // MARK: Inbound

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if machine.isClosing { return }
        isReading = true
        let bytes = unwrapInboundIn(data)
        metrics.noteReceived(bytes.readableBytes)
        decoder.feed(bytes)
        var frameCount = 0
        do throws(FrameError) {
            while !machine.isClosing, let event = try decoder.next() {
                frameCount += 1
                receive(event)
            }
        } catch {
            receive(error)
        }
        noteLargePayload(hasEnded: frameCount > 0 || machine.isClosing)
        watch.bytesRead(
            now: .now(),
            frameCount: frameCount,
            unfinishedByteCount: decoder.unfinishedByteCount
        )
    }

    /// Counts a client's large payload that has begun and is not whole, or has it skipped where there is no room for
    /// it.
    ///
    /// - Parameter hasEnded: the frame that had begun before is whole, or comes no more.
    private func noteLargePayload(hasEnded: Bool) {
        if hasEnded { givePayloadBack() }
        guard countedByteCount == 0, let header = decoder.unfinishedHeader,
            header.payloadByteCount > ServerConnections.uncountedByteCount, machine.peerRole == .client
        else { return }
        let byteCount = Int(header.payloadByteCount)
        if connections.takePayload(byteCount) { countedByteCount = byteCount } else { decoder.skipPayload() }
    }

    private func givePayloadBack() {
        guard countedByteCount > 0 else { return }
        connections.givePayloadBack(countedByteCount)
        countedByteCount = 0
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        if hasUnflushed {
            hasUnflushed = false
            context.flush()
        }
        context.fireChannelReadComplete()
    }

    /// Bytes are asked for only while the peer takes what is sent to it.
    func read(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            context.read()
        } else {
            isReadWanted = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, isReadWanted {
            isReadWanted = false
            context.read()
        }
        context.fireChannelWritabilityChanged()
    }

    private func receive(_ event: FrameDecoder.Event) {
        switch event {
        case .unknown(let header):
            perform(machine.failed(WireStatus(.invalidRequest, problem(of: header)), stream: header.stream))
        case .skipped(let header):
            guard let type = header.type else { return }
            switch machine.received(type, stream: header.stream) {
            case .handle:
                _ = machine.finished(header.stream)
                metrics.requestBegan()
                metrics.requestEnded(type, .overloaded, took: .zero)
                perform(.answer(connections.noRoom, stream: header.stream))
            case let action: perform(action)
            }
        case .frame(let frame):
            guard let type = frame.header.type else { return }
            switch machine.received(type, stream: frame.header.stream) {
            case .readHello: readHello(frame)
            case .handle(let role): handle(frame, role: role)
            case let action: perform(action)
            }
        }
    }

    /// Why a frame was skipped.
    private func problem(of header: FrameHeader) -> String {
        if header.type == nil { return "this node knows no message of type \(header.typeNumber)" }
        guard features.frameFlags.isSuperset(of: header.frameFlags) else {
            return "flags \(header.flags) are not those of a feature of this connection"
        }
        return "the payload has \(header.payloadByteCount) bytes, and a traced request's begins with "
            + "\(TraceContext.byteCount) that name the trace"
    }

    private func receive(_ error: FrameError) {
        switch error {
        case .notHello, .headerChecksum: close(because: error.description)
        case .payloadChecksum(let stream), .payloadLimit(let stream, _, _):
            perform(machine.refuse(error.wireStatus.withoutEffect, stream: stream))
        }
    }

    private func readHello(_ frame: Frame) {
        do throws(WireDecodingError) {
            let hello = try frame.decode(Hello.self, limits: configuration.limits)
            let tokenIsRight = tokenDigest.map { $0 == SHA256.hash(data: Array(hello.token.utf8)) } ?? true
            perform(machine.helloReceived(hello, tokenIsRight: tokenIsRight, stream: frame.header.stream))
        } catch {
            perform(machine.failed(error.wireStatus, stream: frame.header.stream))
        }
    }

    private func handle(_ frame: Frame, role: PeerRole) {
        guard let context, let executor, let type = frame.header.type else { return }
        let id = frame.header.stream
        let stream = ServerStream(id: id, type: type, began: .now())
        streams[id] = stream
        metrics.requestBegan()
        let call = ServerCall(
            deadline: WireDeadline(headerMicroseconds: frame.header.deadlineMicroseconds),
            peerRole: role,
            byteCount: frame.payload.readableBytes,
            traceparent: frame.trace?.traceparent,
            stream: stream,
            executor: executor,
            sender: ConnectionReplySender(
                connection: NIOLoopBound(self, eventLoop: context.eventLoop),
                payloadLimit: configuration.limits.payloadByteCount,
                laterFields: features.contains(.laterFields)
            )
        )
        do throws(WireDecodingError) {
            if let request = try Request(frame, limits: configuration.limits) { handler.handle(request, call: call) }
        } catch {
            call.fail(error.wireStatus.withoutEffect)
        }
    }

    // MARK: Outbound

    private func perform(_ action: ServerConnectionStateMachine.Action) {
        switch action {
        case .ignore, .readHello, .handle: break
        case .accept(let reply, let stream):
            hasRightHello = true
            if let status = connections.admit(self) { return perform(machine.refuse(status, stream: stream)) }
            helloTimer?.cancel()
            helloTimer = nil
            features = WireFeatures(rawValue: reply.features)
            decoder.open(payloadLimit: configuration.limits.payloadByteCount, features: features)
            send(reply, stream: stream)
        case .cancel(let stream): streams[stream]?.cancel()
        case .pong(let stream): send(Pong(), stream: stream)
        // The request went no further.
        case .answer(let status, let stream): send(status.withoutEffect, stream: stream)
        case .refuse(let status, let stream): refuse(status, stream: stream)
        }
    }

    /// Sends a message of the connection's own, which is never above a limit.
    private func send(_ message: some WireMessage, stream: UInt64) {
        let laterFields = features.contains(.laterFields)
        guard let frame = try? Frame.encode(message, stream: stream, payloadLimit: .max, laterFields: laterFields)
        else {
            return
        }
        send(frame)
    }

    /// - Parameter share: held until the frame is written, or never will be.
    private func send(_ frame: ByteBuffer, holding share: (any CallByteShare)? = nil) {
        guard let context, context.channel.isActive else { return }
        queuedByteCount += frame.readableBytes
        metrics.noteSent(frame.readableBytes)
        var promise: EventLoopPromise<Void>?
        if let share {
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.whenComplete { _ in withExtendedLifetime(share) {} }
            promise = written
        }
        context.write(wrapOutboundOut(frame), promise: promise)
        if isReading {
            hasUnflushed = true
        } else if flushTurn.written() {
            context.flush()
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            context.eventLoop.execute { bound.value.endFlushTurn() }
        }
    }

    private func endFlushTurn() {
        if flushTurn.end() { context?.flush() }
    }

    /// Sends the answer of a request under way.
    ///
    /// - Parameters:
    ///   - status: what the answer is when it is not the reply.
    ///   - share: held until the answer is written, or never will be.
    func finish(
        _ stream: UInt64,
        with frame: ByteBuffer,
        status: StatusCode?,
        holding share: (any CallByteShare)?
    ) {
        guard let ended = streams.removeValue(forKey: stream) else { return }
        metrics.requestEnded(ended.type, status, took: .since(ended.began))
        send(frame, holding: share)
        if machine.finished(stream) { closeAfterFlush() }
    }

    /// Tells the peer why, and closes when it has had time to read it: a close with unread bytes would reset the
    /// connection and lose the status.
    private func refuse(_ status: WireStatus, stream: UInt64) {
        log("connection refused: \(status.message)")
        metrics.connectionRefused()
        send(status, stream: stream)
        guard let context else { return }
        context.flush()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.linger) { bound.value.closeAtOnce() }
    }

    /// Asks the peer to go: nothing new is started, and the connection closes with its last answer.
    func drain() {
        send(GoAway(), stream: 0)
        if machine.drain() { closeAfterFlush() }
    }

    private func closeAfterFlush() {
        guard let context else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in bound.value.close(promise: nil) }
    }

    private func close(because reason: String) {
        log("connection closed: \(reason)")
        metrics.connectionRefused()
        if machine.isAwaitingHello { closeAtOnce() } else { context?.close(promise: nil) }
    }

    private func closeAtOnce() { context?.channel.closeAtOnce() }

    private func log(_ message: String) {
        guard let suppressed = connections.takeLine(hasRightHello: hasRightHello) else { return }
        let peer = context?.remoteAddress.map(String.init(describing:)) ?? "unknown"
        configuration.logger.notice("\(message)", metadata: ["peer": "\(peer)", "suppressed": "\(suppressed)"])
    }
}

/// Encodes answers where they were made, and sends them on the connection's loop.
private struct ConnectionReplySender: ReplySender {
    let connection: NIOLoopBound<ServerConnectionHandler>
    let payloadLimit: UInt32
    let laterFields: Bool

    func send(_ message: some WireMessage, stream: UInt64, holding share: (any CallByteShare)?) {
        let frame: ByteBuffer
        var status = (message as? WireStatus)?.code
        do throws(WireStatus) {
            frame = try Frame.encode(message, stream: stream, payloadLimit: payloadLimit, laterFields: laterFields)
        } catch {
            guard
                let refusal = try? Frame.encode(error, stream: stream, payloadLimit: .max, laterFields: laterFields)
            else { return }
            frame = refusal
            status = error.code
        }
        share?.settle(answerByteCount: frame.readableBytes)
        if connection.eventLoop.inEventLoop {
            connection.value.finish(stream, with: frame, status: status, holding: share)
        } else {
            connection.eventLoop.execute { [status] in
                connection.value.finish(stream, with: frame, status: status, holding: share)
            }
        }
    }
}

extension Duration {
    /// How long ago a moment was.
    fileprivate static func since(_ moment: NIODeadline) -> Duration { .nanoseconds((.now() - moment).nanoseconds) }
}
