/// The figures of a load over time, in windows of equal length; a call belongs to the window of its intended start.
package struct LoadSeries: Sendable, Equatable, Codable {
    package struct Window: Sendable, Equatable, Codable {
        package var operations: [LoadOperation: CallFigures] = [:]
        /// Most calls that were under way at once.
        package var mostInFlight = 0
        /// Of answers that were compared with exact searches when the load was over: matches that had to be in them,
        /// and those that were. Nil where none was compared, and in reports of programs that did not tell.
        package private(set) var requiredMatchCount: Int?
        package private(set) var foundMatchCount: Int?

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
            if let required = other.requiredMatchCount {
                noteCompared(required: required, found: other.foundMatchCount ?? 0)
            }
        }

        fileprivate mutating func noteCompared(required: Int, found: Int) {
            requiredMatchCount = (requiredMatchCount ?? 0) + required
            foundMatchCount = (foundMatchCount ?? 0) + found
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

    /// Notes what comparing an answer with an exact search has shown.
    ///
    /// - Parameter at: when its call was to begin.
    package mutating func noteCompared(required: Int, found: Int, at: Duration) {
        let index = grow(to: at)
        windows[index].noteCompared(required: required, found: found)
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
