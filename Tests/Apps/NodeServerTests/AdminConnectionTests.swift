import Logging
import NIOCore
import NIOPosix
import NodeConfiguration
import NodeServer
import Observability
import ServiceLifecycle
import Synchronization
import Testing

/// The connections of a node's endpoint for people and monitors, none of which asks for a token.
struct AdminConnectionTests {
    private static let group = MultiThreadedEventLoopGroup.singleton
    private static let silence = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

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

    private final class Count: Sendable {
        let value = Atomic(0)
    }

    /// Few places.
    private static func limits(_ change: (inout AdminConnectionLimits) -> Void = { _ in }) -> AdminConnectionLimits {
        var limits = AdminConnectionLimits()
        limits.count = 2
        change(&limits)
        return limits
    }

    private static func endpoint(_ limits: AdminConnectionLimits, problem: String? = nil) -> AdminEndpoint {
        AdminEndpoint(
            AdminListener(address: NetworkAddress(host: "127.0.0.1", port: 0), isAutomatic: false),
            metrics: MetricRegistry(),
            problems: { problem.map { [$0] } ?? [] },
            protection: (nil, nil),
            limits: limits,
            group: group,
            logger: silence
        )
    }

    /// Runs an endpoint for the time of the body, which is given its port.
    private static func withEndpoint(
        _ limits: AdminConnectionLimits,
        problem: String? = nil,
        _ body: (Int) async throws -> Void
    ) async throws {
        let endpoint = endpoint(limits, problem: problem)
        let running = Task { try await endpoint.run() }
        do {
            let address = await endpoint.address()
            try await body(try #require(address?.split(separator: ":").last.flatMap { Int($0) }))
        } catch {
            running.cancel()
            _ = await running.result
            throw error
        }
        running.cancel()
        _ = await running.result
    }

    private static func silent(port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: port).get()
    }

    /// - Parameter attemptLimit: more than one where the endpoint's patience may end while this process is paused.
    private static func expectAlive(port: Int, attemptLimit: Int = 1) async throws {
        var answer = ""
        for number in 1...attemptLimit where !answer.hasPrefix("HTTP/1.1 200") {
            do {
                answer = try await get("/healthz", port: port)
            } catch {
                guard number < attemptLimit else { throw error }
            }
        }
        #expect(answer.hasPrefix("HTTP/1.1 200") && answer.hasSuffix("alive\n"), "\(answer.prefix(200))")
    }

    /// They ask for more than any socket's buffers hold, one request behind the other, and read none of it.
    @Test(.timeLimit(.minutes(2))) func whoAsksAndDoesNotReadKeepsNoPlace() async throws {
        let problem = String(repeating: "x", count: 1 << 20)
        let limits = Self.limits {
            $0.time = .seconds(1)
            $0.idleTime = .seconds(600)
            $0.patience = .seconds(600)
        }
        try await Self.withEndpoint(limits, problem: problem) { port in
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
            try await Self.expectAlive(port: port, attemptLimit: 9)
            for channel in deaf {
                try await channel.setOption(.autoRead, value: true).get()
                try await channel.closeFuture.get()
            }
        }
    }

    /// With the times of every day, under which forty of them once kept a probe waiting for ten minutes.
    @Test(.timeLimit(.minutes(2))) func whoSaysNothingKeepsNoProbeWaiting() async throws {
        try await Self.withEndpoint(Self.limits()) { port in
            let strangers = Task {
                await withDiscardingTaskGroup { strangers in
                    for _ in 0..<40 {
                        strangers.addTask {
                            // Where one is closed another one comes.
                            while !Task.isCancelled {
                                guard let channel = try? await Self.silent(port: port) else { return }
                                await withTaskCancellationHandler {
                                    try? await channel.closeFuture.get()
                                } onCancel: {
                                    channel.close(promise: nil)
                                }
                            }
                        }
                    }
                }
            }
            for _ in 0..<3 {
                try await Task.sleep(for: .milliseconds(500))
                try await Self.expectAlive(port: port, attemptLimit: 9)
            }
            strangers.cancel()
            await strangers.value
        }
    }

    @Test(.timeLimit(.minutes(2))) func theOldestGiveWayWhenThereAreTooMany() async throws {
        let limits = Self.limits {
            $0.bound = 4
            $0.patience = .seconds(600)
            $0.firstRequestTime = .seconds(600)
            $0.idleTime = .seconds(600)
            $0.time = .seconds(600)
        }
        try await Self.withEndpoint(limits) { port in
            let closed = Count()
            var silent: [any Channel] = []
            for _ in 0..<6 {
                let channel = try await Self.silent(port: port)
                channel.closeFuture.whenComplete { _ in closed.value.add(1, ordering: .relaxed) }
                silent.append(channel)
            }
            while closed.value.load(ordering: .relaxed) < 2 { try await Task.sleep(for: .milliseconds(5)) }
            try await Self.expectAlive(port: port)
            for channel in silent { try? await channel.close().get() }
        }
    }

    /// By whichever way it stops: a node whose probes come as it stops once crashed.
    @Test(.timeLimit(.minutes(2)), arguments: [true, false])
    func anEndpointStopsWhileOthersConnect(gracefully isGraceful: Bool) async throws {
        for _ in 0..<100 {
            let endpoint = Self.endpoint(Self.limits { $0.count = 64 })
            let group = ServiceGroup(services: [endpoint], logger: Self.silence)
            let running = Task { try await group.run() }
            let address = await endpoint.address()
            let port = try #require(address?.split(separator: ":").last.flatMap { Int($0) })
            await withDiscardingTaskGroup { strangers in
                for _ in 0..<16 {
                    strangers.addTask {
                        let channel = try? await Self.silent(port: port)
                        try? await channel?.close().get()
                    }
                }
                if isGraceful { await group.triggerGracefulShutdown() } else { running.cancel() }
            }
            _ = await running.result
        }
    }

    @Test(.timeLimit(.minutes(2))) func whoAsksForNothingIsClosedInTime() async throws {
        let limits = Self.limits {
            $0.firstRequestTime = .milliseconds(100)
            $0.idleTime = .seconds(600)
            $0.time = .seconds(600)
        }
        try await Self.withEndpoint(limits) { port in
            try await Self.silent(port: port).closeFuture.get()
        }
    }
}
