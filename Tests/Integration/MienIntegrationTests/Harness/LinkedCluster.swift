import Glibc
import MienClient

/// Coordinators that share an etcd, workers, and clients in this process, every connection of which goes through a
/// proxy before the one who is called. Faults are of a link: what one calls another for, and its answers.
final class LinkedCluster: ClusterOfCoordinators {
    enum Party: Hashable, CustomStringConvertible {
        case client
        case coordinator(Int)
        case worker(Int)
        case etcd(Int)

        var description: String {
            switch self {
            case .client: "client"
            case .coordinator(let number): "coordinator \(number)"
            case .worker(let number): "worker \(number)"
            case .etcd(let number): "etcd \(number)"
            }
        }
    }

    struct Link: Hashable, CustomStringConvertible {
        var caller: Party
        var called: Party
        var description: String { "\(caller) → \(called)" }
    }

    let stage: Stage
    /// One for each caller and each that it calls.
    let links: [Link]
    private let etcd: EtcdCluster
    private var processes: [Party: Node] = [:]
    private var proxies: [Party: FaultProxy] = [:]
    private let coordinatorCount: Int
    private let workerCount: Int

    var nodes: [Node] { processes.sorted { "\($0.key)" < "\($1.key)" }.map(\.value) }

    init(_ stage: Stage, coordinators coordinatorCount: Int, workers workerCount: Int) async throws {
        self.stage = stage
        self.coordinatorCount = coordinatorCount
        self.workerCount = workerCount
        let etcd = try EtcdCluster(stage)
        self.etcd = etcd
        let coordinators = (0..<coordinatorCount).map(Party.coordinator)
        let workers = (0..<workerCount).map(Party.worker)
        let members = etcd.clientPorts.indices.map(Party.etcd)
        links =
            coordinators.map { Link(caller: .client, called: $0) }
            + coordinators.flatMap { caller in (workers + members).map { Link(caller: caller, called: $0) } }
            + workers.flatMap { caller in
                (coordinators + workers.filter { $0 != caller }).map { Link(caller: caller, called: $0) }
            }
        var ports: [Party: Int] = [:]
        for (member, port) in zip(members, etcd.clientPorts) { ports[member] = port }
        for node in coordinators + workers { ports[node] = try LoopbackPort.free() }
        for (party, port) in ports { proxies[party] = try await FaultProxy.start(to: port) }
        func address(_ party: Party) -> String { "127.0.0.1:\(proxies[party]!.port)" }
        let metadata = EtcdCluster.coordinatorSettings(endpoints: members.map { "http://\(address($0))" })
        for node in coordinators {
            let settings = ["coordinator.worker_timeout=1500ms", "coordinator.advertise=\(address(node))"] + metadata
            processes[node] = Node(
                stage,
                ["coordinator", "--listen", "127.0.0.1:\(ports[node]!)", "--data", stage.path("\(node)")]
                    + settings.flatMap { ["--set", $0] }
            )
        }
        for node in workers {
            let settings = [
                "worker.heartbeat_interval=300ms", "worker.search_threads=1", "worker.memory.partition_map=1GiB",
                "worker.advertise=\(address(node))",
            ]
            processes[node] = Node(
                stage,
                ["worker", "--listen", "127.0.0.1:\(ports[node]!)", "--data", stage.path("\(node)")]
                    + coordinators.flatMap { ["--coordinator", address($0)] } + settings.flatMap { ["--set", $0] }
            )
        }
    }

    /// Addresses of the coordinators, as clients know them.
    var addresses: [MienClient.Address] {
        (0..<coordinatorCount).map { .init(host: "127.0.0.1", port: proxies[.coordinator($0)]!.port) }
    }

    func start() async throws {
        try await etcd.start()
        for node in nodes { try await node.start() }
        for address in addresses {
            let client = try MienClient(addresses: [address], calls: .init(timeout: .seconds(5), retryDuration: .zero))
            try await eventually("\(address) knows of everything", within: .seconds(20)) {
                let status = try await client.status()
                return status.workers.count == workerCount && status.workers.allSatisfy(\.isLive)
                    && status.coordinators.contains { $0.controllerSince != nil } ? () : nil
            }
            await client.close()
        }
    }

    // MARK: Faults

    private func process(_ party: Party) -> pid_t? {
        switch party {
        case .client: getpid()
        case .etcd(let number): etcd.members[number]?.id
        case .coordinator, .worker: processes[party]?.process?.id
        }
    }

    func set(_ fault: FaultProxy.Fault, on link: Link) {
        guard let caller = process(link.caller) else { return }
        proxies[link.called]?.set(fault, from: caller)
    }

    /// Ends the link's connections.
    func reset(_ link: Link) { proxies[link.called]?.reset(from: process(link.caller)) }

    func heal() { for proxy in proxies.values { proxy.set(.none) } }

    /// How many connections a link has had.
    func connectionCount(of link: Link) -> Int {
        process(link.caller).flatMap { proxies[link.called]?.connectionCount(from: $0) } ?? 0
    }

    /// Connections of whom nobody knows, with what they were to.
    var unknownCallers: [String] {
        proxies.compactMap { party, proxy in
            let count = proxy.connectionCount(from: nil)
            return count > 0 ? "\(count) to \(party)" : nil
        }
    }

    func stop() async { for proxy in proxies.values { await proxy.stop() } }
}
