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
    /// Until when those who are there may not have been heard again since it stood still.
    private var settlingEnd = Duration.zero
    /// Since when it may not have heard them, while it may not have.
    private var deafSince = Duration.zero
    private var lastLook: Duration?

    /// - Parameter interval: of the looks.
    package init(silenceLimit: Duration, interval: Duration) {
        self.silenceLimit = silenceLimit
        // One that stood still for less than all of the limit finds those silent whose last word was old before.
        longestPause = max(silenceLimit / 2, interval * 2)
    }

    /// Silence before counts no more.
    package mutating func begin(now: Duration) { start = max(start, now) }

    /// To be called at every interval, by who does nothing else.
    ///
    /// - Returns: for how long this coordinator stood still, when it did.
    package mutating func look(now: Duration) -> Duration? {
        let pause = pause(until: now)
        if pause != nil, let lastLook, lastLook > settlingEnd { deafSince = lastLook }
        lastLook = now
        if let pause { settlingEnd = max(settlingEnd, now + min(pause, silenceLimit)) }
        return pause
    }

    /// Whether a worker would have been heard of by now that is there.
    package func isSettled(now: Duration) -> Bool {
        now - start > silenceLimit && isHearing(now: now)
    }

    /// Whether it has not stood still for so long that others' words may wait to be read.
    package func isHearing(now: Duration) -> Bool { now > settlingEnd && pause(until: now) == nil }

    /// Whether it may be for this coordinator's standing still alone that nobody was heard for so long.
    package func explains(_ silence: Duration, now: Duration) -> Bool {
        guard !isHearing(now: now) else { return false }
        let isNew = pause(until: now) != nil && (lastLook ?? now) > settlingEnd
        let start = isNew ? lastLook ?? now : deafSince
        return silence - (now - start) <= silenceLimit
    }

    private func pause(until now: Duration) -> Duration? {
        guard let lastLook, now - lastLook > longestPause else { return nil }
        return now - lastLook
    }
}
