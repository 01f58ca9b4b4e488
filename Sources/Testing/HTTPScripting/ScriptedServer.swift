import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An HTTP server on loopback, in the place of something outside, that does as a test says.
package final class ScriptedServer: Sendable {
    /// What a request is met with once all of it was read.
    package enum Reaction: Sendable {
        /// A status and a body.
        case answer(Int, String = "")
        /// The connection is closed without an answer.
        case close
        /// Nothing follows.
        case hang
        /// A body of a mebibyte, of which a byte comes now and then until the other side closes the connection.
        case drip
    }

    /// Where it listens, as `http://127.0.0.1:port`.
    package let endpoint: String
    private let channel: any Channel
    private let count: Counter

    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    /// Requests so far.
    package var requestCount: Int { count.value.load(ordering: .relaxed) }

    /// Listens on a free port.
    ///
    /// - Parameter script: gets the number of the request, from 0, and its body; runs on an event loop.
    package static func start(
        _ script: @escaping @Sendable (_ number: Int, _ body: String) -> Reaction
    ) async throws -> ScriptedServer {
        let count = Counter()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        Handler { body in script(count.value.add(1, ordering: .relaxed).oldValue, body) }
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ScriptedServer(channel: channel, count: count)
    }

    private init(channel: any Channel, count: Counter) {
        self.channel = channel
        self.count = count
        endpoint = "http://127.0.0.1:\(channel.localAddress?.port ?? 0)"
    }

    /// Accepts no more connections; those that there are stay until the other side closes them.
    package func stop() async {
        try? await channel.close()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let script: @Sendable (String) -> Reaction
        private var body = ByteBuffer()

        init(_ script: @escaping @Sendable (String) -> Reaction) {
            self.script = script
        }

        private static func drip(on bound: NIOLoopBound<ChannelHandlerContext>) {
            let context = bound.value
            guard context.channel.isActive else { return }
            let drop = HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: ".")))
            context.writeAndFlush(NIOAny(drop), promise: nil)
            context.eventLoop.scheduleTask(in: .milliseconds(20)) { Handler.drip(on: bound) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head: body = ByteBuffer()
            case .body(let part): body.writeImmutableBuffer(part)
            case .end:
                switch script(String(buffer: body)) {
                case .close: context.close(promise: nil)
                case .hang: break
                case .drip:
                    let headers: HTTPHeaders = ["Content-Length": "\(1 << 20)"]
                    let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
                    context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
                    Handler.drip(on: NIOLoopBound(context, eventLoop: context.eventLoop))
                case .answer(let status, let text):
                    let head = HTTPResponseHead(
                        version: .http1_1,
                        status: HTTPResponseStatus(statusCode: status),
                        headers: ["Content-Length": "\(text.utf8.count)"]
                    )
                    context.write(wrapOutboundOut(.head(head)), promise: nil)
                    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
                    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
                }
            }
        }
    }
}
