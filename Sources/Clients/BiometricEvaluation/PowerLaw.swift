internal import Glibc

/// `a · N^b`, fitted to times at several sizes: the form in which NIST reports search times.
package struct PowerLaw: Hashable, Sendable {
    package var factor: Double
    package var exponent: Double
    /// Standard error of the exponent; nil for two points, which any such curve fits.
    package var exponentError: Double?
    /// Of the points' logarithms, for what follows from how they scatter.
    private let points: Points

    private struct Points: Hashable, Sendable {
        var count: Double
        var meanSize: Double
        var meanTime: Double
        /// Sum of the squares of the sizes' distances from their mean.
        var spread: Double
        /// Square of what the times scatter by about the curve; nil for two points.
        var variance: Double?
    }

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
        let residual = zip(x, y).reduce(0) { sum, point in
            let difference = point.1 - offset - slope * point.0
            return sum + difference * difference
        }
        self.points = Points(
            count: count,
            meanSize: meanX,
            meanTime: meanY,
            spread: spread,
            variance: points.count > 2 ? residual / (count - 2) : nil
        )
        exponentError = self.points.variance.map { ($0 / spread).squareRoot() }
    }

    // MARK: Uncertainty

    /// The exponents that do not contradict the points, with 95 % confidence; nil for two points.
    package var exponentInterval: ClosedRange<Double>? {
        guard let exponentError, let quantile else { return nil }
        return exponent - quantile * exponentError...exponent + quantile * exponentError
    }

    /// Likewise the factors.
    package var factorInterval: ClosedRange<Double>? {
        guard let variance = points.variance, let quantile else { return nil }
        let square = 1 / points.count + points.meanSize * points.meanSize / points.spread
        let half = quantile * (variance * square).squareRoot()
        return factor * exp(-half)...factor * exp(half)
    }

    /// The sizes at which the curve may reach a time, with 95 % confidence. Nil for two points, and where the exponent
    /// may be 0: then there is no end to them.
    ///
    /// - SeeAlso: Fieller, "Some problems in interval estimation" (1954).
    package func sizeInterval(time: Double) -> ClosedRange<Double>? {
        guard size(time: time) != nil, let variance = points.variance, let quantile else { return nil }
        // Sizes whose time on the curve is no farther from this one than its uncertainty there: those between the roots
        // of square · u² − 2 · middle · u + rest, where u is the distance of the size's logarithm from the mean.
        let distance = log(time) - points.meanTime
        let allowance = quantile * quantile * variance
        let square = exponent * exponent - allowance / points.spread
        guard square > 0 else { return nil }
        let rest = distance * distance - allowance / points.count
        let middle = exponent * distance
        let root = max(0, middle * middle - square * rest).squareRoot()
        let (low, high) = ((middle - root) / square, (middle + root) / square)
        return exp(points.meanSize + low)...exp(points.meanSize + high)
    }

    /// 0.975 quantile of Student's distribution; nil without a degree of freedom.
    private var quantile: Double? {
        let freedom = points.count - 2
        guard freedom >= 1 else { return nil }
        let small = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
        if Int(freedom) <= small.count { return small[Int(freedom) - 1] }
        // Expansion of Cornish and Fisher about the normal quantile.
        let z = 1.959_964
        let first = (pow(z, 3) + z) / (4 * freedom)
        let second = (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * pow(freedom, 2))
        let third = (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / (384 * pow(freedom, 3))
        return z + first + second + third
    }

    /// The time at a size.
    package func time(size: Double) -> Double { factor * pow(size, exponent) }

    /// The size at which a time is reached; nil where times do not grow.
    package func size(time: Double) -> Double? {
        guard exponent > 0, time > 0 else { return nil }
        return pow(time / factor, 1 / exponent)
    }
}
