internal import Synchronization

/// Memory of the scans under way in this process.
package enum SearchBuffers {
    private static let total = Atomic(0)

    /// Bytes of their tables and shortlists.
    package static var byteCount: Int { max(total.load(ordering: .relaxed), 0) }

    static func add(_ byteCount: Int) { total.add(byteCount, ordering: .relaxed) }
}
