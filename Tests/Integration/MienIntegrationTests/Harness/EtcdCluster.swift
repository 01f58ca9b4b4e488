/// An etcd on loopback, of three members unless told otherwise.
final class EtcdCluster {
    private let stage: Stage
    private let ports: [(client: Int, peer: Int)]
    private(set) var members: [ChildProcess?]

    init(_ stage: Stage, memberCount: Int = 3) throws {
        self.stage = stage
        members = Array(repeating: nil, count: memberCount)
        var free: Set<Int> = []
        while free.count < 2 * memberCount { free.insert(try LoopbackPort.free()) }
        let clients = free.prefix(memberCount)
        ports = zip(clients, free.subtracting(clients)).map { (client: $0, peer: $1) }
    }

    var endpoints: [String] { ports.map { "http://127.0.0.1:\($0.client)" } }

    var clientPorts: [Int] { ports.map(\.client) }

    /// Settings of a coordinator that keeps its metadata here.
    var coordinatorSettings: [String] { Self.coordinatorSettings(endpoints: endpoints) }

    /// Likewise, of one that reaches members in another way.
    static func coordinatorSettings(endpoints: [String]) -> [String] {
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

    /// What a member has on disk.
    func folder(of number: Int) -> String { stage.path("etcd-\(number)") }

    /// Starts the members that do not run, on the data that they have.
    func start() async throws {
        let names = members.indices.map { "member-\($0)" }
        let peers = ports.map { "http://127.0.0.1:\($0.peer)" }
        let cluster = zip(names, peers).map { "\($0)=\($1)" }.joined(separator: ",")
        for number in members.indices where members[number]?.status != nil || members[number] == nil {
            members[number] = try await Self.launch(
                stage,
                names[number],
                folder: folder(of: number),
                endpoint: endpoints[number],
                peer: peers[number],
                cluster: cluster
            )
        }
    }

    /// Starts a member, on the data that it has, as the only one there is: the others are lost for good.
    func startAlone(_ number: Int) async throws {
        members[number]?.kill()
        let (name, peer) = ("member-\(number)", "http://127.0.0.1:\(ports[number].peer)")
        members[number] = try await Self.launch(
            stage,
            name,
            folder: folder(of: number),
            endpoint: endpoints[number],
            peer: peer,
            cluster: "\(name)=\(peer)",
            adding: ["--force-new-cluster"]
        )
    }

    /// - Parameters:
    ///   - endpoint: where clients find it.
    ///   - peer: where the other members do.
    ///   - cluster: all members, each as `name=peer`.
    ///   - joins: whether the others are an etcd already.
    ///   - options: of this start, besides.
    static func launch(
        _ stage: Stage,
        _ name: String,
        folder: String,
        endpoint: String,
        peer: String,
        cluster: String,
        joins: Bool = false,
        adding options: [String] = []
    ) async throws -> ChildProcess {
        let command = [
            "/usr/bin/etcd", "--name", name, "--data-dir", folder, "--listen-client-urls", endpoint,
            "--advertise-client-urls", endpoint, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", cluster, "--initial-cluster-state", joins ? "existing" : "new", "--log-level",
            "error",
        ]
        return try await stage.launch(command + options)
    }
}
