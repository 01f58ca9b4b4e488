import FaceModel
import InvertedFileIndex
import VectorMath

/// A way to code embeddings, trained on a gallery.
struct CodeVariant {
    let name: String
    let codebook: Codebook

    var byteCount: Int { codebook.plan.codeByteCount }

    /// Bits of each component, by segment of 128: such as `3,1,1`.
    static func bitsText(_ plan: CodePlan) -> String {
        (0..<plan.segmentCount).map { segment in
            "\(plan.planes.count { $0.segment == segment })"
        }.joined(separator: ",")
    }

    /// The plans that are compared: one bit and two bits for each component by number, others by the spectrum.
    static func variants(
        of gallery: MeasuredGallery,
        plans: [CodePlan],
        seed: UInt64
    ) throws(CommandFailure) -> [CodeVariant] {
        let segments = MeasuredGallery.dimension / CodePlane.dimension
        let spectrum = PrincipalComponents(
            rows: gallery.sample(of: Array(0..<gallery.faceCount), seed: seed).values,
            dimension: MeasuredGallery.dimension
        )
        let bySegment = try gallery.codebook(
            listCount: 1,
            plan: CodePlan(bits: [Int](repeating: 1, count: segments)),
            seed: seed
        )
        var variants = [CodeVariant(name: "one rotation of all", codebook: withoutComponents(bySegment, seed: seed))]
        variants.append(CodeVariant(name: "by component", codebook: bySegment))
        let chosen = [4, CodePlan.automaticPlaneCount].map { count in
            CodePlan.forSpectrum(spectrum.energies, planeCount: count)
        }
        let others =
            [("by component", CodePlan(bits: [2, 2]))] + chosen.map { ("by spectrum", $0) }
            + plans.map { ("given", $0) }
        for (name, plan) in others {
            variants.append(
                CodeVariant(name: name, codebook: try gallery.codebook(listCount: 1, plan: plan, seed: seed))
            )
        }
        return variants
    }

    /// The codes of RaBitQ: a random rotation of all components, which makes them all alike, and their signs.
    ///
    /// - SeeAlso: Gao, Long, "RaBitQ" (2024).
    private static func withoutComponents(_ codebook: Codebook, seed: UInt64) -> Codebook {
        var generator = SplitMix64(seed: seed)
        let energy = codebook.scale.reduce(0) { $0 + $1 * $1 } / Float(codebook.scale.count)
        return Codebook(
            generation: codebook.generation,
            dimension: codebook.dimension,
            plan: codebook.plan,
            mean: codebook.mean,
            projection: Matrix.randomOrthogonal(order: codebook.dimension, generator: &generator).storage,
            scale: [Float](repeating: energy.squareRoot(), count: codebook.scale.count),
            quantizer: codebook.quantizer,
            energyShare: codebook.energyShare,
            sampleCount: codebook.sampleCount,
            calibration: codebook.calibration,
            scanCalibration: .none
        )
    }
}
