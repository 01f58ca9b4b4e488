import Backups
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
    var problem: CommandFailure? {
        guard let first = damaged.first else { return nil }
        var failure = CommandFailure(first.problem)
        failure.message = damaged.map { "\($0.problem)" }.joined(separator: "\n")
        return failure
    }

    /// - Parameter names: of the backups; nil for all that are there.
    static func read(
        _ store: any BackupStore,
        _ names: [String]? = nil
    ) async throws(CommandFailure) -> BackupCatalogue {
        try await keeping { () async throws(BackupError) in
            var catalogue = BackupCatalogue(entries: [])
            let all = if let names { names } else { try await store.backups() }
            for name in all {
                do throws(BackupError) {
                    catalogue.entries.append(Entry(name: name, manifest: try await store.manifest(of: name)))
                } catch {
                    if case .storeFailed = error { throw error }
                    catalogue.damaged.append(Damage(name: name, problem: error))
                }
            }
            catalogue.entries.sort { ($0.manifest.created, $0.name) < ($1.manifest.created, $1.name) }
            catalogue.damaged.sort { $0.name < $1.name }
            return catalogue
        }
    }

    /// The newest of one collection, which may have had the name before another.
    static func newest(
        of collection: CollectionID,
        named name: String,
        in store: any BackupStore
    ) async throws(BackupError) -> BackupManifest? {
        for backup in try await store.backups().reversed() where BackupName.mayBe(backup, ofCollection: name) {
            do throws(BackupError) {
                let manifest = try await store.manifest(of: backup)
                if manifest.collection.id == collection { return manifest }
            } catch {
                // One that cannot be read saves no reading; the next backup is whole without it.
                if case .storeFailed = error { throw error }
            }
        }
        return nil
    }

    /// The one that is asked for.
    ///
    /// - Parameters:
    ///   - name: of the backup; nil for the newest.
    ///   - collection: whose backups count; nil for those of any.
    static func choose(
        _ name: String?,
        of collection: String,
        in store: any BackupStore
    ) async throws(CommandFailure) -> Entry {
        if let name {
            return try await keeping { () async throws(BackupError) in
                Entry(name: name, manifest: try await store.manifest(of: name))
            }
        }
        let names = try await keeping { () async throws(BackupError) in try await store.backups() }
        for name in names.reversed() where BackupName.mayBe(name, ofCollection: collection) {
            let manifest = try await keeping { () async throws(BackupError) in try await store.manifest(of: name) }
            if manifest.collection.name == collection { return Entry(name: name, manifest: manifest) }
        }
        throw CommandFailure(
            .no,
            "\(store.place) has no backup of a collection '\(collection)'; 'mien backup list' shows those there are, "
                + "and --from or --as-of choose another"
        )
    }
}
