internal import Synchronization

/// Notices when what searches read, stored embeddings or codes, is not in memory: then what a search is about to use is
/// read together instead of page after page, each with a wait for the disk.
///
/// Asking whether something is there costs about as much as using it, so that is asked only for a while: after a
/// partition has been opened, and after a search had to wait for the disk.
package final class ColdPages: Sendable {
    /// Questions after one that found something missing.
    private static let attention = 256

    private let left = Atomic(attention)

    package init() {}

    package var isAttentive: Bool { left.load(ordering: .relaxed) > 0 }

    /// A search has waited for the disk.
    package func noteWait() { left.store(Self.attention, ordering: .relaxed) }

    /// Pages have been asked about, and those that were missing are being read.
    package func noteReading(isAnyMissing: Bool) {
        if isAnyMissing { noteWait() } else { left.subtract(1, ordering: .relaxed) }
    }
}
