import Foundation
import MienClient
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

        /// Another authority takes the first one's place under a cluster that serves: nobody who connects meanwhile is
        /// refused, and no node is started anew for it.
        @Test(.timeLimit(.minutes(2))) func anAuthorityIsExchangedUnderARunningCluster() async throws {
            try await Stage.play { stage in
                let security = try ClusterSecurity(stage)
                let next = try ClusterSecurity.certificate("own.pem")
                let both = try ClusterSecurity.certificate("authority.pem") + next
                let bothFile = try stage.write("both.pem", both)
                let nextFile = try stage.write("next.pem", next)
                let cluster = try Cluster(stage, workers: 2, security: security)
                try await cluster.start()
                try await importsAndFinds(stage, cluster)
                let address = cluster.address

                let callers = Task {
                    var (answered, refused) = (0, [String]())
                    while !Task.isCancelled {
                        let caller = try MienClient(
                            addresses: [address],
                            token: security.token,
                            tls: .init(trustRootsFile: bothFile),
                            calls: .init(timeout: .seconds(10), retryDuration: .zero)
                        )
                        do {
                            _ = try await caller.status()
                            answered += 1
                        } catch {
                            if !Task.isCancelled { refused.append("\(error)") }
                        }
                        await caller.close()
                        try? await Task.sleep(for: .milliseconds(20))
                    }
                    return (answered, refused)
                }
                defer { callers.cancel() }
                let trust = (security.trustRoots as NSString).lastPathComponent
                let certificate = (security.certificate as NSString).lastPathComponent
                for (round, change) in [(trust, both), (certificate, next), (trust, next)].enumerated() {
                    try stage.write(change.0, change.1)
                    try await nodesSay("new connections use the TLS files", times: round + 1, cluster)
                }
                // Whoever connects now gets and trusts the new ones: a command, and a worker and its coordinator.
                let old = try stage.write("old.pem", try ClusterSecurity.certificate("authority.pem"))
                let status = [
                    "status", "--coordinator", "\(address)", "--token-file", security.tokenFile, "--tls-trust",
                ]
                #expect(try await stage.mien(status + [nextFile]).status == 0)
                #expect(try await stage.mien(status + [old]).status == 77)
                #expect(try await cluster.workers[0].stop() == 0)
                try await cluster.start()
                try await eventually("the faces are found", within: .seconds(10)) {
                    try await findsFaces(stage, cluster) ? () : nil
                }

                try stage.write(certificate, "no certificate")
                try await nodesSay("those before are in use", times: 1, cluster)
                let told = try await ScrapedMetrics(of: cluster.workers + [cluster.coordinator])
                #expect(told["mien_certificate_files_refused"] == 3)
                #expect(try #require(told[#"mien_certificate_remaining_seconds{kind="certificate"}"#]) > 0)
                let ready = try await cluster.coordinator.adminGet("/readyz")
                #expect(ready.contains("200 OK") && ready.contains("holds no certificate"), "\(ready)")

                callers.cancel()
                let (answered, refused) = try await callers.value
                #expect(answered > 100 && refused == [], "\(answered) answered")
                #expect(try await stage.mien(status + [nextFile]).status == 0)
            }
        }

        private func nodesSay(_ words: String, times: Int, _ cluster: Cluster) async throws {
            try await eventually("every node says: \(words)", within: .seconds(20)) {
                [cluster.coordinator, cluster.workers[0], cluster.workers[1]].allSatisfy {
                    ($0.process?.error.components(separatedBy: words).count ?? 0) > times
                } ? () : nil
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
