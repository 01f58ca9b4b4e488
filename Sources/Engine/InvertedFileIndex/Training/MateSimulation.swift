internal import FaceModel
internal import VectorMath

/// Makes probes that are mates of known rows and measures how far down the list order their rows lie.
///
/// Collections have no labels to calibrate on, so mates are made as the field's statistics say they look: at a
/// similarity drawn from that of images of one person taken in the wild, for mates at 0.40 and above, the rest of the
/// probe being noise whose spectrum is the square root of the collection's, orthogonal to the row.
/// `docs/decisions` has the reasons and what was measured.
struct MateSimulation {
    /// Similarities of two images of one person "in the wild": mean and deviation, and where they are cut off.
    static let similarityMean = 0.60
    static let similarityDeviation = 0.135
    static let leastSimilarity = 0.40
    static let greatestSimilarity = 0.95
    static let probeLimit = 4000

    private let spectrum: PrincipalComponents
    private var generator: SplitMix64

    init(spectrum: PrincipalComponents, generator: SplitMix64) {
        self.spectrum = spectrum
        self.generator = generator
    }

    /// For each simulated probe, the share of the collection visited when its mate's list has been.
    ///
    /// - Parameters:
    ///   - rows: rows of the sample that get a mate each: at most ``probeLimit``, none of which trained the quantizer.
    ///   - assignment: list of every row of the sample.
    mutating func mateShares(
        sample: EmbeddingMatrix,
        rows: Range<Int>,
        assignment: [UInt32],
        quantizer: CoarseQuantizer,
        projection: Matrix
    ) -> [Double] {
        let dimension = spectrum.dimension
        let chosen = Array(rows)
        let noise = noise(count: chosen.count)
        var probes: [Float] = []
        probes.reserveCapacity(chosen.count * dimension)
        for (index, row) in chosen.enumerated() {
            probes.append(
                contentsOf: mate(
                    of: sample.row(row),
                    noise: noise[index * dimension..<(index + 1) * dimension],
                    similarity: similarity()
                )
            )
        }
        let rotated = Matrix(rows: chosen.count, columns: dimension, storage: probes)
            .multiplied(by: projection, transposingOther: true)
        return chosen.enumerated().map { index, row in
            let first = index * projection.rows
            let scores = quantizer.scores(rotated: rotated.storage[first..<first + projection.rows])
            let own = Int(assignment[row])
            var share = 0.0
            for list in scores.indices where scores[list] > scores[own] || (scores[list] == scores[own] && list <= own)
            {
                share += Double(quantizer.weights[list])
            }
            return share
        }
    }

    /// `[count × dimension]` gaussian rows whose variance along component `i` is the root of its energy.
    private mutating func noise(count: Int) -> [Float] {
        let dimension = spectrum.dimension
        let deviations = spectrum.energies.map { $0.squareRoot().squareRoot() }
        var gaussian = GaussianSource()
        var rows: [Float] = []
        rows.reserveCapacity(count * dimension)
        for _ in 0..<count {
            for component in 0..<dimension {
                rows.append(Float(gaussian.next(using: &generator)) * deviations[component])
            }
        }
        return Matrix(rows: count, columns: dimension, storage: rows)
            .multiplied(by: Matrix(rows: dimension, columns: dimension, storage: spectrum.components))
            .storage
    }

    /// A similarity from the normal distribution above, cut off by drawing again.
    private mutating func similarity() -> Float {
        var gaussian = GaussianSource()
        while true {
            let value = Self.similarityMean + Self.similarityDeviation * gaussian.next(using: &generator)
            if (Self.leastSimilarity...Self.greatestSimilarity).contains(value) { return Float(value) }
        }
    }

    /// `similarity · x + √(1 − similarity²) · n`, where `n` is the noise made orthogonal to `x` and of unit length.
    private func mate(of row: ArraySlice<Float>, noise: ArraySlice<Float>, similarity: Float) -> [Float] {
        let overlap = zip(row, noise).reduce(0) { $0 + $1.0 * $1.1 }
        var direction = zip(row, noise).map { $1 - overlap * $0 }
        let norm = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let factor = norm > 0 ? (1 - similarity * similarity).squareRoot() / norm : 0
        for index in direction.indices { direction[index] *= factor }
        return zip(row, direction).map { similarity * $0 + $1 }
    }
}
