/// How much of the lists the probes of a scan visit: in rounds, so that what the nearest lists give can rule out much
/// of the rest.
package struct VisitPlan: Sendable {
    /// Parts of the first budget at which rounds end.
    static let roundEnds = [0.03, 0.15, 1]

    /// Per probe, its lists from near to far.
    package var walks: [ListWalk]
    /// Weight that a probe visits as long as the similarity that a further row must have to be of use is this: a
    /// falling function; infinite for every list.
    package var budget: @Sendable (_ leastSimilarity: Float) -> Double

    /// The lists that are visited, of those that are near enough; other threads have the rest.
    package var slice: WorkSlice

    package init(
        walks: [ListWalk],
        slice: WorkSlice = .whole,
        budget: @escaping @Sendable (_ leastSimilarity: Float) -> Double
    ) {
        self.walks = walks
        self.slice = slice
        self.budget = budget
    }
}
