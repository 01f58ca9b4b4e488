import Logging
import NIOCore
import NIOPosix
import NodeConfiguration
import NodeServer
import Observability
import Testing

/// The connections of a node's endpoint for people and monitors, none of which asks for a token.
struct AdminConnectionTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    /// What comes until the other side closes.
    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let whole: EventLoopPromise<String>
        private var bytes = ByteBuffer()

        init(_ whole: EventLoopPromise<String>) {
            self.whole = whole
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var part = unwrapInboundIn(data)
            bytes.writeBuffer(&part)
        }

        func channelInactive(context: ChannelHandlerContext) {
            whole.succeed(String(buffer: bytes))
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    private static func request(_ path: String, closes: Bool) -> String {
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(closes ? "Connection: close\r\n" : "")\r\n"
    }

    /// - Returns: empty when nothing has come in some seconds.
    private static func get(_ path: String, port: Int) async throws -> String {
        let whole = group.next().makePromise(of: String.self)
        do {
            let channel = try await ClientBootstrap(group: group)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Answer(whole))
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
            let timer = channel.eventLoop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
            defer { timer.cancel() }
            try? await channel.writeAndFlush(ByteBuffer(string: request(path, closes: true)))
            return try await whole.futureResult.get()
        } catch {
            whole.fail(error)
            throw error
        }
    }

    /// They ask for more than any socket's buffers hold, one request behind the other, and read none of it.
    @Test(.timeLimit(.minutes(2))) func whoAsksAndDoesNotReadKeepsNoPlace() async throws {
        let problem = String(repeating: "x", count: 1 << 20)
        let endpoint = AdminEndpoint(
            AdminListener(address: NetworkAddress(host: "127.0.0.1", port: 0), isAutomatic: false),
            metrics: MetricRegistry(),
            problems: { [problem] },
            protection: (nil, nil),
            connectionLimit: 2,
            connectionTime: .seconds(1),
            group: Self.group,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let running = Task { try await endpoint.run() }
        let address = await endpoint.address()
        let port = try #require(address?.split(separator: ":").last.flatMap { Int($0) })
        var deaf: [any Channel] = []
        for _ in 0..<2 {
            let channel = try await ClientBootstrap(group: Self.group)
                .channelOption(.autoRead, value: false)
                .channelOption(.socketOption(.so_rcvbuf), value: 4096)
                .connect(host: "127.0.0.1", port: port).get()
            let requests = String(repeating: Self.request("/readyz", closes: false), count: 32)
            try await channel.writeAndFlush(ByteBuffer(string: requests))
            deaf.append(channel)
        }
        var answer = ""
        for _ in 0..<9 where !answer.hasPrefix("HTTP/1.1 200") {
            answer = try await Self.get("/healthz", port: port)
        }
        #expect(answer.hasPrefix("HTTP/1.1 200") && answer.hasSuffix("alive\n"), "\(answer.prefix(200))")
        for channel in deaf { try? await channel.close().get() }
        running.cancel()
        _ = await running.result
    }
}
