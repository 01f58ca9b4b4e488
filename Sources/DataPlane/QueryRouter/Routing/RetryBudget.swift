/// How often what a worker refused for overload may be asked of it again: as a share of all that is asked, since a
/// worker with too much to do is not helped by more of it. Not thread-safe.
///
/// - SeeAlso: Google, "Site reliability engineering" (2016), chapter 21, for retry budgets.
struct RetryBudget: Sendable {
    private let share: Double
    private let reserve: Double
    private var allowance: Double

    /// - Parameters:
    ///   - share: retries for each request, in the long run.
    ///   - reserve: retries at once.
    init(share: Double, reserve: Int) {
        self.share = share
        self.reserve = Double(reserve)
        allowance = self.reserve
    }

    mutating func noteRequest() { allowance = min(allowance + share, reserve) }

    /// - Returns: whether a retry may be made; it is then counted.
    mutating func take() -> Bool {
        guard allowance >= 1 else { return false }
        allowance -= 1
        return true
    }
}
