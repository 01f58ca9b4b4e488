import FaceModel

/// Longest names on the wire.
enum NameLimit {
    static let collection = 64
    static let embeddingModel = CollectionConfiguration.embeddingModelByteRange.upperBound
    static let token = 1024
    static let agent = 256
    static let host = 255
    static let backup = 128
    static let text = 4096
}

/// What of a shard a worker can tell: far above what there may be, and so low that whoever adds up what all workers say
/// of all shards comes to no number above 64 bits.
enum AmountLimit {
    /// Faces or rows: a partition has at most 2³² rows.
    static let rows: UInt64 = 1 << 40
    static let bytes: UInt64 = 1 << 48
}

extension CollectionConfiguration {
    func encode(into writer: inout PayloadWriter) {
        writer.string(name, "collection name")
        writer.count(max(0, dimension))
        writer.string(embeddingModel, "embedding model")
        writer.count(max(0, shardCount))
        writer.integer(UInt8(clamping: replicationFactor))
        writer.integer(UInt8(clamping: minimumInSync))
        writer.integer(storedPrecision.rawValue)
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            name: try reader.string("collection name", limit: NameLimit.collection),
            dimension: Int(try reader.integer("dimension") as UInt32),
            embeddingModel: try reader.string("embedding model", limit: NameLimit.embeddingModel),
            shardCount: Int(try reader.integer("shard count") as UInt32),
            replicationFactor: Int(try reader.integer("replication factor") as UInt8),
            minimumInSync: Int(try reader.integer("least copies in sync") as UInt8),
            storedPrecision: try reader.enumeration("stored precision")
        )
        if let problem { throw .invalid(field: "collection", rule: problem) }
    }
}

extension FaceModel.Collection {
    func encode(into writer: inout PayloadWriter) {
        id.encode(into: &writer)
        configuration.encode(into: &writer)
        created.encode(into: &writer)
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            id: try CollectionID(decoding: &reader),
            configuration: try CollectionConfiguration(decoding: &reader),
            created: try Timestamp(decoding: &reader)
        )
    }
}
