internal import VectorMath

/// Mean and principal components of a sample.
package struct PrincipalComponents {
    package let dimension: Int
    /// `[dimension]`.
    package let mean: [Float]
    /// Variances along the components, greatest first, never negative.
    package let energies: [Float]
    /// `[dimension × dimension]`: row `i` is the unit direction of `energies[i]`.
    package let components: [Float]

    private static let blockRows = 4096

    /// - Parameter rows: `[n × dimension]`, each of unit length, so that all sums are finite.
    package init(rows: [Float], dimension: Int) {
        // Ended by nobody.
        self.init(rows: rows, dimension: dimension) { _ in true }!
    }

    /// - Parameters:
    ///   - rows: `[n × dimension]`, each of unit length, so that all sums are finite.
    ///   - proceed: called between blocks of rows with the share of them that is done; false ends the work.
    /// - Returns: nil when `proceed` ended it.
    init?(rows: [Float], dimension: Int, proceed: (Float) -> Bool) {
        let count = rows.count / dimension
        var sums = [Double](repeating: 0, count: dimension)
        for row in 0..<count {
            for component in 0..<dimension { sums[component] += Double(rows[row * dimension + component]) }
        }
        let mean = sums.map { Float($0 / Double(count)) }
        var covariance = [Float](repeating: 0, count: dimension * dimension)
        for first in stride(from: 0, to: count, by: Self.blockRows) {
            if !proceed(Float(first) / Float(count)) { return nil }
            let last = min(count, first + Self.blockRows)
            let block = Matrix(
                rows: last - first,
                columns: dimension,
                storage: Array(rows[first * dimension..<last * dimension])
            )
            let products = block.multiplied(by: block, transposingSelf: true).storage
            for index in covariance.indices { covariance[index] += products[index] }
        }
        for i in 0..<dimension {
            for j in 0..<dimension {
                covariance[i * dimension + j] = covariance[i * dimension + j] / Float(count) - mean[i] * mean[j]
            }
        }
        let eigen = BLAS.symmetricEigen(covariance, order: dimension)
        self.dimension = dimension
        self.mean = mean
        energies = eigen.values.map { max(0, $0) }
        components = eigen.vectors
    }
}
