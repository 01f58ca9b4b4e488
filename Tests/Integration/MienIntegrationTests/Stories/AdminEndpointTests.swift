import Foundation
import Testing

extension Integration {
    /// A cluster tells of itself over HTTP, in separate processes.
    @Suite struct AdminEndpointTests {
        @Test(.timeLimit(.minutes(1))) func nodesTellWhetherTheyAreReadyAndWhy() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.workers[0].start()
                let worker = try cluster.workers[0].adminPort
                let unheard = try await httpAnswer(to: "/readyz", port: worker)
                #expect(unheard.contains("HTTP/1.1 503"))
                #expect(unheard.hasSuffix("No coordinator takes this worker's heartbeats; the log says why.\n"))
                #expect(try await httpAnswer(to: "/healthz", port: worker).contains("HTTP/1.1 200"))
                try await cluster.start()
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
