/// Everything that the shards of a collection share to code, place and find embeddings: immutable, made once by
/// ``CodebookTrainer``, the same bytes in every partition.
///
/// An embedding `x` is rotated to `y = projection · (x − mean)`, `codedDimension` components; its code approximates
/// `y`, its list is the centroid nearest `y`. A probe `q` is rotated once for all lists, and
/// `⟨q, x⟩ ≈ ⟨q, mean⟩ + factor · ⟨projection · q, code(y)⟩` with `factor = |y|² / ⟨y, code(y)⟩`.
/// - SeeAlso: Gao, Long, "RaBitQ" (2024) for the factor; Jégou, Douze, Schmid, "Product quantization for nearest
///   neighbor search" (2011) for the inverted file.
package struct Codebook: Sendable {
    package let generation: UInt32
    package let dimension: Int
    package let plan: CodePlan
    /// `[dimension]`.
    package let mean: [Float]
    /// `[codedDimension × dimension]`, rows orthonormal; rows beyond the dimension are zero.
    package let projection: [Float]
    /// `[codedDimension]`: standard deviation of each rotated component, equal within a segment, above zero.
    package let scale: [Float]
    package let quantizer: CoarseQuantizer
    /// Share of the sample's energy that the coded components hold, 0…1.
    package let energyShare: Float
    package let sampleCount: Int
    package let calibration: RecallCalibration
    package let scanCalibration: ScanCalibration
    /// `[codedDimension]`: `projection · mean`.
    package let projectedMean: [Float]
    /// What rotates probes.
    let probeRotation: ProbeRotation

    package init(
        generation: UInt32,
        dimension: Int,
        plan: CodePlan,
        mean: [Float],
        projection: [Float],
        scale: [Float],
        quantizer: CoarseQuantizer,
        energyShare: Float,
        sampleCount: Int,
        calibration: RecallCalibration,
        scanCalibration: ScanCalibration
    ) {
        self.generation = generation
        self.dimension = dimension
        self.plan = plan
        self.mean = mean
        self.projection = projection
        self.scale = scale
        self.quantizer = quantizer
        self.energyShare = energyShare
        self.sampleCount = sampleCount
        self.calibration = calibration
        self.scanCalibration = scanCalibration
        self.projectedMean = Rotation.project(mean, rows: projection, dimension: dimension)
        self.probeRotation = ProbeRotation(projection: projection, dimension: dimension)
    }

    package var listCount: Int { quantizer.listCount }

    /// Bytes of memory that its arrays take.
    package var memoryByteCount: Int {
        let floatCount = mean.count + projection.count + scale.count + projectedMean.count + quantizer.weights.count
        return 4 * floatCount + quantizer.centroids.count + probeRotation.byteCount
    }

    /// Rotated embeddings: `[rowCount × codedDimension]` from `[rowCount × dimension]`, the mean taken off.
    package func rotate(embeddings: [Float]) -> [Float] {
        var rotated = Rotation.project(embeddings, rows: projection, dimension: dimension)
        let coded = plan.codedDimension
        for row in 0..<rotated.count / coded {
            for component in 0..<coded { rotated[row * coded + component] -= projectedMean[component] }
        }
        return rotated
    }

    /// Rotated probes: `[probeCount × codedDimension]`, the mean not taken off, by 8-bit arithmetic.
    package func rotate(probes: [Float]) -> [Float] {
        probeRotation.rotate(probes)
    }
}
