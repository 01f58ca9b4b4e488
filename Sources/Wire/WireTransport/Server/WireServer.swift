package import ClusterModel
import Crypto
import Glibc
package import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
package import WireProtocol

/// Listens on one address and hands the requests of authenticated peers to a handler.
package final class WireServer: Sendable {
    /// Where it listens; the real port, when 0 was asked for.
    package let address: NodeAddress
    private let channel: any Channel
    private let connections: ServerConnections

    private init(address: NodeAddress, channel: any Channel, connections: ServerConnections) {
        self.address = address
        self.channel = channel
        self.connections = connections
    }

    /// - Throws: when the address cannot be listened on; the sentence names it and says why.
    package static func start(
        _ configuration: WireServerConfiguration,
        handler: any RequestHandler,
        group: any EventLoopGroup
    ) async throws(WireStatus) -> WireServer {
        let metrics = configuration.metrics
        let connections = ServerConnections(limit: configuration.connectionLimit, metrics: metrics)
        let tokenDigest = configuration.token.map { SHA256.hash(data: Array($0.utf8)) }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 1 << 20, high: 4 << 20))
            .childChannelOption(.recvAllocator, value: ConnectionBuffers.receiving)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = configuration.tls {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
                    }
                    let isAboveLimit = !connections.hasRoom
                    let connection = ServerConnectionHandler(
                        configuration,
                        tokenDigest: tokenDigest,
                        handler: handler,
                        metrics: metrics,
                        isAboveConnectionLimit: isAboveLimit
                    )
                    try channel.pipeline.syncOperations.addHandler(connection)
                    connections.add(channel, NIOLoopBound(connection, eventLoop: channel.eventLoop))
                }
            }
        let listen = configuration.listen
        do {
            let channel = try await bootstrap.bind(host: listen.host, port: listen.port).get()
            let port = channel.localAddress?.port ?? listen.port
            return WireServer(
                address: NodeAddress(host: listen.host, port: port),
                channel: channel,
                connections: connections
            )
        } catch {
            throw refusal(toListenOn: listen, error)
        }
    }

    /// Stops: accepts nothing more, tells every peer to go, lets requests under way finish for at most `gracePeriod`,
    /// then closes what is left.
    package func shutdown(gracePeriod: Duration) async {
        try? await channel.close().get()
        let connections = connections
        connections.drain()
        let timer = channel.eventLoop.scheduleTask(in: TimeAmount(clamping: gracePeriod)) { connections.closeAll() }
        await connections.allClosed(on: channel.eventLoop)
        timer.cancel()
    }

    /// Why an address cannot be listened on, as a status for people.
    package static func refusal(toListenOn address: NodeAddress, _ error: any Error) -> WireStatus {
        WireStatus(.unavailable, sentence(for: error, address))
    }

    private static func sentence(for error: any Error, _ address: NodeAddress) -> String {
        guard let number = (error as? IOError)?.errnoCode else {
            return "cannot listen on \(address): \(SystemText.reason(error)); check the address"
        }
        return switch number {
        case EADDRINUSE: "address \(address) is in use by another process; stop that process or configure another port"
        case EADDRNOTAVAIL: "address \(address) is not one of this machine's; configure one that is"
        case EACCES: "listening on \(address) is not permitted; configure a port above 1023 or run with the right to it"
        default: "cannot listen on \(address): \(SystemText.error(number))"
        }
    }
}

/// The accepted connections of one server.
private final class ServerConnections: Sendable {
    private struct Connection: Sendable {
        var channel: any Channel
        var handler: NIOLoopBound<ServerConnectionHandler>
    }

    private struct State {
        var isStopping = false
        var open: [ObjectIdentifier: Connection] = [:]
    }

    private let limit: Int
    private let metrics: ServerMetrics
    private let state = Mutex(State())

    init(limit: Int, metrics: ServerMetrics) {
        self.limit = limit
        self.metrics = metrics
    }

    var hasRoom: Bool { state.withLock { $0.open.count } < limit }

    func add(_ channel: any Channel, _ handler: NIOLoopBound<ServerConnectionHandler>) {
        let id = ObjectIdentifier(channel)
        metrics.connectionOpened()
        let isStopping = state.withLock {
            $0.open[id] = Connection(channel: channel, handler: handler)
            return $0.isStopping
        }
        channel.closeFuture.whenComplete { [self] _ in
            _ = state.withLock { $0.open.removeValue(forKey: id) }
            metrics.connectionClosed()
        }
        if isStopping { channel.close(promise: nil) }
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

/// How received bytes are buffered: small for requests, large while batches come in.
enum ConnectionBuffers {
    static let receiving = AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 1 << 20)
}
