package import ClusterModel
package import Logging
import Observability
package import WireProtocol

/// How a node accepts connections. Every bound of the accepting side is here.
package struct WireServerConfiguration: Sendable {
    /// Port 0 takes any free one.
    package var listen: NodeAddress
    /// The shared secret that callers must show; nil asks for none.
    package var token: String?
    package var tls: ServerTLS?
    package var limits: WireLimits
    package var role: PeerRole
    package var node: NodeID
    package var agent: String
    package var logger: Logger
    /// Where connections and requests are counted.
    package var metrics: ServerMetrics

    /// Optional behaviour that is offered: what this build knows, or less, as an earlier build does.
    package var features = WireFeatures.known
    /// Longest time from accepting a connection to its hello.
    package var helloTimeout: Duration = .seconds(5)
    /// Largest payload of a hello.
    package var unauthenticatedByteLimit: UInt32 = 4096
    /// Connections open at once of those who have said a right hello; further ones are told `overloaded` and closed.
    package var connectionLimit: Int = 4096
    /// Connections besides whose hello has not come, or was wrong: where another one comes the oldest is closed, if it
    /// has had its time.
    package var unauthenticatedConnectionLimit: Int = 256
    /// That time. Hundreds that connect at once have all shaken hands within it, at a thousandth of a second each.
    package var unauthenticatedPatience: Duration = .seconds(1)
    /// Most of these connections, beyond which the oldest is closed however young it is: 64 KiB of memory each.
    package var unauthenticatedConnectionBound: Int = 1024
    /// Bytes that payloads of clients above 64 KiB may have together until they are whole; one that there is no room
    /// for is skipped, and its call told `overloaded`.
    package var unfinishedByteLimit: Int = 256 << 20
    /// Time a begun frame may take, besides 1 s per 64 KiB of it.
    package var frameTimeout: Duration = .seconds(10)
    /// Time without a byte from the peer and without a request under way.
    package var idleTimeout: Duration = .seconds(300)
    /// Time in which a peer must take in at least 1 MiB of what waits for it, or all of it.
    package var slowReaderTimeout: Duration = .seconds(30)
    /// How often a connection looks at its timeouts.
    package var checkInterval: Duration = .seconds(2)

    package init(
        listen: NodeAddress,
        token: String?,
        tls: ServerTLS? = nil,
        limits: WireLimits = WireLimits(),
        role: PeerRole,
        node: NodeID,
        agent: String,
        logger: Logger = Logger(label: "mien.wire")
    ) {
        self.listen = listen
        self.token = token
        self.tls = tls
        self.limits = limits
        self.role = role
        self.node = node
        self.agent = agent
        self.logger = logger
        metrics = ServerMetrics(MetricRegistry(), role: role)
    }
}
