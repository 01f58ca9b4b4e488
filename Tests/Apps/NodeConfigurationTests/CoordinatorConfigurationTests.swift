import Logging
import NodeConfiguration
import Testing

struct CoordinatorConfigurationTests {
    @Test func everyKeyReachesItsProperty() throws {
        let coordinator = try CoordinatorConfiguration(
            from: ConfigurationSources(flags: [
                "coordinator.listen": "[::1]:0", "coordinator.advertise": "c1.internal:7400",
                "coordinator.data": "/srv/c", "coordinator.admin_listen": "127.0.0.1:9000",
                "coordinator.slow_search": "20ms",
                "coordinator.worker_timeout": "3s", "coordinator.replace_after": "2h",
                "coordinator.rebalance_after": "3h", "coordinator.split_above": "2000000",
                "coordinator.load_window": "30m", "coordinator.repair_after": "4h",
                "coordinator.default_deadline": "700ms", "coordinator.reserve_memory": "none",
                "coordinator.training.min_faces": "2000", "coordinator.training.sample": "3000",
                "coordinator.training.lists": "64", "log.level": "debug", "log.format": "json",
                "limits.max_frame": "32MiB", "limits.max_streams": "2", "limits.max_k": "3", "limits.max_batch": "4",
                "limits.max_probes": "5", "limits.unauthenticated_bytes": "2KiB", "limits.unauthenticated_time": "1s",
            ])
        )
        #expect(coordinator.listen == NetworkAddress(host: "::1", port: 0))
        #expect(coordinator.advertise == NetworkAddress(host: "c1.internal", port: 7400))
        #expect(coordinator.data == "/srv/c")
        #expect(coordinator.admin?.address == NetworkAddress(host: "127.0.0.1", port: 9000))
        #expect(coordinator.slowSearch == .milliseconds(20))
        #expect(coordinator.workerTimeout == .seconds(3))
        #expect(coordinator.replaceAfter == .seconds(7200))
        #expect(coordinator.repairAfter == .seconds(14_400))
        #expect(coordinator.rebalanceAfter == .seconds(10_800))
        #expect(coordinator.loadWindow == .seconds(1800))
        #expect(coordinator.splitAbove == 2_000_000)
        #expect(coordinator.defaultDeadline == .milliseconds(700))
        #expect(coordinator.reservedMemory == .none)
        #expect(coordinator.training.minFaces == 2000)
        #expect(coordinator.training.sample == 3000)
        #expect(coordinator.training.lists == 64)
        #expect(coordinator.training.growth == 4)
        #expect(coordinator.log.level == .debug)
        #expect(coordinator.log.format == .json)
        let limits = coordinator.limits
        #expect([limits.maxFrameBytes, limits.maxStreams, limits.maxK] == [32 << 20, 2, 3])
        #expect([limits.maxBatch, limits.maxProbes, limits.unauthenticatedBytes] == [4, 5, 2048])
        #expect(limits.unauthenticatedTime == .seconds(1))
        #expect(coordinator.token == nil)
        #expect(coordinator.tls == nil)
    }

    @Test func moreListsThanTrainingFacesAreRefused() {
        let sources = ConfigurationSources(flags: [
            "coordinator.training.sample": "1024", "coordinator.training.lists": "1025",
        ])
        let error = #expect(throws: NodeConfigurationError.self) { try CoordinatorConfiguration(from: sources) }
        #expect(error?.description.contains("(1025) must not be more than") == true)
    }

    @Test func sectionsOfOtherRolesMayStandInOneFile() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("all.yaml", "coordinator: {data: c}\nworker: {data: w}\ndev: {workers: 2}\n")
        #expect(try CoordinatorConfiguration(from: ConfigurationSources(file: file)).data == "c")
        #expect(try WorkerConfiguration(from: ConfigurationSources(file: file)).data == "w")
    }
}
