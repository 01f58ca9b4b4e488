extension Matrix {
    /// A random orthogonal matrix, uniform over all of them: gaussian rows made orthonormal.
    ///
    /// Each row passes twice through modified Gram–Schmidt in double ("twice is enough": Giraud, Langou, Rozložník,
    /// 2005), so that rows are orthonormal to float precision. Takes about `order³` multiply–adds.
    package static func randomOrthogonal(
        order: Int,
        generator: inout some RandomNumberGenerator
    ) -> Matrix {
        precondition(order >= 1, "order must be positive")
        var gaussian = GaussianSource()
        var rows = [Double]()
        rows.reserveCapacity(order * order)
        for _ in 0..<order * order { rows.append(gaussian.next(using: &generator)) }
        unsafe rows.withUnsafeMutableBufferPointer { buffer in
            for row in 0..<order {
                let current = unsafe UnsafeMutableBufferPointer(
                    rebasing: buffer[row * order..<(row + 1) * order]
                )
                for _ in 0..<2 {
                    for earlier in 0..<row {
                        let base = unsafe UnsafeBufferPointer(
                            rebasing: buffer[earlier * order..<(earlier + 1) * order]
                        )
                        let overlap = unsafe innerProduct(UnsafeBufferPointer(current), base)
                        for i in 0..<order { unsafe current[i] -= overlap * base[i] }
                    }
                    let norm = unsafe innerProduct(
                        UnsafeBufferPointer(current),
                        UnsafeBufferPointer(current)
                    ).squareRoot()
                    for i in 0..<order { unsafe current[i] /= norm }
                }
            }
        }
        return Matrix(rows: order, columns: order, storage: rows.map { Float($0) })
    }

    /// Four running sums, dimension modulo 4, so that additions overlap.
    private static func innerProduct(_ a: UnsafeBufferPointer<Double>, _ b: UnsafeBufferPointer<Double>) -> Double {
        var sums = SIMD4<Double>.zero
        var i = 0
        while i + 4 <= a.count {
            let left = unsafe SIMD4(a[i], a[i + 1], a[i + 2], a[i + 3])
            let right = unsafe SIMD4(b[i], b[i + 1], b[i + 2], b[i + 3])
            sums += left * right
            i += 4
        }
        var sum = (sums[0] + sums[1]) + (sums[2] + sums[3])
        while i < a.count {
            sum += unsafe a[i] * b[i]
            i += 1
        }
        return sum
    }
}
