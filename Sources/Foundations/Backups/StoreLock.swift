internal import FaceModel
internal import Synchronization

/// Keeps programs from each other in a store that has no lock of its own: an object for each that restores, writes or
/// prunes, whose name says which. One whose name does not is taken for one that prunes: programs of before named all of
/// theirs so.
///
/// Each writes its own object first and then looks for those that do not go together with it, so that of two in the
/// same moment at least one sees the other, and is refused. That takes a store that lists what was just written, as
/// Amazon S3 does. One that was not written again for ``patience`` belongs to a dead program, by the store's clock.
///
/// A holder that wrote its object often enough can have been taken for dead by nobody, and objects of others are then
/// those of programs that are refused, or were killed before they took theirs away: they mean nothing to it. One that
/// stood still for almost so long, or finds its object gone, has lost the lock for good, whether another has taken it
/// or not: it never writes its object again, and what depends on it fails.
package final class StoreLock: Sendable {
    package static let patience = Duration.seconds(900)
    /// So much sooner a holder counts its lock as lost: the store's clock is not its own.
    package static let margin = Duration.seconds(60)
    /// How often a holder writes its object again.
    package static let renewalInterval = Duration.seconds(120)
    private static let content = Array("a backup, a restore, or a prune, is under way\n".utf8)
    private static let prefixes = [(StoreUse.reading, "reading-"), (StoreUse.writing, "writing-")]

    private struct State {
        /// When the last write of its object that succeeded began: by the store's clock it was not before.
        var written: ContinuousClock.Instant
        var isLost = false
    }

    private let store: any BackupStore
    private let name: String
    private let steadyClock: @Sendable () -> ContinuousClock.Instant
    private let state: Mutex<State>

    private init(
        _ store: any BackupStore,
        _ name: String,
        _ steadyClock: @escaping @Sendable () -> ContinuousClock.Instant
    ) {
        self.store = store
        self.name = name
        self.steadyClock = steadyClock
        state = Mutex(State(written: steadyClock()))
    }

    private static func name(for use: StoreUse) -> String {
        let prefix = prefixes.first { $0.0 == use }?.1 ?? ""
        return BackupName.lockPrefix + prefix + String(UInt64.random(in: .min ... .max), radix: 16)
    }

    /// What the program does whose object it is.
    private static func use(of object: String) -> StoreUse {
        let name = object.dropFirst(BackupName.lockPrefix.count)
        return prefixes.first { name.hasPrefix($0.1) }?.0 ?? .pruning
    }

    /// - Parameters:
    ///   - use: what it is taken for; of others only those count that do not go together with that.
    ///   - steadyClock: counts the time that the program, or the machine, stands still.
    /// - Throws: ``BackupError/inUse(object:)`` when another holds it, or tries to in this moment;
    ///   ``BackupError/lockLost(object:)`` when it stood still meanwhile.
    package static func take(
        in store: any BackupStore,
        for use: StoreUse = .pruning,
        steadyClock: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) async throws(BackupError) -> StoreLock {
        let lock = StoreLock(store, name(for: use), steadyClock)
        try await store.put(lock.name, Self.content)
        do throws(BackupError) {
            let all = try await store.list(BackupName.lockPrefix)
            try lock.checkTime()
            guard let own = all.first(where: { $0.name == lock.name }) else {
                throw .storeFailed(object: store.place, reason: "it does not list what was just written")
            }
            for other in all where other.name != lock.name && use.excludes(Self.use(of: other.name)) {
                let isDead =
                    if let mine = own.modified, let theirs = other.modified {
                        .milliseconds(mine.milliseconds - theirs.milliseconds) > Self.patience
                    } else {
                        false
                    }
                guard isDead else { throw .inUse(object: store.place) }
                try await store.remove(other.name)
            }
            try lock.checkTime()
        } catch {
            await lock.release()
            throw error
        }
        return lock
    }

    /// - Throws: ``BackupError/lockLost(object:)`` when it may have been taken for a dead program's, once and for all.
    package func renew() async throws(BackupError) {
        try await look()
        let began = steadyClock()
        try await store.put(name, Self.content)
        do throws(BackupError) {
            // It may have stood still since it looked, and have written anew what another had removed.
            try checkTime()
        } catch {
            await release()
            throw error
        }
        state.withLock { $0.written = max($0.written, began) }
    }

    /// Makes sure that others have been kept away until now, and are for almost as long as ``patience``.
    ///
    /// - Throws: ``BackupError/lockLost(object:)`` when that may not be so.
    package func confirm() async throws(BackupError) {
        try await renew()
        try await look()
    }

    /// Looks whether its object is there.
    private func look() async throws(BackupError) {
        try checkTime()
        let isThere = try await store.list(BackupName.lockPrefix).contains { $0.name == name }
        state.withLock { $0.isLost = $0.isLost || !isThere }
        try checkTime()
    }

    /// Makes sure that its object was never left for so long that another may have taken it for a dead program's.
    private func checkTime() throws(BackupError) {
        let isLost = state.withLock { state in
            if steadyClock() - state.written >= Self.patience - Self.margin { state.isLost = true }
            return state.isLost
        }
        guard !isLost else { throw .lockLost(object: store.place) }
    }

    package func release() async { try? await store.remove(name) }
}
