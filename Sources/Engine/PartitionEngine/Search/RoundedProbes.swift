internal import FaceModel
internal import PartitionStore
internal import VectorMath

/// The probes of a search rounded to int8, and their products with the rounded rows of one chunk.
struct RoundedProbes {
    private let dimension: Int
    /// `[probeCount × dimension]`.
    private let values: [Int8]
    private let roundings: [VectorKernels.ProbeRounding]
    /// `[probeCount × 128]`, of the chunk multiplied last.
    private var products: [Int32]
    private var reaching = [UInt32](repeating: 0, count: RoundedRowChunk.rowCount)

    init(_ probes: EmbeddingMatrix) {
        dimension = probes.dimension
        var values = [Int8](repeating: 0, count: probes.values.count)
        roundings = (0..<probes.rowCount).map { probe in
            let range = probe * probes.dimension..<(probe + 1) * probes.dimension
            return unsafe probes.values.withUnsafeBufferPointer { probes in
                unsafe values.withUnsafeMutableBufferPointer { values in
                    unsafe VectorKernels.roundProbe(
                        UnsafeBufferPointer(rebasing: probes[range]),
                        into: UnsafeMutableBufferPointer(rebasing: values[range])
                    )
                }
            }
        }
        self.values = values
        products = [Int32](repeating: 0, count: probes.rowCount * RoundedRowChunk.rowCount)
    }

    mutating func multiply(by chunk: RoundedRowChunk) {
        unsafe values.withUnsafeBufferPointer { values in
            unsafe products.withUnsafeMutableBufferPointer { products in
                unsafe VectorKernels.dotInt8(
                    probes: values,
                    rows: chunk.rows,
                    dimension: dimension,
                    out: products
                )
            }
        }
    }

    /// What the similarity of a probe and one row of a chunk is at least and at most.
    func bounds(ofRow row: Int, in chunk: RoundedRowChunk, probe: Int) -> VectorKernels.ProductBounds {
        unsafe values.withUnsafeBufferPointer { values in
            var product: Int32 = 0
            unsafe withUnsafeMutablePointer(to: &product) { product in
                unsafe VectorKernels.dotInt8(
                    probes: UnsafeBufferPointer(rebasing: values[probe * dimension..<(probe + 1) * dimension]),
                    rows: UnsafeBufferPointer(rebasing: chunk.rows[row * dimension..<(row + 1) * dimension]),
                    dimension: dimension,
                    out: UnsafeMutableBufferPointer(start: product, count: 1)
                )
            }
            return unsafe VectorKernels.bounds(
                product: product,
                scale: chunk.scales[row],
                error: chunk.errors[row],
                norm: chunk.norms[row],
                probe: roundings[probe]
            )
        }
    }

    /// Rows of the chunk multiplied last, by their places in it, whose similarity with a probe may be `least` or more.
    mutating func rows(of chunk: RoundedRowChunk, reaching least: Float, probe: Int) -> ArraySlice<UInt32> {
        let first = probe * RoundedRowChunk.rowCount
        let count = unsafe products.withUnsafeBufferPointer { products in
            unsafe reaching.withUnsafeMutableBufferPointer { reaching in
                unsafe VectorKernels.reachingRows(
                    products: UnsafeBufferPointer(rebasing: products[first..<first + RoundedRowChunk.rowCount]),
                    scales: chunk.scales,
                    errors: chunk.errors,
                    norms: chunk.norms,
                    probe: roundings[probe],
                    least: least,
                    into: reaching
                )
            }
        }
        return reaching[..<count]
    }
}
