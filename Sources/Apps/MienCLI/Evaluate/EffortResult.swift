import BiometricEvaluation
import FaceModel
import MienClient

/// What searches with one effort found, and how long they took.
struct EffortResult {
    let effort: SearchOptions.Effort
    var identification = IdentificationTest()
    var recall = RetrievalRecall()
    /// Whether the mates could be told.
    var mates = MateKnowledge()
    /// Of the mates that exact search ranks first, those that this effort does not find, by the similarity of the mate;
    /// see ``SimilarityBands``.
    private(set) var misses = [Proportion](repeating: Proportion(count: 0, total: 0), count: SimilarityBands.count)
    /// Rows visited over all probes, and those that `exact` visits.
    var rowsVisited: UInt64 = 0
    var rowsInAll: UInt64 = 0
    private(set) var singleTimes: [Duration] = []
    /// The same with other numbers of matches than everything else is measured with.
    private var otherTimes: [Int: [Duration]] = [:]
    /// Of whole photos, for one probe each.
    private(set) var photoTimes: [Duration] = []

    init(effort: SearchOptions.Effort) { self.effort = effort }

    var visitedShare: Double { rowsInAll == 0 ? 0 : Double(rowsVisited) / Double(rowsInAll) }
    var singleMilliseconds: Double { PairedTimes.medianMilliseconds(singleTimes) }
    var photoMilliseconds: Double { PairedTimes.medianMilliseconds(photoTimes) }

    /// All bands, or those of a similarity or more.
    func missed(from floor: Float = -1) -> Proportion {
        let counted = zip(SimilarityBands.floors, misses).filter { $0.0 >= floor }.map(\.1)
        return Proportion(
            count: counted.reduce(0) { $0 + $1.count },
            total: counted.reduce(0) { $0 + $1.total }
        )
    }

    mutating func count(mateAt similarity: Float, isMissed: Bool) {
        let band = SimilarityBands.band(of: similarity)
        misses[band].total += 1
        misses[band].count += isMissed ? 1 : 0
    }

    /// Other numbers of matches that searches were timed with, ascending.
    var otherLimits: [Int] { otherTimes.keys.sorted() }

    func singleMilliseconds(matchLimit: Int) -> Double { PairedTimes.medianMilliseconds(otherTimes[matchLimit] ?? []) }

    mutating func addSingle(_ time: Duration) { singleTimes.append(time) }

    mutating func addSingle(_ time: Duration, matchLimit: Int) { otherTimes[matchLimit, default: []].append(time) }

    mutating func addPhoto(_ time: Duration, probeCount: Int) { photoTimes.append(time / probeCount) }
}
