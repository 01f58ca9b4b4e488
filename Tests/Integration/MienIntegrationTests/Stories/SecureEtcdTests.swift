import Foundation
import MienClient
import Testing

extension Integration {
    /// An etcd with TLS that asks for a user with a password, or for a certificate.
    @Suite struct SecureEtcdTests {
        private static let password = "story-password-0123456789"

        @Test(.timeLimit(.minutes(1))) func aUserHasRightsToItsPrefixOnly() async throws {
            try await Stage.play { stage in
                let security = try ClusterSecurity(stage)
                let endpoint = try await startEtcd(stage, security, asking: [])
                try await addUser(stage, security, endpoint)
                let passwordFile = try stage.write("password", Self.password + "\n", mode: 0o600)
                let wrongFile = try stage.write("wrong", "not-the-password\n", mode: 0o600)
                func settings(_ password: String, prefix: String = "story/", trust: String? = nil) -> [String] {
                    Self.settings(endpoint, prefix: prefix, trust: trust ?? security.trustRoots)
                        + ["coordinator.etcd.user=mien", "coordinator.etcd.password_file=\(password)"]
                }
                try await serves(stage, settings(passwordFile))
                for (what, list, reason) in [
                    ("a wrong password", settings(wrongFile), "authentication failed"),
                    ("a prefix of others", settings(passwordFile, prefix: "others/"), "permission denied"),
                    (
                        "an authority that has signed nothing",
                        settings(passwordFile, trust: security.otherTrustRoots), "CERTIFICATE_VERIFY_FAILED"
                    ),
                ] {
                    let log = try await waits(stage, list, because: reason, what)
                    #expect(!log.contains(Self.password) && !log.contains("not-the-password"))
                }
            }
        }

        @Test(.timeLimit(.minutes(1))) func aMemberAsksForACertificate() async throws {
            try await Stage.play { stage in
                let security = try ClusterSecurity(stage)
                let endpoint = try await startEtcd(
                    stage,
                    security,
                    asking: ["--client-cert-auth", "--trusted-ca-file", security.trustRoots]
                )
                let settings = Self.settings(endpoint, prefix: "story/", trust: security.trustRoots)
                let certificate = [
                    "coordinator.etcd.tls.certificate=\(security.certificate)",
                    "coordinator.etcd.tls.private_key=\(security.privateKey)",
                ]
                try await serves(stage, settings + certificate)
                _ = try await waits(stage, settings, because: "CERTIFICATE", "no certificate")
                // What is said in docs/operations/high-availability.md of both at once.
                try await addUser(stage, security, endpoint)
                let password = try stage.write("password", Self.password + "\n", mode: 0o600)
                let user = ["coordinator.etcd.user=mien", "coordinator.etcd.password_file=\(password)"]
                _ = try await waits(stage, settings + certificate + user, because: "CommonName", "a name in both")
            }
        }

        /// etcd shows a certificate of another authority, and the coordinator goes on without a restart.
        @Test(.timeLimit(.minutes(1))) func anAuthorityOfEtcdIsExchangedUnderACoordinator() async throws {
            try await Stage.play { stage in
                let security = try ClusterSecurity(stage)
                let next = try ClusterSecurity.certificate("own.pem")
                let first = try ClusterSecurity.certificate("authority.pem")
                let endpoint = try await startEtcd(stage, security, asking: [])
                // The authority of etcd alone; the one that the test asks by stays.
                let trust = try stage.write("etcd-trust.pem", first)
                let cluster = try Cluster(
                    stage,
                    workers: 1,
                    coordinatorSettings: Self.settings(endpoint, prefix: "story/", trust: trust)
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(5))
                try await FaceWriter.createCollection(shards: 1, client)

                for (round, content) in [first + next, next].enumerated() {
                    try stage.write("etcd-trust.pem", content)
                    try await eventually("the coordinator read the file again", within: .seconds(20)) {
                        let words = "new connections use the TLS files"
                        let log = cluster.coordinator.process?.error ?? ""
                        return log.components(separatedBy: words).count > round + 1 ? () : nil
                    }
                    // etcd reads its certificate for every connection anew.
                    try stage.write("node.pem", next)
                }
                // Requests go over connections that the first authority would not do for.
                _ = try await client.createCollection(
                    CollectionOptions(name: "others", dimension: 64, embeddingModel: "m", shardCount: 1)
                )
                #expect(try await client.status().storeProblem == nil)
                let told = try await ScrapedMetrics(of: [cluster.coordinator])
                #expect(try #require(told[#"mien_certificate_remaining_seconds{kind="etcd_trust_roots"}"#]) > 0)
                #expect(told["mien_certificate_files_refused"] == 0)
                await client.close()
                #expect(try await cluster.coordinator.stop() == 0)
            }
        }

