/// How the embeddings of a collection are stored.
package enum StoredPrecision: UInt8, CaseIterable, Sendable {
    /// IEEE 754 binary16; the default. The rounding moves a cosine by less than 1e-3.
    case float16 = 1
    /// IEEE 754 binary32: bit for bit what the client sent, after normalisation.
    case float32 = 2

    /// Bytes of one component.
    package var byteCount: Int { self == .float16 ? 2 : 4 }

    package var name: String { self == .float16 ? "float16" : "float32" }
}

/// What a collection is created with; fixed for its life.
package struct CollectionConfiguration: Hashable, Sendable {
    /// 1–64 characters of `[a-z0-9_-]`, beginning with a letter or digit.
    package var name: String
    /// Components of every embedding: 64–2048, a multiple of 8.
    package var dimension: Int
    /// The model that made the embeddings, 1–128 characters; faces and probes of another are refused.
    package var embeddingModel: String
    /// Hash-range shards the collection is divided into at first: 1–1024.
    package var shardCount: Int
    /// Copies of each shard: 1–7.
    package var replicationFactor: Int
    /// Copies that must have a write before it is acknowledged: 1 to the replication factor. With fewer in sync
    /// nothing is written.
    package var minimumInSync: Int
    package var storedPrecision: StoredPrecision

    /// - Parameter minimumInSync: two copies where there are as many, unless given.
    package init(
        name: String,
        dimension: Int,
        embeddingModel: String,
        shardCount: Int,
        replicationFactor: Int = 1,
        minimumInSync: Int? = nil,
        storedPrecision: StoredPrecision = .float16
    ) {
        self.name = name
        self.dimension = dimension
        self.embeddingModel = embeddingModel
        self.shardCount = shardCount
        self.replicationFactor = replicationFactor
        self.minimumInSync = minimumInSync ?? min(2, replicationFactor)
        self.storedPrecision = storedPrecision
    }

    package static let dimensionRange = 64...2048
    package static let shardCountRange = 1...1024
    package static let replicationFactorRange = 1...7
    package static let embeddingModelByteRange = 1...128

    /// The first rule the configuration breaks, as one sentence; nil when it is valid.
    package var problem: String? {
        if !Self.isValidName(name) {
            return "collection name \(quoted(name)) must be 1–64 characters of a-z, 0-9, '_' and '-', "
                + "beginning with a letter or digit"
        }
        if !Self.dimensionRange.contains(dimension) || dimension % 8 != 0 {
            return "dimension \(dimension) must be a multiple of 8 from 64 to 2048"
        }
        if !Self.embeddingModelByteRange.contains(embeddingModel.utf8.count) {
            return "embedding model id must be 1–128 bytes, not \(embeddingModel.utf8.count)"
        }
        if !Self.shardCountRange.contains(shardCount) { return "shard count \(shardCount) must be from 1 to 1024" }
        if !Self.replicationFactorRange.contains(replicationFactor) {
            return "replication factor \(replicationFactor) must be from 1 to 7"
        }
        if !(1...replicationFactor).contains(minimumInSync) {
            return
                "least number of copies in sync, \(minimumInSync), must be from 1 to the \(replicationFactor) there are"
        }
        return nil
    }

    package static func isValidName(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard (1...64).contains(bytes.count) else { return false }
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard isAlphanumeric(bytes[0]) else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }

    private func quoted(_ text: String) -> String { "'\(text.prefix(80))'" }
}

/// A collection as it exists: its identity and what it was created with.
package struct Collection: Hashable, Sendable {
    package let id: CollectionID
    package let configuration: CollectionConfiguration
    package let created: Timestamp

    package init(id: CollectionID, configuration: CollectionConfiguration, created: Timestamp) {
        self.id = id
        self.configuration = configuration
        self.created = created
    }

    package var name: String { configuration.name }
}
