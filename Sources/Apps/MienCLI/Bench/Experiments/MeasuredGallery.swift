import FaceModel
import InvertedFileIndex
import SyntheticGallery
import VectorMath

/// A gallery in memory, probes with mates in every band, and what exact search finds for them.
struct MeasuredGallery {
    /// What exact search finds for one probe.
    struct Truth {
        /// Best first.
        var neighbours: [Int] = []
        /// Whether the best mate is among them: only then can an index lose it.
        var holdsMate = false
    }

    static let dimension = IndexBench.dimension
    /// Matches wanted of a search.
    static let matchLimit = 10
    /// Rows that train a codebook.
    private static let sampleRows = 65_536
    private static let probesPerProduct = 32

    let model: GalleryModel
    /// `[faceCount × dimension]`.
    let faces: [Float]
    let probes: MatedProbes
    private(set) var truths: [Truth] = []

    var faceCount: Int { faces.count / Self.dimension }

    init(_ model: GalleryModel, faceCount: Int, perBand: Int, seed: UInt64) throws(CommandFailure) {
        self.model = model
        let gallery = try model.gallery(faceCount: faceCount, seed: seed)
        let faces = gallery.faces(in: 0..<faceCount)
        self.faces = faces
        probes = MatedProbes(gallery: gallery, perBand: perBand) { rows in
            faces[rows.lowerBound * Self.dimension..<rows.upperBound * Self.dimension]
        }
        unsafe forEachProbe { probe, similarities in
            var best = BoundedTopK(capacity: Self.matchLimit)
            for face in similarities.indices {
                unsafe best.insert(score: similarities[face], id: UInt64(face))
            }
            let neighbours = best.sorted().map { Int($0.id) }
            truths.append(Truth(neighbours: neighbours, holdsMate: neighbours.contains(probes.mates[probe])))
        }
    }

    func probe(_ index: Int) -> [Float] {
        Array(probes.values[index * Self.dimension..<(index + 1) * Self.dimension])
    }

    /// Mates that exact search finds, by band.
    var mateCounts: [Int] {
        (0..<SimilarityBands.count).map { band in
            truths.indices.count { truths[$0].holdsMate && probes.band(ofProbe: $0) == band }
        }
    }

    /// Passes the exact similarities of every probe with all faces.
    func forEachProbe(_ body: (_ probe: Int, _ similarities: UnsafeBufferPointer<Float>) -> Void) {
        var products = [Float](repeating: 0, count: Self.probesPerProduct * faceCount)
        unsafe products.withUnsafeMutableBufferPointer { products in
            for first in stride(from: 0, to: probes.count, by: Self.probesPerProduct) {
                let count = min(Self.probesPerProduct, probes.count - first)
                unsafe probes.values.withUnsafeBufferPointer { probes in
                    unsafe faces.withUnsafeBufferPointer { faces in
                        unsafe BLAS.multiply(
                            a: probes.baseAddress! + first * Self.dimension,
                            aRows: count,
                            aColumns: Self.dimension,
                            b: faces.baseAddress!,
                            bRows: faceCount,
                            bColumns: Self.dimension,
                            transposeB: true,
                            into: products.baseAddress!
                        )
                    }
                }
                for index in 0..<count {
                    let row = unsafe products[index * faceCount..<(index + 1) * faceCount]
                    unsafe body(first + index, UnsafeBufferPointer(rebasing: row))
                }
            }
        }
    }

    /// Rows drawn at random from some faces to train a codebook, all of them when they are few.
    func sample(of rows: [Int], seed: UInt64) -> EmbeddingMatrix {
        var generator = SplitMix64(seed: seed)
        var values: [Float] = []
        for row in rows.shuffled(using: &generator).prefix(Self.sampleRows) {
            values.append(contentsOf: faces[row * Self.dimension..<(row + 1) * Self.dimension])
        }
        return EmbeddingMatrix(dimension: Self.dimension, values: values)
    }

    /// Trains a codebook on some faces, all of them by default.
    func codebook(
        of rows: [Int]? = nil,
        listCount: Int,
        plan: CodePlan? = nil,
        seed: UInt64
    ) throws(CommandFailure) -> Codebook {
        do {
            return try CodebookTrainer.train(
                sample: sample(of: rows ?? Array(0..<faceCount), seed: seed),
                generation: 1,
                listCount: listCount,
                plan: plan,
                seed: seed,
                shouldStop: { false }
            )
        } catch {
            throw CommandFailure(.internalError, "a codebook could not be trained: \(error)")
        }
    }
}
