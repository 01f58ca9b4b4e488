import SyntheticGallery

/// Probes of a gallery, as many for each band of the best mate's similarity: mates of low similarity are rare, and they
/// are the ones that are lost.
struct MatedProbes {
    /// `[count × dimension]`.
    private(set) var values: [Float] = []
    /// The best mate of each probe.
    private(set) var mates: [Int] = []
    /// Similarity of each probe and its best mate.
    private(set) var similarities: [Float] = []

    var count: Int { mates.count }

    func band(ofProbe probe: Int) -> Int { SimilarityBands.band(of: similarities[probe]) }

    private static let blockCount = 256
    /// Probes looked at for each one wanted before a band is left short.
    private static let patience = 20

    /// - Parameters:
    ///   - perBand: probes wanted in each band.
    ///   - rows: the embeddings of consecutive faces.
    init(gallery: SyntheticGallery, perBand: Int, rows: (Range<Int>) -> ArraySlice<Float>) {
        let dimension = gallery.parameters.dimension
        var counts = [Int](repeating: 0, count: SimilarityBands.count)
        let limit = Self.patience * perBand * SimilarityBands.count
        var first = 0
        while first < limit, counts.contains(where: { $0 < perBand }) {
            let block = first..<min(limit, first + Self.blockCount)
            let probes = gallery.probes(in: block)
            for (index, probe) in block.enumerated() {
                let row = probes[index * dimension..<(index + 1) * dimension]
                guard let mate = Self.bestMate(of: row, among: gallery.probeInfo(probe).mates, rows: rows) else {
                    continue
                }
                let band = SimilarityBands.band(of: mate.similarity)
                guard counts[band] < perBand else { continue }
                counts[band] += 1
                values.append(contentsOf: row)
                mates.append(mate.face)
                similarities.append(mate.similarity)
            }
            first = block.upperBound
        }
    }

    /// - Parameter mates: ascending.
    private static func bestMate(
        of probe: ArraySlice<Float>,
        among mates: [Int],
        rows: (Range<Int>) -> ArraySlice<Float>
    ) -> (face: Int, similarity: Float)? {
        guard let first = mates.first, let last = mates.last else { return nil }
        // A person's faces follow each other.
        let values = rows(first..<last + 1)
        let dimension = probe.count
        var best: (face: Int, similarity: Float)?
        for mate in mates {
            let start = values.startIndex + (mate - first) * dimension
            var similarity: Float = 0
            for component in 0..<dimension {
                similarity += probe[probe.startIndex + component] * values[start + component]
            }
            if similarity > best?.similarity ?? -2 { best = (mate, similarity) }
        }
        return best
    }
}
