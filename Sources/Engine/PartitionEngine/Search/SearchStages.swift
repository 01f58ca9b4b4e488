internal import Glibc

/// Where a search's time went, in nanoseconds, summed over the threads that took part: divided searches have more of it
/// than they took.
package struct SearchStages: Hashable, Sendable {
    /// Finding out what is to be searched: the commit, the filter, what is dead or hidden.
    package var plan: UInt64 = 0
    /// Rotating probes, building their tables, ranking lists.
    package var rank: UInt64 = 0
    /// Scanning codes.
    package var scan: UInt64 = 0
    /// Comparing scattered stored embeddings: of promising rows, or of the few that a filter lets through.
    package var compare: UInt64 = 0
    /// Going through rows one after the other: those in no list yet, or all of them.
    package var flat: UInt64 = 0
    /// From rows to matches.
    package var answer: UInt64 = 0

    package init() {}

    package static func + (left: SearchStages, right: SearchStages) -> SearchStages {
        var sum = left
        sum.plan += right.plan
        sum.rank += right.rank
        sum.scan += right.scan
        sum.compare += right.compare
        sum.flat += right.flat
        sum.answer += right.answer
        return sum
    }
}

/// A monotonic clock that takes 20 ns to read.
enum StageClock {
    static var now: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
