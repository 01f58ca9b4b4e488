import FaceModel
import Synchronization

/// Collections whose codebook nobody works at for now, since an operator has paused its rollout: as the coordinator
/// said that was heard last. Any number of threads may ask.
final class CodebookHolds: Sendable {
    private let collections = Mutex<Set<CollectionID>>([])

    func set(_ collections: some Sequence<CollectionID>) {
        self.collections.withLock { $0 = Set(collections) }
    }

    func contains(_ collection: CollectionID) -> Bool { collections.withLock { $0.contains(collection) } }
}
