import MienClient
import Testing

/// A cluster whose nodes a story can ask for their last words.
protocol ClusterOfProcesses {
    var nodes: [Node] { get }
    /// One for each coordinator, which asks others only when that one is away.
    func clients(retrying retryDuration: Duration, timeout: Duration) throws -> [MienClient]
    /// Runs a command against it.
    func mien(_ arguments: [String]) async throws -> CommandResult
}

/// One with several coordinators.
protocol ClusterOfCoordinators: ClusterOfProcesses {
    var stage: Stage { get }
    /// Of its coordinators, as clients know them.
    var addresses: [MienClient.Address] { get }
}

extension ClusterOfCoordinators {
    func clients(retrying retryDuration: Duration, timeout: Duration) throws -> [MienClient] {
        try addresses.indices.map { first in
            try MienClient(
                addresses: Array(addresses[first...] + addresses[..<first]),
                calls: .init(timeout: timeout, retryDuration: retryDuration)
            )
        }
    }

    func mien(_ arguments: [String]) async throws -> CommandResult {
        try await stage.mien(arguments + ["--coordinator", "\(addresses[0])"])
    }
}

extension Cluster: ClusterOfProcesses {
    var nodes: [Node] { [coordinator] + workers }

    func clients(retrying retryDuration: Duration, timeout: Duration) throws -> [MienClient] {
        [try client(retrying: retryDuration, timeout: timeout)]
    }
}

/// Three who write to a collection of several copies, those who search it, and what they have been told.
final class ReplicatedLoad {
    let shardCount: Int
    let client: MienClient
    /// Those who write and search are divided among them.
    private let clients: [MienClient]
    /// Asks for full answers.
    let searcher: Searcher
    /// Is content with what can be had.
    let modestSearcher: Searcher
    private let name: String
    private let cluster: any ClusterOfProcesses
    private let copies: Int
    private(set) var writers: [FaceWriter]

    /// - Parameters:
    ///   - refusals: of writes, besides those that come with any fault.
    ///   - seed: of what is written; nil for a new one, which is printed.
    init(
        _ name: String,
        _ cluster: some ClusterOfProcesses,
        copies: Int,
        minimumInSync: Int = 2,
        shards: Int = 3,
        expecting refusals: [MienClientError.Code] = [],
        seed: UInt64? = nil
    ) async throws {
        self.name = name
        self.cluster = cluster
        self.copies = copies
        shardCount = shards
        let seed = seed ?? SeededRandom.storySeed(name)
        writers = (1...3).map { FaceWriter(seed: seed &+ UInt64($0), expecting: refusals) }
        clients = try cluster.clients(retrying: .seconds(8), timeout: .seconds(10))
        client = clients[0]
        try await FaceWriter.createCollection(shards: shards, copies: copies, minimumInSync: minimumInSync, client)
        searcher = try await Searcher(client)
        modestSearcher = try await Searcher(clients[clients.count - 1], coverage: .atLeast(0))
        try await isWhole("before")
        // Whoever has just begun to lead holds back deletions, whatever becomes of links meanwhile. When one of all
        // shards is answered, that is over.
        var random = SeededRandom(seed: seed)
        let faces = (0..<30).map { _ in Face.ID(high: random.next(), low: random.next()) }
        _ = try await client.enrol(
            faces.map { NewFace(id: $0) },
            embeddings: Embeddings(
                dimension: FaceWriter.dimension,
                values: faces.flatMap { FaceLedger.embedding($0, version: 0, dimension: FaceWriter.dimension) }
            ),
            into: FaceWriter.collection,
            model: FaceWriter.model
        )
        _ = try await client.deleteFaces(faces, from: FaceWriter.collection)
    }

    /// Has them write and search while the body runs.
    func runs<T>(_ body: (FaceWriter.Pause) async throws -> T) async throws -> T {
        let pause = FaceWriter.Pause()
        return try await withThrowingTaskGroup(of: (Int, FaceWriter)?.self) { group in
            for (number, writer) in writers.enumerated() {
                let client = clients[number % clients.count]
                group.addTask { (number, await writer.writing(to: client, until: pause)) }
            }
            for searcher in [searcher, modestSearcher] {
                group.addTask {
                    await searcher.searching(until: pause)
                    return nil
                }
            }
            defer { pause.ask() }
            try await goesOn(pause, "at first")
            let result = try await body(pause)
            pause.ask()
            for try await case let (number, writer)? in group { writers[number] = writer }
            return result
        }
    }

