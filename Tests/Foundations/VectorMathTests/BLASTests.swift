import Testing
import VectorMath

struct BLASTests {
    /// Products with many rows, one row, one column, one of everything, against the definition.
    @Test(arguments: [(3, 4, 5), (1, 7, 9), (6, 8, 1), (1, 5, 1), (1, 1, 1), (33, 65, 17)], [0, 1, 2, 3])
    func productsFollowTheDefinition(shape: (m: Int, k: Int, n: Int), transposes: Int) {
        let (m, k, n) = shape
        let (transposeA, transposeB) = (transposes & 1 != 0, transposes & 2 != 0)
        var random = SplitMix64(seed: testSeed)
        let a = Matrix(rows: m, columns: k, storage: random.gaussians(m * k))
        let b = Matrix(rows: k, columns: n, storage: random.gaussians(k * n))
        let c = random.gaussians(m * n)
        let storedA = transposeA ? a.transposed() : a
        let storedB = transposeB ? b.transposed() : b
        for (alpha, beta) in [(1, 0), (2, 0.5)] as [(Float, Float)] {
            // With beta 0 the output needs no initial value.
            var result = beta == 0 ? [Float](repeating: .nan, count: m * n) : c
            storedA.storage.withUnsafeBufferPointer { a in
                storedB.storage.withUnsafeBufferPointer { b in
                    result.withUnsafeMutableBufferPointer { c in
                        BLAS.multiply(
                            a: a.baseAddress!,
                            aRows: storedA.rows,
                            aColumns: storedA.columns,
                            transposeA: transposeA,
                            b: b.baseAddress!,
                            bRows: storedB.rows,
                            bColumns: storedB.columns,
                            transposeB: transposeB,
                            into: c.baseAddress!,
                            alpha: alpha,
                            beta: beta
                        )
                    }
                }
            }
            for row in 0..<m {
                for column in 0..<n {
                    let product = (0..<k).reduce(0.0) { $0 + Double(a[row, $1]) * Double(b[$1, column]) }
                    let initial = beta == 0 ? 0 : Double(beta * c[row * n + column])
                    let expected = Double(alpha) * product + initial
                    // Float sums of k terms of order 1.
                    #expect(abs(Double(result[row * n + column]) - expected) < 1e-6 * Double(k + 10))
                }
            }
        }
    }

    @Test func eigenvaluesOfAKnownMatrix() {
        // [[2, 1], [1, 2]]: 3 along (1, 1), 1 along (1, -1).
        let (values, vectors) = BLAS.symmetricEigen([2, 1, 1, 2], order: 2)
        let half = Float(0.5).squareRoot()
        #expect(zip(values, [3, 1]).allSatisfy { abs($0 - $1) < 1e-5 })
        #expect(zip(vectors.map(abs), [half, half, half, half]).allSatisfy { abs($0 - $1) < 1e-5 })
        #expect(vectors[0] * vectors[1] > 0 && vectors[2] * vectors[3] < 0)
    }

    @Test(arguments: [1, 2, 31, 128])
    func eigenvectorsRebuildTheMatrix(order: Int) {
        var random = SplitMix64(seed: testSeed &+ UInt64(order))
        let factor = Matrix(rows: order, columns: order, storage: random.gaussians(order * order))
        let matrix = factor.multiplied(by: factor, transposingOther: true)
        let (values, vectors) = BLAS.symmetricEigen(matrix.storage, order: order)
        #expect(values == values.sorted(by: >))
        let basis = Matrix(rows: order, columns: order, storage: vectors)
        var scaled = basis
        for row in 0..<order {
            for column in 0..<order { scaled[row, column] *= values[row] }
            let leading = (0..<order).map { basis[row, $0] }.max { abs($0) < abs($1) }!
            #expect(leading > 0)
        }
        let rebuilt = basis.multiplied(by: scaled, transposingSelf: true)
        let tolerance = 1e-5 * max(1, values[0])
        #expect(zip(rebuilt.storage, matrix.storage).allSatisfy { abs($0 - $1) < tolerance }, "seed \(testSeed)")
        #expect(isIdentity(basis.multiplied(by: basis, transposingOther: true), tolerance: 1e-5))
    }

    @Test func onlyTheLowerTriangleIsRead() {
        let full = BLAS.symmetricEigen([2, 1, 1, 2], order: 2)
        let lower = BLAS.symmetricEigen([2, 99, 1, 2], order: 2)
        #expect(full.values == lower.values && full.vectors == lower.vectors)
    }
}

extension Matrix {
    fileprivate func transposed() -> Matrix {
        var result = Matrix(rows: columns, columns: rows)
        for row in 0..<rows {
            for column in 0..<columns { result[column, row] = self[row, column] }
        }
        return result
    }
}

func isIdentity(_ matrix: Matrix, tolerance: Float) -> Bool {
    (0..<matrix.rows).allSatisfy { row in
        (0..<matrix.columns).allSatisfy { abs(matrix[row, $0] - (row == $0 ? 1 : 0)) < tolerance }
    }
}
