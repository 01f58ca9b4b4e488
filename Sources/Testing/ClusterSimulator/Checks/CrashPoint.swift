/// Where in the protocol a process was when it ended.
///
/// As far as it shows in what a replica has on disk and under way. A replica may be at several points, and one whose
/// process ends while nothing is going on is at none.
package enum CrashPoint: String, CaseIterable, Sendable {
    /// A primary has ordered what its own disk has yet to have.
    case ordering
    /// A primary's disk has what others have yet to say that theirs have.
    case replicating
    /// A primary knows of what is committed that it has yet to apply.
    case committing
    /// A primary has applied everything, and was yet to acknowledge some of it, since others had not said so.
    case acknowledging
    /// Another replica's disk is about to have entries.
    case following
    /// Another replica's disk has entries of which it does not know that they are committed: its word of them may not
    /// have arrived.
    case replying
    /// A replica's disk has a promise, and its log nothing of that epoch.
    case promising
    /// A replica is about to cut off what no primary has.
    case truncating
    /// A primary has asked the metadata store for another member in sync, or one less, and has not heard.
    case proposing
    /// A replica has been named primary, and does not lead yet.
    case activating
    /// A copy is on its way, and this is its sender, or who gets it.
    case copying
    /// A coordinator.
    case coordinator
    /// A worker that ended together with all others that were there.
    case all
    /// The metadata store, which is cut off and not crashed.
    case store
}
