package import ClusterModel
import Crypto
import Glibc
package import NIOCore
import NIOPosix
import NIOSSL
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
        let connections = ServerConnections(configuration)
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
                    let connection = ServerConnectionHandler(
                        configuration,
                        tokenDigest: tokenDigest,
                        handler: handler,
                        connections: connections
                    )
                    try channel.pipeline.syncOperations.addHandler(connection)
                    connections.add(channel, connection)
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

/// How received bytes are buffered: small for requests, large while batches come in.
enum ConnectionBuffers {
    static let receiving = AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 1 << 20)
}
