package import ClusterModel
package import NIOCore
import NIOPosix
import NIOSSL
import Observability
import Synchronization
package import WireProtocol

/// One authenticated connection to a node, shared by any number of calls from any threads.
package final class WireConnection: Sendable {
    /// What the node said of itself.
    package let peer: HelloReply
    private let address: NodeAddress
    private let channel: any Channel
    private let handler: NIOLoopBound<ClientConnectionHandler>
    private let openness: ConnectionOpenness
    /// The hello had stream 1.
    private let nextStream = Atomic<UInt64>(2)

    private struct Parts: Sendable {
        var channel: any Channel
        var handler: NIOLoopBound<ClientConnectionHandler>
        var helloReply: EventLoopFuture<HelloReply>
        var openness: ConnectionOpenness
    }

    private init(peer: HelloReply, address: NodeAddress, parts: Parts) {
        self.peer = peer
        self.address = address
        channel = parts.channel
        handler = parts.handler
        openness = parts.openness
    }

    deinit {
        channel.close(promise: nil)
    }

    /// Connects and says hello. The token goes beyond this machine under TLS alone: without it everyone between could
    /// read it.
    ///
    /// - Parameters:
    ///   - timeout: for all of it.
    ///   - keepAlive: a peer that is silent this long is pinged; silent as long again, it is given up.
    ///   - silenceLimit: the same while calls are under way, of which none waits to be sent; nil for no more than
    ///     `keepAlive` asks.
    ///   - features: optional behaviour that is offered: what this build knows, or less, as an earlier build does.
    /// - Throws: `unavailable` when nobody answers; `unauthenticated` where a token would be sent in clear; what the
    ///   node says when it refuses the hello.
    package static func connect(
        to address: NodeAddress,
        as role: PeerRole,
        token: String,
        tls: ClientTLS?,
        on eventLoop: any EventLoop,
        agent: String,
        timeout: Duration,
        keepAlive: Duration = .seconds(15),
        silenceLimit: Duration? = nil,
        features: WireFeatures = .known
    ) async throws(WireStatus) -> WireConnection {
        do throws(ConnectFailure) {
            return try await open(
                to: address,
                as: role,
                token: token,
                tls: tls,
                on: eventLoop,
                agent: agent,
                timeout: timeout,
                keepAlive: keepAlive,
                silenceLimit: silenceLimit,
                features: features
            )
        } catch {
            throw error.status
        }
    }

    /// As ``connect(to:as:token:tls:on:agent:timeout:keepAlive:silenceLimit:features:)``, but for what it throws.
    static func open(
        to address: NodeAddress,
        as role: PeerRole,
        token: String,
        tls: ClientTLS?,
        on eventLoop: any EventLoop,
        agent: String,
        timeout: Duration,
        keepAlive: Duration = .seconds(15),
        silenceLimit: Duration? = nil,
        features: WireFeatures = .known
    ) async throws(ConnectFailure) -> WireConnection {
        guard token.isEmpty || tls != nil || address.isLoopback else {
            throw .hello(
                WireStatus(
                    .unauthenticated,
                    "the token is not sent to \(address) without TLS, because others could read it on the way. Set up "
                        + "TLS on both sides"
                )
            )
        }
        let hello: ByteBuffer
        do throws(WireStatus) {
            hello = try helloFrame(role, token: token, agent: agent, features: features)
        } catch {
            throw .hello(error)
        }
        let deadline = WireDeadline.after(timeout)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(clamping: timeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: .init(low: 1 << 20, high: 4 << 20))
            .channelOption(.recvAllocator, value: ConnectionBuffers.receiving)
        let parts: Parts
        do {
            parts = try await bootstrap.connect(host: address.host, port: address.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try addHandlers(
                        to: channel,
                        hello: hello,
                        deadline: deadline,
                        keepAlive: keepAlive,
                        silenceLimit: silenceLimit,
                        address: address,
                        tls: tls
                    )
                }
            }
        } catch {
            let status = TransportFailure.status(for: error, peer: "\(address)", trustRootsFile: tls?.trustRootsFile)
            if TransportFailure.isOfPort(error) { throw .port(status) }
            throw .way(status)
        }
        do {
            let peer = try await parts.helloReply.get()
            return WireConnection(peer: peer, address: address, parts: parts)
        } catch {
            throw .hello(
                TransportFailure.status(for: error, peer: "\(address)", trustRootsFile: tls?.trustRootsFile)
            )
        }
    }

    private static func helloFrame(
        _ role: PeerRole,
        token: String,
        agent: String,
        features: WireFeatures
    ) throws(WireStatus) -> ByteBuffer {
        try Frame.encode(
            Hello(
                lowestVersion: WireVersion.lowest,
                highestVersion: WireVersion.highest,
                features: features.rawValue,
                role: role,
                token: token,
                agent: agent
            ),
            stream: 1,
            payloadLimit: 4096
        )
    }

    private static func addHandlers(
        to channel: any Channel,
        hello: ByteBuffer,
        deadline: WireDeadline,
        keepAlive: Duration,
        silenceLimit: Duration?,
        address: NodeAddress,
        tls: ClientTLS?
    ) throws -> Parts {
        if let tls {
            // A certificate is checked against the host name, or against the peer's address where there is none.
            let isAddress = (try? SocketAddress(ipAddress: address.host, port: address.port)) != nil
            try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(context: tls.context, serverHostname: isAddress ? nil : address.host)
            )
        }
        let openness = ConnectionOpenness()
        let promise = channel.eventLoop.makePromise(of: HelloReply.self)
        let handler = ClientConnectionHandler(
            hello: hello,
            helloDeadline: deadline.instant,
            keepAlive: TimeAmount(clamping: keepAlive),
            silenceLimit: silenceLimit.map { TimeAmount(clamping: $0) },
            peerName: "\(address)",
            trustRootsFile: tls?.trustRootsFile,
            openness: openness,
            helloReply: promise
        )
        try channel.pipeline.syncOperations.addHandler(handler)
        return Parts(
            channel: channel,
            handler: NIOLoopBound(handler, eventLoop: channel.eventLoop),
            helloReply: promise.futureResult,
            openness: openness
        )
    }

    /// Whether new calls are taken: the connection stands, and the node is not stopping.
    package var isOpen: Bool { openness.isOpen }

    /// Sends a request and awaits its reply.
    ///
    /// When the task is cancelled or the deadline passes, the node is told so and the call ends at once; a write may
    /// have been done all the same.
    /// - Parameters:
    ///   - share: what counts the request's bytes. It is held until they have been written to the socket, or never will
    ///     be: that may be long after the call, when the node reads nothing.
    ///   - admission: asked about the reply, but for a status; nil where every one is taken.
    /// - Throws: the node's status, or one of this side: `unavailable`, `deadlineExceeded`, `cancelled`, `overloaded`;
    ///   `incompatibleVersion` of a request that ``WireRequest/needsGuards`` where the node does not know them.
    package func call<R: WireRequest>(
        _ request: R,
        deadline: WireDeadline,
        holding share: (any AnyObject & Sendable)? = nil,
        admittedBy admission: (any AnswerAdmission)? = nil
    ) async throws(WireStatus) -> R.Reply {
        if deadline.hasPassed {
            throw WireStatus(.deadlineExceeded, "the deadline had passed before \(address) was called").withoutEffect
        }
        if request.needsGuards, !WireFeatures(rawValue: peer.features).contains(.guards) {
            // Another may be up to date, as where it is the connection that is refused.
            throw WireStatus(
                .incompatibleVersion,
                "the node at \(address) is of an earlier version, which would not look at what this \(R.type) must not "
                    + "be done without; bring it up to date first"
            ).withoutEffect.ofConnection
        }
        let ticket = CallTicket(stream: nextStream.add(1, ordering: .relaxed).oldValue, deadline: deadline)
        let frame: ByteBuffer
        do throws(WireStatus) {
            frame = try Frame.encode(
                request,
                stream: ticket.stream,
                deadlineMicroseconds: deadline.headerMicroseconds,
                payloadLimit: peer.limits.payloadByteCount,
                trace: trace,
                laterFields: WireFeatures(rawValue: peer.features).contains(.laterFields)
            )
        } catch {
            throw error.withoutEffect
        }
        let answer = try await send(frame, ticket, share).get()
        switch answer.header.type {
        case R.Reply.type:
            try admission?.received(answer.payload.readableBytes)
            return try read(R.Reply.self, from: answer)
        case .status: throw try read(WireStatus.self, from: answer)
        default:
            throw WireStatus(
                .malformedFrame,
                "\(address) answered \(R.type) with a message of type \(answer.header.typeNumber)"
            )
        }
    }

    /// That of the task, where somebody traces and the node takes it.
    private var trace: TraceContext? {
        guard WireFeatures(rawValue: peer.features).contains(.traceContext) else { return nil }
        return SearchSpan.currentTraceparent.flatMap(TraceContext.init(traceparent:))
    }

    private func read<M: WireMessage>(_ type: M.Type, from frame: Frame) throws(WireStatus) -> M {
        do throws(WireDecodingError) {
            return try frame.decode(type, limits: peer.limits)
        } catch {
            throw WireStatus(.malformedFrame, "\(address) sent an answer that cannot be read: \(error)")
        }
    }

    private func send(
        _ frame: ByteBuffer,
        _ ticket: CallTicket,
        _ share: (any AnyObject & Sendable)?
    ) async -> Result<Frame, WireStatus> {
        let handler = handler
        return await withTaskCancellationHandler {
            await withCheckedContinuation { answer in
                if handler.eventLoop.inEventLoop {
                    handler.value.start(ticket, frame: frame, holding: share, answer: answer)
                } else {
                    handler.eventLoop.execute {
                        handler.value.start(ticket, frame: frame, holding: share, answer: answer)
                    }
                }
            }
        } onCancel: {
            ticket.cancel()
            handler.eventLoop.execute { handler.value.cancel(stream: ticket.stream) }
        }
    }

    /// Ends the connection; calls under way fail with `unavailable`.
    package func close() async {
        try? await channel.close().get()
    }
}
