/// Arithmetic on single rows in the spectral basis; counts are multiples of 8.
enum SpectralArithmetic {
    /// Inner product in eight lanes, each summed in order, then halved together.
    static func innerProduct(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
        var sums = (SIMD8<Float>.zero, SIMD8<Float>.zero)
        let (left, right) = unsafe (UnsafeRawPointer(a), UnsafeRawPointer(b))
        var offset = 0
        while offset + 64 <= count * 4 {
            sums.0 += unsafe lanes(left, offset) * lanes(right, offset)
            sums.1 += unsafe lanes(left, offset + 32) * lanes(right, offset + 32)
            offset += 64
        }
        if offset < count * 4 { sums.0 += unsafe lanes(left, offset) * lanes(right, offset) }
        return (sums.0 + sums.1).sum()
    }

    private static func lanes(_ base: UnsafeRawPointer, _ offset: Int) -> SIMD8<Float> {
        unsafe base.loadUnaligned(fromByteOffset: offset, as: SIMD8<Float>.self)
    }

    /// `a += factor * b`.
    static func add(_ b: UnsafePointer<Float>, times factor: Float, to a: UnsafeMutablePointer<Float>, _ count: Int) {
        for index in 0..<count { unsafe a[index] += factor * b[index] }
    }

    /// `a *= factor`.
    static func scale(_ a: UnsafeMutablePointer<Float>, by factor: Float, _ count: Int) {
        for index in 0..<count { unsafe a[index] *= factor }
    }

    static func normalise(_ a: UnsafeMutablePointer<Float>, _ count: Int) {
        unsafe scale(a, by: 1 / innerProduct(a, a, count).squareRoot(), count)
    }

    /// Takes from `a` its part along the unit row `b`, and makes the rest a unit row.
    static func makeOrthogonal(_ a: UnsafeMutablePointer<Float>, to b: UnsafePointer<Float>, _ count: Int) {
        unsafe add(b, times: -innerProduct(a, b, count), to: a, count)
        unsafe normalise(a, count)
    }

    /// `a = cosine * b + sqrt(1 - cosine²) * a` for orthogonal unit rows: a unit row at that cosine to `b`.
    static func mix(_ a: UnsafeMutablePointer<Float>, with b: UnsafePointer<Float>, cosine: Float, _ count: Int) {
        let sine = max(0, 1 - cosine * cosine).squareRoot()
        for index in 0..<count { unsafe a[index] = cosine * b[index] + sine * a[index] }
    }
}
