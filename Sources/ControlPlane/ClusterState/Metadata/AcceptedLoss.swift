package import ClusterModel
package import FaceModel

/// Faces that an operator gave up: no replica in sync of their shard was left, or nobody knew which were in sync, and
/// some were away.
package struct AcceptedLoss: Hashable, Sendable {
    /// Place on the ring of the shard that they belonged to.
    package var range: HashRange
    package var time: Timestamp
    /// Index of the shard that begins with nothing in its place, until every replica of it has been made; nil where a
    /// replica that was not in sync went on, and from then on.
    package var beginning: UInt32?

    package init(range: HashRange, time: Timestamp, beginning: UInt32? = nil) {
        self.range = range
        self.time = time
        self.beginning = beginning
    }
}
