import MienClient
import Testing

extension Integration {
    /// Every member of the etcd, every coordinator and every worker is replaced by one with another address and an
    /// empty folder, one after the other, while faces are written and searched for.
    @Suite struct EveryNodeReplacedTests {
        @Test(.timeLimit(.minutes(4))) func theFacesAreAllThatIsLeftOfTheFirstCluster() async throws {
            try await Stage.play { stage in
                let first = FaceWriter(seed: SeededRandom.storySeed("every node replaced"))
                let cluster = try TwoGenerations(stage)
                try await cluster.start()
                let client = try cluster.client()
                try await FaceWriter.createCollection(shards: 3, copies: 2, minimumInSync: 1, client)
                let searcher = try await Searcher(client)
                let pause = FaceWriter.Pause()
                var writer = try await withThrowingTaskGroup(of: FaceWriter?.self) { group in
                    group.addTask { await first.writing(to: client, until: pause) }
                    group.addTask {
                        await searcher.searching(until: pause)
                        return nil
                    }
                    defer { pause.ask() }
                    do {
                        try await Self.replaceEveryone(cluster, pause)
                    } catch {
                        throw StoryError("\(error)\n\(cluster.lastWords)")
                    }
                    pause.ask()
                    var last = first
                    for try await ended in group { if let ended { last = ended } }
                    return last
                }
                await client.close()
                #expect(writer.failedCount == 0 && writer.surprises.isEmpty, "\(writer.surprises.prefix(3))")
                let searches = await searcher.tally
                #expect(searches.failures.isEmpty, "\(searches.failures.count): \(searches.failures.prefix(3))")
                #expect(searches.count > 100)

                // From now on nobody knows an address of the first ones.
                let heir = try cluster.laterClient()
                var stored = try await FaceWriter.storedFaces(heir)
                for face in Searcher.faces { stored[face] = nil }
                let faults = writer.check(&stored)
                #expect(faults.isEmpty, "\(faults.count) faults, first \(faults.prefix(3))")
                #expect(stored.isEmpty, "\(stored.count) faces are listed that nobody wrote")
                _ = try await heir.createCollection(
                    CollectionOptions(name: "others", dimension: 64, embeddingModel: "m", shardCount: 3)
                )
                try await cluster.expectTheLaterOnly(heir)
                let verified = try await cluster.mien("verify", FaceWriter.collection, "--json")
                #expect(verified.status == 0, "\(verified)")
                print(
                    "every node replaced: \(writer.acknowledgedCount) writes acknowledged, \(searches.count) searches, "
                        + searches.distribution
                )
                await heir.close()
            }
        }

        /// A coordinator reaches the etcd as long as one member is there that it was told of: those that come later
        /// are told of the later members, and take their places in between.
        private static func replaceEveryone(_ cluster: TwoGenerations, _ pause: FaceWriter.Pause) async throws {
            for number in 0..<3 {
                try await cluster.etcd.replaceMember(number)
                try await goesOn(pause, "without member \(number) of the etcd")
                guard number < 2 else { continue }
                try await cluster.replaceCoordinator(number)
                try await goesOn(pause, "without coordinator \(number)")
            }
            for number in 0..<3 {
                try await cluster.replaceWorker(number)
                try await goesOn(pause, "without worker \(number)")
            }
        }

        private static func goesOn(_ pause: FaceWriter.Pause, _ when: String) async throws {
            let count = pause.acknowledgedCount + 5
            try await eventually("writes are served \(when)", within: .seconds(20)) {
                pause.acknowledgedCount > count ? () : nil
            }
        }
    }
}

/// Ports of loopback that are free now: none is another one, or that of another's endpoint over HTTP, which is 1000
/// higher.
private func freePorts(_ count: Int) throws -> [Int] {
    var ports: [Int: Int] = [:]
    while ports.count < count {
        let port = try LoopbackPort.free()
        ports[port % 1000] = port
    }
    return Array(ports.values)
}

/// Two coordinators on an etcd and three workers, and as many that take their places, which are told of each other
/// only.
private final class TwoGenerations {
    let etcd: ExchangedEtcd
    private let stage: Stage
    /// Each: the first ones, then those that take their places.
    private let coordinators: [Node]
    private let addresses: [MienClient.Address]
    private let workers: [Node]
    private let workerAddresses: [String]
    /// Of all nodes of the first generation.
    private let firstPorts: [Int]

