/// How many requests beyond the first may be made: as a share of all, since who has too much to do is not helped by
/// more of it. For hedged reads, and for what a worker refused for overload. Not thread-safe.
///
/// - SeeAlso: Google, "Site reliability engineering" (2016), chapter 21, for retry budgets.
package struct RequestBudget: Sendable {
    private let share: Double
    private let reserve: Double
    private var allowance: Double

    /// - Parameters:
    ///   - share: further requests for each first one, in the long run.
    ///   - reserve: further requests at once.
    package init(share: Double, reserve: Double) {
        self.share = share
        self.reserve = reserve
        allowance = reserve
    }

    /// A request is made for the first time.
    package mutating func noteRequest() { allowance = min(allowance + share, reserve) }

    /// - Returns: whether a further request may be made; it is then counted.
    package mutating func take() -> Bool {
        guard allowance >= 1 else { return false }
        allowance -= 1
        return true
    }
}
