import FaceModel

/// Embeddings or probes, one per row: `[count × dimension]`, row-major. Any non-zero length: the cluster normalises.
public struct Embeddings: Sendable {
    let matrix: EmbeddingMatrix

    /// - Precondition: `values.count` is a multiple of `dimension`, and `dimension` is positive.
    public init(dimension: Int, values: [Float]) {
        matrix = EmbeddingMatrix(dimension: dimension, values: values)
    }

    public var dimension: Int { matrix.dimension }
    public var count: Int { matrix.rowCount }
}
