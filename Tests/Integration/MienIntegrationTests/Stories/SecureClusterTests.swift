import Foundation
import Testing

extension Integration {
    /// Every connection of a cluster speaks TLS and shows the token: clients', and those between nodes.
    @Suite struct SecureClusterTests {
        @Test(.timeLimit(.minutes(1))) func aSecuredClusterWorksAndTakesNobodyElse() async throws {
            try await Stage.play { stage in
                let security = try ClusterSecurity(stage)
                let cluster = try Cluster(stage, workers: 2, security: security)
                try await cluster.start()
                try await importsAndFinds(stage, cluster)
                try await refusesStrangers(stage, cluster, security)

                for node in cluster.workers + [cluster.coordinator] { node.kill() }
                try await cluster.start()
                try await eventually("the faces are found after a restart", within: .seconds(10)) {
                    try await findsFaces(stage, cluster) ? () : nil
                }
                for node in cluster.workers + [cluster.coordinator] { #expect(try await node.stop() == 0) }
            }
        }

        private func importsAndFinds(_ stage: Stage, _ cluster: Cluster) async throws {
            var random = SeededRandom(seed: 21)
            let rows = (0..<100).map { _ in random.direction(dimension: 64) }
            try stage.write("faces.npy", NpyFile(rows: rows).data)
            try stage.write("probes.npy", NpyFile(rows: Array(rows[40..<50])).data)
            let created = try await cluster.mien("collection", "create", "people", "--dimension", "64", "--model", "m")
            #expect(created.status == 0, "\(created)")
            let imported = try await cluster.mien("import", "people", "--embeddings", stage.path("faces.npy"))
            #expect(imported.status == 0, "\(imported)")
            #expect(try await findsFaces(stage, cluster))
        }

        /// Whether every probe finds itself, and every shard has answered.
        private func findsFaces(_ stage: Stage, _ cluster: Cluster) async throws -> Bool {
            let found = try await cluster.mien(
                "search",
                "people",
                "--probes",
                stage.path("probes.npy"),
                "-k",
                "1",
                "--json"
            )
            guard found.status == 0 else { return false }
            let (probes, summary) = try found.search()
            return summary.coverage?.full == true && summary.coverage?.shards_answered == 2 && probes.count == 10
                && probes.allSatisfy { ($0.matches.first?.similarity ?? 0) > 0.999 }
        }

        private func refusesStrangers(_ stage: Stage, _ cluster: Cluster, _ security: ClusterSecurity) async throws {
            let wrong = try stage.write("wrong-token", "some-other-token", mode: 0o600)
            let places = [("the coordinator", "\(cluster.address)"), ("a worker", cluster.workerAddresses[0])]
            for (place, address) in places {
                let status = ["status", "--timeout", "5", "--coordinator", address]
                try await refuses(stage, status, 69, "TLS", "without TLS, of \(place)")
                let trust = ["--tls-trust", security.trustRoots]
                try await refuses(stage, status + trust, 77, "token", "without a token, of \(place)")
                try await refuses(
                    stage,
                    status + trust + ["--token-file", wrong],
                    77,
                    "token",
                    "with another token, of \(place)"
                )
                try await refuses(
                    stage,
                    status + ["--tls-trust", security.otherTrustRoots, "--token-file", security.tokenFile],
                    77,
                    "TLS",
                    "trusting another authority, of \(place)"
                )
            }
            // A worker of another token finds no way in.
            let stranger = try await stage.start([
                "worker", "--listen", "127.0.0.1:0", "--coordinator", "\(cluster.address)", "--data",
                stage.path("stranger"), "--set", "token_file=\(wrong)", "--set",
                "tls.certificate=\(security.certificate)",
                "--set", "tls.private_key=\(security.privateKey)", "--set", "tls.trust_roots=\(security.trustRoots)",
                "--set", "worker.heartbeat_interval=100ms",
            ])
            try await eventually("the stranger says why it is not let in", within: .seconds(10)) {
                stranger.error.contains("token") || stranger.status != nil ? () : nil
            }
            #expect(stranger.error.contains("token"), "\(stranger.error)")
            let status = try await cluster.mien("status")
            #expect(
                status.status == 0 && status.output.split(separator: "\n").count { $0.contains(" live ") } == 2,
                "\(status)"
            )
            for process in [cluster.coordinator, cluster.workers[0], cluster.workers[1]].compactMap(\.process) + [
                stranger
            ] {
                for text in [process.output, process.error] {
                    #expect(!text.contains(security.token) && !text.contains("some-other-token"), "a token is told")
                }
            }
            stranger.kill()
        }

        private func refuses(
            _ stage: Stage,
            _ arguments: [String],
            _ status: Int32,
            _ word: String,
            _ what: String
        ) async throws {
            let result = try await stage.mien(arguments)
            #expect(result.status == status && result.output.isEmpty, "\(what): \(result)")
            #expect(result.error.contains(word), "\(what): \(result)")
            #expect(result.error.split(separator: "\n").count == 1, "one sentence, \(what): \(result)")
        }
    }
}
