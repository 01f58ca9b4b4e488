internal import COpenBLAS

/// Dense linear algebra by OpenBLAS, one thread per call: parallelism lives above it.
package enum BLAS {
    /// Makes every later call run on its caller's thread; idempotent, done by each operation as well.
    package static func configure() {
        _ = oneThread
    }

    private static let oneThread: Void = openblas_set_num_threads(1)

    /// Row-major `c = alpha * op(a) op(b) + beta * c`, where `op` transposes if asked to.
    ///
    /// A product with a single row or column runs as a matrix–vector product, five times faster than `sgemm` there.
    /// - Parameters:
    ///   - a: `[aRows × aColumns]` as stored; `op(a)` is `[m × k]`.
    ///   - b: `[bRows × bColumns]` as stored; `op(b)` is `[k × n]`.
    ///   - c: `[m × n]`; need not be initialised when `beta` is 0.
    package static func multiply(
        a: UnsafePointer<Float>,
        aRows: Int,
        aColumns: Int,
        transposeA: Bool = false,
        b: UnsafePointer<Float>,
        bRows: Int,
        bColumns: Int,
        transposeB: Bool = false,
        into c: UnsafeMutablePointer<Float>,
        alpha: Float = 1,
        beta: Float = 0
    ) {
        precondition(min(aRows, aColumns, bRows, bColumns) >= 1, "matrices must not be empty")
        precondition(max(aRows, aColumns, bRows, bColumns) <= Int(Int32.max), "matrices are too large for BLAS")
        let (m, k) = transposeA ? (aColumns, aRows) : (aRows, aColumns)
        let (kOfB, n) = transposeB ? (bColumns, bRows) : (bRows, bColumns)
        precondition(k == kOfB, "inner dimensions differ: \(k) and \(kOfB)")
        configure()
        if m == 1 {
            unsafe cblas_sgemv(
                CblasRowMajor,
                transposeB ? CblasNoTrans : CblasTrans,
                Int32(bRows),
                Int32(bColumns),
                alpha,
                b,
                Int32(bColumns),
                a,
                1,
                beta,
                c,
                1
            )
        } else if n == 1 {
            unsafe cblas_sgemv(
                CblasRowMajor,
                transposeA ? CblasTrans : CblasNoTrans,
                Int32(aRows),
                Int32(aColumns),
                alpha,
                a,
                Int32(aColumns),
                b,
                1,
                beta,
                c,
                1
            )
        } else {
            unsafe cblas_sgemm(
                CblasRowMajor,
                transposeA ? CblasTrans : CblasNoTrans,
                transposeB ? CblasTrans : CblasNoTrans,
                Int32(m),
                Int32(n),
                Int32(k),
                alpha,
                a,
                Int32(aColumns),
                b,
                Int32(bColumns),
                beta,
                c,
                Int32(n)
            )
        }
    }

    /// Eigenvalues, greatest first, and eigenvectors of a symmetric matrix, by LAPACK's divide and conquer `ssyevd`.
    ///
    /// The component of largest magnitude of each vector (the first of equals) is positive.
    /// - Parameter matrix: `[order × order]`; the lower triangle is read. Finite: of rows that are of unit length where
    ///   they come from elsewhere.
    /// - Returns: `values[i]` belongs to row `i` of `vectors`, `[order × order]` row-major, each of unit length.
    package static func symmetricEigen(_ matrix: [Float], order: Int) -> (values: [Float], vectors: [Float]) {
        precondition(order >= 1 && matrix.count == order * order, "matrix must be order × order")
        precondition(matrix.allSatisfy(\.isFinite), "matrix must be finite")
        configure()
        // Row-major lower is column-major upper; LAPACK's column j is row j here.
        var columns = matrix
        var ascending = [Float](repeating: 0, count: order)
        var n = Int32(order)
        var info: Int32 = 0
        var workCount: Int32 = -1
        var integerWorkCount: Int32 = -1
        var work: [Float] = [0]
        var integerWork: [Int32] = [0]
        for _ in 0..<2 {
            // The first call, with counts of -1, asks for the work space.
            unsafe ssyevd_(
                "V",
                "U",
                &n,
                &columns,
                &n,
                &ascending,
                &work,
                &workCount,
                &integerWork,
                &integerWorkCount,
                &info,
                1,
                1
            )
            precondition(info == 0, "ssyevd did not converge: info \(info)")
            guard workCount == -1 else { break }
            // Float cannot hold every count exactly; the formula of LAPACK's documentation is the floor.
            workCount = max(Int32(work[0]), 1 + 6 * n + 2 * n * n)
            integerWorkCount = max(integerWork[0], 3 + 5 * n)
            work = [Float](repeating: 0, count: Int(workCount))
            integerWork = [Int32](repeating: 0, count: Int(integerWorkCount))
        }
        var vectors = [Float](repeating: 0, count: order * order)
        for row in 0..<order {
            let source = columns[(order - 1 - row) * order..<(order - row) * order]
            var leading: Float = 0
            for component in source where abs(component) > abs(leading) { leading = component }
            let sign: Float = leading < 0 ? -1 : 1
            for (column, component) in source.enumerated() { vectors[row * order + column] = sign * component }
        }
        return (ascending.reversed(), vectors)
    }
}
