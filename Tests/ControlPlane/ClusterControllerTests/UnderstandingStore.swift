import ClusterController

/// A store as a later version reads it: it knows what to do with a record that means nothing to this one.
final class UnderstandingStore: MetadataStore {
    private let store: any MetadataStore
    private let key: String

    /// - Parameter key: of the record that is understood.
    init(_ store: any MetadataStore, key: String) {
        self.store = store
        self.key = key
    }

    func read(_ key: String) async throws(MetadataError) -> MetadataRecord? { try await store.read(key) }

    func list(prefix: String) async throws(MetadataError) -> MetadataListing {
        var listing = try await store.list(prefix: prefix)
        listing.records.removeAll { $0.key == key }
        return listing
    }

    func commit(
        _ conditions: [MetadataCondition],
        _ changes: [MetadataChange]
    ) async throws(MetadataError) -> MetadataRevision {
        try await store.commit(conditions, changes)
    }

    func revisions() -> AsyncStream<MetadataRevision> { store.revisions() }

    func compete(as candidate: LeaseCandidate, _ stand: @escaping @Sendable (LeaseStanding) -> Void) async {
        await store.compete(as: candidate, stand)
    }

    func close() async { await store.close() }
}
