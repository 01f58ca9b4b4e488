package import ClusterModel

/// Opens every connection; nothing else is accepted before it. See `docs/wire-protocol.md`.
package struct Hello: Hashable, Sendable {
    package var lowestVersion: UInt16
    package var highestVersion: UInt16
    /// Bits that the caller understands: ``WireFeatures``.
    package var features: UInt64
    package var role: PeerRole
    /// The cluster's shared secret; empty when the cluster has none.
    package var token: String
    /// Name and version of the program, for logs.
    package var agent: String

    package init(
        lowestVersion: UInt16,
        highestVersion: UInt16,
        features: UInt64,
        role: PeerRole,
        token: String,
        agent: String
    ) {
        self.lowestVersion = lowestVersion
        self.highestVersion = highestVersion
        self.features = features
        self.role = role
        self.token = token
        self.agent = agent
    }
}

package enum PeerRole: UInt8, CaseIterable, Sendable {
    case client = 1
    case coordinator = 2
    case worker = 3
}

package struct HelloReply: Hashable, Sendable {
    package var version: UInt16
    package var features: UInt64
    package var role: PeerRole
    package var node: NodeID
    package var limits: WireLimits
    package var agent: String

    package init(version: UInt16, features: UInt64, role: PeerRole, node: NodeID, limits: WireLimits, agent: String) {
        self.version = version
        self.features = features
        self.role = role
        self.node = node
        self.limits = limits
        self.agent = agent
    }
}

/// What a node grants each connection. Checked before anything is allocated.
package struct WireLimits: Hashable, Sendable {
    /// Largest payload of a frame: 64 KiB – 256 MiB.
    package var payloadByteCount: UInt32
    /// Requests under way at once on one connection.
    package var streamCount: UInt32
    /// Rows of an enrol, delete or get batch.
    package var batchRowCount: UInt32
    /// Probes of one search.
    package var probeCount: UInt32
    /// Largest k.
    package var matchLimit: UInt32

    package init(
        payloadByteCount: UInt32 = 64 << 20,
        streamCount: UInt32 = 1024,
        batchRowCount: UInt32 = 10_000,
        probeCount: UInt32 = 1024,
        matchLimit: UInt32 = 1000
    ) {
        self.payloadByteCount = payloadByteCount
        self.streamCount = streamCount
        self.batchRowCount = batchRowCount
        self.probeCount = probeCount
        self.matchLimit = matchLimit
    }
}

package struct Ping: Hashable, Sendable {
    package init() {}
}

package struct Pong: Hashable, Sendable {
    package init() {}
}

/// Ends the request of the frame's stream; no reply follows.
package struct Cancel: Hashable, Sendable {
    package init() {}
}

/// "Done", where there is nothing more to say.
package struct Acknowledgement: Hashable, Sendable {
    package init() {}
}

/// Sent by an accepting side that is about to stop: it starts no further requests and finishes those under way.
package struct GoAway: Hashable, Sendable {
    package init() {}
}
