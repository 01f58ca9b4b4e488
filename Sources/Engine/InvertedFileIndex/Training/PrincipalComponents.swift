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

    /// - Parameter rows: `[n × dimension]`.
    package init(rows: [Float], dimension: Int) {
        let count = rows.count / dimension
        var sums = [Double](repeating: 0, count: dimension)
        for row in 0..<count {
            for component in 0..<dimension { sums[component] += Double(rows[row * dimension + component]) }
        }
        let mean = sums.map { Float($0 / Double(count)) }
        let matrix = Matrix(rows: count, columns: dimension, storage: rows)
        var covariance = matrix.multiplied(by: matrix, transposingSelf: true).storage
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
