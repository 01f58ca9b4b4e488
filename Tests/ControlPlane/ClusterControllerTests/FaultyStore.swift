import ClusterController
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
        /// Listings are of a revision that was long ago.
        var isRestored = false
        /// What the competitor for the lease is told.
        var standing = LeaseStanding.held(fence: nil)
    }

    let store: EmbeddedMetadataStore
    private let faults = Mutex(Faults())
    private let told = Mutex<(@Sendable (LeaseStanding) -> Void)?>(nil)

    init(_ store: EmbeddedMetadataStore) {
        self.store = store
    }

    static let reason = "The store is away."

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
        let revision = try await store.commit(conditions, changes)
        let isLost = faults.withLock { faults in
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
