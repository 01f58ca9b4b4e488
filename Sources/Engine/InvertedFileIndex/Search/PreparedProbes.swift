internal import VectorMath

/// Probes made ready for scanning: rotated, look-up tables built, lists ranked. Made once, valid for every partition
/// of the codebook.
package struct PreparedProbes: Sendable {
    package let probeCount: Int
    /// `[probeCount × planeCount × 512]`.
    let tables: [UInt8]
    let tableByteCount: Int
    /// `[probeCount]`.
    let lines: [EstimateLine]
    /// `[probeCount × listCount]`.
    private let listScores: [[Int32]]
    private let quantizer: CoarseQuantizer

    /// How a sum of table entries becomes an estimate of `⟨probe, x⟩`: `meanTerm + factor * (step * sum + bias)`.
    struct EstimateLine {
        let step: Float
        let bias: Float
        let meanTerm: Float
    }

    /// - Parameter probes: `[n × dimension]`, unit vectors.
    package init(probes: [Float], codebook: Codebook) {
        let dimension = codebook.dimension
        let coded = codebook.plan.codedDimension
        let count = probes.count / dimension
        let rotated = codebook.rotate(probes: probes)
        let tableByteCount = codebook.plan.planeCount * VectorKernels.lutPlaneByteCount
        var tables = [UInt8](repeating: 0, count: count * tableByteCount)
        let meanTerms = Rotation.project(probes, rows: codebook.mean, dimension: dimension)
        var lines: [EstimateLine] = []
        unsafe rotated.withUnsafeBufferPointer { rotated in
            unsafe codebook.scale.withUnsafeBufferPointer { scale in
                unsafe tables.withUnsafeMutableBufferPointer { tables in
                    for probe in 0..<count {
                        let line = unsafe VectorKernels.buildLUT(
                            probe: UnsafeBufferPointer(rebasing: rotated[probe * coded..<(probe + 1) * coded]),
                            bits: codebook.plan.bitsPerComponent,
                            scale: scale,
                            lut: UnsafeMutableBufferPointer(
                                rebasing: tables[probe * tableByteCount..<(probe + 1) * tableByteCount]
                            )
                        )
                        lines.append(EstimateLine(step: line.step, bias: line.bias, meanTerm: meanTerms[probe]))
                    }
                }
            }
        }
        probeCount = count
        self.tables = tables
        self.tableByteCount = tableByteCount
        self.lines = lines
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