    init(_ stage: Stage) throws {
        self.stage = stage
        let ports = try freePorts(22)
        let etcd = ExchangedEtcd(stage, ports: Array(ports[..<12]))
        let addresses = ports[12..<16].map { MienClient.Address(host: "127.0.0.1", port: $0) }
        let workerAddresses = ports[16...].map { "127.0.0.1:\($0)" }
        self.etcd = etcd
        self.addresses = addresses
        self.workerAddresses = workerAddresses
        firstPorts = Array(ports[..<6] + ports[12..<14] + ports[16..<19])
        coordinators = addresses.enumerated().map { number, address in
            let settings = [
                "coordinator.worker_timeout=1500ms", "coordinator.spare_disk=16MiB",
            ]
            return Node(
                stage,
                ["coordinator", "--listen", "\(address)", "--data", stage.path("coordinator-\(number)")]
                    + (settings + EtcdCluster.coordinatorSettings(endpoints: etcd.endpoints(areLater: number >= 2)))
                    .flatMap { ["--set", $0] }
            )
        }
        workers = workerAddresses.enumerated().map { number, address in
            let told = Array(number < 3 ? addresses[..<2] : addresses[2...])
            let settings = [
                "worker.heartbeat_interval=100ms", "worker.search_threads=1", "worker.memory.partition_map=1GiB",
            ]
            return Node(
                stage,
                ["worker", "--listen", address, "--data", stage.path("worker-\(number)")] + told.options
                    + settings.flatMap { ["--set", $0] }
            )
        }
    }

    /// Starts the first generation.
    func start() async throws {
        try await etcd.start()
        for node in coordinators[..<2] + workers[..<3] { try await node.start() }
        for number in 0..<2 { try await awaitWhole(number) }
    }

    /// Has been told of the coordinators of both generations, and asks the next one when one is away.
    func client() throws -> MienClient { try client(of: addresses) }

    func laterClient() throws -> MienClient { try client(of: Array(addresses[2...])) }

    private func client(
        of addresses: [MienClient.Address],
        retrying retryDuration: Duration = .seconds(8)
    ) throws -> MienClient {
        try MienClient(addresses: addresses, calls: .init(timeout: .seconds(10), retryDuration: retryDuration))
    }

    /// Runs a command against the later coordinators.
    func mien(_ arguments: String...) async throws -> CommandResult {
        try await stage.mien(arguments + Array(addresses[2...]).options, within: .seconds(60))
    }

    /// What the nodes last said.
    var lastWords: String {
        (coordinators + workers).compactMap { $0.process?.error.suffix(2000) }.joined(separator: "\n\n")
    }

    // MARK: Replacing

    func replaceCoordinator(_ number: Int) async throws {
        try await coordinators[number + 2].start()
        try await awaitWhole(number + 2)
        let status = try await coordinators[number].stop()
        #expect(status == 0)
    }

    func replaceWorker(_ number: Int) async throws {
        try await workers[number + 3].start()
        for coordinator in 2..<4 { try await awaitWhole(coordinator) }
        let emptied = try await mien("decommission", workerAddresses[number], "--wait")
        #expect(emptied.status == 0, "\(emptied)")
        let status = try await workers[number].stop()
        #expect(status == 0)
        let client = try laterClient()
        try await eventually("every shard has its copies without worker \(number)", within: .seconds(30)) {
            let shards = try await client.describe(FaceWriter.collection).shards
            return shards.allSatisfy { $0.replicas.count == 2 && $0.inSyncCount == 2 } ? () : nil
        }
        await client.close()
    }

    /// Waits until a coordinator hears every worker that runs, and knows the controller.
    private func awaitWhole(_ number: Int) async throws {
        let client = try client(of: [addresses[number]], retrying: .zero)
        let running = zip(workers, workerAddresses).filter { $0.0.isRunning }.map { $0.1 }
        try await eventually("coordinator \(number) knows of everything", within: .seconds(20)) {
            let status = try await client.status()
            let live = Set(status.workers.filter(\.isLive).map(\.address))
            return live.isSuperset(of: running) && status.coordinators.contains { $0.controllerSince != nil }
                ? () : nil
        }
        await client.close()
    }

    // MARK: What is left

    /// Nobody of the first generation is there, or is named as one that is.
    func expectTheLaterOnly(_ client: MienClient) async throws {
        let listening = firstPorts.filter { port in
            guard let socket = TCPSocket.connected(to: port) else { return false }
            socket.close()
            return true
        }
        #expect(listening.isEmpty, "somebody listens at \(listening)")
        let hasLaterMembers = try await etcd.hasTheLaterOnly()
        #expect(hasLaterMembers)
        let status = try await client.status()
        let (named, later) = (Set(status.coordinators.map(\.address)), Set(addresses[2...].map { "\($0)" }))
        #expect(named == later)
        let active = status.workers.filter { $0.standing == .active }
        let (serving, heirs) = (Set(active.map(\.address)), Set(workerAddresses[3...]))
        #expect(serving == heirs && active.allSatisfy(\.isLive))

        let shown = try await eventually("nothing is missing", within: .seconds(20)) {
            let shown = try await mien("status")
            return shown.status == 0 ? shown : nil
        }
        // A worker that was taken out is told of as such.
        let firstWords = addresses[..<2].map { "\($0)" } + Array(workerAddresses[..<3])
        for line in shown.lines where firstWords.contains(where: { line.contains($0) }) {
            #expect(line.contains("decommissioned"), "\(line)")
        }
    }
}

