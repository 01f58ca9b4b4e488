package import ClusterModel

/// Pins replicas of a shard to the workers that they are on, or lets them go. Answered as ``ExplainShard`` is then.
package struct PinShard: Hashable, Sendable {
    package struct Pin: Hashable, Sendable {
        /// Whose replicas stay; none for all that have one.
        package var workers: [NodeID]
        /// The one that is to have the primary; nil for any.
        package var primary: NodeID?

        package init(workers: [NodeID] = [], primary: NodeID? = nil) {
            self.workers = workers
            self.primary = primary
        }
    }

    package var collection: String
    package var shardIndex: UInt32
    /// In place of what was pinned before; nil lets all go.
    package var pin: Pin?

    package init(collection: String, shardIndex: UInt32, pin: Pin?) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.pin = pin
    }
}

extension PinShard: WireRequest {
    package typealias Reply = ShardExplanation
    package static var type: MessageType { .pinShard }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(shardIndex)
        writer.optional(pin) { writer, pin in
            writer.array(pin.workers)
            writer.optional(pin.primary)
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            shardIndex: try reader.integer("shard index"),
            pin: try reader.optional("pin") { reader throws(WireDecodingError) in
                Pin(workers: try reader.array("pinned workers"), primary: try reader.optional("pinned primary"))
            }
        )
    }
}
