package import ClusterModel
package import FaceModel
import Synchronization
package import WireProtocol

/// What nobody works at for now, since an operator has paused the operation that it is a part of. Any number of threads
/// may ask.
///
/// Every coordinator says what its records say. Of those that were heard lately the one with the newest records counts:
/// another may be cut off from the metadata store, or be of a build that says nothing of copies.
package final class OperationHolds: Sendable {
    private struct Word {
        var revision: UInt64
        var heard: ContinuousClock.Instant
        var collections: Set<CollectionID>
        var copies: Set<HeldCopy>
    }

    private static let patience = Duration.seconds(10)

    private let words = Mutex<[NodeID: Word]>([:])

    package init() {}

    package func heard(_ reply: HeartbeatReply, now: ContinuousClock.Instant = .now) {
        words.withLock { words in
            words = words.filter { now - $0.value.heard < Self.patience }
            words[reply.coordinator] = Word(
                revision: reply.revision,
                heard: now,
                collections: Set(reply.heldCollections),
                copies: Set(reply.heldCopies)
            )
        }
    }

    /// Whether its codebook is neither trained, nor rows coded again by it.
    package func holdsCodebook(of collection: CollectionID) -> Bool { holds { $0.collections.contains(collection) } }

    /// Whether no copy of the shard is made for, or sent to, the worker.
    package func holdsCopy(of shard: ShardID, to worker: NodeID) -> Bool {
        holds { $0.copies.contains(HeldCopy(shard: shard, worker: worker)) }
    }

    /// - Parameter isHeld: what a word says; of two of one revision, one that says nothing of it may not know how to.
    private func holds(_ isHeld: (Word) -> Bool) -> Bool {
        words.withLock { words in
            guard let newest = words.values.map(\.revision).max() else { return false }
            return words.values.contains { $0.revision == newest && isHeld($0) }
        }
    }
}
