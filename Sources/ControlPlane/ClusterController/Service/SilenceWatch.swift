/// Since when the silence of workers counts: since this coordinator can hear them. Pure.
///
/// A process that was stopped, or whose machine was, goes on with everybody silent for as long, whose words wait to be
/// read: until those who are there have been heard again it decides nothing by silence. Who is silent beyond that was
/// so before.
///
/// Times are durations since any fixed moment of a monotonic clock, given by the caller.
package struct SilenceWatch: Sendable {
    private let silenceLimit: Duration
    /// Longest time between two looks in which this coordinator runs all the same.
    private let longestPause: Duration
    package private(set) var start = Duration.zero
    private var resumption = Duration.zero
    private var lastLook: Duration?

    /// - Parameter interval: of the looks.
    package init(silenceLimit: Duration, interval: Duration) {
        self.silenceLimit = silenceLimit
        longestPause = max(silenceLimit, interval * 2)
    }

    /// Silence before counts no more.
    package mutating func begin(now: Duration) { start = max(start, now) }

    /// To be called at every interval, by who does nothing else.
    ///
    /// - Returns: for how long this coordinator stood still, when it did.
    package mutating func look(now: Duration) -> Duration? {
        let pause = pause(until: now)
        lastLook = now
        if pause != nil { resumption = now }
        return pause
    }

    /// Whether a worker would have been heard of by now that is there.
    package func isSettled(now: Duration) -> Bool {
        now - max(start, resumption) > silenceLimit && pause(until: now) == nil
    }

    private func pause(until now: Duration) -> Duration? {
        guard let lastLook, now - lastLook > longestPause else { return nil }
        return now - lastLook
    }
}
