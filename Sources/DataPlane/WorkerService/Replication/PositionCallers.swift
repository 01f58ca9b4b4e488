package import WireProtocol

/// Who waits for a place in the log that is behind everything acknowledged before it was asked for. Pure.
package struct PositionCallers: Sendable {
    package struct Caller: Sendable {
        package let asked: Duration
        package let answer: @Sendable (Result<UInt64, WireStatus>) -> Void

        package init(asked: Duration, answer: @escaping @Sendable (Result<UInt64, WireStatus>) -> Void) {
            self.asked = asked
            self.answer = answer
        }
    }

    /// Most that wait.
    package static let limit = 4096

    /// In the order in which they came.
    private var callers: [Caller] = []

    package init() {}

    package var isEmpty: Bool { callers.isEmpty }

    /// - Returns: false when too many wait already.
    package mutating func wait(_ caller: Caller) -> Bool {
        guard callers.count < Self.limit else { return false }
        callers.append(caller)
        return true
    }

    /// Those whose position is confirmed, with it: any that came before one of them is.
    ///
    /// - Parameter position: what is confirmed for one that asked at a time; nil for nothing yet.
    package mutating func takeConfirmed(
        by position: (_ asked: Duration) -> UInt64?
    ) -> (callers: ArraySlice<Caller>, position: UInt64) {
        var (count, last) = (0, UInt64(0))
        while count < callers.count, let confirmed = position(callers[count].asked) {
            (count, last) = (count + 1, confirmed)
        }
        defer { callers.removeFirst(count) }
        return (callers.prefix(count), last)
    }

    /// Those that asked before a time, or all.
    package mutating func take(askedBefore time: Duration? = nil) -> [Caller] {
        guard let time else {
            defer { callers = [] }
            return callers
        }
        let late = callers.filter { $0.asked < time }
        if !late.isEmpty { callers.removeAll { $0.asked < time } }
        return late
    }
}
