internal import Synchronization

/// A number that is the same for every search of a commit and takes a while to find, kept for the newest commit that
/// was asked about.
package final class CommitCount: Sendable {
    private struct Known {
        let transactionNumber: UInt64
        let count: Int
    }

    private let newest = Mutex<Known?>(nil)

    package init() {}

    /// Searches that ask at the same moment may each find it.
    package func count(inTransaction number: UInt64, finding find: () -> Int) -> Int {
        let known = newest.withLock { $0 }
        if let known, known.transactionNumber == number { return known.count }
        let count = find()
        newest.withLock { kept in
            if kept.map({ $0.transactionNumber < number }) ?? true {
                kept = Known(transactionNumber: number, count: count)
            }
        }
        return count
    }
}
