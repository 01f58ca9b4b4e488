/// How far estimates from codes may fall short, measured on simulated mates.
///
/// The estimate from the whole code of a mate of similarity `s` is spread around `intercept + slope * s`, and the
/// estimate from the code's heads, given the estimate `e` from the whole code, around `intercept + slope * e`. The
/// lower tail of both is that of a normal distribution of the line's deviation. A row is given up when its estimate is
/// `z` deviations below the line of what still matters: a share of `Φ(−z)` of those at exactly that is lost, of better
/// ones less.
package struct ScanCalibration: Hashable, Sendable {
    package struct Line: Hashable, Sendable {
        package let intercept: Float
        package let slope: Float
        package let deviation: Float

        package init(intercept: Float, slope: Float, deviation: Float) {
            self.intercept = intercept
            self.slope = slope
            self.deviation = deviation
        }

        /// What a mate of this similarity, or with this estimate, seldom stays below: infinitely many deviations below
        /// nothing is, whatever the line.
        package func least(for value: Float, deviations: Float) -> Float {
            deviations == .infinity ? -.infinity : expected(for: value) - deviations * deviation
        }

        /// The middle of the line.
        func expected(for value: Float) -> Float { intercept + slope * value }
    }

    /// From the estimate of the whole code to the one of its heads, which lacks the row's factor.
    package let head: Line
    /// From the similarity to the estimate of the whole code, which has the row's factor.
    package let whole: Line

    package init(head: Line, whole: Line) {
        self.head = head
        self.whole = whole
    }

    /// The estimate of the heads that a mate of this similarity seldom stays below.
    ///
    /// What the whole code and its heads fall short by is independent, so variances add up.
    package func headLeast(for similarity: Float, deviations: Float) -> Float {
        if deviations == .infinity { return -.infinity }
        let inherited = head.slope * whole.deviation
        let deviation = (head.deviation * head.deviation + inherited * inherited).squareRoot()
        return head.expected(for: whole.expected(for: similarity)) - deviations * deviation
    }

    /// Nothing is given up before the whole code is read; for tests and for codebooks of too few rows.
    package static let none: ScanCalibration = {
        let line = Line(intercept: 0, slope: 1, deviation: .infinity)
        return ScanCalibration(head: line, whole: line)
    }()

    /// Fits a line by least squares.
    ///
    /// The deviation is that of the 0.5 % quantile of what is left, so that a tail heavier than a normal one is not
    /// underrated.
    static func fit(_ points: [(value: Float, estimate: Float)]) -> Line {
        let count = Float(max(1, points.count))
        let x = points.reduce(0) { $0 + $1.value } / count
        let y = points.reduce(0) { $0 + $1.estimate } / count
        let spread = points.reduce(0) { $0 + ($1.value - x) * ($1.value - x) }
        let common = points.reduce(0) { $0 + ($1.value - x) * ($1.estimate - y) }
        let slope = max(0.01, spread > 0 ? common / spread : 1)
        let intercept = y - slope * x
        let rest = points.map { $0.estimate - intercept - slope * $0.value }.sorted()
        guard !rest.isEmpty else { return Line(intercept: 0, slope: 1, deviation: .infinity) }
        return Line(intercept: intercept, slope: slope, deviation: max(1e-4, -rest[rest.count / 200] / 2.576))
    }
}
