import Glibc

/// One axis of a plot: which value lies at which pixel.
package struct PlotScale {
    package struct Tick {
        package var value: Double
        package var hasLabel: Bool
    }

    private let isLogarithmic: Bool
    private let lower: Double
    private let upper: Double
    private let from: Double
    private let to: Double
    package let ticks: [Tick]

    /// From 0 to a round number at or above `top`.
    package static func linear(to top: Double, from start: Double, to end: Double, tickCount: Int = 5) -> PlotScale {
        let rough = max(top, 1e-9) / Double(tickCount)
        let power = pow(10, floor(log10(rough)))
        let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? rough
        let count = Int((top / step).rounded(.up))
        return PlotScale(
            isLogarithmic: false,
            lower: 0,
            upper: max(step, Double(count) * step),
            from: start,
            to: end,
            ticks: (0...max(1, count)).map { Tick(value: Double($0) * step, hasLabel: true) }
        )
    }

    /// From 0 to `end` exactly, with ticks at whole steps.
    package static func time(to seconds: Double, from start: Double, to end: Double) -> PlotScale {
        let steps: [Double] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200, 86_400]
        let step = steps.first { seconds / $0 <= 12 } ?? 86_400
        return PlotScale(
            isLogarithmic: false,
            lower: 0,
            upper: max(seconds, 1e-9),
            from: start,
            to: end,
            ticks: (0...Int(seconds / step)).map { Tick(value: Double($0) * step, hasLabel: true) }
        )
    }

    /// Over powers of ten, between the steps 1, 2 and 5 that enclose the values.
    package static func logarithmic(_ values: ClosedRange<Double>, from start: Double, to end: Double) -> PlotScale {
        let least = max(values.lowerBound, 1e-6)
        let greatest = max(values.upperBound, least * 1.01)
        var steps: [(value: Double, isDecade: Bool)] = []
        for exponent in Int(floor(log10(least)))...Int(ceil(log10(greatest))) {
            for digit in [1.0, 2, 5] { steps.append((digit * pow(10, Double(exponent)), digit == 1)) }
        }
        let lower = steps.last { $0.value <= least * 1.0001 }?.value ?? least
        let upper = steps.first { $0.value >= greatest * 0.9999 }?.value ?? greatest
        let shown = steps.filter { $0.value >= lower * 0.999 && $0.value <= upper * 1.001 }
        let areFew = shown.count <= 10
        return PlotScale(
            isLogarithmic: true,
            lower: lower,
            upper: upper > lower ? upper : lower * 10,
            from: start,
            to: end,
            ticks: shown.map { Tick(value: $0.value, hasLabel: areFew || $0.isDecade) }
        )
    }

    /// Of the pixels; values beyond the ends lie at them.
    package func position(_ value: Double) -> Double {
        let share =
            isLogarithmic
            ? log(max(value, lower) / lower) / log(upper / lower)
            : (value - lower) / (upper - lower)
        return from + (to - from) * min(1, max(0, share))
    }
}
