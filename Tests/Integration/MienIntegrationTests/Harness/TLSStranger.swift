import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// A peer of a port with TLS that goes no further than a part of the way in, and then says nothing more and reads
/// nothing more: it does not answer the end of a connection either.
struct TLSStranger {
    enum Part: CaseIterable {
        /// Says nothing.
        case nothing
        /// Half of the first message of a handshake.
        case halfAHandshake
        /// The handshake, and no hello.
        case handshake
    }

    private let channel: any Channel

    /// - Returns: nil when the node ends the connection before that.
    static func connected(to port: Int, _ part: Part) async -> TLSStranger? {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 2048))
        do {
            switch part {
            case .nothing, .halfAHandshake:
                let channel = try await bootstrap.channelOption(.autoRead, value: false)
                    .connect(host: "127.0.0.1", port: port).get()
                // A handshake message of 512 bytes, of which these are the first: a ClientHello of TLS 1.2 or later.
                let begin: [UInt8] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3] + Array(repeating: 7, count: 200)
                if part == .halfAHandshake { try await channel.writeAndFlush(ByteBuffer(bytes: begin)).get() }
                return TLSStranger(channel: channel)
            case .handshake:
                let channel = try await bootstrap.channelInitializer { channel in
                    let deafness = Deafness()
                    return channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers(
                            deafness,
                            NIOSSLClientHandler(context: context, serverHostname: nil),
                            Listener(deafness, channel.eventLoop.makePromise())
                        )
                    }
                }.connect(host: "127.0.0.1", port: port).get()
                try await channel.pipeline.handler(type: Listener.self).flatMap(\.handshake.futureResult).get()
                return TLSStranger(channel: channel)
            }
        } catch {
            return nil
        }
    }

    /// Ends it.
    func close() { channel.close(promise: nil) }

    /// Between the handshake's handler and the network: once it is deaf, nothing comes in or goes out.
    private final class Deafness: ChannelDuplexHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundIn = ByteBuffer

        var isDeaf = false

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if !isDeaf { context.fireChannelRead(data) }
        }

        func read(context: ChannelHandlerContext) { if !isDeaf { context.read() } }

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            if isDeaf { promise?.succeed() } else { context.write(data, promise: promise) }
        }
    }

    /// Waits until the handshake is done.
    private final class Listener: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        let handshake: EventLoopPromise<Void>
        private let deafness: Deafness

        init(_ deafness: Deafness, _ handshake: EventLoopPromise<Void>) {
            self.deafness = deafness
            self.handshake = handshake
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard case .handshakeCompleted? = event as? TLSUserEvent else { return }
            // What it says last of the handshake goes out with the flush that comes after this.
            let deafness = NIOLoopBound(deafness, eventLoop: context.eventLoop)
            context.eventLoop.execute { [handshake] in
                deafness.value.isDeaf = true
                handshake.succeed()
            }
        }

        func channelInactive(context: ChannelHandlerContext) { handshake.fail(ChannelError.eof) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            handshake.fail(error)
            context.close(promise: nil)
        }
    }

    private static let context: NIOSSLContext = {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        // When it leaves it does not wait for an answer.
        configuration.shutdownTimeout = .milliseconds(10)
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            preconditionFailure("a context of TLS without files: \(error)")
        }
    }()
}
