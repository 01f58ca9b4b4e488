import Glibc

/// How alike a face's image is to its person: a scaled Beta on [0.25, 0.98], drawn through its quantiles.
struct QualityDistribution {
    private static let lowest = 0.25
    private static let highest = 0.98
    private static let classes = 4096

    /// Quantiles at `i / 4096`, `i` from 0 to 4096.
    private let quantiles: [Double]

    init(mean: Double, standardDeviation: Double) {
        let width = Self.highest - Self.lowest
        let scaledMean = (mean - Self.lowest) / width
        let scaledVariance = (standardDeviation / width) * (standardDeviation / width)
        let concentration = scaledMean * (1 - scaledMean) / scaledVariance - 1
        let alpha = scaledMean * concentration
        let beta = (1 - scaledMean) * concentration
        // The distribution function by the midpoint rule, then its inverse by linear interpolation.
        let steps = 16_384
        var cumulative = [0.0]
        for step in 0..<steps {
            let x = (Double(step) + 0.5) / Double(steps)
            cumulative.append(cumulative[step] + exp((alpha - 1) * log(x) + (beta - 1) * log(1 - x)))
        }
        let total = cumulative[steps]
        var quantiles: [Double] = []
        var step = 0
        for index in 0...Self.classes {
            let target = total * Double(index) / Double(Self.classes)
            while step < steps - 1, cumulative[step + 1] < target { step += 1 }
            let rise = cumulative[step + 1] - cumulative[step]
            let x = (Double(step) + (rise > 0 ? min(1, (target - cumulative[step]) / rise) : 0)) / Double(steps)
            quantiles.append(Self.lowest + width * x)
        }
        self.quantiles = quantiles
    }

    /// The quality for a uniform number of [0, 1).
    func quality(_ uniform: Double) -> Double {
        let position = uniform * Double(Self.classes)
        let index = Int(position)
        return quantiles[index] + (quantiles[index + 1] - quantiles[index]) * (position - Double(index))
    }
}
