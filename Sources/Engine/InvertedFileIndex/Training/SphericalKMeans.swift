internal import VectorMath

/// k-means under inner product with unit centroids.
///
/// - SeeAlso: Dhillon, Modha, "Concept decompositions for large sparse text data using clustering" (2001).
struct SphericalKMeans {
    static let iterationCount = 10
    /// A centroid is the mean of as many rows at least. Of one row it would be that row: a codebook is kept in many
    /// places, and in backups, long after a face that it was trained on has been deleted.
    static let leastRowsPerList = 8
    private static let blockRows = 4096

    /// - Parameters:
    ///   - vectors: `[n × dimension]`, of any length; each counts by its direction.
    ///   - rowCount: how many of them, from the first on, are to be trained on; ``leastRowsPerList`` for each list at
    ///     least.
    ///   - listCount: lists that there are at most. Those that have fewer than ``leastRowsPerList`` rows in the end are
    ///     left out; their rows go to the next nearest.
    ///   - proceed: called every few milliseconds with the share of the work that is done; false ends it.
    /// - Returns: `[count × dimension]`, unit rows, of one list at least; nil when `proceed` ended it.
    static func train(
        vectors: [Float],
        rowCount: Int,
        dimension: Int,
        listCount: Int,
        generator: inout SplitMix64,
        proceed: (Float) -> Bool
    ) -> [Float]? {
        precondition(listCount >= 1 && rowCount / listCount >= leastRowsPerList, "no list may have rows enough")
        var centroids: [Float] = []
        var counts: [Int] = []
        var order = Array(0..<rowCount)
        order.shuffle(using: &generator)
        for list in 0..<listCount {
            let row = order[list % rowCount]
            centroids.append(contentsOf: vectors[row * dimension..<(row + 1) * dimension])
        }
        normalise(&centroids, dimension: dimension, generator: &generator)
        for iteration in 0..<iterationCount {
            var sums = [Float](repeating: 0, count: centroids.count)
            counts = [Int](repeating: 0, count: listCount)
            var first = 0
            while first < rowCount {
                let done = Float(iteration) + Float(first) / Float(rowCount)
                if !proceed(done / Float(iterationCount)) { return nil }
                let last = min(rowCount, first + blockRows)
                let nearest = nearest(
                    vectors: Array(vectors[first * dimension..<last * dimension]),
                    centroids: centroids,
                    dimension: dimension
                )
                for (offset, list) in nearest.enumerated() {
                    counts[list] += 1
                    let row = (first + offset) * dimension
                    for component in 0..<dimension { sums[list * dimension + component] += vectors[row + component] }
                }
                first = last
            }
            // An empty list takes half of the fullest one: its centroid, moved a little.
            for list in 0..<listCount where counts[list] == 0 {
                let fullest = counts.indices.max { counts[$0] < counts[$1] }!
                for component in 0..<dimension {
                    let value = sums[fullest * dimension + component]
                    let nudge: Float = component % 2 == 0 ? 1 + 1 / 64 : 1 - 1 / 64
                    sums[list * dimension + component] = value * nudge
                }
                counts[list] = counts[fullest] / 2
                counts[fullest] -= counts[list]
            }
            centroids = sums
            normalise(&centroids, dimension: dimension, generator: &generator)
        }
        // The fullest stays: the counts add up to the rows.
        let kept = counts.indices.filter { counts[$0] >= leastRowsPerList }
        if kept.count == listCount { return centroids }
        return kept.flatMap { centroids[$0 * dimension..<($0 + 1) * dimension] }
    }

    private static func nearest(vectors: [Float], centroids: [Float], dimension: Int) -> [Int] {
        let rowCount = vectors.count / dimension
        let listCount = centroids.count / dimension
        let scores = Matrix(rows: rowCount, columns: dimension, storage: vectors)
            .multiplied(
                by: Matrix(rows: listCount, columns: dimension, storage: centroids),
                transposingOther: true
            )
        return unsafe scores.storage.withUnsafeBufferPointer { scores in
            (0..<rowCount).map { row in
                var best = 0
                var bestScore = unsafe scores[row * listCount]
                for list in 1..<max(1, listCount) {
                    let score = unsafe scores[row * listCount + list]
                    if score > bestScore {
                        bestScore = score
                        best = list
                    }
                }
                return best
            }
        }
    }

    /// Unit length for every row; a row without direction becomes a random one.
    private static func normalise(_ rows: inout [Float], dimension: Int, generator: inout SplitMix64) {
        var gaussian = GaussianSource()
        for row in 0..<rows.count / dimension {
            let range = row * dimension..<(row + 1) * dimension
            var norm = rows[range].reduce(0) { $0 + $1 * $1 }.squareRoot()
            if !(norm > 1e-12) {
                for index in range { rows[index] = Float(gaussian.next(using: &generator)) }
                norm = rows[range].reduce(0) { $0 + $1 * $1 }.squareRoot()
            }
            for index in range { rows[index] /= norm }
        }
    }
}
