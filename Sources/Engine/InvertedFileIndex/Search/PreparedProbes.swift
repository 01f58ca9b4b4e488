internal import VectorMath

/// Probes made ready for scanning: rotated, look-up tables built, lists ranked. Made once, valid for every partition
/// of the codebook.
package struct PreparedProbes: Sendable {
    package let probeCount: Int
    /// `[probeCount × tableByteCount]`, a table of `planeCount × 512` bytes for each probe.
    let tables: [UInt8]
    let tableByteCount: Int
    /// `[probeCount]`.
    let lines: [EstimateLine]
    /// `[probeCount × planeCount]`: what is added to the sum of planes `0...p` in steps.
    let biases: [Float]
    /// `[probeCount][listCount]`.
    private let listScores: [[Int32]]
    private let quantizer: CoarseQuantizer

    /// How a sum of table entries becomes an estimate of `⟨probe, x⟩`: `meanTerm + factor * (step * sum + bias)`, with
    /// the bias of the last plane.
    struct EstimateLine {
        let step: Float
        let bias: Float
        let meanTerm: Float
    }

    /// - Parameter probes: `[n × dimension]`, unit vectors.
    package init(probes: [Float], codebook: Codebook) {
        let plan = codebook.plan
        let (coded, planeCount) = (plan.codedDimension, plan.planeCount)
        let count = probes.count / codebook.dimension
        let rotated = codebook.rotate(probes: probes)
        let tableByteCount = planeCount * VectorKernels.lutPlaneByteCount
        var tables = [UInt8](repeating: 0, count: count * tableByteCount)
        var biases = [Float](repeating: 0, count: count * planeCount)
        let meanTerms = Rotation.project(probes, rows: codebook.mean, dimension: codebook.dimension)
        var lines: [EstimateLine] = []
        unsafe rotated.withUnsafeBufferPointer { rotated in
            unsafe codebook.scale.withUnsafeBufferPointer { scale in
                unsafe tables.withUnsafeMutableBufferPointer { tables in
                    unsafe biases.withUnsafeMutableBufferPointer { biases in
                        for probe in 0..<count {
                            let step = unsafe VectorKernels.buildLUT(
                                probe: UnsafeBufferPointer(rebasing: rotated[probe * coded..<(probe + 1) * coded]),
                                planes: plan.planes,
                                scale: scale,
                                lut: UnsafeMutableBufferPointer(
                                    rebasing: tables[probe * tableByteCount..<(probe + 1) * tableByteCount]
                                ),
                                biases: UnsafeMutableBufferPointer(
                                    rebasing: biases[probe * planeCount..<(probe + 1) * planeCount]
                                )
                            )
                            let bias = unsafe biases[(probe + 1) * planeCount - 1]
                            lines.append(EstimateLine(step: step, bias: bias, meanTerm: meanTerms[probe]))
                        }
                    }
                }
            }
        }
        probeCount = count
        self.tables = tables
        self.tableByteCount = tableByteCount
        self.lines = lines
        self.biases = biases
        quantizer = codebook.quantizer
        listScores = (0..<count).map {
            codebook.quantizer.scores(rotated: rotated[$0 * coded..<($0 + 1) * coded])
        }
    }

    /// The lists a probe visits under a share of the collection, 0…1.
    package func lists(ofProbe probe: Int, share: Double) -> ListSelection {
        quantizer.selectLists(scores: listScores[probe], share: share)
    }

    /// The `count` lists nearest a probe.
    package func lists(ofProbe probe: Int, count: Int) -> ListSelection {
        quantizer.selectLists(scores: listScores[probe], count: count)
    }
}
