internal import Synchronization

/// Removes objects of a place that is locked, as long as the lock keeps others away: whoever lost it may remove what a
/// backup of another counts on. It looks before the first one, and every few seconds.
package final class BackupRemover: Sendable {
    private static let interval = Duration.seconds(5)

    private let store: any BackupStore
    private let confirmed = Mutex<ContinuousClock.Instant?>(nil)

    package init(_ store: any BackupStore) {
        self.store = store
    }

    /// - Throws: ``BackupError/lockLost(object:)``; what was removed before is gone.
    package func remove(_ name: String) async throws(BackupError) {
        let last = confirmed.withLock(\.self)
        if last.map({ ContinuousClock.now - $0 > Self.interval }) ?? true {
            let began = ContinuousClock.now
            try await store.confirmLock()
            confirmed.withLock { $0 = began }
        }
        try await store.remove(name)
    }
}