        private static func settings(_ endpoint: String, prefix: String, trust: String) -> [String] {
            [
                "coordinator.metadata=etcd", "coordinator.etcd.endpoints=\(endpoint)",
                "coordinator.etcd.prefix=\(prefix)", "coordinator.etcd.lease=2s",
                "coordinator.etcd.tls.trust_roots=\(trust)",
            ]
        }

        /// A cluster with these settings does what clusters do.
        private func serves(_ stage: Stage, _ settings: [String]) async throws {
            let cluster = try Cluster(stage, workers: 1, coordinatorSettings: settings)
            try await cluster.start()
            let client = try cluster.client(retrying: .seconds(5))
            try await FaceWriter.createCollection(shards: 2, client)
            #expect(try await client.status().coordinators.allSatisfy { $0.controllerSince != nil })
            await client.close()
            #expect(try await cluster.coordinator.stop() == 0)
        }

        /// A coordinator with these settings waits, and says why; what it logs.
        private func waits(
            _ stage: Stage,
            _ settings: [String],
            because reason: String,
            _ what: String
        ) async throws -> String {
            let waiting = try await stage.start(
                ["coordinator", "--listen", "127.0.0.1:0", "--data", stage.path("coordinator of \(what)")]
                    + settings.flatMap { ["--set", $0] }
            )
            do {
                try await eventually("the log tells of \(what)", within: .seconds(10)) {
                    let log = waiting.error
                    return log.contains("waiting for the metadata store") && log.contains(reason) ? () : nil
                }
            } catch {
                throw StoryError("\(error): \(waiting.error.suffix(600))")
            }
            #expect(!waiting.output.contains("Serving"), "\(what): \(waiting.output)")
            waiting.kill()
            return waiting.error
        }

        private func startEtcd(_ stage: Stage, _ security: ClusterSecurity, asking: [String]) async throws -> String {
            let endpoint = "https://127.0.0.1:\(try LoopbackPort.free())"
            let peer = "http://127.0.0.1:\(try LoopbackPort.free())"
            _ = try await stage.launch(
                [
                    "/usr/bin/etcd", "--name", "member", "--data-dir", stage.path("etcd"),
                    "--listen-client-urls", endpoint, "--advertise-client-urls", endpoint,
                    "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                    "--initial-cluster", "member=\(peer)", "--log-level", "error",
                    "--cert-file", security.certificate, "--key-file", security.privateKey,
                ] + asking
            )
            try await eventually("etcd answers", within: .seconds(20)) {
                try await ask(stage, security, "\(endpoint)/v3/maintenance/status", "{}").status == 0 ? () : nil
            }
            return endpoint
        }

        private func ask(
            _ stage: Stage,
            _ security: ClusterSecurity,
            _ url: String,
            _ body: String
        ) async throws -> CommandResult {
            try await stage.run([
                "/usr/bin/curl", "--silent", "--show-error", "--fail", "--cacert", security.trustRoots,
                "--cert", security.certificate, "--key", security.privateKey, "--data", body, url,
            ])
        }

        /// A user `mien` who may read and write what begins with `story/`; from now on etcd asks for users.
        private func addUser(_ stage: Stage, _ security: ClusterSecurity, _ endpoint: String) async throws {
            func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
            for (path, body) in [
                ("auth/role/add", #"{"name":"root"}"#), ("auth/role/add", #"{"name":"mien"}"#),
                (
                    "auth/role/grant",
                    #"{"name":"mien","perm":{"permType":"READWRITE","key":"\#(base64("story/"))","#
                        + #""range_end":"\#(base64("story0"))"}}"#
                ),
                ("auth/user/add", #"{"name":"root","password":"\#(UUID().uuidString)"}"#),
                ("auth/user/add", #"{"name":"mien","password":"\#(Self.password)"}"#),
                ("auth/user/grant", #"{"user":"root","role":"root"}"#),
                ("auth/user/grant", #"{"user":"mien","role":"mien"}"#), ("auth/enable", "{}"),
            ] {
                let result = try await ask(stage, security, "\(endpoint)/v3/\(path)", body)
                #expect(result.status == 0, "\(path): \(result)")
            }
        }
    }
}
