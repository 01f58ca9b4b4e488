internal import Glibc

/// The standard normal distribution, as far as thresholds need it.
package enum NormalDistribution {
    /// The `z` with `Φ(−z) = tail`, to about 1e-9, for tails of 1e-12…0.5.
    package static func deviations(forTail tail: Double) -> Double {
        precondition(tail > 0 && tail <= 0.5, "a tail is above 0 and at most a half")
        var (low, high) = (0.0, 8.0)
        // Bisection: Φ is monotonic and a threshold is asked for once a search.
        for _ in 0..<40 {
            let middle = (low + high) / 2
            if 0.5 * erfc(middle / 2.0.squareRoot()) > tail { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }
}
