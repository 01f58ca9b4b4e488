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

    /// Whether a member has joined the others, and they have a leader.
    func isHealthy(_ number: Int) async throws -> Bool {
        try await answer(of: number, to: ["/health"]).contains(#""health":"true""#)
    }

    /// Number of the member that leads.
    ///
    /// - Throws: when no member that runs knows of one.
    func leader() async throws -> Int {
        for number in members.indices {
            let answer = try await answer(of: number, to: ["/v3/maintenance/status", "--data", "{}"])
            let member = answer.firstMatch(of: /"member_id":"([0-9]+)"/)?.1
            let leader = answer.firstMatch(of: /"leader":"([0-9]+)"/)?.1
            if let member, member == leader { return number }
        }
        throw StoryError("etcd has no leader")
    }

    /// Empty when the member does not answer.
    private func answer(of number: Int, to request: [String]) async throws -> String {
        let command = ["/usr/bin/curl", "--silent", "--max-time", "5", endpoints[number] + request[0]]
        return try await stage.run(command + request.dropFirst()).output
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
