/// Whether the store holds what this coordinator cannot read, so that it steers nobody by what it knew before. Pure.
///
/// Times are durations since any fixed moment, given by the caller.
package struct UnreadableRecords: Sendable {
    /// Which record it is, and why; nil as long as all can be read.
    package private(set) var problem: MetadataError?
    /// When the reading began that showed it.
    private var latest = Duration.zero
    private var told: (error: MetadataError, time: Duration)?

    package init() {}

    package var areThere: Bool { problem != nil }

    /// A reading has ended.
    ///
    /// - Parameters:
    ///   - error: why it failed; nil when all was read. One that was not answered shows nothing.
    ///   - began: of two that were under way together the later one tells what there is.
    package mutating func readingEnded(_ error: MetadataError?, began: Duration) {
        if let error, !error.isOfRecord { return }
        guard began >= latest else { return }
        latest = began
        problem = error
    }

    /// Whether the log is to be told of a reading that failed: once for each reason, and every minute while it stays.
    package mutating func isToBeTold(_ error: MetadataError, now: Duration) -> Bool {
        if let told, told.error == error, now - told.time < .seconds(60) { return false }
        told = (error, now)
        return true
    }
}
