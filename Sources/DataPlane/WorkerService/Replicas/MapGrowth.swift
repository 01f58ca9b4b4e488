/// When a partition's file needs more address space, how much, and how long searches may be kept waiting for it. Pure:
/// told the time, never asks.
///
/// Address space costs nothing until it is used, so it is doubled long before it is used up. That needs a moment
/// without searches: new ones wait a little for those under way to end. Where these take longer the attempt is given
/// up, and the next one, a second later, waits longer. It is given up at once beside whatever reads all of the file; a
/// verification, which can be begun anew, ends when little is left.
package struct MapGrowth: Sendable {
    package struct Attempt: Hashable, Sendable {
        package var byteCount: Int
        package var patience: Duration
        /// Whether so little is left that a verification is to make way.
        package var isUrgent: Bool
    }

    /// Room below which there is to be more: a commit and a step of maintenance take less.
    static let leastRoom = 512 << 20
    static let firstPatience = Duration.milliseconds(10)
    static let longestPatience = Duration.milliseconds(320)
    static let pause = Duration.seconds(1)
    /// Attempts in a row, a second or more apart, after which people are told that all were given up.
    static let toldCount = 60

    private var patience = firstPatience
    private var earliest: ContinuousClock.Instant?
    private var isFull = false
    private var givenUpCount = 0

    package init() {}

    /// Whether no attempt was given up since it last grew.
    package var isUntried: Bool { earliest == nil }

    /// Whether the attempt that was given up last is the one of which people are told: once for each time that the file
    /// does not grow for long.
    package var isToBeTold: Bool { givenUpCount == Self.toldCount }

    /// The attempt to make now; nil while there is room, or the last attempt was just made.
    package func attempt(usedByteCount: Int, mapByteCount: Int, now: ContinuousClock.Instant) -> Attempt? {
        let room = max(Self.leastRoom, mapByteCount / 8)
        guard isFull || mapByteCount - usedByteCount < room, earliest.map({ now >= $0 }) ?? true else { return nil }
        var byteCount = mapByteCount
        repeat {
            let (double, overflow) = byteCount.multipliedReportingOverflow(by: 2)
            if overflow { return nil }
            byteCount = double
        } while byteCount - usedByteCount < 2 * room
        let isUrgent = isFull || mapByteCount - usedByteCount < room / 2
        return Attempt(byteCount: byteCount, patience: patience, isUrgent: isUrgent)
    }

    /// A write found no room although there seemed to be enough.
    package mutating func wasFull() { isFull = true }

    package mutating func grew() { self = MapGrowth() }

    package mutating func gaveUp(now: ContinuousClock.Instant) {
        patience = min(patience * 2, Self.longestPatience)
        earliest = now + Self.pause
        givenUpCount += 1
    }
}
