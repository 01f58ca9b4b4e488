import ClusterModel
import FaceModel
import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// A handler given as a closure.
struct ClosureHandler: RequestHandler {
    let body: @Sendable (Request, ServerCall) -> Void

    init(_ body: @escaping @Sendable (Request, ServerCall) -> Void) {
        self.body = body
    }

    func handle(_ request: Request, call: ServerCall) {
        body(request, call)
    }
}

/// Calls that a test answers when it likes.
final class HeldCalls: Sendable {
    private let calls = Mutex<[String: ServerCall]>([:])

    var handler: ClosureHandler {
        ClosureHandler { [self] request, call in
            guard case .deleteCollection(let message) = request else { return call.fail(Fixture.unexpected) }
            calls.withLock { $0[message.name] = call }
        }
    }

    var count: Int { calls.withLock { $0.count } }

    /// The call of that name, once it has come.
    func call(_ name: String) async throws -> ServerCall {
        try await Fixture.eventually { self.calls.withLock { $0[name] } }
    }

    func forget() {
        calls.withLock { $0.removeAll() }
    }
}

/// How many of some shares there are.
final class SharesThereAre: Sendable {
    let count = Atomic<Int>(0)
}

/// Counts for as long as anybody holds it.
final class CountedShare: Sendable {
    private let shares: SharesThereAre

    init(_ shares: SharesThereAre) {
        self.shares = shares
        shares.count.add(1, ordering: .relaxed)
    }

    deinit { shares.count.subtract(1, ordering: .relaxed) }
}

enum Fixture {
    static let group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    static let token = "the token of these tests"
    static let node = NodeID(high: 0x0123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef)
    static let unexpected = WireStatus(.internalError, "the test sends no such request")
    static let certificates = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Certificates")

    static func certificate(_ name: String) -> String { certificates.appendingPathComponent(name).path }

    static func configuration(_ change: (inout WireServerConfiguration) -> Void = { _ in }) -> WireServerConfiguration {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        var configuration = WireServerConfiguration(
            listen: NodeAddress(host: "127.0.0.1", port: 0),
            token: token,
            role: .worker,
            node: node,
            agent: "test/1",
            logger: logger
        )
        change(&configuration)
        return configuration
    }

    /// Answers `DeleteCollection("n")` with n faces.
    static let counting = ClosureHandler { request, call in
        guard case .deleteCollection(let message) = request, let count = UInt64(message.name) else {
            return call.fail(unexpected)
        }
        call.reply(CollectionDeleted(faceCount: count))
    }

    /// Runs a server for the time of the body.
    static func withServer(
        _ handler: any RequestHandler,
        _ configuration: WireServerConfiguration = Fixture.configuration(),
        _ body: (WireServer) async throws -> Void
    ) async throws {
        let server = try await WireServer.start(configuration, handler: handler, group: group)
        do {
            try await body(server)
        } catch {
            await server.shutdown(gracePeriod: .zero)
            throw error
        }
        await server.shutdown(gracePeriod: .zero)
    }

    static func connect(
        _ server: WireServer,
        token: String = Fixture.token,
        tls: ClientTLS? = nil,
        host: String = "127.0.0.1",
        keepAlive: Duration = .seconds(15)
    ) async throws -> WireConnection {
        try await WireConnection.connect(
            to: NodeAddress(host: host, port: server.address.port),
            as: .client,
            token: token,
            tls: tls,
            on: group.next(),
            agent: "test/1",
            timeout: .seconds(10),
            keepAlive: keepAlive
        )
    }

    static func peerClient(_ address: NodeAddress, token: String = Fixture.token) -> PeerClient {
        PeerClient(address: address, role: .coordinator, token: token, tls: nil, group: group, agent: "test/1")
    }

    static var soon: WireDeadline { .after(.seconds(10)) }

    struct NotInTime: Error {}

    /// Waits for a value for at most ten seconds.
    static func eventually<T>(_ value: () -> T?) async throws -> T {
        for _ in 0..<2000 {
            if let value = value() { return value }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw NotInTime()
    }

    static func waitUntil(_ condition: () -> Bool) async throws {
        let _: Void = try await eventually { condition() ? () : nil }
    }

    static func status(of body: () async throws(WireStatus) -> some Any) async -> WireStatus? {
        do throws(WireStatus) {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }

    static func helloFrame(
        token: String = Fixture.token,
        lowest: UInt16 = 1,
        highest: UInt16 = 1,
        role: PeerRole = .client
    ) throws -> [UInt8] {
        try frame(
            Hello(
                lowestVersion: lowest,
                highestVersion: highest,
                features: 0,
                role: role,
                token: token,
                agent: "raw"
            )
        )
    }

    static func frame(_ message: some WireMessage, stream: UInt64 = 1) throws -> [UInt8] {
        Array(try Frame.encode(message, stream: stream, payloadLimit: 64 << 20).readableBytesView)
    }
}
