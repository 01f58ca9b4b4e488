import Foundation
import MienClient
import Testing

extension Integration {
    /// Peers that send garbage, nothing or too much; the node closes on them and serves the others meanwhile.
    @Suite struct HostileConnectionsTests {
        private static let silenceLimit = Duration.seconds(3)

        @Test(.timeLimit(.minutes(3))) func aCoordinatorServesOthersWhilePeersMisbehave() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 1,
                    coordinatorSettings: ["limits.unauthenticated_time=3s"]
                )
                try await cluster.start()
                let client = try cluster.client(timeout: .seconds(10))
                _ = try await client.createCollection(
                    CollectionOptions(name: "people", dimension: 64, embeddingModel: "m", shardCount: 1)
                )
                let process = try #require(cluster.coordinator.process)
                let memoryBefore = try process.ownKibibytes
                let port = cluster.address.port

                var garbage = SeededRandom(seed: SeededRandom.storySeed("hostile connections"))
                for byteCount in [1, 31, 32, 33, 4096, 200_000] {
                    let bytes = (0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &garbage) }
                    try await isClosed(sending: bytes, to: port, "\(byteCount) bytes of garbage")
                }
                try await isClosed(sending: Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), to: port, "HTTP")
                try await isClosed(
                    sending: WireFrame(type: 1, payload: []).headerOnly(promising: 0xFFFF_FFFF),
                    to: port,
                    "4 GiB of hello"
                )
                let hello = WireFrame.hello.bytes
                try await isClosed(sending: Array(hello.prefix(hello.count / 2)), to: port, "half a hello")
                try await isClosed(sending: Array(hello.prefix(20)), to: port, "half a header")
                var damaged = hello
                damaged[hello.count - 1] ^= 1
                try await isClosed(sending: damaged, to: port, "a damaged hello")
                try await servesAfterHello(port)
                try await isServed(client)

                try await servesBesideSilentPeers(count: 200, port: port, client)
                try await isServed(client)
                #expect(process.status == nil, "the coordinator runs on")
                let grown = try process.ownKibibytes - memoryBefore
                #expect(grown < 64 << 10, "the coordinator grew by \(grown) KiB")
                await client.close()
            }
        }

        /// `MIEN_STRANGERS=10000` makes it the flood of docs/reliability.md.
        @Test(.timeLimit(.minutes(5))) func aFloodOfStrangersCostsLittleAndSearchesGoOn() async throws {
            let strangerCount = StoryLength.named("MIEN_STRANGERS", or: 512)
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let client = try cluster.client()
                try await FaceWriter.createCollection(shards: 1, client)
                let searcher = try await Searcher(client)
                let (process, port) = (try #require(cluster.coordinator.process), cluster.address.port)
                let (calm, flood) = (FaceWriter.Pause(), FaceWriter.Pause())
                async let searching: Void = searcher.searching(until: calm)
                try await Task.sleep(for: .seconds(3))
                calm.ask()
                await searching
                let before = await searcher.takeTally()
                let memoryBefore = try process.ownKibibytes

                async let searchingOn: Void = searcher.searching(until: flood)
                let half = Array(WireFrame.hello.bytes.prefix(20))
                var (openedCount, grown) = (0, 0)
                for _ in 0..<4 {
                    var sockets: [TCPSocket] = []
                    for number in 0..<strangerCount {
                        guard let socket = TCPSocket.connected(to: port) else { continue }
                        if number % 2 == 0 { socket.send(half) }
                        sockets.append(socket)
                        if number % 64 == 0 { await Task.yield() }
                    }
                    openedCount += sockets.count
                    // Who belongs to the cluster gets in beside them.
                    let newcomer = try cluster.client()
                    _ = try await newcomer.collections()
                    await newcomer.close()
                    try await Task.sleep(for: .seconds(1))
                    grown = max(grown, try process.ownKibibytes - memoryBefore)
                    for socket in sockets { socket.close() }
                }
                flood.ask()
                await searchingOn
                let during = await searcher.tally
                #expect(openedCount > strangerCount)
                #expect(during.failures.isEmpty && during.count > 100, "\(during.failures.prefix(3))")
                // 64 KiB for each that it takes, or that is about to give way, and what searches need besides.
                #expect(grown < 64 * min(strangerCount, 1280) + (32 << 10), "it grew by \(grown) KiB")
                print(
                    "strangers: 4 times \(strangerCount) connections, \(openedCount) opened; the coordinator grew by "
                        + "\(grown) KiB; searches before: \(before.distribution); beside them: \(during.distribution)"
                )
                await client.close()
            }
        }

        /// The same at a port with TLS: strangers come as far as the handshake leads them. `MIEN_TLS_STRANGERS=10000`
        /// makes it the flood of docs/reliability.md.
        @Test(.timeLimit(.minutes(3)), arguments: TLSStranger.Part.allCases)
        func aFloodOfStrangersAtAPortWithTLSIsClosedInTime(part: TLSStranger.Part) async throws {
            let wanted = StoryLength.named("MIEN_TLS_STRANGERS", or: 300)
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1, security: ClusterSecurity(stage))
                try await cluster.start()
                let client = try cluster.client()
                try await FaceWriter.createCollection(shards: 1, client)
                let searcher = try await Searcher(client)
                let (process, port) = (try #require(cluster.coordinator.process), cluster.address.port)
                func openCount() async throws -> Int {
                    Int(try await ScrapedMetrics(of: [cluster.coordinator]).sum("mien_connections"))
                }
                let (calm, flood) = (FaceWriter.Pause(), FaceWriter.Pause())
                async let searching: Void = searcher.searching(until: calm)
                try await Task.sleep(for: .seconds(2))
                calm.ask()
                await searching
                let before = await searcher.takeTally()

                async let searchingOn: Void = searcher.searching(until: flood)
                let (countBefore, memoryBefore) = (try await openCount(), try process.ownKibibytes)
                // A node gives each five seconds, and takes 256 at a time, 1024 of those who came within a second:
                // those who came first give way.
                let allCame = FaceWriter.Pause()
                let coming = Task {
                    defer { allCame.ask() }
                    return await Self.strangers(wanted, part, port)
                }
                var (openedCount, grown) = (0, 0)
                func look() async throws {
                    openedCount = max(openedCount, try await openCount() - countBefore)
                    grown = max(grown, try process.ownKibibytes - memoryBefore)
                    try await Task.sleep(for: .milliseconds(50))
                }
                while !allCame.isAsked { try await look() }
                let strangers = await coming.value
                let lastCame = ContinuousClock.now
                try await look()
                // Beside the time to say hello some for a machine that is busy; waiting for strangers that do not
                // answer a goodbye either would take five seconds more.
                var closingTime = Duration.zero
                try await eventually("strangers that came with \(part) are closed", within: .seconds(8)) {
                    closingTime = ContinuousClock.now - lastCame
                    return try await openCount() <= countBefore ? () : nil
                }
                #expect(openedCount > 0 && grown < 64 * openedCount + (32 << 10), "it grew by \(grown) KiB")
                for stranger in strangers { stranger.close() }
                flood.ask()
                await searchingOn
                let during = await searcher.tally
                #expect(during.failures.isEmpty && during.count > 50, "\(during.failures.prefix(3))")
                print(
                    "strangers of TLS, \(part): \(strangers.count) came, \(openedCount) at a time, for which the "
                        + "coordinator grew by \(grown) KiB; all were closed \(closingTime) after the last came; "
                        + "searches before: \(before.distribution); beside them: \(during.distribution)"
                )
                await client.close()
            }
        }

        private static func strangers(_ count: Int, _ part: TLSStranger.Part, _ port: Int) async -> [TLSStranger] {
            await withTaskGroup(of: TLSStranger?.self) { group in
                var strangers: [TLSStranger] = []
                for number in 0..<count {
                    group.addTask { await TLSStranger.connected(to: port, part) }
                    guard number >= 64, let stranger = await group.next() else { continue }
                    if let stranger { strangers.append(stranger) }
                }
                for await case let stranger? in group { strangers.append(stranger) }
                return strangers
            }
        }

        /// A peer that sends these bytes and waits is closed in the time that peers have to say hello, and some.
        private func isClosed(sending bytes: [UInt8], to port: Int, _ what: String) async throws {
            guard let socket = TCPSocket.connected(to: port) else {
                Issue.record("\(what): the coordinator does not listen")
                return
            }
            defer { socket.close() }
            socket.send(bytes)
            let answer = try await socket.receive(for: Self.silenceLimit + .seconds(3))
            #expect(answer.isClosed, "\(what): the coordinator keeps the connection")
            #expect(answer.bytes.count < 4096 + 32)
        }

        /// After a good hello, a frame that promises too much gets its status and the connection ends.
        private func servesAfterHello(_ port: Int) async throws {
            let socket = try #require(TCPSocket.connected(to: port))
            defer { socket.close() }
            socket.send(WireFrame.hello.bytes)
            var (reply, isClosed): ([UInt8], Bool) = ([], false)
            let end = ContinuousClock.now + .seconds(10)
            while WireFrame.isUnfinished(reply), !isClosed, ContinuousClock.now < end {
                let part = try await socket.receive(for: .milliseconds(50))
                reply += part.bytes
                isClosed = part.isClosed
            }
            #expect(!isClosed && reply.count > 32, "a good hello is answered")
            #expect(reply.dropFirst(4).prefix(2) == [2, 0], "with a HelloReply")
            socket.send(WireFrame(type: 0x0101, payload: []).headerOnly(promising: 0x7FFF_FFFF))
            let refusal = try await socket.receive(for: .seconds(10))
            #expect(refusal.isClosed, "the coordinator keeps a connection that promises 2 GiB")
            #expect(refusal.bytes.dropFirst(4).prefix(2) == [6, 0], "a status says why")
        }

        private func servesBesideSilentPeers(count: Int, port: Int, _ client: MienClient) async throws {
            var sockets: [TCPSocket] = []
            defer { for socket in sockets { socket.close() } }
            for _ in 0..<count {
                if let socket = TCPSocket.connected(to: port) { sockets.append(socket) }
            }
            #expect(sockets.count == count)
            try await isServed(client)
            // New clients get in beside them, too.
            let other = try MienClient(
                addresses: [MienClient.Address(host: "127.0.0.1", port: port)],
                calls: .init(timeout: .seconds(10), retryDuration: .zero)
            )
            try await isServed(other)
            await other.close()
            var closedCount = 0
            let deadline = ContinuousClock.now + Self.silenceLimit + .seconds(4)
            for socket in sockets {
                let rest = max(.milliseconds(10), deadline - .now)
                if try await socket.receive(for: rest).isClosed { closedCount += 1 }
            }
            #expect(closedCount == count, "\(closedCount) of \(count) silent peers were closed")
        }

        private func isServed(_ client: MienClient) async throws {
            for _ in 0..<20 {
                let collections = try await client.collections()
                #expect(collections.map(\.options.name) == ["people"])
            }
        }
    }
}
