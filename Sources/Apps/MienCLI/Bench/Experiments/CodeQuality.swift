/// How well codes stand for embeddings: what was seen of them over some probes.
struct CodeQuality {
    /// Candidates to which a mate must belong to be found.
    let candidateCount: Int
    private var squaredErrors = 0.0
    private var errorCount = 0.0
    private var mateErrors = 0.0
    private var mateErrorCount = 0.0
    /// Ranks, from 1, by estimate, of rows that exact search finds.
    private var neighbourRanks: [Int] = []
    private var found = [Int](repeating: 0, count: SimilarityBands.count)
    private var mates = [Int](repeating: 0, count: SimilarityBands.count)

    init(candidateCount: Int) {
        self.candidateCount = candidateCount
    }

    /// - Parameters:
    ///   - rows: ids of rows in `similarities`; their estimates beside them.
    ///   - neighbours: those of the rows that exact search finds.
    ///   - mate: the best mate, if exact search finds it, and its band.
    mutating func add(
        rows: [UInt32],
        estimates: [Float],
        similarities: UnsafeBufferPointer<Float>,
        neighbours: [Int],
        mate: (row: Int, band: Int)?
    ) {
        var errors = 0.0
        var places: [Int: Float] = [:]
        let wanted = Set(neighbours.map { UInt32($0) })
        for (row, estimate) in zip(rows, estimates) {
            let error = unsafe estimate - similarities[Int(row)]
            errors += Double(error * error)
            if wanted.contains(row) { places[Int(row)] = estimate }
        }
        squaredErrors += errors
        errorCount += Double(rows.count)
        for (neighbour, estimate) in places {
            var better = 0
            for other in estimates where other > estimate { better += 1 }
            neighbourRanks.append(better + 1)
            guard let mate, neighbour == mate.row else { continue }
            mates[mate.band] += 1
            if better < candidateCount { found[mate.band] += 1 }
            mateErrors += unsafe Double(estimate - similarities[neighbour])
            mateErrorCount += 1
        }
    }

    var errorDeviation: Double { (squaredErrors / max(1, errorCount)).squareRoot() }

    /// What a mate's estimate is above its similarity, on average.
    var mateBias: Double { mateErrors / max(1, mateErrorCount) }

    /// Candidates that must be compared so that this share of the rows that exact search finds is among them.
    func candidates(forRecall recall: Double) -> Int {
        let sorted = neighbourRanks.sorted()
        guard !sorted.isEmpty else { return 0 }
        return sorted[min(sorted.count - 1, max(0, Int((recall * Double(sorted.count)).rounded(.up)) - 1))]
    }

    /// Share of the mates among the candidates, by band.
    var mateCells: [ResultCell] { zip(found, mates).map { .found($0, of: $1) } }
}
