package import ClusterModel
package import FaceModel

/// An operator gives up what only lost replicas of a shard had.
package struct RecoverShard: Hashable, Sendable {
    package var collection: String
    package var shardIndex: UInt32
    /// Only tell what would come of it.
    package var isPlan: Bool
    /// A replica is to lead that has applied this much; nil for whatever comes of it, be it an empty shard.
    package var leastSequence: UInt64?

    package init(collection: String, shardIndex: UInt32, isPlan: Bool, leastSequence: UInt64? = nil) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.isPlan = isPlan
        self.leastSequence = leastSequence
    }
}

/// Answer to ``RecoverShard``.
package struct ShardRecovered: Hashable, Sendable {
    /// Workers whose replicas were in sync, and are given up.
    package var lost: [NodeID]
    /// The shard that goes on: another one, which begins with nothing, where no replica is left.
    package var shardIndex: UInt32
    package var primary: NodeID
    /// Its members, with what they have applied.
    package var replicas: [RecordAccepted.Replica]

    package init(lost: [NodeID], shardIndex: UInt32, primary: NodeID, replicas: [RecordAccepted.Replica]) {
        self.lost = lost
        self.shardIndex = shardIndex
        self.primary = primary
        self.replicas = replicas
    }
}

/// Asks which faces of a collection were given up, or says that they are back. Answered as ``LossList``.
package struct ReadLosses: Hashable, Sendable {
    package var collection: String
    /// Forget them: answers do not tell of them any more.
    package var isSettling: Bool

    package init(collection: String, isSettling: Bool = false) {
        self.collection = collection
        self.isSettling = isSettling
    }
}

/// Faces of a collection that were given up, in order of time.
package struct LossList: Hashable, Sendable {
    package struct Loss: Hashable, Sendable {
        /// Place on the ring of their shard.
        package var range: HashRange
        package var time: Timestamp

        package init(range: HashRange, time: Timestamp) {
            self.range = range
            self.time = time
        }
    }

    package var losses: [Loss]
    /// When the newest was accepted, be it back or not: nothing of before then is certain to be in a ledger of
    /// erasures. Nil when none ever was.
    package var latest: Timestamp?

    package init(losses: [Loss], latest: Timestamp? = nil) {
        self.losses = losses
        self.latest = latest
    }
}

extension RecoverShard: WireRequest {
    package typealias Reply = ShardRecovered
    package static var type: MessageType { .recoverShard }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(shardIndex)
        writer.flag(isPlan)
        writer.later { $0.optional(leastSequence) { $0.integer($1) } }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            shardIndex: try reader.integer("shard index"),
            isPlan: try reader.flag("is plan"),
            leastSequence: try reader.later(nil) { (reader) throws(WireDecodingError) in
                try reader.flag("least sequence") ? try reader.integer("least sequence") : nil
            }
        )
    }
}

extension ShardRecovered: WireMessage {
    package static var type: MessageType { .shardRecovered }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(lost)
        writer.integer(shardIndex)
        primary.encode(into: &writer)
        writer.array(replicas)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            lost: try reader.array("lost replicas"),
            shardIndex: try reader.integer("shard index"),
            primary: try NodeID(decoding: &reader),
            replicas: try reader.array("replicas")
        )
    }
}

extension ReadLosses: WireRequest {
    package typealias Reply = LossList
    package static var type: MessageType { .readLosses }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.flag(isSettling)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            isSettling: try reader.flag("is settling")
        )
    }
}

extension LossList: WireMessage {
    package static var type: MessageType { .lossList }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(losses)
        writer.later { $0.optional(latest) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            losses: try reader.array("losses"),
            latest: try reader.later(nil) { (reader) throws(WireDecodingError) in try reader.optional("latest loss") }
        )
    }
}

extension LossList.Loss: WireValue {
    package static var leastByteCount: Int { 24 }

    package func encode(into writer: inout PayloadWriter) {
        range.encode(into: &writer)
        time.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(range: try HashRange(decoding: &reader), time: try Timestamp(decoding: &reader))
    }
}
