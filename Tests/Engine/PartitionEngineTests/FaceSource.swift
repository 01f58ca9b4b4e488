import FaceModel
import Foundation
import InvertedFileIndex
import VectorMath

/// Made-up embeddings of made-up people, from one seed.
///
/// Variance of component `k` falls as `1 / (k + 8)`, so that the principal components are the axes. A person is a point
/// of that distribution and an image is the person plus noise of the same shape.
struct FaceSource {
    let dimension: Int
    var generator: SplitMix64
    private var gaussian = GaussianSource()
    private let deviations: [Float]

    init(dimension: Int, seed: UInt64 = testSeed) {
        self.dimension = dimension
        generator = SplitMix64(seed: seed)
        deviations = (0..<dimension).map { 1 / Float($0 + 8).squareRoot() }
    }

    /// A unit vector.
    mutating func embedding() -> [Float] {
        Self.normalised(noise())
    }

    /// A unit vector near `person`: the smaller the noise, the more alike.
    mutating func image(of person: [Float], noise share: Float) -> [Float] {
        let noise = Self.normalised(noise())
        return Self.normalised(zip(person, noise).map { $0 + share * $1 })
    }

    /// A unit vector whose cosine with `person` is `similarity`.
    mutating func mate(of person: [Float], similarity: Float) -> [Float] {
        let noise = noise()
        let overlap = zip(person, noise).reduce(0) { $0 + $1.0 * $1.1 }
        let direction = Self.normalised(zip(person, noise).map { $1 - overlap * $0 })
        return zip(person, direction).map { similarity * $0 + (1 - similarity * similarity).squareRoot() * $1 }
    }

    mutating func matrix(rowCount: Int) -> EmbeddingMatrix {
        var values: [Float] = []
        for _ in 0..<rowCount { values.append(contentsOf: embedding()) }
        return EmbeddingMatrix(dimension: dimension, values: values)
    }

    private mutating func noise() -> [Float] {
        deviations.map { Float(gaussian.next(using: &generator)) * $0 }
    }

    static func normalised(_ vector: [Float]) -> [Float] {
        let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return vector.map { $0 / norm }
    }

    /// A codebook of the source's distribution, made once per shape.
    static func codebook(dimension: Int, generation: UInt32 = 1, listCount: Int = 16) throws -> [UInt8] {
        var source = FaceSource(dimension: dimension, seed: 77 + UInt64(generation))
        return try CodebookTrainer.train(
            // So many rows that no list is left out for having too few.
            sample: source.matrix(rowCount: max(CodebookTrainer.minimumSampleCount, 40 * listCount)),
            generation: generation,
            listCount: listCount,
            seed: 5,
            shouldStop: { false }
        ).encoded()
    }
}

extension Codebook {
    /// The same with another calibration.
    func with(_ calibration: RecallCalibration) -> Codebook {
        Codebook(
            generation: generation,
            dimension: dimension,
            plan: plan,
            mean: mean,
            projection: projection,
            scale: scale,
            quantizer: quantizer,
            energyShare: energyShare,
            sampleCount: sampleCount,
            calibration: calibration,
            scanCalibration: scanCalibration
        )
    }
}

extension FaceID {
    init(_ number: Int) {
        self.init(high: 0x0123_4567_89ab_4def, low: 0x8000_0000_0000_0000 | UInt64(number))
    }
}
