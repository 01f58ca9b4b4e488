/// How often something may be logged: so many lines in a time, and the rest is only counted. Pure: told the time.
package struct LogAllowance: Sendable {
    private let lineCount: Int
    private let period: Duration
    /// When the period under way began.
    private var start: ContinuousClock.Instant?
    private var used = 0
    private var suppressed = 0

    package init(_ lineCount: Int, per period: Duration) {
        self.lineCount = lineCount
        self.period = period
    }

    package init(perSecond: Int) {
        self.init(perSecond, per: .seconds(1))
    }

    /// - Returns: how many were not logged since the last one that was, when this one may be; else nil.
    package mutating func take(now: ContinuousClock.Instant) -> Int? {
        if start.map({ now - $0 >= period }) ?? true {
            start = now
            used = 0
        }
        guard used < lineCount else {
            suppressed += 1
            return nil
        }
        used += 1
        defer { suppressed = 0 }
        return suppressed
    }
}
