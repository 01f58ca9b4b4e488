import ClusterModel
import WireProtocol

/// What is known of the end of a collection.
public struct CollectionDeletion: Hashable, Sendable {
    /// A worker that may have a part of it yet.
    public struct Worker: Hashable, Sendable {
        public var id: String
        /// Where it was last known to be.
        public var address: String?
    }

    /// How many faces it held as last known; nil when an earlier, unanswered try had deleted it.
    public var faceCount: UInt64?
    /// Workers that have not said within some seconds that they dropped their part of it, or are silent; none are known
    /// when an earlier try had deleted it, nor from a coordinator of an earlier version. A coordinator that is cut off
    /// from the cluster's metadata may go on answering from them, and taking faces into them, until they are heard of
    /// again, and drop it.
    public var unconfirmedWorkers: [Worker]

    /// By an earlier, unanswered try.
    static let earlier = CollectionDeletion(faceCount: nil, unconfirmedWorkers: [])
}

extension CollectionDeletion {
    init(_ deleted: CollectionDeleted) {
        self.init(
            faceCount: deleted.faceCount,
            unconfirmedWorkers: deleted.unconfirmed.map {
                Worker(id: $0.id.description, address: $0.address?.description)
            }
        )
    }
}
