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
    /// Copies that must have a write before it is acknowledged: 1 to the replication factor.
    public var minimumInSync: Int
    public var storedPrecision: Precision

    /// - Parameter minimumInSync: two copies where there are as many, unless given.
    public init(
        name: String,
        dimension: Int,
        embeddingModel: String,
        shardCount: Int,
        replicationFactor: Int = 1,
        minimumInSync: Int? = nil,
        storedPrecision: Precision = .float16
    ) {
        self.name = name
        self.dimension = dimension
        self.embeddingModel = embeddingModel
        self.shardCount = shardCount
        self.replicationFactor = replicationFactor
        self.minimumInSync = minimumInSync ?? min(2, replicationFactor)
        self.storedPrecision = storedPrecision
    }

    init(_ configuration: CollectionConfiguration) {
        self.init(
            name: configuration.name,
            dimension: configuration.dimension,
            embeddingModel: configuration.embeddingModel,
            shardCount: configuration.shardCount,
            replicationFactor: configuration.replicationFactor,
            minimumInSync: configuration.minimumInSync,
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
            minimumInSync: minimumInSync,
            storedPrecision: storedPrecision == .float16 ? .float16 : .float32
        )
    }

    /// The first rule the options break, as one sentence; nil when they are valid.
    public var problem: String? { model.problem }
}
