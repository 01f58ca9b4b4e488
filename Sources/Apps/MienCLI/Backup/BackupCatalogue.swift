import Backups
import ClusterModel
import FaceModel

/// The backups of a place, read and checked as far as their manifests go.
struct BackupCatalogue {
    struct Entry {
        var name: String
        var manifest: BackupManifest

        var collection: String { manifest.collection.name }
    }

    /// One whose manifest cannot be read: what it needs is not known.
    struct Damage {
        var name: String
        var problem: BackupError
    }

    /// By time, the oldest first.
    var entries: [Entry]
    /// In order of name.
    var damaged: [Damage] = []

    /// What cannot be read, a line each; nil when everything can.
    var problem: CommandFailure? { CommandFailure(damaged.map(\.problem)) }

    /// One that is removed while they are read is left out, unless it is named.
    ///
    /// - Parameter names: of the backups; nil for all that are there.
    static func read(
        _ store: any BackupStore,
        _ names: [String]? = nil
    ) async throws(CommandFailure) -> BackupCatalogue {
        try await keeping { () async throws(BackupError) in
            var catalogue = BackupCatalogue(entries: [])
            let all = if let names { names } else { try await store.backups() }
            for name in all {
                switch try await look(at: name, isListed: names == nil, in: store) {
                case nil: continue
                case .success(let manifest)?: catalogue.entries.append(Entry(name: name, manifest: manifest))
                case .failure(let problem)?: catalogue.damaged.append(Damage(name: name, problem: problem))
                }
            }
            catalogue.entries.sort { ($0.manifest.created, $0.name) < ($1.manifest.created, $1.name) }
            catalogue.damaged.sort { $0.name < $1.name }
            return catalogue
        }
    }

    /// A backup's manifest, or what is wrong with it.
    ///
    /// - Parameter isListed: whether it was there a moment ago: nil when it is not any more.
    private static func look(
        at name: String,
        isListed: Bool = true,
        in store: any BackupStore
    ) async throws(BackupError) -> Result<BackupManifest, BackupError>? {
        do throws(BackupError) {
            guard isListed else { return .success(try await store.manifest(of: name)) }
            guard let manifest = try await store.listedManifest(of: name) else { return nil }
            return .success(manifest)
        } catch {
            // That says nothing of the backup.
            if case .storeFailed = error { throw error }
            return .failure(error)
        }
    }

    /// The newest of one collection, which may have had the name before another.
    static func newest(
        of collection: CollectionID,
        named name: String,
        in store: any BackupStore
    ) async throws(BackupError) -> BackupManifest? {
        for backup in try await store.backups().reversed() where BackupName.mayBe(backup, ofCollection: name) {
            // One that cannot be read saves no reading; the next backup is whole without it.
            guard case .success(let manifest)? = try await look(at: backup, in: store) else { continue }
            if manifest.collection.id == collection { return manifest }
        }
        return nil
    }

    /// The one that is asked for.
    ///
    /// - Parameters:
    ///   - name: of the backup; nil for the newest.
    ///   - collection: whose backups count, unless one is named.
    static func choose(
        _ name: String?,
        of collection: String,
        in store: any BackupStore
    ) async throws(CommandFailure) -> Entry {
        if let name { return try await Candidate(name: name).entry(in: store) }
        if let newest = try await candidates(of: collection, in: store).first {
            return try await newest.entry(in: store)
        }
        throw CommandFailure(
            .no,
            "\(store.place) has no backup of a collection '\(collection)'; 'mien backup list' shows those there are, "
                + "and --from or --as-of choose another"
        )
    }

    /// A backup that may be chosen, or that would be but for what is wrong with it.
    struct Candidate {
        var name: String
        /// What is wrong with its manifest, where that was read.
        var problem: BackupError?

        /// Reads its manifest: those of all candidates at once may be more than there is memory for.
        func entry(in store: any BackupStore) async throws(CommandFailure) -> Entry {
            if let problem { throw CommandFailure(problem) }
            return try await keeping { () async throws(BackupError) in
                Entry(name: name, manifest: try await store.manifest(of: name))
            }
        }
    }

    /// Backups of the collections that had a name, the newest first: of several clusters nobody knows which is meant.
    static func candidates(
        of collection: String,
        in store: any BackupStore
    ) async throws(CommandFailure) -> [Candidate] {
        var candidates: [Candidate] = []
        var clusters: [(id: NodeID, newest: String)] = []
        try await keeping { () async throws(BackupError) in
            for name in try await store.backups().reversed() where BackupName.mayBe(name, ofCollection: collection) {
                switch try await look(at: name, in: store) {
                case nil: continue
                case .failure(let problem)?: candidates.append(Candidate(name: name, problem: problem))
                case .success(let manifest)?:
                    guard manifest.collection.name == collection else { continue }
                    candidates.append(Candidate(name: name))
                    if !clusters.contains(where: { $0.id == manifest.cluster }) {
                        clusters.append((manifest.cluster, name))
                    }
                }
            }
        }
        guard clusters.count < 2 else {
            throw CommandFailure(
                .no,
                "\(store.place) has backups of collections '\(collection)' of \(clusters.count) clusters; choose one "
                    + "with --as-of:\n"
                    + clusters.map { "cluster \($0.id), the newest \($0.newest)" }.joined(separator: "\n")
            )
        }
        return candidates
    }
}
