internal import Synchronization

/// Notices when stored embeddings are not in memory, and then has those that a search is about to compare read together
/// instead of one after the other, each with a wait for the disk.
///
/// Asking about each row costs about as much as comparing it, so rows are asked about only for a while after a search
/// had to wait for the disk.
final class ColdRows: Sendable {
    /// Comparisons for which rows are asked about after one was missing.
    private static let attention = 256

    private let left = Atomic(0)

    var isAttentive: Bool { left.load(ordering: .relaxed) > 0 }

    /// A search has waited for the disk.
    func noteWait() { left.store(Self.attention, ordering: .relaxed) }

    /// Begins to read those of some rows that are not in memory.
    func readAhead(_ rows: UnsafeBufferPointer<UnsafeRawPointer?>, rowByteCount: Int) {
        var isAnyMissing = false
        for index in rows.indices {
            let range = unsafe UnsafeRawBufferPointer(start: rows[index], count: rowByteCount)
            let (pages, resident) = unsafe MappedPages.residency(of: range)
            if resident < pages {
                isAnyMissing = true
                unsafe MappedPages.readAhead(range)
            }
        }
        if isAnyMissing { noteWait() } else { left.subtract(1, ordering: .relaxed) }
    }
}
