/// One point of the recall curves that come with a codebook: what share of the faces a search visits for a recall.
package struct CalibrationPoint: Hashable, Sendable {
    /// Mates from this similarity up.
    package var leastSimilarity: Float
    /// Share of them that are found, 0…1.
    package var recall: Double
    /// Share of the faces that are visited, 0…1.
    package var visitedShare: Double

    package init(leastSimilarity: Float, recall: Double, visitedShare: Double) {
        self.leastSimilarity = leastSimilarity
        self.recall = recall
        self.visitedShare = visitedShare
    }
}
