package import ClusterModel

/// An operator gives up what was agreed on of a shard after the record that the metadata store holds.
package struct AcceptRecord: Hashable, Sendable {
    /// What was to come of it when an operator was asked, and said yes.
    package struct Confirmation: Hashable, Sendable {
        /// Version of the record in the store.
        package var storedVersion: UInt64
        /// The replica that leads.
        package var primary: NodeID
        /// What that one has applied; 0 when its worker is not there.
        package var sequence: UInt64

        package init(storedVersion: UInt64, primary: NodeID, sequence: UInt64) {
            self.storedVersion = storedVersion
            self.primary = primary
            self.sequence = sequence
        }
    }

    package var collection: String
    package var shardIndex: UInt32
    /// Only tell what would come of it.
    package var isPlan: Bool
    /// Nothing else is to come of it; nil for whatever does.
    package var confirmed: Confirmation?

    package init(collection: String, shardIndex: UInt32, isPlan: Bool, confirmed: Confirmation? = nil) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.isPlan = isPlan
        self.confirmed = confirmed
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
    package var needsGuards: Bool { confirmed != nil }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(shardIndex)
        writer.flag(isPlan)
        writer.later { $0.optional(confirmed) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            shardIndex: try reader.integer("shard index"),
            isPlan: try reader.flag("is plan"),
            confirmed: try reader.later(nil) { (reader) throws(WireDecodingError) in
                try reader.optional("confirmation")
            }
        )
    }
}

extension AcceptRecord.Confirmation: WireValue {
    package static var leastByteCount: Int { NodeID.leastByteCount + 16 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(storedVersion)
        primary.encode(into: &writer)
        writer.integer(sequence)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            storedVersion: try reader.integer("stored version"),
            primary: try NodeID(decoding: &reader),
            sequence: try reader.integer("sequence")
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
