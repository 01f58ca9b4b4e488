import MienClient

/// A coordinator and workers that reach each other through proxies only: one before each worker, and one before the
/// coordinator for each worker.
final class BadNetwork {
    let address: MienClient.Address
    private let nodes: [Node]
    private let workerProxies: [FaultProxy]
    private let coordinatorProxies: [FaultProxy]

    init(_ stage: Stage, workers count: Int) async throws {
        address = MienClient.Address(host: "127.0.0.1", port: try LoopbackPort.free())
        var nodes = [
            Node(
                stage,
                ["coordinator", "--listen", "\(address)", "--data", stage.path("coordinator")]
                    + ["--set", "coordinator.worker_timeout=1500ms"]
            )
        ]
        var (before, behind): ([FaultProxy], [FaultProxy]) = ([], [])
        for number in 0..<count {
            let port = try LoopbackPort.free()
            let proxy = try await FaultProxy.start(to: port)
            let way = try await FaultProxy.start(to: address.port)
            before.append(proxy)
            behind.append(way)
            let settings = [
                "worker.heartbeat_interval=300ms", "worker.search_threads=1", "worker.memory.partition_map=1GiB",
                "worker.advertise=127.0.0.1:\(proxy.port)",
            ]
            nodes.append(
                Node(
                    stage,
                    ["worker", "--listen", "127.0.0.1:\(port)", "--coordinator", "127.0.0.1:\(way.port)"]
                        + ["--data", stage.path("worker-\(number)")] + settings.flatMap { ["--set", $0] }
                )
            )
        }
        self.nodes = nodes
        workerProxies = before
        coordinatorProxies = behind
    }

    func worker(_ number: Int) -> FaultProxy { workerProxies[number] }
    func coordinator(of worker: Int) -> FaultProxy { coordinatorProxies[worker] }
    func heal() { for proxy in workerProxies + coordinatorProxies { proxy.set(.none) } }

    func client() throws -> MienClient {
        try MienClient(addresses: [address], calls: .init(timeout: .seconds(10), retryDuration: .seconds(8)))
    }

    func start() async throws {
        for node in nodes { try await node.start() }
        let client = try client()
        try await explaining {
            try await eventually("all workers are live", within: .seconds(10)) {
                let status = try await client.status()
                return status.workers.count == nodes.count - 1 && status.workers.allSatisfy(\.isLive) ? () : nil
            }
        }
        await client.close()
    }

    /// Adds what the nodes last said to an error.
    func explaining(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            let words = nodes.compactMap { $0.process?.error.suffix(6000) }.joined(separator: "\n\n")
            throw StoryError("\(error)\n\(words)")
        }
    }

    func stop() async {
        for proxy in workerProxies + coordinatorProxies { await proxy.stop() }
    }
}
