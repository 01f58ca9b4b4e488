import FaceModel
import Foundation
import VectorMath

/// Seed of all random cases; `MIEN_TEST_SEED` repeats a failure or varies them.
let testSeed: UInt64 = getenv("MIEN_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? 20_261_123

/// Unit vectors whose components have a given spectrum, about a mean, along the axes.
struct SpectrumSample {
    let deviations: [Float]
    let mean: [Float]
    private var generator: SplitMix64
    private var gaussian = GaussianSource()

    var dimension: Int { deviations.count }

    init(energies: [Float], mean: Float = 0, seed: UInt64 = testSeed) {
        let total = energies.reduce(0, +)
        deviations = energies.map { ($0 / total).squareRoot() }
        self.mean = energies.indices.map { $0 % 3 == 0 ? mean : 0 }
        generator = SplitMix64(seed: seed)
    }

    /// The spectrum `1 / (k + 8)`: a heavy tail.
    static func heavyTailed(dimension: Int, mean: Float = 0, seed: UInt64 = testSeed) -> SpectrumSample {
        SpectrumSample(energies: (0..<dimension).map { 1 / Float($0 + 8) }, mean: mean, seed: seed)
    }

    /// The spectrum `exp(-k / 75)`: 256 of 512 components hold 97 %.
    static func steep(dimension: Int, seed: UInt64 = testSeed) -> SpectrumSample {
        SpectrumSample(energies: (0..<dimension).map { Float(exp(-Double($0) / 75)) }, seed: seed)
    }

    mutating func vector() -> [Float] {
        let raw = zip(deviations, mean).map { Float(gaussian.next(using: &generator)) * $0 + $1 }
        return Self.normalised(raw)
    }

    mutating func rows(_ count: Int) -> EmbeddingMatrix {
        var values: [Float] = []
        values.reserveCapacity(count * dimension)
        for _ in 0..<count { values.append(contentsOf: vector()) }
        return EmbeddingMatrix(dimension: dimension, values: values)
    }

    /// A probe whose cosine with `row` is normal about 0.60 with a deviation of 0.135, between 0.40 and 0.95, and whose
    /// remainder has a spectrum that is the root of the sample's.
    mutating func mate(of row: [Float]) -> [Float] {
        var similarity: Float = 0
        repeat {
            similarity = 0.60 + 0.135 * Float(gaussian.next(using: &generator))
        } while !(0.40...0.95).contains(similarity)
        return mate(of: row, similarity: similarity)
    }

    /// A probe whose cosine with `row` is `similarity`, likewise.
    mutating func mate(of row: [Float], similarity: Float) -> [Float] {
        let noise = deviations.map { Float(gaussian.next(using: &generator)) * $0.squareRoot() }
        let overlap = Self.dot(row, noise)
        let direction = Self.normalised(zip(row, noise).map { $1 - overlap * $0 })
        return zip(row, direction).map { similarity * $0 + (1 - similarity * similarity).squareRoot() * $1 }
    }

    mutating func index(below count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    static func normalised(_ vector: [Float]) -> [Float] {
        let norm = dot(vector, vector).squareRoot()
        return vector.map { $0 / norm }
    }

    static func dot(_ left: some Sequence<Float>, _ right: some Sequence<Float>) -> Float {
        zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
    }
}
