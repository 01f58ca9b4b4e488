import Foundation
import Testing

extension Integration {
    /// A cluster tells of itself over HTTP, in separate processes.
    @Suite struct AdminEndpointTests {
        @Test(.timeLimit(.minutes(1))) func nodesTellWhetherTheyAreReadyAndWhy() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.workers[0].start()
                try #require(cluster.workers[0].process).expectNoCoreFiles()
                let worker = try cluster.workers[0].adminPort
                let unheard = try await httpAnswer(to: "/readyz", port: worker)
                #expect(unheard.contains("HTTP/1.1 503"))
                #expect(unheard.hasSuffix("No coordinator takes this worker's heartbeats; the log says why.\n"))
                #expect(try await httpAnswer(to: "/healthz", port: worker).contains("HTTP/1.1 200"))
                try await cluster.start()
                try #require(cluster.coordinator.process).expectNoCoreFiles()
                try await eventually("the worker is ready", within: .seconds(10)) {
                    try await httpAnswer(to: "/readyz", port: worker).contains("HTTP/1.1 200") ? () : nil
                }
                let coordinator = try cluster.coordinator.adminPort
                let created = try await cluster.mien(
                    "collection",
                    "create",
                    "people",
                    "--dimension",
                    "64",
                    "--model",
                    "m"
                )
                #expect(created.status == 0, "\(created)")
                #expect(try await httpAnswer(to: "/readyz", port: coordinator).contains("HTTP/1.1 200"))
                let metrics = try await httpAnswer(to: "/metrics", port: coordinator)
                #expect(metrics.contains("mien_shards{collection=\"people\",state=\"serving\"} 1\n"))
                #expect(
                    try await httpAnswer(to: "/metrics", port: worker).contains("mien_replicas{state=\"serving\"} 1\n")
                )

