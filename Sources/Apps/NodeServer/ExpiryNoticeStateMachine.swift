/// When people are told that one certificate comes to its end: 30, 7 and 1 days before, and then, once each; at the
/// start of a node the last of those that have passed.
package struct ExpiryNoticeStateMachine: Sendable {
    package enum Action: Hashable, Sendable {
        case none
        case ends
        case hasEnded
    }

    private static let daysBefore: [Int64] = [30, 7, 1, 0]
    /// How many of the moments have passed and been told of.
    private var toldCount = 0

    package init() {}

    /// A look at the clock.
    ///
    /// - Parameter remainingSeconds: that the certificate is still good for; below zero when it is no more. It grows
    ///   when another takes its place, of which people are told anew.
    package mutating func event(remainingSeconds: Int64) -> Action {
        let passedCount = Self.daysBefore.count { remainingSeconds < $0 * 86_400 }
        defer { toldCount = passedCount }
        guard passedCount > toldCount else { return .none }
        return passedCount == Self.daysBefore.count ? .hasEnded : .ends
    }
}
