/// How often something may be logged: so many lines a second, and the rest is only counted. Pure: told the time.
package struct LogAllowance: Sendable {
    private let perSecond: Int
    /// When the second under way began.
    private var second: ContinuousClock.Instant?
    private var used = 0
    private var suppressed = 0

    package init(perSecond: Int) {
        self.perSecond = perSecond
    }

    /// - Returns: how many were not logged since the last one that was, when this one may be; else nil.
    package mutating func take(now: ContinuousClock.Instant) -> Int? {
        if second.map({ now - $0 >= .seconds(1) }) ?? true {
            second = now
            used = 0
        }
        guard used < perSecond else {
            suppressed += 1
            return nil
        }
        used += 1
        defer { suppressed = 0 }
        return suppressed
    }
}
