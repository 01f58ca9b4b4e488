/// Threads that may take parts of a search when they have nothing else to do.
package struct SearchTeam: Sendable {
    /// Threads that work on one search at most, the caller's among them.
    package let memberLimit: Int
    /// Has an idle thread run the job soon; false, and the job is not run, when none is idle.
    package let recruit: @Sendable (_ job: @escaping @Sendable () -> Void) -> Bool

    package init(memberLimit: Int, recruit: @escaping @Sendable (_ job: @escaping @Sendable () -> Void) -> Bool) {
        self.memberLimit = memberLimit
        self.recruit = recruit
    }

    /// The caller's thread alone.
    package static let none = SearchTeam(memberLimit: 1) { _ in false }
}
