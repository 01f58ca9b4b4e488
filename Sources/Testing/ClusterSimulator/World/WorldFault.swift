/// Faults planted around the replicas, in what the simulator stands in for: storage, controller, metadata store.
package enum WorldFault: String, CaseIterable, Sendable {
    /// A write sent again is done again.
    case noDeduplication
    /// A primary may come from outside the in-sync set.
    case electOutsideInSync
    /// A worker whose disk was replaced comes back under its old name.
    case amnesia
    /// The in-sync set shrinks below its minimum.
    case shrinkBelowMinimum
    /// A copy brings faces that were deleted on their way.
    case tombstonesForgotten
    /// The record of a group is changed whatever its version is.
    case noCompareAndSwap
}
