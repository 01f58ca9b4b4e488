import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An HTTP server in an object store's place that does as a test says.
final class ScriptedStore: Sendable {
    enum Reaction: Sendable {
        /// A status, and the code that the XML of an error names.
        case answer(Int, String = "")
        /// The request was read; the connection is closed without an answer.
        case close
    }

    let endpoint: String
    private let channel: any Channel
    private let count: Counter

    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    /// Requests so far.
    var requestCount: Int { count.value.load(ordering: .relaxed) }

    /// - Parameter script: gets the number of the request, from 0.
    static func start(_ script: @escaping @Sendable (Int) -> Reaction) async throws -> ScriptedStore {
        let count = Counter()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        Handler { script(count.value.add(1, ordering: .relaxed).oldValue) }
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ScriptedStore(channel: channel, count: count)
    }

    private init(channel: any Channel, count: Counter) {
        self.channel = channel
        self.count = count
        endpoint = "http://127.0.0.1:\(channel.localAddress?.port ?? 0)"
    }

    func stop() async {
        try? await channel.close()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let script: @Sendable () -> Reaction

        init(_ script: @escaping @Sendable () -> Reaction) {
            self.script = script
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .end = unwrapInboundIn(data) else { return }
            switch script() {
            case .close: context.close(promise: nil)
            case .answer(let status, let code):
                let text = code.isEmpty ? "" : "<Error><Code>\(code)</Code></Error>"
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
