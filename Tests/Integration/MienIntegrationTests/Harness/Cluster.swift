import MienClient

/// A coordinator and its workers, each a process of its own on a fixed port of loopback, or each on a host of its own.
final class Cluster {
    let stage: Stage
    /// Where clients and commands find it.
    let address: MienClient.Address
    let coordinator: Node
    private(set) var workers: [Node] = []
    private(set) var workerAddresses: [String] = []
    private let security: ClusterSecurity?
    private let workerSettings: [String]
    private let otherCoordinators: [MienClient.Address]
    private let folders: String
    private let network: PrivateNetwork?

    /// - Parameters:
    ///   - coordinatorSettings: keys and values besides those that make failures show quickly.
    ///   - workerSettings: likewise.
    ///   - otherCoordinators: addresses that workers report to as well.
    ///   - folders: what the names of its data folders begin with, for a second cluster of a story.
    ///   - security: TLS and a token for every node, client and command; neither unless given.
    ///   - network: whose first host has the coordinator, and each of the next one of the workers.
    init(
        _ stage: Stage,
        workers workerCount: Int,
        coordinatorSettings: [String] = [],
        workerSettings: [String] = [],
        otherCoordinators: [MienClient.Address] = [],
        folders: String = "",
        security: ClusterSecurity? = nil,
        network: PrivateNetwork? = nil
    ) throws {
        self.stage = stage
        self.security = security
        self.folders = folders
        self.otherCoordinators = otherCoordinators
        self.network = network
        let common = security?.nodeSettings ?? []
        address = try network?.entrance ?? MienClient.Address(host: "127.0.0.1", port: try LoopbackPort.free())
        let listen = network?.hosts[0].node ?? address
        coordinator = Node(
            stage,
            ["coordinator", "--listen", "\(listen)", "--data", stage.path(folders + "coordinator")]
                + Self.options(["coordinator.worker_timeout=1s"] + common + coordinatorSettings),
            in: network?.hosts[0].namespace
        )
        self.workerSettings =
            ["worker.heartbeat_interval=100ms", "worker.search_threads=1", "worker.memory.partition_map=1GiB"]
            + common + workerSettings
        for _ in 0..<workerCount { try addWorker() }
    }

    private static func options(_ settings: [String]) -> [String] { settings.flatMap { ["--set", $0] } }

    /// One more worker, with an empty folder; ``start()`` starts it.
    func addWorker() throws {
        let host = network?.hosts[workers.count + 1]
        let listen = try host.map { "\($0.node)" } ?? "127.0.0.1:\(try LoopbackPort.free())"
        let coordinators = [network?.hosts[0].node ?? address] + otherCoordinators
        workerAddresses.append(listen)
        workers.append(
            Node(
                stage,
                ["worker", "--listen", listen]
                    + coordinators.options
                    + ["--data", stage.path("\(folders)worker-\(workers.count + 1)")] + Self.options(workerSettings),
                in: host?.namespace
            )
        )
    }

    /// Starts every node that does not run, and waits until the coordinator has heard of all workers.
    func start() async throws {
        for node in [coordinator] + workers where !node.isRunning { try await node.start() }
        let client = try client()
        defer { Task { await client.close() } }
        try await eventually("all workers are live", within: .seconds(10)) {
            let status = try await client.status()
            return status.workers.count == workers.count && status.workers.allSatisfy(\.isLive) ? () : nil
        }
    }

    /// A client that gives up quickly, or as told.
    func client(retrying retryDuration: Duration = .zero, timeout: Duration = .seconds(10)) throws -> MienClient {
        try MienClient(
            addresses: [address],
            token: security?.token,
            tls: security.map { .init(trustRootsFile: $0.trustRoots) },
            calls: .init(timeout: timeout, retryDuration: retryDuration)
        )
    }

    /// Runs a command against this cluster.
    func mien(_ arguments: String...) async throws -> CommandResult { try await mien(arguments) }

    func mien(_ arguments: [String]) async throws -> CommandResult {
        try await stage.mien(arguments + ["--coordinator", "\(address)"] + (security?.commandOptions ?? []))
    }
}
