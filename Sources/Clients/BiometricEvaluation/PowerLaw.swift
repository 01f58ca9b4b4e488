internal import Glibc

/// `a · N^b`, fitted to times at several sizes: the form in which NIST reports search times.
package struct PowerLaw: Hashable, Sendable {
    package var factor: Double
    package var exponent: Double
    /// Standard error of the exponent; nil for two points, which any such curve fits.
    package var exponentError: Double?

    /// Least squares on logarithms, every point of the same weight.
    ///
    /// - Parameter points: sizes and times, all positive. Nil for fewer than two sizes.
    package init?(_ points: [(size: Double, time: Double)]) {
        guard points.allSatisfy({ $0.size > 0 && $0.time > 0 }) else { return nil }
        let (x, y) = (points.map { log($0.size) }, points.map { log($0.time) })
        let count = Double(points.count)
        let (meanX, meanY) = (x.reduce(0, +) / count, y.reduce(0, +) / count)
        let spread = x.reduce(0) { $0 + ($1 - meanX) * ($1 - meanX) }
        guard points.count > 1, spread > 1e-12 else { return nil }
        let slope = zip(x, y).reduce(0) { $0 + ($1.0 - meanX) * ($1.1 - meanY) } / spread
        let offset = meanY - slope * meanX
        exponent = slope
        factor = exp(offset)
        guard points.count > 2 else { return }
        let residual = zip(x, y).reduce(0) { sum, point in
            let difference = point.1 - offset - slope * point.0
            return sum + difference * difference
        }
        exponentError = (residual / (count - 2) / spread).squareRoot()
    }

    /// The time at a size.
    package func time(size: Double) -> Double { factor * pow(size, exponent) }

    /// The size at which a time is reached; nil where times do not grow.
    package func size(time: Double) -> Double? {
        guard exponent > 0, time > 0 else { return nil }
        return pow(time / factor, 1 / exponent)
    }
}
