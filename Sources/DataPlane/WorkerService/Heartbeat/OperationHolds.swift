import ClusterModel
import FaceModel
import Synchronization

/// What nobody works at for now, since an operator has paused the operation that it is a part of: as the coordinator
/// said that was heard last. Any number of threads may ask.
final class OperationHolds: Sendable {
    private struct Held {
        var collections: Set<CollectionID> = []
        var shards: Set<ShardID> = []
    }

    private let held = Mutex(Held())

    /// - Parameters:
    ///   - collections: whose codebook is neither trained, nor rows coded again by it.
    ///   - shards: of which nothing is copied, and in whose place no others are made.
    func set(collections: some Sequence<CollectionID>, shards: some Sequence<ShardID>) {
        held.withLock { $0 = Held(collections: Set(collections), shards: Set(shards)) }
    }

    func holdsCodebook(of collection: CollectionID) -> Bool { held.withLock { $0.collections.contains(collection) } }

    func holdsCopies(of shard: ShardID) -> Bool { held.withLock { $0.shards.contains(shard) } }
}
