import Glibc

/// Standard normal numbers by table: the quantiles of 2^16 equally likely classes, at their middle, scaled to variance
/// 1.
///
/// Largest magnitude 4.3. A sum over a row of such numbers cannot be told from one of exact gaussians, and eight of
/// them cost one block of random bits and eight loads.
struct GaussianTable {
    /// 65 536 numbers, ascending.
    let quantiles: [Float]

    init() {
        let half = (0..<32_768).map { -Self.upperQuantile((Double($0) + 0.5) / 65_536) }
        let variance = half.reduce(0) { $0 + $1 * $1 } / 32_768
        let scaled = half.map { Float($0 / variance.squareRoot()) }
        quantiles = scaled + scaled.reversed().map { -$0 }
    }

    /// The number that a standard normal exceeds with probability `p` (at most 0.5), by Newton's method on `erfc`.
    private static func upperQuantile(_ p: Double) -> Double {
        // Start: Hastings 1955, formula 26.2.22 of Abramowitz and Stegun, error below 3e-3.
        let t = (-2 * log(p)).squareRoot()
        var x = t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t * t)
        for _ in 0..<3 {
            let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
            x += (0.5 * erfc(x / 2.squareRoot()) - p) / density
        }
        return x
    }

    /// Writes one gaussian per entry of `scales`, times that entry.
    ///
    /// - Parameter scales: count is a multiple of 8.
    func fill(_ row: UnsafeMutablePointer<Float>, scales: [Float], stream: RandomStream) {
        unsafe quantiles.withUnsafeBufferPointer { quantiles in
            unsafe scales.withUnsafeBufferPointer { scales in
                var index = 0
                while index < scales.count {
                    let bits = stream.block(UInt32(truncatingIfNeeded: index >> 3))
                    for word in 0..<4 {
                        let low = Int(bits[word] & 0xFFFF)
                        let high = Int(bits[word] >> 16)
                        unsafe row[index + 2 * word] = quantiles[low] * scales[index + 2 * word]
                        unsafe row[index + 2 * word + 1] = quantiles[high] * scales[index + 2 * word + 1]
                    }
                    index += 8
                }
            }
        }
    }
}
