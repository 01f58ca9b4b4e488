internal import Synchronization

/// Notices when stored embeddings are not in memory, and then has those that a search is about to compare read together
/// instead of one after the other, each with a wait for the disk.
///
/// Asking about each row costs about as much as comparing it, so rows are asked about only for a while: after a
/// partition has been opened, and after a search had to wait for the disk.
package final class ColdRows: Sendable {
    /// Comparisons for which rows are asked about after one was missing.
    private static let attention = 256

    private let left = Atomic(attention)

    package init() {}

    package var isAttentive: Bool { left.load(ordering: .relaxed) > 0 }

    /// A search has waited for the disk.
    package func noteWait() { left.store(Self.attention, ordering: .relaxed) }

    /// Rows have been asked about, and those that were missing are being read.
    package func noteReading(isAnyMissing: Bool) {
        if isAnyMissing { noteWait() } else { left.subtract(1, ordering: .relaxed) }
    }
}
