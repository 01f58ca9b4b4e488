import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Synchronization

/// An embedded store behind which a test decides what goes wrong.
final class FaultyStore: MetadataStore {
    struct Faults: Sendable {
        /// Nothing is read or written.
        var isAway = false
        /// It is away from the next listing on, which is the last that is answered.
        var goesAwayOnceListed = false
        /// So many of the next commits are made, and their answers lost.
        var lostAnswers = 0
        /// Commits change nothing, for this reason, and do not say so for sure.
        var fullDisk: String?
        /// Deletions of collections that were tried on it.
        var failedDeletions = 0
        /// Listings are of a revision that was long ago.
        var isRestored = false
        /// Commits of such changes wait.
        var holds: (@Sendable ([MetadataChange]) -> Bool)?
        /// A commit of such changes is made, its answer lost, and the store away since.
        var goesAwayAfter: (@Sendable ([MetadataChange]) -> Bool)?
        /// A commit is made, its answer lost, and somebody else commits these before anything is read; once.
        var overtakes: (@Sendable ([MetadataChange]) -> [MetadataChange])?
        /// What listings are from, until a commit finds that something else is there.
        var listing: MetadataListing?
        /// Listings of everything wait.
        var holdsReadings = false
        /// What the competitor for the lease is told.
        var standing = LeaseStanding.held(fence: nil)
    }

    let store: EmbeddedMetadataStore
    private let faults = Mutex(Faults())
    private let hasHeld = Mutex(false)
    private let readings = Mutex(0)
    private let told = Mutex<(@Sendable (LeaseStanding) -> Void)?>(nil)

    /// Whether nobody else commits to it.
    let isExclusive: Bool

    init(_ store: EmbeddedMetadataStore, isExclusive: Bool = false) {
        self.store = store
        self.isExclusive = isExclusive
    }

    var failedDeletionCount: Int { faults.withLock(\.failedDeletions) }

    static let reason = "The store is away."

    /// Listings of everything that were begun.
    var readingCount: Int { readings.withLock(\.self) }

    /// Whether a commit has had to wait.
    var hasHeldCommit: Bool { hasHeld.withLock(\.self) }
    var isAway: Bool { faults.withLock(\.isAway) }

    func set(_ change: @Sendable (inout Faults) -> Void) {
        let standing = faults.withLock { faults in
            change(&faults)
            return faults.standing
        }
        told.withLock(\.self)?(standing)
    }

    private func check() throws(MetadataError) {
        if faults.withLock(\.isAway) { throw .unavailable(reason: Self.reason) }
    }

    func read(_ key: String) async throws(MetadataError) -> MetadataRecord? {
        try check()
        return try await store.read(key)
    }

    func list(prefix: String) async throws(MetadataError) -> MetadataListing {
        try check()
        if prefix.isEmpty {
            readings.withLock { $0 += 1 }
            while faults.withLock(\.holdsReadings), !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
        if let listing = faults.withLock(\.listing) {
            let records = listing.records.filter { $0.key.hasPrefix(prefix) }
            return MetadataListing(records: records, revision: listing.revision)
        }
        var listing = try await store.list(prefix: prefix)
        faults.withLock { faults in
            if faults.isRestored { listing.revision = MetadataRevision(1) }
            if faults.goesAwayOnceListed { faults.isAway = true }
        }
        return listing
    }

    func commit(
        _ conditions: [MetadataCondition],
        _ changes: [MetadataChange]
    ) async throws(MetadataError) -> MetadataRevision {
        try check()
        while faults.withLock({ $0.holds?(changes) ?? false }), !Task.isCancelled {
            hasHeld.withLock { $0 = true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        let full = faults.withLock { faults in
            let isDeletion = changes.contains { $0.key.hasPrefix("deleted/") }
            if faults.fullDisk != nil, isDeletion { faults.failedDeletions += 1 }
            return faults.fullDisk
        }
        if let full { throw .outcomeUnknown(reason: full) }
        let revision: MetadataRevision
        do throws(MetadataError) {
            revision = try await store.commit(conditions, changes)
        } catch {
            if case .conflict = error { faults.withLock { $0.listing = nil } }
            throw error
        }
        let others = faults.withLock { faults in
            let others = faults.overtakes?(changes) ?? []
            if !others.isEmpty { faults.overtakes = nil }
            return others
        }
        if !others.isEmpty { try await store.commit([], others) }
        let isLost = faults.withLock { faults in
            if !others.isEmpty { return true }
            if faults.goesAwayAfter?(changes) ?? false {
                faults.isAway = true
                return true
            }
            guard faults.lostAnswers > 0 else { return false }
            faults.lostAnswers -= 1
            return true
        }
        if isLost { throw .outcomeUnknown(reason: "The answer was lost.") }
        return revision
    }

    func revisions() -> AsyncStream<MetadataRevision> { store.revisions() }

    func compete(as candidate: LeaseCandidate, _ stand: @escaping @Sendable (LeaseStanding) -> Void) async {
        told.withLock { $0 = stand }
        stand(faults.withLock(\.standing))
        let (never, continuation) = AsyncStream.makeStream(of: Void.self)
        for await _ in never {}
        continuation.finish()
    }

    func close() async { await store.close() }
}

extension ControlCluster {
    /// A cluster whose store does not always do as it should, with workers that are live; all of it ends with the body.
    ///
    /// - Parameters:
    ///   - shared: folder of the store.
    ///   - own: the coordinator's folder.
    static func withFaultyStore(
        at shared: TemporaryFolder,
        own: TemporaryFolder,
        workers count: UInt64,
        isExclusive: Bool = false,
        _ body: (FaultyStore, ControlCluster, [FakeControlWorker]) async throws -> Void
    ) async throws {
        let store = FaultyStore(try await EmbeddedMetadataStore.open(at: shared.path), isExclusive: isExclusive)
        let cluster = try await start(at: own.path, sharing: store, token: "secret-secret-secret")
        let workers = (1...count).map(FakeControlWorker.init)
        for worker in workers { try await worker.start(in: cluster) }
        try await cluster.awaitWorkers(workers)
        let outcome = await Result { try await body(store, cluster, workers) }
        for worker in workers { await worker.stop() }
        await cluster.stop()
        try outcome.get()
    }
}

extension MetadataListing {
    /// The group that a shard has when what is listed is changed so.
    func group(of shard: ShardID, after changes: [MetadataChange]) -> ReplicaGroup? {
        var listing = self
        for case .put(let key, let value) in changes {
            guard let index = listing.records.firstIndex(where: { $0.key == key }) else { continue }
            listing.records[index].value = value
        }
        return (try? ClusterRecords(listing))?.metadata.placement(of: shard)?.group
    }
}
