import ClusterModel
import Testing
import WireProtocol
import WireTransport

/// How much of clients' large payloads that are not whole a server takes in at once.
struct UnfinishedPayloadTests {
    private static let byteCount = 200 << 10

    /// A large request that nobody can read as one, without its frame's header.
    private static let payload = [UInt8](repeating: 255, count: byteCount)

    /// It is in two parts: its header, behind a ping whose answer shows that it was read, and the rest.
    private static func parts() throws -> (first: [UInt8], rest: [UInt8]) {
        let type = MessageType.deleteCollection.rawValue
        let frame = try RawFrame.bytes(type: type, stream: 7, payload: payload)
        let first: [UInt8] = try Fixture.frame(Ping(), stream: 99) + frame[..<FrameHeader.byteCount]
        return (first, Array(frame[FrameHeader.byteCount...]))
    }

    /// There is room for one.
    private static let small = Fixture.configuration { $0.unfinishedByteLimit = 300 << 10 }

    private func connect(_ server: WireServer, as role: PeerRole = .client) async throws -> RawPeer {
        let peer = try await RawPeer.connect(port: server.address.port)
        try await peer.send(Fixture.helloFrame(role: role))
        let reply = try await peer.readFrames(1)
        #expect(reply.first?.header.type == .helloReply)
        return peer
    }

    /// A peer that has begun to send the request.
    private func begin(_ server: WireServer, as role: PeerRole = .client) async throws -> RawPeer {
        let peer = try await connect(server, as: role)
        try await peer.send(Self.parts().first)
        let pong = try await peer.readFrames(1)
        #expect(pong.first?.header.type == .pong)
        return peer
    }

    private func end(_ peer: RawPeer) async throws -> WireStatus {
        try await peer.send(Self.parts().rest)
        return try await status(peer)
    }

    private func status(_ peer: RawPeer) async throws -> WireStatus {
        let frames = try await peer.readFrames(1)
        let frame = try #require(frames.first)
        #expect(frame.header.stream == 7)
        return try frame.decode(WireStatus.self, limits: WireLimits())
    }

    @Test func whatThereIsNoRoomForIsSkippedAndItsConnectionGoesOn() async throws {
        try await Fixture.withServer(Fixture.counting, Self.small) { server in
            let first = try await begin(server)
            let second = try await begin(server)
            let refusal = try await end(second)
            #expect(refusal.code == .overloaded && refusal.retryAfterMilliseconds == 1000)
            try await second.send(Fixture.frame(DeleteCollection(name: "44"), stream: 8))
            let answers = try await second.readFrames(1)
            let answer = try #require(answers.first)
            #expect(answer.header.stream == 8)
            #expect(try answer.decode(CollectionDeleted.self, limits: WireLimits()).faceCount == 44)

            // Once the first is whole there is room, on the same stream too.
            let whole = try await end(first)
            #expect(whole.code != .overloaded, "\(whole)")
            let (header, rest) = try Self.parts()
            try await second.send(header + rest)
            let frames = try await second.readFrames(2)
            #expect(frames.map(\.header.stream) == [99, 7])
            let again = try #require(frames.last).decode(WireStatus.self, limits: WireLimits())
            #expect(again.code != .overloaded, "\(again)")
        }
    }

    @Test(arguments: [PeerRole.worker, .coordinator]) func nodesAreNeitherCountedNorRefused(
        role: PeerRole
    ) async throws {
        try await Fixture.withServer(Fixture.counting, Self.small) { server in
            let client = try await begin(server)
            let nodes = [try await begin(server, as: role), try await begin(server, as: role)]
            for node in nodes {
                let status = try await end(node)
                #expect(status.code != .overloaded, "\(status)")
            }
            let status = try await end(client)
            #expect(status.code != .overloaded, "\(status)")
            // Nor does what nodes have begun take room from clients.
            let begun = try await begin(server, as: role)
            let later = try await end(try await begin(server))
            #expect(later.code != .overloaded, "\(later)")
            _ = try await end(begun)
        }
    }

    @Test func smallOnesNeedNoRoom() async throws {
        let none = Fixture.configuration { $0.unfinishedByteLimit = 0 }
        try await Fixture.withServer(Fixture.counting, none) { server in
            let peer = try await connect(server)
            let frame = try RawFrame.bytes(
                type: MessageType.deleteCollection.rawValue,
                stream: 7,
                payload: [UInt8](repeating: 255, count: 64 << 10)
            )
            try await peer.send(Array(frame[..<1000]))
            try await peer.send(Array(frame[1000...]))
            let status = try await status(peer)
            #expect(status.code != .overloaded, "\(status)")
        }
    }

    /// How a payload may end besides being whole.
    enum End: CaseIterable {
        case connectionClosed
        case payloadDamaged
        case frameTimedOut
    }

    @Test(arguments: End.allCases) func roomOfAPayloadThatComesNoMoreIsGivenBack(end: End) async throws {
        let configuration = Fixture.configuration {
            $0.unfinishedByteLimit = 300 << 10
            if end == .frameTimedOut {
                $0.frameTimeout = .zero
                $0.checkInterval = .milliseconds(100)
            }
        }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            var first: RawPeer? = try await begin(server)
            switch end {
            case .connectionClosed: first = nil
            case .payloadDamaged:
                try await first?.send([UInt8](repeating: 254, count: Self.byteCount))
                let frames = try await first?.readFrames(1)
                let status = try #require(frames?.first).decode(WireStatus.self, limits: WireLimits())
                #expect(status.code == .unavailable)
            case .frameTimedOut:
                let left = try await first?.readToEnd()
                #expect(left?.isEmpty == true)
            }
            // The server hears of it, and gives the room back, when it does.
            var code = StatusCode.overloaded
            for _ in 0..<1000 where code == .overloaded {
                let next = try await connect(server)
                let (header, rest) = try Self.parts()
                try await next.send(header + rest)
                let frames = try await next.readFrames(2)
                code = try #require(frames.last).decode(WireStatus.self, limits: WireLimits()).code
            }
            #expect(code != .overloaded)
            _ = first
        }
    }
}
