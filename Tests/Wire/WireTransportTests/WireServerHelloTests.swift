import ClusterModel
import NIOCore
import Testing
import WireProtocol
import WireTransport

/// What a server does with those who connect, before and instead of their first request.
struct WireServerHelloTests {
    @Test func helloIsAnsweredWithWhatTheNodeIs() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let connection = try await Fixture.connect(server)
            #expect(
                connection.peer
                    == HelloReply(
                        version: 1,
                        features: WireFeatures.known.rawValue,
                        role: .worker,
                        node: Fixture.node,
                        limits: WireLimits(),
                        agent: "test/1"
                    )
            )
            #expect(connection.isOpen)
            let answer = try await connection.call(DeleteCollection(name: "7"), deadline: Fixture.soon)
            #expect(answer.faceCount == 7)
            await connection.close()
            #expect(!connection.isOpen)
        }
    }

    @Test(arguments: ["", "another token", Fixture.token + " "])
    func aWrongTokenIsRefusedWithoutBeingRepeated(token: String) async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let status = await Fixture.status { () async throws(WireStatus) in
                try await WireConnection.connect(
                    to: server.address,
                    as: .client,
                    token: token,
                    tls: nil,
                    on: Fixture.group.next(),
                    agent: "test",
                    timeout: .seconds(10)
                )
            }
            #expect(status?.code == .unauthenticated)
            if !token.isEmpty { #expect(status?.message.contains(token) == false) }
            #expect(status?.message.contains(Fixture.token) == false)
        }
    }

    @Test func aNodeWithoutATokenTakesAny() async throws {
        try await Fixture.withServer(Fixture.counting, Fixture.configuration { $0.token = nil }) { server in
            for token in ["", "any"] {
                let connection = try await Fixture.connect(server, token: token)
                #expect(connection.isOpen)
            }
        }
    }

    @Test func aSilentPeerIsClosedAfterTheHelloTimeout() async throws {
        let configuration = Fixture.configuration { $0.helloTimeout = .milliseconds(150) }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let clock = ContinuousClock()
            let start = clock.now
            let peer = try await RawPeer.connect(port: server.address.port)
            #expect(try await peer.readToEnd() == [])
            #expect(clock.now - start >= .milliseconds(140))
        }
    }

    @Test(arguments: ["GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", String(repeating: "x", count: 9000)])
    func strangersAreClosedAtOnceAndHarmNobodyElse(greeting: String) async throws {
        let configuration = Fixture.configuration { $0.helloTimeout = .seconds(60) }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let connection = try await Fixture.connect(server)
            let stranger = try await RawPeer.connect(port: server.address.port)
            try await stranger.send(Array(greeting.utf8))
            #expect(try await stranger.readToEnd() == [])
            let answer = try await connection.call(DeleteCollection(name: "7"), deadline: Fixture.soon)
            #expect(answer.faceCount == 7)
        }
    }

    @Test func anythingBeforeTheHelloIsRefused() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let peer = try await RawPeer.connect(port: server.address.port)
            try await peer.send(Fixture.frame(DeleteCollection(name: "7")))
            #expect(try await peer.readToEnd() == [])
        }
    }

    @Test(arguments: [(0, 0), (2, 9)] as [(UInt16, UInt16)])
    func versionsThatDoNotMeetAreRefusedByASentenceThatNamesThem(lowest: UInt16, highest: UInt16) async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let peer = try await RawPeer.connect(port: server.address.port)
            try await peer.send(Fixture.helloFrame(lowest: lowest, highest: highest))
            let status = try await refusal(peer)
            #expect(status.code == .incompatibleVersion)
            #expect(status.message.contains("\(lowest) to \(highest)"))
        }
    }

    @Test func aNewerCallerIsAnsweredInTheVersionBothSpeak() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let peer = try await RawPeer.connect(port: server.address.port)
            try await peer.send(Fixture.helloFrame(lowest: 1, highest: 9))
            let frames = try await peer.readFrames(1)
            let reply = try #require(frames.first).decode(HelloReply.self, limits: WireLimits())
            #expect(reply.version == 1)
        }
    }

    @Test func aHelloThatCannotBeReadIsRefused() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            for byte in [0, 16] {
                let peer = try await RawPeer.connect(port: server.address.port)
                var hello = Hello(
                    lowestVersion: 1,
                    highestVersion: 1,
                    features: 0,
                    role: .client,
                    token: "",
                    agent: ""
                ).payload
                hello[byte] = 0xee
                try await peer.send(try RawFrame.bytes(type: MessageType.hello.rawValue, payload: hello))
                #expect(try await refusal(peer).code == .invalidRequest)
            }
        }
    }

    @Test func connectionsAboveTheLimitAreToldSo() async throws {
        let configuration = Fixture.configuration { $0.connectionLimit = 2 }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let first = try await Fixture.connect(server)
            let second = try await Fixture.connect(server)
            let status = await Fixture.status { () async throws(WireStatus) in
                try await WireConnection.connect(
                    to: server.address,
                    as: .client,
                    token: Fixture.token,
                    tls: nil,
                    on: Fixture.group.next(),
                    agent: "test",
                    timeout: .seconds(10)
                )
            }
            #expect(status?.code == .overloaded)
            #expect(status?.message.contains("2 connections") == true)
            await first.close()
            try await Fixture.waitUntil { second.isOpen }
            let third = try await connectWhenThereIsRoom(server)
            #expect(third.isOpen)
        }
    }

    @Test func strangersKeepNobodyOut() async throws {
        let configuration = Fixture.configuration {
            $0.connectionLimit = 2
            $0.unauthenticatedConnectionLimit = 8
            $0.unauthenticatedPatience = .zero
            $0.helloTimeout = .seconds(600)
        }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let first = try await Fixture.connect(server)
            var strangers: [RawPeer] = []
            for number in 0..<40 {
                strangers.append(try await RawPeer.connect(port: server.address.port))
                if number < 8 {
                    try await Fixture.waitUntil { configuration.metrics.activity.connectionCount == number + 2 }
                } else {
                    // That it has come is seen by who gives way to it: the one that has waited longest.
                    #expect(try await strangers[number - 8].readToEnd() == [])
                }
            }
            let second = try await Fixture.connect(server)
            for connection in [first, second] {
                let answer = try await connection.call(DeleteCollection(name: "7"), deadline: Fixture.soon)
                #expect(answer.faceCount == 7)
            }
            // Nor do they take the places of those who belong here, of which there are two.
            let status = await Fixture.status { () async throws(WireStatus) in
                try await WireConnection.connect(
                    to: server.address,
                    as: .client,
                    token: Fixture.token,
                    tls: nil,
                    on: Fixture.group.next(),
                    agent: "test",
                    timeout: .seconds(10)
                )
            }
            #expect(status?.code == .overloaded)
            withExtendedLifetime(strangers) {}
        }
    }

    /// - Parameter isYoung: whether those who came have not had their time to say hello: then it is the bound that
    ///   makes one of them give way.
    @Test(arguments: [false, true])
    func whoIsStillAmongTheNewestIsHeardHoweverLateItsHello(isYoung: Bool) async throws {
        let configuration = Fixture.configuration {
            $0.unauthenticatedConnectionLimit = 2
            $0.unauthenticatedConnectionBound = isYoung ? 4 : 100
            $0.unauthenticatedPatience = isYoung ? .seconds(600) : .zero
            $0.helloTimeout = .seconds(600)
        }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            var peers: [RawPeer] = []
            for number in 1...(isYoung ? 4 : 2) {
                peers.append(try await RawPeer.connect(port: server.address.port))
                try await Fixture.waitUntil { configuration.metrics.activity.connectionCount == number }
            }
            peers.append(try await RawPeer.connect(port: server.address.port))
            #expect(try await peers[0].readToEnd() == [])
            for peer in peers[1...] {
                try await peer.send(Fixture.helloFrame())
                #expect(try await peer.readFrames(1).first?.header.type == .helloReply)
            }
        }
    }

    /// As when a node is back that all of them had lost.
    @Test func hundredsThatConnectAtOnceAllGetInAtTheFirstAttempt() async throws {
        let configuration = Fixture.configuration {
            // Longer than a busy machine takes for all of them.
            $0.unauthenticatedPatience = .seconds(600)
            $0.helloTimeout = .seconds(600)
        }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            var peers: [RawPeer] = []
            for number in 1...300 {
                peers.append(try await RawPeer.connect(port: server.address.port))
                // The queue of those that are not accepted yet is short on some machines.
                if number % 50 == 0 {
                    try await Fixture.waitUntil { configuration.metrics.activity.connectionCount == number }
                }
            }
            // The worst that can be: none has said hello before the last has come.
            for peer in peers {
                try await peer.send(Fixture.helloFrame())
                #expect(try await peer.readFrames(1).first?.header.type == .helloReply)
            }
        }
    }

    @Test func aPortInUseIsNamed() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let status = await Fixture.status { () async throws(WireStatus) in
                try await WireServer.start(
                    Fixture.configuration { $0.listen = server.address },
                    handler: Fixture.counting,
                    group: Fixture.group
                )
            }
            #expect(
                status?.message
                    == "address \(server.address) is in use by another process; stop that process or configure "
                    + "another port"
            )
        }
    }

    @Test(arguments: ["203.0.113.7", "no-such-host.invalid"])
    func anAddressThatIsNotThisMachinesIsNamed(host: String) async throws {
        let status = await Fixture.status { () async throws(WireStatus) in
            try await WireServer.start(
                Fixture.configuration { $0.listen = NodeAddress(host: host, port: 0) },
                handler: Fixture.counting,
                group: Fixture.group
            )
        }
        #expect(status?.message.contains(host) == true)
    }

    private func refusal(_ peer: RawPeer) async throws -> WireStatus {
        let bytes = try await peer.readToEnd()
        return try RawFrame.first(bytes).decode(WireStatus.self, limits: WireLimits())
    }

    private func connectWhenThereIsRoom(_ server: WireServer) async throws -> WireConnection {
        for _ in 0..<200 {
            if let connection = try? await Fixture.connect(server) { return connection }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw Fixture.NotInTime()
    }
}