                cluster.workers[0].kill()
                try await eventually("the coordinator misses the worker", within: .seconds(10)) {
                    let answer = try await httpAnswer(to: "/readyz", port: coordinator)
                    return answer.contains("HTTP/1.1 503") && answer.contains("No worker is live") ? () : nil
                }
                #expect(try await httpAnswer(to: "/healthz", port: coordinator).contains("HTTP/1.1 200"))
                #expect(try await cluster.coordinator.stop() == 0)
            }
        }

        @Test(.timeLimit(.minutes(1))) func beyondLoopbackTheMetricsAskForTLSAndTheToken() async throws {
            try await Stage.play { stage in
                let security = try ClusterSecurity(stage)
                let port = try LoopbackPort.free()
                let cluster = try Cluster(
                    stage,
                    workers: 1,
                    coordinatorSettings: ["coordinator.admin_listen=0.0.0.0:\(port)"],
                    security: security
                )
                try await cluster.coordinator.start()
                let output = try #require(cluster.coordinator.process).output
                #expect(output.contains("metrics on https://0.0.0.0:\(port)/metrics"))
                // Without TLS nothing is told at all.
                #expect(try await !httpAnswer(to: "/healthz", port: port).contains("200"))
                func curl(_ arguments: String...) async throws -> CommandResult {
                    try await stage.run(
                        ["/usr/bin/curl", "--silent", "--show-error", "--cacert", security.trustRoots] + arguments
                    )
                }
                let place = "https://127.0.0.1:\(port)"
                let health = try await curl("\(place)/healthz")
                #expect(health.status == 0 && health.output == "alive\n", "\(health)")
                let bare = try await curl("--write-out", "%{http_code}", "\(place)/metrics")
                #expect(bare.output.hasSuffix("401") && !bare.output.contains("mien_workers"))
                let told = try await curl("--header", "Authorization: Bearer \(security.token)", "\(place)/metrics")
                #expect(told.output.contains("mien_workers{state=\"live\"}"))
                #expect(!told.output.contains(security.token))
                #expect(try await cluster.coordinator.stop() == 0)
            }
        }

        /// Whatever comes instead of a request for a page is refused or closed, and others are answered.
        @Test(.timeLimit(.minutes(1))) func headsAndFramesThatAreBrokenAreRefused() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 0)
                try await cluster.coordinator.start()
                let port = try cluster.coordinator.adminPort
                let get = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                let post = "POST /healthz HTTP/1.1\r\nHost: localhost\r\n"
                let letters = { (count: Int) in String(repeating: "a", count: count) }
                let broken: [(what: String, bytes: String)] = [
                    ("a field of 17 KiB", get + "X: \(letters(17 << 10))\r\n\r\n"),
                    ("fields of 20 KiB", get + (0..<20).map { "X\($0): \(letters(1 << 10))\r\n" }.joined() + "\r\n"),
                    ("101 fields", get + (0..<101).map { "X\($0): 1\r\n" }.joined() + "\r\n"),
                    ("a path of 17 KiB", "GET /healthz?\(letters(17 << 10)) HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                    ("a head that does not end", get + "X: \(letters(64 << 10))"),
                    ("both lengths", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                    ("two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
                    ("a length that is none", post + "Content-Length: -1\r\n\r\n"),
                    ("a folded field", get + "X: 1\r\n 2\r\n\r\n"),
                    ("a field without a name", get + ": 1\r\n\r\n"),
                    ("a space in a name", get + "X : 1\r\n\r\n"),
                    ("a bad chunk", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"),
                    ("another method", post + "Content-Length: 0\r\n\r\n"),
                    ("a method that is none", "BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                    ("another protocol", "GET /healthz SIP/2.0\r\nHost: localhost\r\n\r\n"),
                    ("another version", "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n"),
                    ("noise", "\u{1}\u{2}\u{3}\u{16}\r\n\r\n"),
                    ("another machine's name", "GET /metrics HTTP/1.1\r\nHost: attacker.example\r\n\r\n"),
                ]
                for (what, bytes) in broken {
                    let socket = try #require(TCPSocket.connected(to: port))
                    socket.send(Array(bytes.utf8))
                    socket.send(Array("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8))
                    let (answer, isClosed) = try await socket.receive(for: .seconds(2))
                    socket.close()
                    let text = String(decoding: answer, as: UTF8.self)
                    let first = text.prefix { $0 != "\r\n" }
                    #expect(!first.contains(" 200"), "\(what): \(first)")
                    #expect(first.isEmpty || first.hasPrefix("HTTP/1.1 4"), "\(what): \(first)")
                    #expect(isClosed || !first.isEmpty, "\(what): neither answered nor closed")
                    #expect(!text.contains("mien_workers"), "\(what)")
                    #expect(try await httpAnswer(to: "/healthz", port: port).contains("HTTP/1.1 200"), "\(what)")
                }
                #expect(try await cluster.coordinator.stop() == 0)
            }
        }

        @Test(.timeLimit(.minutes(1))) func aConfiguredAddressThatIsTakenStopsTheNodeAndAnAutomaticOneDoesNot()
            async throws
        {
            try await Stage.play { stage in
                let port = try LoopbackPort.free()
                let holder = try #require(TCPSocket())
                defer { holder.close() }
                try #require(holder.bind(port: port) && listen(holder.descriptor, 1) == 0)
                let arguments = ["coordinator", "--listen", "127.0.0.1:0", "--data", stage.path("coordinator")]
                let refused = try await stage.mien(
                    arguments + ["--set", "coordinator.admin_listen=127.0.0.1:\(port)"]
                )
                #expect(refused.status == 69)
                #expect(refused.error.contains("address 127.0.0.1:\(port) is in use"), "\(refused)")

                let listening = port - 1000
                let node = Node(stage, ["coordinator", "--listen", "127.0.0.1:\(listening)"] + arguments.suffix(2))
                try await node.start()
                let process = try #require(node.process)
                #expect(!process.output.contains("metrics on"))
                #expect(process.error.contains("metrics are not told"))
                #expect(try await node.stop() == 0)
            }
        }
    }
}

extension ChildProcess {
    /// What it has in memory when it dies, embeddings among it, goes to no file.
    func expectNoCoreFiles() throws {
        let limits = try String(contentsOfFile: "/proc/\(id)/limits", encoding: .utf8)
        let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") })
        let bytes = line.split(separator: " ").dropFirst(4).prefix(2).map { Int($0) ?? .max }
        #expect(bytes.count == 2 && bytes.allSatisfy { $0 <= 1 }, "\(line)")
    }
}
