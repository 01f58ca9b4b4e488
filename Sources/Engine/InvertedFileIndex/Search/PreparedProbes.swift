internal import VectorMath

/// Probes made ready for scanning: rotated, look-up tables built. Made once, valid for every partition of the codebook.
/// Their lists are ranked when they are asked for.
package struct PreparedProbes: Sendable {
    package let probeCount: Int
    /// `[probeCount × tableByteCount]`: `headCount × 512` bytes of each probe.
    let tables: [UInt8]
    let tableByteCount: Int
    /// `[probeCount × weightCount]`: 128 of each further plane.
    let weights: [Int8]
    let weightCount: Int
    /// `[probeCount]`.
    let estimators: [VectorKernels.Estimator]
    /// `[probeCount]`: inner products with the collection's mean, which are added to every estimate.
    package let meanTerms: [Float]
    /// `[probeCount × quantizer.dimension]`, as the quantizer takes them.
    private let quantized: [Int8]
    private let quantizer: CoarseQuantizer

    /// - Parameter probes: `[n × dimension]`, unit vectors.
    package init(probes: [Float], codebook: Codebook) {
        let plan = codebook.plan
        let coded = plan.codedDimension
        let count = probes.count / codebook.dimension
        let rotated = codebook.rotate(probes: probes)
        let headCount = VectorKernels.headCount(planeCount: plan.planeCount)
        let tableByteCount = headCount * VectorKernels.lutPlaneByteCount
        let weightCount = (plan.planeCount - headCount) * CodePlane.dimension
        var tables = [UInt8](repeating: 0, count: count * tableByteCount)
        var weights = [Int8](repeating: 0, count: count * weightCount)
        estimators = unsafe rotated.withUnsafeBufferPointer { rotated in
            unsafe codebook.scale.withUnsafeBufferPointer { scale in
                unsafe tables.withUnsafeMutableBufferPointer { tables in
                    unsafe weights.withUnsafeMutableBufferPointer { weights in
                        (0..<count).map { probe in
                            unsafe VectorKernels.buildLUT(
                                probe: UnsafeBufferPointer(rebasing: rotated[probe * coded..<(probe + 1) * coded]),
                                planes: plan.planes,
                                scale: scale,
                                lut: UnsafeMutableBufferPointer(
                                    rebasing: tables[probe * tableByteCount..<(probe + 1) * tableByteCount]
                                ),
                                weights: UnsafeMutableBufferPointer(
                                    rebasing: weights[probe * weightCount..<(probe + 1) * weightCount]
                                )
                            )
                        }
                    }
                }
            }
        }
        probeCount = count
        self.tables = tables
        self.tableByteCount = tableByteCount
        self.weights = weights
        self.weightCount = weightCount
        meanTerms = Rotation.project(probes, rows: codebook.mean, dimension: codebook.dimension)
        quantizer = codebook.quantizer
        quantized = quantizer.quantized(rotated: rotated, rowStride: coded)
    }

    /// The lists of a probe from near to far, weighed by the share of the collection that is in them.
    package func walk(ofProbe probe: Int) -> ListWalk { walks(ofProbes: probe..<probe + 1)[0] }

    /// The lists of a probe from near to far, each of weight 1.
    package func walkCountingLists(ofProbe probe: Int) -> ListWalk {
        walksCountingLists(ofProbes: probe..<probe + 1)[0]
    }

    /// The walks of several probes, as ``walk(ofProbe:)`` gives them: together they are scored faster.
    package func walks(ofProbes probes: Range<Int>) -> [ListWalk] {
        scores(ofProbes: probes).map(quantizer.walk(scores:))
    }

    /// The walks of several probes, as ``walkCountingLists(ofProbe:)`` gives them.
    package func walksCountingLists(ofProbes probes: Range<Int>) -> [ListWalk] {
        scores(ofProbes: probes).map(quantizer.walkCountingLists(scores:))
    }

    private func scores(ofProbes probes: Range<Int>) -> [[Int32]] {
        let dimension = quantizer.dimension
        return quantizer.scores(quantized: quantized[probes.lowerBound * dimension..<probes.upperBound * dimension])
    }
}
