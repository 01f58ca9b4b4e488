import NodeConfiguration
import Testing

/// Where metrics are told, and who may read them.
struct AdminListenerTests {
    private func worker(_ flags: [String: String]) throws -> WorkerConfiguration {
        try WorkerConfiguration(from: ConfigurationSources(flags: flags))
    }

    @Test(arguments: [
        ("127.0.0.1:7401", 8401), ("127.0.0.1:0", 0), ("127.0.0.1:64536", 63536), ("[::1]:64535", 65535),
    ])
    func theAutomaticPortIsAThousandAway(listen: String, port: Int) throws {
        let admin = try #require(try worker(["worker.listen": listen]).admin)
        #expect(admin == AdminListener(address: NetworkAddress(host: "127.0.0.1", port: port), isAutomatic: true))
    }

    @Test func itMayBeOffOrAnywhereOnLoopback() throws {
        #expect(try worker(["worker.admin_listen": "off"]).admin == nil)
        let given = try worker(["worker.admin_listen": "[::1]:9100"]).admin
        #expect(given == AdminListener(address: NetworkAddress(host: "::1", port: 9100), isAutomatic: false))
    }

    @Test func beyondLoopbackItNeedsWhatEveryListenerNeeds() throws {
        let folder = try TemporaryFolder()
        let flags = ["worker.admin_listen": "0.0.0.0:9100"]
        let bare = try problems(flags: flags, in: folder)
        #expect(bare.count == 1)
        #expect(bare.first?.contains("worker.admin_listen is 0.0.0.0:9100, which other machines can reach") == true)
        let tls = [
            "tls.certificate": try folder.file("node.pem", "certificate", permissions: 0o644),
            "tls.private_key": try folder.file("node.key", "key", permissions: 0o640),
        ]
        let protected = flags.merging(tls) { $1 }
        #expect(try problems(environment: ["MIEN_TOKEN": "0123456789abcdef"], flags: protected, in: folder) == [])
    }

    @Test func itsPortIsItsOwn() throws {
        let flags = ["worker.listen": "127.0.0.1:7401", "worker.admin_listen": "127.0.0.1:7401"]
        let found = try problems(flags: flags, in: TemporaryFolder())
        #expect(found.count == 1)
        #expect(found.first?.contains("worker.admin_listen and worker.listen both listen on 127.0.0.1:7401") == true)
    }

    @Test func aClusterInOneProcessHasOne() throws {
        let dev = try DevConfiguration(from: ConfigurationSources(flags: ["dev.listen": "127.0.0.1:7500"]))
        #expect(dev.admin?.address.port == 8500)
        #expect(dev.coordinator.admin == nil)
        #expect(dev.worker(number: 1, coordinator: dev.coordinator.listen).admin == nil)
    }
}
