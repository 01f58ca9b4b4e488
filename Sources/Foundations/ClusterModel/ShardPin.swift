/// Replicas of a shard that stay on their workers until an operator lets them go.
///
/// A worker that is gone for good is replaced all the same: a pin never costs a copy.
package struct ShardPin: Hashable, Sendable {
    /// Workers whose replicas stay: at least one, ascending.
    package var workers: [NodeID]
    /// The one of them that is to be the primary whenever it can; nil when any may be.
    package var primary: NodeID?

    package init(workers: [NodeID], primary: NodeID? = nil) {
        self.workers = Set(workers).sorted()
        self.primary = primary
    }
}
