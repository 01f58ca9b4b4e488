import SyntheticGallery
import VectorMath

/// Mean, standard deviation and quantiles of many similarities, by a fine histogram.
struct SimilarityStatistics {
    private static let binsPerUnit = 20_000.0
    private var histogram = [Int](repeating: 0, count: 40_001)
    private(set) var count = 0
    private var sum = 0.0
    private var squares = 0.0

    var mean: Double { sum / Double(count) }
    var standardDeviation: Double { (squares / Double(count) - mean * mean).squareRoot() }

    mutating func add(_ similarity: Float) {
        let value = Double(similarity)
        histogram[Int((min(1, max(-1, value)) + 1) * Self.binsPerUnit)] += 1
        count += 1
        sum += value
        squares += value * value
    }

    /// The similarity that a share of all values exceeds.
    func threshold(share: Double) -> Double {
        var left = Int(share * Double(count))
        for bin in histogram.indices.reversed() {
            left -= histogram[bin]
            if left < 0 { return Double(bin) / Self.binsPerUnit - 1 }
        }
        return -1
    }

    func share(below similarity: Double) -> Double {
        let bins = Int((similarity + 1) * Self.binsPerUnit)
        return Double(histogram[..<bins].reduce(0, +)) / Double(count)
    }
}

extension SyntheticGallery {
    /// The numbers of the first faces of all identities.
    var firstFaces: [Int] {
        (0..<faceCount).filter { faceInfo($0).image == 0 }
    }

    /// Similarity of every pair of rows of different identities, one image each.
    func impostorStatistics() -> SimilarityStatistics {
        let dimension = parameters.dimension
        let all = faces(in: 0..<faceCount)
        let rows = firstFaces.flatMap { all[($0 * dimension)..<(($0 + 1) * dimension)] }
        let count = rows.count / dimension
        var statistics = SimilarityStatistics()
        let blockRows = 256
        var products = [Float](repeating: 0, count: blockRows * count)
        for first in stride(from: 0, to: count, by: blockRows) {
            let block = min(blockRows, count - first)
            rows.withUnsafeBufferPointer { rows in
                products.withUnsafeMutableBufferPointer { products in
                    BLAS.multiply(
                        a: rows.baseAddress! + first * dimension,
                        aRows: block,
                        aColumns: dimension,
                        b: rows.baseAddress!,
                        bRows: count,
                        bColumns: dimension,
                        transposeB: true,
                        into: products.baseAddress!
                    )
                }
            }
            for row in 0..<block {
                for other in (first + row + 1)..<max(count, first + row + 1) {
                    statistics.add(products[row * count + other])
                }
            }
        }
        return statistics
    }
}

func cosine(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Float {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
}

extension SyntheticGallery {
    func face(_ number: Int) -> [Float] { faces(in: number..<(number + 1)) }
}

/// Whether two rows are one image: the BLAS of some machines rounds a row by its place among the rows of a product.
func areEqualButForRounding(_ a: [Float], _ b: [Float]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) < 1e-6 }
}
