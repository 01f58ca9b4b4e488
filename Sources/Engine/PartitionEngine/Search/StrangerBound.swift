internal import FaceModel
internal import InvertedFileIndex

/// Above which similarity a match of an unlabelled search can hardly be a stranger.
///
/// Among a million faces ten strangers or more are as similar to a probe as its mates at 0.30 are. They come as the
/// tail of a normal distribution, of which two places far from the few mates tell the rest. A person with more images
/// than the nearer place makes the bound too high, never too low.
enum StrangerBound {
    /// Matches that have to be known, best first, for ``similarity(ofBest:faceCount:)``.
    static func matchCount(faceCount: UInt64) -> Int { 4 * nearRank(faceCount: faceCount) }

    /// Of these matches the nearer place is the last.
    private static func nearRank(faceCount: UInt64) -> Int { Int(min(64, faceCount / 16)) }

    /// Strangers above the bound for each probe, at most.
    private static let strangersAbove = 0.05

    /// - Parameters:
    ///   - best: similarities of the best matches, descending, at least ``matchCount(faceCount:)`` of them.
    ///   - faceCount: faces that were searched.
    /// - Returns: nil when there are too few to tell.
    static func similarity(ofBest best: some RandomAccessCollection<Match>, faceCount: UInt64) -> Float? {
        let near = nearRank(faceCount: faceCount)
        let far = 4 * near
        guard near >= 4, best.count >= far else { return nil }
        func place(_ rank: Int) -> (similarity: Double, deviations: Double) {
            (
                Double(best[best.index(best.startIndex, offsetBy: rank - 1)].similarity),
                NormalDistribution.deviations(forTail: Double(rank) / Double(faceCount))
            )
        }
        let (nearer, farther) = (place(near), place(far))
        let deviation = (nearer.similarity - farther.similarity) / (nearer.deviations - farther.deviations)
        let end = NormalDistribution.deviations(forTail: max(1e-12, strangersAbove / Double(faceCount)))
        return Float(farther.similarity + deviation * (end - farther.deviations))
    }
}
