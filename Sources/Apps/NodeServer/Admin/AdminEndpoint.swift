import ClusterModel
import HTTPTypes
import HummingbirdCore
package import Logging
package import NIOCore
import NIOSSL
package import NodeConfiguration
package import Observability
import ServiceLifecycle
import Synchronization
import WireProtocol
import WireTransport

/// Answers HTTP on an address of its own: ``AdminPages``, for Prometheus, for whoever restarts processes, for people.
package final class AdminEndpoint: Service {
    private enum State {
        /// Can move to: `listening`, `off`.
        case starting
        case listening(NodeAddress)
        /// The automatic address was not to be had.
        case off
    }

    /// A connection that sends nothing for so long is closed.
    private static let idleTimeout = TimeAmount.seconds(30)
    private static let headerByteLimit = 16 << 10

    private let listener: AdminListener
    private let pages: AdminPages
    /// Nil on loopback.
    private let tls: ServerTLS?
    private let connectionLimit: Int
    private let connectionTime: Duration
    private let group: any EventLoopGroup
    private let logger: Logger
    private let state = Mutex(State.starting)

    /// - Parameters:
    ///   - protection: of the node; used beyond loopback only, where the configuration asks for both.
    ///   - connectionLimit: further connections wait until one is closed.
    ///   - connectionTime: after so long a connection is closed, whatever it does: who asks and reads no answer would
    ///     keep its place for ever. By default some seconds from where scrapes are that come every so many seconds.
    package init(
        _ listener: AdminListener,
        metrics: MetricRegistry,
        problems: @escaping @Sendable () -> [String],
        remarks: @escaping @Sendable () -> [String] = { [] },
        protection: (tls: NodeTLS?, token: AccessToken?),
        connectionLimit: Int = 64,
        connectionTime: Duration = .milliseconds(62_500),
        group: any EventLoopGroup,
        logger: Logger
    ) {
        let isOpen = listener.address.isLoopback
        self.listener = listener
        pages = AdminPages(
            registry: metrics,
            problems: problems,
            remarks: remarks,
            token: isOpen ? nil : protection.token
        )
        tls = isOpen ? nil : protection.tls?.server
        self.connectionLimit = connectionLimit
        self.connectionTime = connectionTime
        self.group = group
        self.logger = logger
    }

    /// Where it listens, with its real port, once that is settled; nil when it is off, or when the task is cancelled.
    package func address() async -> String? {
        while true {
            switch state.withLock(\.self) {
            case .listening(let address): return "\(tls == nil ? "http" : "https")://\(address)"
            case .off: return nil
            case .starting: do { try await Task.sleep(for: .milliseconds(2)) } catch { return nil }
            }
        }
    }

    /// Serves until a graceful shutdown.
    ///
    /// - Throws: ``NodeStartError`` when a configured address is not to be had.
    package func run() async throws {
        var quiet = logger
        quiet.logLevel = max(.warning, logger.logLevel)
        let address = listener.address
        let server = try builder.buildServer(
            configuration: ServerConfiguration(
                address: .hostname(address.host, port: address.port),
                availableConnectionsDelegate: .maximum(connectionLimit, logger: quiet)
            ),
            eventLoopGroup: group,
            logger: quiet,
            responder: { [pages] request, writer, _ in
                let answer = pages.answer(
                    method: request.method.rawValue,
                    path: request.uri.path,
                    authorization: request.headers[.authorization],
                    host: request.head.authority
                )
                let isHead = request.method == .head
                let body = ByteBuffer(string: answer.text)
                var headers: HTTPFields = [
                    .contentType: answer.contentType, .contentLength: "\(body.readableBytes)",
                    .cacheControl: "no-store",
                ]
                if answer.status == 401 { headers[.wwwAuthenticate] = "Bearer" }
                let head = HTTPResponse(status: .init(code: answer.status), headerFields: headers)
                try await writer.write(response: head, body: isHead ? ResponseBody() : ResponseBody(byteBuffer: body))
            },
            onServerRunning: { [self] channel in
                let port = channel.localAddress?.port ?? address.port
                let bound = NodeAddress(host: address.host, port: port)
                state.withLock { $0 = .listening(bound) }
                logger.info("metrics are told", metadata: ["address": "\(bound)", "tls": "\(tls != nil)"])
            }
        )
        do {
            try await server.run()
        } catch {
            let status = WireServer.refusal(toListenOn: NodeAddress(address), error)
            guard listener.isAutomatic else { throw NodeStartError.listen(status) }
            logger.warning("metrics are not told", metadata: ["reason": "\(status.message)"])
            state.withLock { $0 = .off }
            try await gracefulShutdown()
        }
    }

    private var builder: HTTPServerBuilder {
        let time = connectionTime
        let configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionTimeLimit(time)],
            idleTimeout: Self.idleTimeout,
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: Self.headerByteLimit,
                maxHeaderListSize: Self.headerByteLimit,
                maxHeaderFieldCount: 100
            )
        )
        guard let tls else { return .http1(configuration: configuration) }
        return HTTPServerBuilder {
            TLSChannel(base: HTTP1Channel(responder: $0, configuration: configuration), tls: tls)
        }
    }
}

/// Closes a connection after a time.
private final class ConnectionTimeLimit: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let time: Duration
    private var timer: Scheduled<Void>?

    init(_ time: Duration) {
        self.time = time
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: TimeAmount(time)) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }
}

/// A child channel that speaks TLS.
private struct TLSChannel: ServerChildChannel {
    let base: HTTP1Channel
    let tls: ServerTLS

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
        }.flatMap {
            base.setup(channel: channel, logger: logger)
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}
