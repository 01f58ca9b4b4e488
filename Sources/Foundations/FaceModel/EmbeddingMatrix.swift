/// Embeddings or probes, one per row: `[rowCount × dimension]` of float32, row-major.
package struct EmbeddingMatrix: Sendable {
    package let dimension: Int
    package private(set) var rowCount: Int
    package private(set) var values: [Float]

    /// - Precondition: `values.count` is a multiple of `dimension`, and `dimension` is positive.
    package init(dimension: Int, values: [Float]) {
        precondition(dimension > 0 && values.count % dimension == 0, "values must fill whole rows")
        self.dimension = dimension
        self.rowCount = values.count / dimension
        self.values = values
    }

    package func row(_ index: Int) -> ArraySlice<Float> {
        values[index * dimension..<(index + 1) * dimension]
    }

    /// The chosen rows, in the order given.
    package func rows(_ indices: some Swift.Collection<Int>) -> EmbeddingMatrix {
        var chosen: [Float] = []
        chosen.reserveCapacity(indices.count * dimension)
        for index in indices { chosen.append(contentsOf: row(index)) }
        return EmbeddingMatrix(dimension: dimension, values: chosen)
    }

    /// Drops all rows but the first few.
    package mutating func keepRows(_ count: Int) {
        guard count < rowCount else { return }
        values.removeLast((rowCount - count) * dimension)
        rowCount = count
    }

    /// Puts the rows into an order drawn at random (Fisher and Yates).
    package mutating func shuffleRows(using generator: inout some RandomNumberGenerator) {
        for row in stride(from: rowCount - 1, to: 0, by: -1) {
            let other = Int.random(in: 0...row, using: &generator)
            for component in 0..<dimension where other != row {
                values.swapAt(row * dimension + component, other * dimension + component)
            }
        }
    }

    /// Gives the values for change in place, for normalisation.
    package mutating func withMutableValues<R>(_ body: (inout [Float]) -> R) -> R {
        body(&values)
    }
}
