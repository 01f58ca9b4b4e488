import ClusterModel

extension Hello: WireRequest {
    package typealias Reply = HelloReply
    package static var type: MessageType { .hello }

    package func encode(into writer: inout PayloadWriter) {
        writer.fixedBytes(WireVersion.magic)
        writer.integer(lowestVersion)
        writer.integer(highestVersion)
        writer.integer(features)
        writer.integer(role.rawValue)
        writer.string(token, "token")
        writer.string(agent, "agent")
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        guard try reader.fixedBytes("magic", byteCount: 4) == WireVersion.magic else { throw .notHello }
        self.init(
            lowestVersion: try reader.integer("lowest version"),
            highestVersion: try reader.integer("highest version"),
            features: try reader.integer("features"),
            role: try reader.enumeration("role"),
            token: try reader.string("token", limit: NameLimit.token),
            agent: try reader.string("agent", limit: NameLimit.agent)
        )
    }
}

extension HelloReply: WireMessage {
    package static var type: MessageType { .helloReply }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(version)
        writer.integer(features)
        writer.integer(role.rawValue)
        node.encode(into: &writer)
        limits.encode(into: &writer)
        writer.string(agent, "agent")
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            version: try reader.integer("version"),
            features: try reader.integer("features"),
            role: try reader.enumeration("role"),
            node: try NodeID(decoding: &reader),
            limits: try WireLimits(decoding: &reader),
            agent: try reader.string("agent", limit: NameLimit.agent)
        )
    }
}

extension WireLimits {
    package static let payloadByteCountRange = 64 << 10...256 << 20

    func encode(into writer: inout PayloadWriter) {
        for limit in [payloadByteCount, streamCount, batchRowCount, probeCount, matchLimit] { writer.integer(limit) }
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            payloadByteCount: UInt32(try reader.count("payload byte limit", in: Self.payloadByteCountRange)),
            streamCount: UInt32(try reader.count("stream limit", in: 1...Int(UInt32.max))),
            batchRowCount: UInt32(try reader.count("batch row limit", in: 1...Int(UInt32.max))),
            probeCount: UInt32(try reader.count("probe limit", in: 1...Int(UInt32.max))),
            matchLimit: UInt32(try reader.count("match limit", in: 1...Int(UInt32.max)))
        )
    }
}

extension Ping: WireRequest, EmptyWireMessage {
    package typealias Reply = Pong
    package static var type: MessageType { .ping }
}

extension Pong: EmptyWireMessage {
    package static var type: MessageType { .pong }
}

extension Cancel: EmptyWireMessage {
    package static var type: MessageType { .cancel }
}

extension GoAway: EmptyWireMessage {
    package static var type: MessageType { .goAway }
}

extension Acknowledgement: EmptyWireMessage {
    package static var type: MessageType { .acknowledgement }
}
