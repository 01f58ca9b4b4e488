/// An etcd of three members on loopback.
final class EtcdCluster {
    private let stage: Stage
    private let ports: [(client: Int, peer: Int)]
    private(set) var members: [ChildProcess?] = [nil, nil, nil]

    init(_ stage: Stage) throws {
        self.stage = stage
        ports = try (0..<3).map { _ in (try LoopbackPort.free(), try LoopbackPort.free()) }
    }

    var endpoints: [String] { ports.map { "http://127.0.0.1:\($0.client)" } }

    var clientPorts: [Int] { ports.map(\.client) }

    /// Settings of a coordinator that keeps its metadata here.
    var coordinatorSettings: [String] { coordinatorSettings(endpoints: endpoints) }

    /// Likewise, of one that reaches the members in another way.
    func coordinatorSettings(endpoints: [String]) -> [String] {
        [
            "coordinator.metadata=etcd", "coordinator.etcd.endpoints=\(endpoints.joined(separator: ","))",
            "coordinator.etcd.prefix=story/", "coordinator.etcd.lease=2s",
        ]
    }

    /// Starts the members that do not run, on the data that they have.
    func start() async throws {
        let names = (0..<3).map { "member-\($0)" }
        let cluster = zip(names, ports).map { "\($0)=http://127.0.0.1:\($1.peer)" }.joined(separator: ",")
        for number in 0..<3 where members[number]?.status != nil || members[number] == nil {
            let peer = "http://127.0.0.1:\(ports[number].peer)"
            members[number] = try await stage.launch([
                "/usr/bin/etcd", "--name", names[number], "--data-dir", stage.path("etcd-\(number)"),
                "--listen-client-urls", endpoints[number], "--advertise-client-urls", endpoints[number],
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster,
                "--log-level", "error",
            ])
        }
    }
}
