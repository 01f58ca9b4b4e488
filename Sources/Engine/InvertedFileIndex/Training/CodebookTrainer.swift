package import FaceModel
internal import VectorMath

/// Makes a codebook from a sample of a collection's embeddings.
package enum CodebookTrainer {
    /// Fewer rows than this say nothing of a spectrum.
    package static let minimumSampleCount = 1024
    /// Most lists that are chosen by themselves.
    private static let automaticListLimit = 1024
    /// Sample rows per list below which centroids follow noise.
    private static let rowsPerList = 39
    /// Rows that are worked on between two questions whether to stop.
    private static let blockRows = 4096

    /// - Parameters:
    ///   - sample: unit rows drawn at random from all shards, each once, in random order: the last calibrate.
    ///   - listCount: inverted lists, at most one for 16 training rows; 0 chooses the greatest power of two up to 1024
    ///     with 39 training rows a list. There are fewer where some have too few rows for a centroid that shows no
    ///     single one of them.
    ///   - plan: what codes hold; nil chooses by the sample's spectrum.
    ///   - seed: the same sample and seed give the same codebook on the same machine.
    ///   - progress: told with every question whether to stop.
    ///   - shouldStop: asked after every block of 4096 rows (a tenth of a second with 4096 lists) and every round of
    ///     mates, and not while eigenvectors are sought; may wait before it answers.
    package static func train(
        sample: EmbeddingMatrix,
        generation: UInt32,
        listCount: Int,
        plan chosenPlan: CodePlan? = nil,
        seed: UInt64,
        progress: (TrainingProgress) -> Void = { _ in },
        shouldStop: () -> Bool
    ) throws(CodebookError) -> Codebook {
        let rowCount = sample.rowCount
        let dimension = sample.dimension
        guard rowCount >= minimumSampleCount else {
            throw .sampleTooSmall(rowCount: rowCount, minimum: minimumSampleCount)
        }
        var generator = SplitMix64(seed: seed)
        func proceed(_ stage: TrainingProgress.Stage, _ share: Float) -> Bool {
            progress(TrainingProgress(stage: stage, share: share))
            return !shouldStop()
        }
        let analysed = PrincipalComponents(rows: sample.values, dimension: dimension) {
            proceed(.principalComponents, $0)
        }
        guard let spectrum = analysed, proceed(.principalComponents, 1) else { throw .stopped }
        let plan = chosenPlan ?? CodePlan.forSpectrum(spectrum.energies)
        let projection = projection(spectrum: spectrum, plan: plan, generator: &generator)
        let scale = scale(spectrum: spectrum, plan: plan)
        let leading = plan.centroidDimension
        var vectors: [Float] = []
        vectors.reserveCapacity(rowCount * leading)
        for first in stride(from: 0, to: rowCount, by: blockRows) {
            if !proceed(.centroids, 0) { throw .stopped }
            let last = min(rowCount, first + blockRows)
            let block = Array(sample.values[first * dimension..<last * dimension])
            let rotated = rotate(block, spectrum: spectrum, projection: projection, dimension: dimension)
            for row in 0..<last - first {
                let start = row * plan.codedDimension
                vectors.append(contentsOf: rotated[start..<start + leading])
            }
        }
        // Rows that made the centroids lie nearer to them than others do: calibration needs rows of its own.
        let heldOutCount = min(CodebookCalibrator.rowLimit, rowCount / 8)
        let trainingCount = rowCount - heldOutCount
        // So that few are left out of those that are wanted.
        let most = trainingCount / (2 * SphericalKMeans.leastRowsPerList)
        let wanted = listCount > 0 ? min(listCount, most) : automaticListCount(rowCount: trainingCount)
        guard
            let centroids = SphericalKMeans.train(
                vectors: vectors,
                rowCount: trainingCount,
                dimension: leading,
                listCount: wanted,
                generator: &generator,
                proceed: { proceed(.centroids, $0) }
            )
        else { throw .stopped }
        let lists = centroids.count / leading
        let quantized = CoarseQuantizer.quantize(centroids[...])
        let unweighted = CoarseQuantizer(
            dimension: leading,
            centroids: quantized,
            weights: [Float](repeating: 0, count: lists)
        )
        var assignment: [UInt32] = []
        for first in stride(from: 0, to: rowCount, by: blockRows) {
            if !proceed(.centroids, 1) { throw .stopped }
            let block = Array(vectors[first * leading..<min(rowCount, first + blockRows) * leading])
            assignment += unweighted.assign(rotated: block, rowStride: leading)
        }
        var counts = [Float](repeating: 0, count: lists)
        for list in assignment { counts[Int(list)] += 1 }
        let quantizer = CoarseQuantizer(
            dimension: leading,
            centroids: quantized,
            weights: counts.map { $0 / Float(rowCount) }
        )
        var calibrator = CodebookCalibrator(
            sample: sample,
            rows: trainingCount..<rowCount,
            assignment: assignment[trainingCount...],
            spectrum: spectrum,
            generator: generator
        )
        let total = spectrum.energies.reduce(0, +)
        let calibrated = calibrator.calibrated(
            Codebook(
                generation: generation,
                dimension: dimension,
                plan: plan,
                mean: spectrum.mean,
                projection: projection.storage,
                scale: scale,
                quantizer: quantizer,
                energyShare: total > 0 ? spectrum.energies.prefix(plan.codedDimension).reduce(0, +) / total : 1,
                sampleCount: rowCount,
                calibration: .none,
                scanCalibration: .none
            ),
            proceed: { proceed(.calibration, $0) }
        )
        guard let calibrated else { throw .stopped }
        return calibrated
    }

    private static func automaticListCount(rowCount: Int) -> Int {
        var count = 16
        while count * 2 <= automaticListLimit, count * 2 * rowsPerList <= rowCount { count *= 2 }
        return count
    }

    /// Principal components, turned at random within each segment so that a segment's components are alike; rows beyond
    /// the dimension are zero.
    private static func projection(
        spectrum: PrincipalComponents,
        plan: CodePlan,
        generator: inout SplitMix64
    ) -> Matrix {
        let dimension = spectrum.dimension
        var rows: [Float] = []
        for segment in 0..<plan.segmentCount {
            let first = segment * CodePlane.dimension
            let count = min(CodePlane.dimension, dimension - first)
            let turn = Matrix.randomOrthogonal(order: count, generator: &generator)
            let components = Matrix(
                rows: count,
                columns: dimension,
                storage: Array(spectrum.components[first * dimension..<(first + count) * dimension])
            )
            rows.append(contentsOf: turn.multiplied(by: components).storage)
        }
        rows.append(contentsOf: repeatElement(0, count: plan.codedDimension * dimension - rows.count))
        return Matrix(rows: plan.codedDimension, columns: dimension, storage: rows)
    }

    /// The root mean square of each segment's components, repeated for each of them.
    private static func scale(spectrum: PrincipalComponents, plan: CodePlan) -> [Float] {
        (0..<plan.segmentCount).flatMap { segment in
            let first = segment * CodePlane.dimension
            let energies = spectrum.energies[first..<min(spectrum.dimension, first + CodePlane.dimension)]
            let deviation = (energies.reduce(0, +) / Float(energies.count)).squareRoot()
            return [Float](repeating: max(deviation, 1e-6), count: CodePlane.dimension)
        }
    }

    private static func rotate(
        _ values: [Float],
        spectrum: PrincipalComponents,
        projection: Matrix,
        dimension: Int
    ) -> [Float] {
        var rotated = Matrix(rows: values.count / dimension, columns: dimension, storage: values)
            .multiplied(by: projection, transposingOther: true)
        let offset = Matrix(rows: 1, columns: dimension, storage: spectrum.mean)
            .multiplied(by: projection, transposingOther: true).storage
        let coded = projection.rows
        unsafe rotated.withMutableStorage { storage in
            for row in 0..<storage.count / coded {
                for component in 0..<coded { unsafe storage[row * coded + component] -= offset[component] }
            }
        }
        return rotated.storage
    }
}
