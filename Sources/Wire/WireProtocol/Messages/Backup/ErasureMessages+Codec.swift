import FaceModel

extension ErasurePosition: WireValue {
    package static var leastByteCount: Int { 12 }
    package func encode(into writer: inout PayloadWriter) {
        writer.integer(sequence)
        writer.integer(index)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(sequence: try reader.integer("sequence"), index: try reader.integer("number"))
    }
}

extension Erasure: WireValue {
    package static var leastByteCount: Int { 40 }
    package func encode(into writer: inout PayloadWriter) {
        writer.integer(UInt64(truncatingIfNeeded: pseudonym))
        writer.integer(UInt64(truncatingIfNeeded: pseudonym >> 64))
        writer.integer(version.epoch)
        writer.integer(version.sequence)
        time.encode(into: &writer)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let low: UInt64 = try reader.integer("pseudonym")
        let high: UInt64 = try reader.integer("pseudonym")
        self.init(
            pseudonym: UInt128(high) << 64 | UInt128(low),
            version: FaceVersion(epoch: try reader.integer("epoch"), sequence: try reader.integer("sequence")),
            time: try Timestamp(decoding: &reader)
        )
    }
}

extension ReadErasures: WireRequest {
    package typealias Reply = ErasureList
    package static var type: MessageType { .readErasures }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(shardIndex)
        writer.optional(after)
        writer.count(limit)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            shardIndex: try reader.integer("shard index"),
            after: try reader.optional("after"),
            limit: try reader.count("limit", in: Self.limitRange)
        )
    }
}

extension ShardErasures: WireRequest {
    package typealias Reply = ErasureList
    package static var type: MessageType { .shardErasures }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        writer.optional(after)
        writer.count(limit)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try ShardRoute(decoding: &reader),
            after: try reader.optional("after"),
            limit: try reader.count("limit", in: ReadErasures.limitRange)
        )
    }
}

extension ErasureList: WireMessage {
    package static var type: MessageType { .erasureList }
    package var expectedByteCount: Int { 128 + erasures.count * 40 }

    package func encode(into writer: inout PayloadWriter) {
        key.encode(into: &writer)
        writer.array(erasures)
        writer.optional(next)
        writer.optional(forgotten)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            key: try ErasureKey(decoding: &reader),
            erasures: try reader.array("erasures", limit: ReadErasures.limitRange.upperBound),
            next: try reader.optional("next"),
            forgotten: try reader.optional("forgotten")
        )
    }
}
