import NodeConfiguration
import Testing

struct EtcdConfigurationTests {
    private func read(_ flags: [String: String]) throws -> CoordinatorConfiguration {
        try CoordinatorConfiguration(from: ConfigurationSources(flags: flags))
    }

    @Test func withoutBeingAskedForThereIsNone() throws {
        #expect(try read([:]).etcd == nil)
        #expect(try read(["coordinator.metadata": "embedded", "coordinator.etcd.prefix": "other/"]).etcd == nil)
    }

    @Test func everyKeyReachesItsProperty() throws {
        let folder = try TemporaryFolder()
        let password = try folder.file("password", "not a real one\n")
        let roots = try folder.file("roots.pem", "")
        let etcd = try #require(
            try read([
                "coordinator.metadata": "etcd",
                "coordinator.etcd.endpoints": "https://etcd-1.internal:2379, https://10.0.0.2:2380",
                "coordinator.etcd.prefix": "faces/eu-1/", "coordinator.etcd.lease": "2500ms",
                "coordinator.etcd.user": "mien", "coordinator.etcd.password_file": password,
                "coordinator.etcd.tls.trust_roots": roots,
            ]).etcd
        )
        #expect(etcd.endpoints.map(\.description) == ["https://etcd-1.internal:2379", "https://10.0.0.2:2380"])
        #expect(etcd.prefix == "faces/eu-1/")
        #expect(etcd.lease == .milliseconds(2500))
        #expect(etcd.user?.name == "mien" && etcd.user?.password.text == "not a real one")
        #expect(!"\(etcd)".contains("not a real one"), "a secret is not printed")
        #expect(etcd.trustRoots == roots && etcd.certificate == nil && etcd.privateKey == nil)
    }

    @Test(arguments: [
        ("coordinator.metadata", "zookeeper"),
        ("coordinator.etcd.endpoints", ""),
        ("coordinator.etcd.endpoints", "127.0.0.1:2379"),
        ("coordinator.etcd.endpoints", "http://127.0.0.1"),
        ("coordinator.etcd.endpoints", "http://127.0.0.1:2379/v3"),
        ("coordinator.etcd.endpoints", "http://127.0.0.1:2379,http://127.0.0.1:2379"),
        ("coordinator.etcd.endpoints", "http://127.0.0.1:2379,https://127.0.0.1:2380"),
        ("coordinator.etcd.endpoints", "http://127.0.0.1:0"),
        ("coordinator.etcd.prefix", "mien"),
        ("coordinator.etcd.prefix", "/"),
        ("coordinator.etcd.prefix", "a b/"),
        ("coordinator.etcd.lease", "1s"),
        ("coordinator.etcd.lease", "2m"),
        ("coordinator.etcd.user", "two words"),
    ])
    func valuesBeyondWhatIsAllowedAreRefused(key: String, text: String) {
        let error = #expect(throws: NodeConfigurationError.self) { try read([key: text]) }
        #expect(error?.problems.count == 1 && "\(error!)".contains(key), "\(String(describing: error))")
    }

    @Test func allThatIsWrongIsToldAtOnce() throws {
        let folder = try TemporaryFolder()
        let open = try folder.file("password", "secret", permissions: 0o644)
        let error = #expect(throws: NodeConfigurationError.self) {
            try read([
                "coordinator.metadata": "etcd", "coordinator.etcd.endpoints": "http://10.0.0.1:2379",
                "coordinator.etcd.user": "mien", "coordinator.etcd.password_file": open,
                "coordinator.etcd.tls.certificate": "/nonexistent.pem",
            ])
        }
        let text = "\(error!)"
        #expect(text.contains("http://10.0.0.1:2379 is beyond this machine"))
        #expect(text.contains("chmod 600"))
        #expect(text.contains("/nonexistent.pem cannot be read"))
        #expect(text.contains("coordinator.etcd.tls.certificate is set but coordinator.etcd.tls.private_key is not"))
        #expect(error?.problems.count == 4)
    }

    @Test func aNameWithoutAPasswordIsRefused() {
        let error = #expect(throws: NodeConfigurationError.self) { try read(["coordinator.etcd.user": "mien"]) }
        #expect("\(error!)".contains("coordinator.etcd.password_file is not"))
    }

    @Test func aClusterInOneProcessKeepsItsOwn() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("mien.yaml", "coordinator: {metadata: etcd}\n")
        let error = #expect(throws: NodeConfigurationError.self) {
            try DevConfiguration(from: ConfigurationSources(file: file))
        }
        #expect("\(error!)".contains("coordinator.metadata is not used by mien dev"))
    }
}
