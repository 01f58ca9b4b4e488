internal import FaceModel
internal import VectorMath

/// Makes probes that are mates of known rows.
///
/// Collections have no labels to calibrate on, so mates are made as the field's statistics say they look: the part of
/// the probe that is not the row is noise whose spectrum is the square root of the collection's, orthogonal to the row.
/// `docs/decisions` has the reasons and what was measured.
struct MateSimulation {
    /// How similar a made mate is to its row.
    enum Similarity {
        /// As two images of one person "in the wild", N(0.60, 0.135), in a range: drawn again outside it.
        case wild(Range<Float>)
        case exactly(Float)
    }

    private static let wildMean = 0.60
    private static let wildDeviation = 0.135
    /// Images of one person are hardly more similar.
    static let wildLimit: Float = 0.95

    private let spectrum: PrincipalComponents
    private var generator: SplitMix64

    init(spectrum: PrincipalComponents, generator: SplitMix64) {
        self.spectrum = spectrum
        self.generator = generator
    }

    /// One mate of each row: `[rows.count × dimension]`, unit vectors.
    mutating func mates(of sample: EmbeddingMatrix, rows: Range<Int>, _ similarity: Similarity) -> [Float] {
        let dimension = spectrum.dimension
        let noise = noise(count: rows.count)
        var mates: [Float] = []
        mates.reserveCapacity(noise.count)
        for (index, row) in rows.enumerated() {
            mates.append(
                contentsOf: mate(
                    of: sample.row(row),
                    noise: noise[index * dimension..<(index + 1) * dimension],
                    similarity: draw(similarity)
                )
            )
        }
        return mates
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

    /// A similarity of a mate.
    mutating func draw(_ similarity: Similarity) -> Float {
        switch similarity {
        case .exactly(let value): return value
        case .wild(let range):
            var gaussian = GaussianSource()
            while true {
                let value = Float(Self.wildMean + Self.wildDeviation * gaussian.next(using: &generator))
                if range.contains(value) { return value }
            }
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
