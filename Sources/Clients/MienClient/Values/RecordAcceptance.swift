import ClusterModel
import WireProtocol

/// How a shard goes on, or would, when what was agreed on after the record in the metadata store is given up.
public struct RecordAcceptance: Hashable, Sendable {
    public struct Replica: Hashable, Sendable {
        /// Identity of its worker.
        public var workerID: String
        /// Sequence of the last write that it has; nil when its worker is not there, or it begins with nothing.
        public var sequence: UInt64?
        /// Whether it orders the shard's writes from now on. The others catch up with it.
        public var isPrimary: Bool

        init(_ replica: RecordAccepted.Replica, primary: NodeID?) {
            workerID = "\(replica.worker)"
            sequence = replica.sequence
            isPrimary = replica.worker == primary
        }
    }

    public var shardIndex: Int
    /// Version of the record in the store.
    public var storedVersion: UInt64
    /// The highest that a live worker goes by.
    public var knownVersion: UInt64
    public var replicas: [Replica]

    /// Whether the record is older than what workers go by, or has an earlier epoch than a replica has promised:
    /// otherwise there is nothing to give up, and nothing changes.
    public var isOlder: Bool { replicas.contains(where: \.isPrimary) }

    init(_ accepted: RecordAccepted, shardIndex: Int) {
        self.shardIndex = shardIndex
        storedVersion = accepted.storedVersion
        knownVersion = accepted.knownVersion
        replicas = accepted.replicas.map { Replica($0, primary: accepted.primary) }
    }
}
