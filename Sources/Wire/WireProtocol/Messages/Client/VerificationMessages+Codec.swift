import ClusterModel

extension VerifyShard: WireRequest {
    package typealias Reply = ShardVerified
    package static var type: MessageType { .verifyShard }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(shardIndex)
        writer.flag(repairs)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            shardIndex: try reader.integer("shard index"),
            repairs: try reader.flag("repairs")
        )
    }
}

extension ShardVerified: WireMessage {
    package static var type: MessageType { .shardVerified }

    package func encode(into writer: inout PayloadWriter) { writer.array(replicas) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(replicas: try reader.array("replicas"))
    }
}

extension ShardVerified.Replica: WireValue {
    package static var leastByteCount: Int { NodeID.leastByteCount + 20 }

    package func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        writer.flag(isPrimary)
        writer.integer(finding.rawValue)
        writer.integer(sequence)
        writer.integer(faceCount)
        writer.optional(detail) { $0.string($1, "detail") }
        writer.flag(isReplaced)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            isPrimary: try reader.flag("is primary"),
            finding: try reader.enumeration("finding"),
            sequence: try reader.integer("sequence"),
            faceCount: try reader.integer("face count"),
            detail: try reader.flag("detail") ? try reader.string("detail", limit: NameLimit.text) : nil,
            isReplaced: try reader.flag("is replaced")
        )
    }
}
