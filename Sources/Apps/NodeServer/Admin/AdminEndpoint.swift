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

    private static let headerByteLimit = 16 << 10
    /// As of the ports of nodes.
    private static let backlog = 512

    private let listener: AdminListener
    private let pages: AdminPages
    /// Nil on loopback.
    private let tls: ServerTLS?
    private let idleTime: TimeAmount
    private let connections: AdminConnections
    private let group: any EventLoopGroup
    private let logger: Logger
    private let state = Mutex(State.starting)

    /// - Parameter protection: of the node; used beyond loopback only, where the configuration asks for both.
    package init(
        _ listener: AdminListener,
        metrics: MetricRegistry,
        problems: @escaping @Sendable () -> [String],
        remarks: @escaping @Sendable () -> [String] = { [] },
        protection: (tls: NodeTLS?, token: AccessToken?),
        limits: AdminConnectionLimits = AdminConnectionLimits(),
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
        idleTime = limits.idleTime
        connections = AdminConnections(limits)
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
                backlog: Self.backlog
            ),
            eventLoopGroup: group,
            logger: quiet,
            responder: { [pages, connections] request, writer, channel in
                connections.requestBegan(channel)
                defer { connections.requestEnded(channel) }
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
        let configuration = HTTP1Channel.Configuration(
            idleTimeout: idleTime,
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: Self.headerByteLimit,
                maxHeaderListSize: Self.headerByteLimit,
                maxHeaderFieldCount: 100
            )
        )
        return HTTPServerBuilder { [tls, connections] in
            AdminChannel(
                base: HTTP1Channel(responder: $0, configuration: configuration),
                tls: tls,
                connections: connections
            )
        }
    }
}

/// A child channel that is in the line of its endpoint, and speaks TLS where that does.
private struct AdminChannel: ServerChildChannel {
    let base: HTTP1Channel
    let tls: ServerTLS?
    let connections: AdminConnections

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<AcceptedConnection> {
        channel.eventLoop.makeCompletedFuture {
            if let tls {
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
            }
            connections.add(channel)
        }.flatMap {
            base.setup(channel: channel, logger: logger)
        }.map {
            AcceptedConnection($0)
        }
    }

    func handle(value: AcceptedConnection, logger: Logger) async {
        await base.handle(value: value.base, logger: logger)
    }
}

/// A connection between being accepted and being handled, which is closed where it is never handled.
///
/// One that comes as the endpoint stops is dropped, and its writer with it, which ends the process if it goes before
/// its connection does (swift-nio's issues 2637 and 2813).
private final class AcceptedConnection: ServerChildChannelValue {
    let base: HTTP1Channel.Value

    var channel: any Channel { base.channel }

    init(_ base: HTTP1Channel.Value) {
        self.base = base
        base.channel.closeFuture.whenComplete { _ in withExtendedLifetime(base) {} }
    }

    deinit { base.channel.close(promise: nil) }
}
