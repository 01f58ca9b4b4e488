import MienClient

/// Coordinators that share an etcd, and workers that are told of all of them.
final class SharedCluster {
    let stage: Stage
    let etcd: EtcdCluster
    private(set) var coordinators: [Node]
    private(set) var addresses: [MienClient.Address]
    let workers: [Node]

    init(_ stage: Stage, coordinators coordinatorCount: Int, workers workerCount: Int) throws {
        self.stage = stage
        let etcd = try EtcdCluster(stage)
        self.etcd = etcd
        addresses = try (0..<coordinatorCount).map { _ in .init(host: "127.0.0.1", port: try LoopbackPort.free()) }
        coordinators = addresses.enumerated().map { number, address in
            Self.coordinator(stage, etcd, number, at: address)
        }
        let told = addresses.options
        workers = try (0..<workerCount).map { number in
            Node(
                stage,
                ["worker", "--listen", "127.0.0.1:\(try LoopbackPort.free())"] + told
                    + ["--data", stage.path("worker-\(number)")]
                    + settings([
                        "worker.heartbeat_interval=100ms", "worker.search_threads=1",
                        "worker.memory.partition_map=1GiB",
                    ])
            )
        }
    }

    private static func coordinator(
        _ stage: Stage,
        _ etcd: EtcdCluster,
        _ number: Int,
        at address: MienClient.Address
    ) -> Node {
        Node(
            stage,
            ["coordinator", "--listen", "\(address)", "--data", stage.path("coordinator-\(number)")]
                + settings(["coordinator.worker_timeout=1s"] + etcd.coordinatorSettings)
        )
    }

    /// Starts everything, and waits until every coordinator has heard of every worker and knows the controller.
    func start() async throws {
        try await etcd.start()
        for node in coordinators + workers { try await node.start() }
        for number in coordinators.indices { try await awaitWhole(number) }
    }

    /// Waits until a coordinator has heard of every worker and knows the controller.
    func awaitWhole(_ number: Int) async throws {
        let client = try client(of: number)
        try await eventually("coordinator \(number) knows of everything", within: .seconds(20)) {
            let status = try await client.status()
            return status.workers.count == workers.count && status.workers.allSatisfy(\.isLive)
                && status.coordinators.contains { $0.controllerSince != nil } ? () : nil
        }
        await client.close()
    }

    /// Starts a coordinator that is down at another port, on the data that it has.
    func move(_ number: Int) async throws {
        let address = MienClient.Address(host: "127.0.0.1", port: try LoopbackPort.free())
        addresses[number] = address
        coordinators[number] = Self.coordinator(stage, etcd, number, at: address)
        try await coordinators[number].start()
    }

    /// A client of all coordinators.
    func client(retrying retryDuration: Duration = .seconds(5)) throws -> MienClient {
        try MienClient(addresses: addresses, calls: .init(timeout: .seconds(10), retryDuration: retryDuration))
    }

    /// A client of one coordinator, which gives up at once.
    func client(of number: Int) throws -> MienClient {
        try MienClient(addresses: [addresses[number]], calls: .init(timeout: .seconds(10), retryDuration: .zero))
    }

    /// Number of the controller, as one coordinator sees it; nil when there is none.
    func controller(asSeenBy number: Int) async throws -> Int? {
        let client = try client(of: number)
        let status = try? await client.status()
        await client.close()
        guard let status, let controller = status.coordinators.first(where: { $0.controllerSince != nil }) else {
            return nil
        }
        return addresses.firstIndex { "\($0)" == controller.address }
    }
}

extension SharedCluster: ClusterOfCoordinators {
    var nodes: [Node] { coordinators + workers }
}

extension [MienClient.Address] {
    /// Of a command or a worker, to reach these coordinators.
    var options: [String] { flatMap { ["--coordinator", "\($0)"] } }
}

private func settings(_ list: [String]) -> [String] { list.flatMap { ["--set", $0] } }
