package import ClusterModel
package import FaceModel

/// An operator gives up what only lost replicas of a shard had.
package struct RecoverShard: Hashable, Sendable {
    /// What was to come of it when an operator was told, and said yes.
    package struct Confirmation: Hashable, Sendable {
        /// Epoch of the shard that is given up, as ``ShardRecovered`` told it: of a request that is sent again it shows
        /// what was done already.
        package var epoch: Epoch
        /// The replica that leads; nil where an empty shard takes the place, or what gives up less.
        package var primary: NodeID?
        /// What that one has applied.
        package var sequence: UInt64

        package init(epoch: Epoch, primary: NodeID?, sequence: UInt64) {
            self.epoch = epoch
            self.primary = primary
            self.sequence = sequence
        }
    }

    package var collection: String
    package var shardIndex: UInt32
    /// Only tell what would come of it.
    package var isPlan: Bool
    /// Nothing else is to come of it; nil for whatever does, be it an empty shard.
    package var confirmed: Confirmation?

    package init(collection: String, shardIndex: UInt32, isPlan: Bool, confirmed: Confirmation? = nil) {
        self.collection = collection
        self.shardIndex = shardIndex
        self.isPlan = isPlan
        self.confirmed = confirmed
    }
}

/// Answer to ``RecoverShard``.
package struct ShardRecovered: Hashable, Sendable {
    /// Workers whose replicas are given up: those that were in sync, have failed, or are away; none in the answer to a
    /// request that was sent again, when nobody knows any more.
    package var lost: [NodeID]
    /// The shard that goes on: another one, which begins with nothing, where no replica is left.
    package var shardIndex: UInt32
    package var primary: NodeID
    /// Its members, with what they have applied.
    package var replicas: [RecordAccepted.Replica]
    /// Epoch that the shard had which is given up; nil from a build that does not tell.
    package var epoch: Epoch?
    /// Those of the lost that were not in sync and are silent: they may have what the others had. None from a build
    /// that does not tell.
    package var away: [NodeID]

    package init(
        lost: [NodeID],
        shardIndex: UInt32,
        primary: NodeID,
        replicas: [RecordAccepted.Replica],
        epoch: Epoch? = nil,
        away: [NodeID] = []
    ) {
        self.lost = lost
        self.shardIndex = shardIndex
        self.primary = primary
        self.replicas = replicas
        self.epoch = epoch
        self.away = away
    }
}

/// Asks which faces of a collection were given up, or says that they are back. Answered as ``LossList``.
package struct ReadLosses: Hashable, Sendable {
    package var collection: String
    /// Forget them: answers do not tell of them any more.
    package var isSettling: Bool
    /// Those that are back, as they were listed: what came since stays. Nil for all of them, from a build that does not
    /// tell.
    package var settled: [LossList.Loss]?

    package init(collection: String, isSettling: Bool = false, settled: [LossList.Loss]? = nil) {
        self.collection = collection
        self.isSettling = isSettling
        self.settled = settled
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

extension RecoverShard.Confirmation: WireValue {
    package static var leastByteCount: Int { Epoch.leastByteCount + 1 + 8 }

    package func encode(into writer: inout PayloadWriter) {
        epoch.encode(into: &writer)
        writer.optional(primary)
        writer.integer(sequence)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            epoch: try Epoch(decoding: &reader),
            primary: try reader.optional("primary"),
            sequence: try reader.integer("sequence")
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
        writer.later { $0.optional(epoch) }
        writer.later { $0.array(away) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            lost: try reader.array("lost replicas"),
            shardIndex: try reader.integer("shard index"),
            primary: try NodeID(decoding: &reader),
            replicas: try reader.array("replicas"),
            epoch: try reader.later(nil) { (reader) throws(WireDecodingError) in try reader.optional("epoch") },
            away: try reader.later([]) { (reader) throws(WireDecodingError) in
                try reader.array("replicas that are away")
            }
        )
    }
}

extension ReadLosses: WireRequest {
    package typealias Reply = LossList
    package static var type: MessageType { .readLosses }
    package var needsGuards: Bool { settled != nil }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.flag(isSettling)
        writer.later { writer in
            writer.flag(settled != nil)
            if let settled { writer.array(settled) }
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            isSettling: try reader.flag("is settling"),
            settled: try reader.later(nil) { (reader) throws(WireDecodingError) in
                try reader.flag("mark of those that are back") ? try reader.array("losses that are back") : nil
            }
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