/// An etcd of three members on loopback, each of which can be replaced by another one at other ports.
private final class ExchangedEtcd {
    private struct Place {
        let name: String
        let endpoint: String
        let peer: String
    }

    private let stage: Stage
    /// Of the first three members, then of those that come later.
    private let places: [Place]
    private var processes: [Int: ChildProcess] = [:]

    /// - Parameter ports: two for each of six members.
    init(_ stage: Stage, ports: [Int]) {
        self.stage = stage
        places = (0..<6).map { number in
            Place(
                name: "member-\(number)",
                endpoint: "http://127.0.0.1:\(ports[2 * number])",
                peer: "http://127.0.0.1:\(ports[2 * number + 1])"
            )
        }
    }

    /// For a coordinator that is told of the first three, or of the later ones.
    func endpoints(areLater: Bool) -> [String] { (areLater ? places[3...] : places[..<3]).map(\.endpoint) }

    func start() async throws {
        for number in 0..<3 { try await launch(number, among: [0, 1, 2]) }
        for number in 0..<3 { try await awaitHealth(number) }
    }

    /// Adds a later member and takes one of the first out.
    func replaceMember(_ old: Int) async throws {
        let new = old + 3
        let others = processes.keys.filter { $0 != old }.sorted()
        // None is added as long as another was away in the last five seconds.
        try await change("add", #"{"peerURLs":["\#(places[new].peer)"]}"#, at: others[0], new, isMember: true)
        try await launch(new, among: others + [old, new], joins: true)
        try await awaitHealth(new)
        let answer = try await ask(old, "maintenance/status")
        let match = try #require(answer.firstMatch(of: /"member_id":"([0-9]+)"/))
        try await change("remove", #"{"ID":"\#(match.1)"}"#, at: others[0], old, isMember: false)
        processes.removeValue(forKey: old)?.kill()
        // Without the one that led they elect another.
        for number in others + [new] { try await awaitHealth(number) }
    }

    /// Whether the members are the later ones and nobody else.
    func hasTheLaterOnly() async throws -> Bool {
        try await peers(at: 5).sorted() == places[3...].map(\.peer).sorted()
    }

    private func launch(_ number: Int, among numbers: [Int], joins: Bool = false) async throws {
        let place = places[number]
        processes[number] = try await EtcdCluster.launch(
            stage,
            place.name,
            folder: stage.path("etcd-\(number)"),
            endpoint: place.endpoint,
            peer: place.peer,
            cluster: numbers.map { "\(places[$0].name)=\(places[$0].peer)" }.joined(separator: ","),
            joins: joins
        )
    }

    /// Waits until a member has joined the others, and they have a leader.
    private func awaitHealth(_ number: Int) async throws {
        try await eventually("member \(number) of the etcd is well", within: .seconds(20)) {
            let health = try await stage.run(
                ["/usr/bin/curl", "--silent", "--max-time", "5", "\(places[number].endpoint)/health"]
            )
            return health.output.contains(#""health":"true""#) ? () : nil
        }
    }

    /// Asks one member for a change until another is one of them, or is none any more.
    private func change(
        _ verb: String,
        _ body: String,
        at number: Int,
        _ other: Int,
        isMember: Bool
    ) async throws {
        try await eventually("the etcd does \(verb) \(body)", within: .seconds(30)) {
            _ = try await ask(number, "cluster/member/\(verb)", body)
            let peers = try await peers(at: number)
            if peers.contains(places[other].peer) == isMember { return () }
            try await Task.sleep(for: .milliseconds(200))
            return nil
        }
    }

    /// The addresses of all members, as one of them knows them.
    private func peers(at number: Int) async throws -> [String] {
        let answer = try await ask(number, "cluster/member/list")
        let peers = answer.matches(of: /"peerURLs":\["([^"]+)"\]/).map { String($0.1) }
        guard !peers.isEmpty else { throw StoryError("member \(number) of the etcd does not answer") }
        return peers
    }

    /// By the JSON gateway; empty when the member does not answer.
    private func ask(_ number: Int, _ path: String, _ body: String = "{}") async throws -> String {
        try await stage.run([
            "/usr/bin/curl", "--silent", "--max-time", "5", "--data", body, "\(places[number].endpoint)/v3/\(path)",
        ]).output
    }
}
