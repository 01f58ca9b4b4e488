internal import FaceModel

/// Keeps programs from each other in a store that has no lock of its own: an object for each that writes or prunes.
///
/// Each writes its own object first and then looks for others', so that of two in the same moment at least one sees the
/// other, and is refused. That takes a store that lists what was just written, as Amazon S3 does. One that was not
/// written again for ``patience`` belongs to a program that died, by the store's clock.
package struct StoreLock: Sendable {
    package static let patience = Duration.seconds(900)
    /// How often a holder writes its object again.
    package static let renewalInterval = Duration.seconds(120)
    private static let content = Array("a backup, or a prune, is under way\n".utf8)

    private let store: any BackupStore
    private let name: String

    private init(_ store: any BackupStore, _ name: String) {
        self.store = store
        self.name = name
    }

    /// - Throws: ``BackupError/inUse(object:)`` when another holds it, or tries to in this moment.
    package static func take(in store: any BackupStore) async throws(BackupError) -> StoreLock {
        let number = UInt64.random(in: .min ... .max)
        let lock = StoreLock(store, BackupName.lockPrefix + String(number, radix: 16))
        try await lock.renew()
        do throws(BackupError) {
            let all = try await store.list(BackupName.lockPrefix)
            guard let own = all.first(where: { $0.name == lock.name }) else {
                throw .storeFailed(object: store.place, reason: "it does not list what was just written")
            }
            for other in all where other.name != lock.name {
                let isDead =
                    if let mine = own.modified, let theirs = other.modified {
                        .milliseconds(mine.milliseconds - theirs.milliseconds) > Self.patience
                    } else {
                        false
                    }
                guard isDead else { throw .inUse(object: store.place) }
                try await store.remove(other.name)
            }
        } catch {
            await lock.release()
            throw error
        }
        return lock
    }

    package func renew() async throws(BackupError) { try await store.put(name, Self.content) }

    package func release() async { try? await store.remove(name) }
}
