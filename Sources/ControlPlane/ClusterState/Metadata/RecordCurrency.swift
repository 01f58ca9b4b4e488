/// How old the records in memory may be: since when they are surely those of the store.
///
/// Times are durations since any fixed moment, given by the caller and never falling.
package struct RecordCurrency: Sendable {
    /// Whether this coordinator alone commits to the store.
    private let isExclusive: Bool
    /// The records in memory are at least as new as those that the store had then.
    private var confirmed: Duration
    private var commitCount = 0
    /// When a commit ended of which nobody has read since what came of it.
    private var unread: Duration?

    /// - Parameter confirmed: when the reading began by which the first records came into memory.
    package init(isExclusive: Bool, confirmed: Duration = .zero) {
        self.isExclusive = isExclusive
        self.confirmed = confirmed
    }

    private var isExact: Bool { isExclusive && commitCount == 0 && unread == nil }

    package mutating func commitBegins(now: Duration) {
        if isExact { confirmed = max(confirmed, now) }
        commitCount += 1
    }

    /// - Parameter isRead: whether the records in memory show what came of it, or nothing did.
    package mutating func commitEnded(isRead: Bool, now: Duration) {
        commitCount -= 1
        if !isRead { unread = now }
    }

    /// A read that sees every commit which ended before it began has shown nothing newer than what is in memory now.
    package mutating func wasRead(began: Duration) {
        confirmed = max(confirmed, began)
        if let end = unread, end <= began { unread = nil }
    }

    package func age(now: Duration) -> Duration { isExact ? .zero : max(.zero, now - confirmed) }
}
