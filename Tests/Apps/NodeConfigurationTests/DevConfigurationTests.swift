import NodeConfiguration
import Testing

struct DevConfigurationTests {
    @Test func workersGetTheirOwnFoldersAndFreePorts() throws {
        let dev = try DevConfiguration(
            from: ConfigurationSources(flags: ["dev.data": "d", "dev.workers": "2", "dev.listen": "127.0.0.1:0"])
        )
        let bound = NetworkAddress(host: "127.0.0.1", port: 4711)
        let workers = (1...2).map { dev.worker(number: $0, coordinator: bound) }
        #expect(dev.coordinator.data == "d/coordinator")
        #expect(workers.map(\.data) == ["d/worker-1", "d/worker-2"])
        #expect(workers.allSatisfy { $0.listen == NetworkAddress(host: "127.0.0.1", port: 0) })
        #expect(workers.allSatisfy { $0.coordinators == [bound] && $0.searchThreads >= 1 })
    }

    @Test func tuningOfBothRolesIsRead() throws {
        let dev = try DevConfiguration(
            from: ConfigurationSources(environment: [
                "MIEN_COORDINATOR_WORKER_TIMEOUT": "400ms", "MIEN_WORKER_HEARTBEAT_INTERVAL": "200ms",
                "MIEN_WORKER_SEARCH_THREADS": "5", "MIEN_TOKEN": "0123456789abcdef",
            ])
        )
        #expect(dev.coordinator.workerTimeout == .milliseconds(400))
        let worker = dev.worker(number: 3, coordinator: dev.coordinator.listen)
        #expect(worker.heartbeatInterval == .milliseconds(200))
        #expect(worker.searchThreads == 5)
        #expect(worker.token == dev.token && dev.token != nil)
    }

    @Test func placementOfNodesIsRefusedAndSharedProblemsAreListedOnce() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file(
            "dev.yaml",
            "coordinator:\n  listen: 127.0.0.1:1\nworker:\n  coordinators: [a:1]\nlog:\n  level: x\n"
        )
        let error = #expect(throws: NodeConfigurationError.self) {
            try DevConfiguration(from: ConfigurationSources(file: file))
        }
        let lines = error?.problems.map(\.description) ?? []
        let unused = "is not used by mien dev, which places its nodes itself;"
        #expect(lines.count == 3)
        #expect(lines.first == "\(file):2: coordinator.listen \(unused) set dev.listen")
        #expect(lines.dropFirst().first == "\(file):4: worker.coordinators \(unused) remove it")
    }

    @Test func oneLateHeartbeatMustNotLoseAWorker() {
        let sources = ConfigurationSources(flags: ["coordinator.worker_timeout": "999ms"])
        let error = #expect(throws: NodeConfigurationError.self) { try DevConfiguration(from: sources) }
        #expect(error?.description.hasPrefix("command line: coordinator.worker_timeout must be at least twice") == true)
    }
}
