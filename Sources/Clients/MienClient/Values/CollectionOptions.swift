import FaceModel

/// What a collection is created with; fixed for its life.
public struct CollectionOptions: Hashable, Sendable {
    public enum Precision: String, Hashable, CaseIterable, Sendable {
        /// Half precision; the rounding moves a cosine by less than 1e-3.
        case float16
        case float32
    }

    /// 1–64 characters of `[a-z0-9_-]`, beginning with a letter or digit.
    public var name: String
    /// Components of every embedding: 64–2048, a multiple of 8.
    public var dimension: Int
    /// The model that made the embeddings, 1–128 bytes; faces and probes of another are refused.
    public var embeddingModel: String
    /// Shards the collection is divided into: 1–1024.
    public var shardCount: Int
    /// Copies of each shard: 1–7.
    public var replicationFactor: Int
    public var storedPrecision: Precision

    public init(
        name: String,
        dimension: Int,
        embeddingModel: String,
        shardCount: Int,
        replicationFactor: Int = 1,
        storedPrecision: Precision = .float16
    ) {
        self.name = name
        self.dimension = dimension
        self.embeddingModel = embeddingModel
        self.shardCount = shardCount
        self.replicationFactor = replicationFactor
        self.storedPrecision = storedPrecision
    }

    init(_ configuration: CollectionConfiguration) {
        self.init(
            name: configuration.name,
            dimension: configuration.dimension,
            embeddingModel: configuration.embeddingModel,
            shardCount: configuration.shardCount,
            replicationFactor: configuration.replicationFactor,
            storedPrecision: configuration.storedPrecision == .float16 ? .float16 : .float32
        )
    }

    var model: CollectionConfiguration {
        CollectionConfiguration(
            name: name,
            dimension: dimension,
            embeddingModel: embeddingModel,
            shardCount: shardCount,
            replicationFactor: replicationFactor,
            storedPrecision: storedPrecision == .float16 ? .float16 : .float32
        )
    }

    /// The first rule the options break, as one sentence; nil when they are valid.
    public var problem: String? { model.problem }
}
