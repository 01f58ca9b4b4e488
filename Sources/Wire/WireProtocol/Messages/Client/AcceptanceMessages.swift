package import ClusterModel

/// An operator gives up what was agreed on of a shard after the record that the metadata store holds.
package struct AcceptRecord: Hashable, Sendable {
    package var collection: String
    package var shardIndex: UInt32
    /// Only tell what would come of it.
    package var isPlan: Bool

    package init(collection: String, shardIndex: UInt32, isPlan: Bool) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.isPlan = isPlan
    }
}

/// Answer to ``AcceptRecord``.
package struct RecordAccepted: Hashable, Sendable {
    package struct Replica: Hashable, Sendable {
        package var worker: NodeID
        /// What it has applied; nil when its worker is not there.
        package var sequence: UInt64?

        package init(worker: NodeID, sequence: UInt64?) {
            self.worker = worker
            self.sequence = sequence
        }
    }

    /// Version of the record in the store.
    package var storedVersion: UInt64
    /// The highest that a live worker goes by.
    package var knownVersion: UInt64
    /// The replica that leads; nil when nobody knows of a newer record, and there is nothing to give up.
    package var primary: NodeID?
    /// All members.
    package var replicas: [Replica]

    package init(storedVersion: UInt64, knownVersion: UInt64, primary: NodeID?, replicas: [Replica]) {
        self.storedVersion = storedVersion
        self.knownVersion = knownVersion
        self.primary = primary
        self.replicas = replicas
    }
}

extension AcceptRecord: WireRequest {
    package typealias Reply = RecordAccepted
    package static var type: MessageType { .acceptRecord }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(shardIndex)
        writer.flag(isPlan)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            shardIndex: try reader.integer("shard index"),
            isPlan: try reader.flag("is plan")
        )
    }
}

extension RecordAccepted: WireMessage {
    package static var type: MessageType { .recordAccepted }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(storedVersion)
        writer.integer(knownVersion)
        writer.optional(primary)
        writer.array(replicas)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            storedVersion: try reader.integer("stored version"),
            knownVersion: try reader.integer("known version"),
            primary: try reader.optional("primary"),
            replicas: try reader.array("replicas")
        )
    }
}

extension RecordAccepted.Replica: WireValue {
    package static var leastByteCount: Int { NodeID.leastByteCount + 1 }

    package func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        writer.optional(sequence) { $0.integer($1) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            sequence: try reader.flag("sequence") ? try reader.integer("sequence") : nil
        )
    }
}