    /// Waits until writes are acknowledged that began after now.
    func goesOn(_ pause: FaceWriter.Pause, _ when: String) async throws {
        let count = pause.acknowledgedCount + writers.count + 5
        try await explaining {
            try await eventually("writes are served \(when)", within: .seconds(60)) {
                pause.acknowledgedCount > count ? () : nil
            }
        }
    }

    func isWhole(_ when: String, within limit: Duration = .seconds(30)) async throws {
        try await explaining {
            try await eventually("every copy is in sync \(when)", within: limit) {
                let shards = try await client.describe(FaceWriter.collection).shards
                return shards.allSatisfy { shard in
                    shard.replicas.count == copies && shard.replicas.allSatisfy { $0.isInSync && $0.state == .serving }
                } ? () : nil
            }
        }
    }

    /// Identities of the workers that lead, shard by shard.
    func primaries() async throws -> [String] {
        try await client.describe(FaceWriter.collection).shards.map { shard in
            shard.replicas.filter(\.isPrimary).map(\.workerID).joined()
        }
    }

    /// What is not as it was acknowledged, a sentence each.
    func faults(_ client: MienClient) async throws -> [String] {
        var stored = try await FaceWriter.storedFaces(client)
        for face in Searcher.faces { stored[face] = nil }
        var faults: [String] = []
        for number in writers.indices { faults += writers[number].check(&stored) }
        if !stored.isEmpty { faults.append("\(stored.count) faces are listed that nobody wrote") }
        return faults
    }

    /// Compares what is there with what was acknowledged.
    func check(_ when: String) async throws {
        let faults = try await faults(client)
        #expect(faults.isEmpty, "\(when): \(faults.count) faults, first \(faults.prefix(3))")
    }

    /// Searches that were refused, or whose answers were untrue, of those that began at a time or later.
    func searchFailures(since time: ContinuousClock.Instant) async -> [String] {
        await searcher.tally.failures(since: time) + modestSearcher.tally.failures(since: time)
    }

    /// - Parameters:
    ///   - mayRefuseWrites: whether what the story broke explains writes that are refused or of unknown outcome.
    ///   - mayRefuseSearches: likewise of searches. Untrue answers nothing explains.
    func end(_ result: String, mayRefuseWrites: Bool = false, mayRefuseSearches: Bool = false) async throws {
        let failedCount = writers.map(\.failedCount).reduce(0, +)
        #expect(failedCount == 0 || mayRefuseWrites, "by retries under the same key every write is done")
        let surprises = writers.flatMap(\.surprises)
        #expect(surprises.isEmpty, "\(surprises.count) failures that nothing explains: \(surprises.prefix(5))")
        let (searches, modest) = (await searcher.tally, await modestSearcher.tally)
        let untrue = searches.untrue + modest.untrue
        #expect(untrue.isEmpty, "\(untrue.count): \(untrue.prefix(3))")
        let failures = searches.failures + modest.failures
        #expect(failures.isEmpty || mayRefuseSearches, "\(failures.count): \(failures.prefix(3))")
        let verified = try await cluster.mien(["verify", FaceWriter.collection, "--json"])
        #expect(verified.status == 0, "\(verified)")
        let partial =
            "\(modest.partialCount) partial, \(modest.judgedCount) of which were held against the faces of the shards "
            + "that were missing"
        print(
            "\(name): \(result); \(writers.map(\.acknowledgedCount).reduce(0, +)) writes acknowledged, "
                + "\(failedCount) failed, "
                + "\(writers.map(\.readCount).reduce(0, +)) reads and searches after writes, none untrue; "
                + "\(searches.count) searches for full answers, \(searches.failures.count) failed, "
                + "\(searches.distribution); \(modest.count) for what can be had, \(partial), "
                + "\(modest.failures.count) failed"
        )
        for client in clients { await client.close() }
    }

    /// Adds what the nodes last said to an error.
    func explaining(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            let words = cluster.nodes.compactMap { $0.process?.error.suffix(3000) }.joined(separator: "\n\n")
            throw StoryError("\(error)\n\(words)")
        }
    }
}
