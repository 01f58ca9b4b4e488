/// The figures of a load over time, in windows of equal length; a call belongs to the window of its intended start.
package struct LoadSeries: Sendable, Equatable, Codable {
    package struct Window: Sendable, Equatable, Codable {
        package var operations: [LoadOperation: CallFigures] = [:]
        /// Most calls that were under way at once.
        package var mostInFlight = 0

        package init() {}

        /// Of all operations together.
        package var all: CallFigures {
            operations.values.reduce(into: CallFigures(.hundredth)) { $0.add($1) }
        }

        package mutating func add(_ other: Window) {
            operations.merge(other.operations) { own, other in
                var sum = own
                sum.add(other)
                return sum
            }
            mostInFlight += other.mostInFlight
        }
    }

    package let windowSeconds: Double
    /// Of the load, from its start; the warm-up is in them.
    package let warmUpSeconds: Double
    package private(set) var windows: [Window] = []

    package init(window: Duration, warmUp: Duration) {
        windowSeconds = window / .seconds(1)
        warmUpSeconds = warmUp / .seconds(1)
    }

    package mutating func record(
        _ operation: LoadOperation,
        _ status: CallFigures.Status,
        at: Duration,
        _ time: Duration
    ) {
        let index = grow(to: at)
        windows[index].operations[operation, default: CallFigures(.hundredth)].record(status, time)
    }

    package mutating func noteInFlight(_ count: Int, at: Duration) {
        let index = grow(to: at)
        windows[index].mostInFlight = max(windows[index].mostInFlight, count)
    }

    private mutating func grow(to at: Duration) -> Int {
        let index = max(0, Int(at / .seconds(1) / windowSeconds))
        while windows.count <= index { windows.append(Window()) }
        return index
    }

    /// - Precondition: both have windows of one length.
    package mutating func add(_ other: LoadSeries) {
        precondition(windowSeconds == other.windowSeconds, "windows of different lengths do not add up")
        while windows.count < other.windows.count { windows.append(Window()) }
        for (index, window) in other.windows.enumerated() { windows[index].add(window) }
    }

    /// All operations of the windows that begin in a span of seconds from the start.
    package func figures(from start: Double, to end: Double) -> CallFigures {
        var sum = CallFigures(.hundredth)
        for (index, window) in windows.enumerated() {
            let begin = Double(index) * windowSeconds
            if begin >= start - 1e-9, begin < end - 1e-9 { sum.add(window.all) }
        }
        return sum
    }
}
