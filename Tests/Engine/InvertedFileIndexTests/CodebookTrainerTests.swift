import FaceModel
import InvertedFileIndex
import Testing
import VectorMath

struct CodebookTrainerTests {
    private static func train(
        _ sample: EmbeddingMatrix,
        listCount: Int = 0,
        seed: UInt64 = 1
    ) throws(CodebookError) -> Codebook {
        try CodebookTrainer.train(
            sample: sample,
            generation: 4,
            listCount: listCount,
            seed: seed,
            shouldStop: { false }
        )
    }

    /// Trained once for the tests that look at it.
    private static let trained = Result {
        var source = SpectrumSample.heavyTailed(dimension: 128, mean: 0.05)
        let sample = source.rows(8192)
        return (codebook: try train(sample), sample: sample)
    }

    @Test func projectionRowsAreOrthonormal() throws {
        let codebook = try Self.trained.get().codebook
        let coded = codebook.plan.codedDimension
        let projection = Matrix(rows: coded, columns: 128, storage: codebook.projection)
        let products = projection.multiplied(by: projection, transposingOther: true)
        for row in 0..<coded {
            for column in 0..<coded {
                #expect(abs(products[row, column] - (row == column ? 1 : 0)) < 1e-4, "\(row), \(column)")
            }
        }
        #expect(
            zip(codebook.projectedMean, 0..<coded).allSatisfy { value, row in
                abs(value - SpectrumSample.dot(codebook.projection[row * 128..<(row + 1) * 128], codebook.mean)) < 1e-4
            }
        )
    }

    @Test func meanScaleAndEnergyAreThoseOfTheSample() throws {
        let (codebook, sample) = try Self.trained.get()
        for component in 0..<128 {
            let mean = (0..<sample.rowCount).reduce(0.0) { $0 + Double(sample.values[$1 * 128 + component]) }
            #expect(abs(Double(codebook.mean[component]) - mean / Double(sample.rowCount)) < 1e-5)
        }
        // Energies fall from segment to segment and are alike within one.
        let coded = codebook.plan.codedDimension
        let rotated = codebook.rotate(embeddings: sample.values)
        var energies = [Double](repeating: 0, count: coded)
        for (index, value) in rotated.enumerated() {
            energies[index % coded] += Double(value * value) / Double(sample.rowCount)
        }
        let segment = codebook.plan.segmentDimension
        var last = Double.infinity
        for first in stride(from: 0, to: coded, by: segment) {
            let mean = energies[first..<first + segment].reduce(0, +) / Double(segment)
            #expect(mean < last)
            last = mean
            let scale = codebook.scale[first]
            #expect(codebook.scale[first..<first + segment].allSatisfy { $0 == scale })
            #expect(abs(Double(scale * scale) / mean - 1) < 0.01)
        }
        // All 128 components are coded.
        #expect(coded == 128 && abs(codebook.energyShare - 1) < 1e-4)
        #expect(codebook.generation == 4 && codebook.sampleCount == 8192)
    }

    @Test func listsAreChosenBySizeAndTheirWeightsAddUp() throws {
        let codebook = try Self.trained.get().codebook
        // 7168 rows train, 39 a list: 128 is the greatest power of two.
        #expect(codebook.listCount == 128)
        let weights = codebook.quantizer.weights
        #expect(abs(weights.reduce(0, +) - 1) < 1e-5)
        #expect(weights.allSatisfy { $0 >= 0 })
        // k-means leaves no list far fuller than the mean.
        #expect(weights.max()! < 6.0 / 128)
        var source = SpectrumSample.heavyTailed(dimension: 64)
        #expect(try Self.train(source.rows(1024)).listCount == 16)
        #expect(try Self.train(source.rows(1024), listCount: 5).listCount == 5)
        #expect(try Self.train(source.rows(1024), listCount: 1).listCount == 1)
        // Never more lists than rows.
        #expect(try Self.train(source.rows(1024), listCount: 5000).listCount <= 1024)
    }

    @Test func theSameSampleAndSeedMakeTheSameBytes() throws {
        var source = SpectrumSample.heavyTailed(dimension: 72)
        let sample = source.rows(1500)
        let bytes = try Self.train(sample).encoded()
        #expect(try Self.train(sample).encoded() == bytes)
        #expect(try Self.train(sample, seed: 2).encoded() != bytes)
    }

    @Test func aSmallSampleAndAStopAreErrors() {
        var source = SpectrumSample.heavyTailed(dimension: 64)
        let small = source.rows(1023)
        #expect(throws: CodebookError.sampleTooSmall(rowCount: 1023, minimum: 1024)) { try Self.train(small) }
        let empty = EmbeddingMatrix(dimension: 64, values: [])
        #expect(throws: CodebookError.sampleTooSmall(rowCount: 0, minimum: 1024)) { try Self.train(empty) }
        let sample = source.rows(1024)
        for limit in 0..<4 {
            var asked = 0
            #expect(throws: CodebookError.stopped) {
                _ = try CodebookTrainer.train(sample: sample, generation: 1, listCount: 0, seed: 1) {
                    asked += 1
                    return asked > limit
                }
            }
        }
    }

    /// A collection can be trained on whatever it holds.
    @Test func samplesWithoutSpreadMakeACodebookAllTheSame() throws {
        var source = SpectrumSample.heavyTailed(dimension: 64)
        let row = source.vector()
        let few = (0..<5).map { _ in source.vector() }
        for rows in [[row], few] {
            let values = (0..<1100).flatMap { rows[$0 % rows.count] }
            let codebook = try Self.train(EmbeddingMatrix(dimension: 64, values: values))
            let again = try Codebook(bytes: codebook.encoded())
            let batch = again.encode(embeddings: values)
            #expect(batch.factors.allSatisfy { Float16(bitPattern: $0).isFinite })
            let lists = MemoryLists(batch, codebook: again)
            let probes = PreparedProbes(probes: row, codebook: again)
            var outcome = ListScanner(codebook: again).scan(
                probes: probes,
                selections: [probes.lists(ofProbe: 0, count: again.listCount)],
                lists: lists,
                candidateLimit: 2000,
                shouldStop: { false }
            )
            #expect(outcome.candidates[0].rows().count == 1100)
        }
    }

    // MARK: Plan

    @Test func twoBitsNeed95PercentOfTheEnergyIn256Components() {
        /// `head` in 256 components and the rest in 256 more.
        func plan(_ head: Float, dimension: Int = 512) -> CodePlan {
            CodePlan.forSpectrum(
                (0..<dimension).map { $0 < 256 ? head / 256 : (1 - head) / Float(dimension - 256) }
            )
        }
        #expect(plan(0.96) == CodePlan(codedDimension: 256, bitsPerComponent: 2))
        #expect(plan(0.94) == CodePlan(codedDimension: 512, bitsPerComponent: 1))
        #expect(plan(0.94, dimension: 2048) == CodePlan(codedDimension: 512, bitsPerComponent: 1))
        #expect(plan(0.5, dimension: 504) == CodePlan(codedDimension: 256, bitsPerComponent: 2))
    }

    @Test(arguments: [(64, 64), (72, 64), (120, 64), (128, 128), (192, 192), (248, 192), (256, 256), (264, 256)])
    func smallDimensionsAreCodedInWholePlanes(dimension: Int, coded: Int) {
        let plan = CodePlan.forSpectrum((0..<dimension).map { 1 / Float($0 + 8) })
        #expect(plan == CodePlan(codedDimension: coded, bitsPerComponent: 2))
        #expect(plan.planeCount * plan.segmentDimension == coded)
        #expect(plan.codeByteCount == coded / 4)
    }

    @Test func everyDimensionHasAPlanThatFitsTheKernels() {
        for dimension in stride(from: 64, through: 2048, by: 8) {
            let plan = CodePlan.forSpectrum((0..<dimension).map { 1 / Float($0 + 8) })
            #expect(plan.codedDimension <= dimension && plan.planeCount >= 1)
            #expect(plan.planeCount <= VectorKernels.maximumPlaneCount, "\(dimension)")
        }
    }

    // MARK: Calibration

    @Test func calibrationRisesInBothFields() throws {
        let points = try Self.trained.get().codebook.calibration.points
        #expect(zip(points, points.dropFirst()).allSatisfy { $0.recall < $1.recall })
        #expect(zip(points, points.dropFirst()).allSatisfy { $0.visitedShare <= $1.visitedShare })
        #expect(points.last?.recall == 1 && points.last?.visitedShare == 1)
        #expect(points.allSatisfy { (0...1).contains($0.visitedShare) })
    }

    @Test func calibrationTakesTheConformalRank() {
        // Of 99 shares 0.01 … 0.99 the rank of target t is ⌈100 t⌉.
        let calibration = RecallCalibration(mateShares: (1...99).map { Double($0) / 100 }.shuffled())
        #expect(calibration.probeCount == 99)
        #expect(calibration.visitedShare(forRecall: 0.5) == 0.50)
        #expect(calibration.visitedShare(forRecall: 0.9) == 0.90)
        #expect(calibration.visitedShare(forRecall: 0.99) == 0.99)
        #expect(calibration.visitedShare(forRecall: 0.995) == 1)
        // Between two points the next one counts, never less.
        #expect(calibration.visitedShare(forRecall: 0.6) == 0.70)
        #expect(calibration.visitedShare(forRecall: 0.9999) == 1)
        #expect(RecallCalibration(mateShares: []).visitedShare(forRecall: 0.5) == 1)
    }

    /// Fresh rows and fresh mates made by the same recipe: the share found must be the target's, within four deviations
    /// of the 1024 calibration and 1500 test probes together.
    @Test func calibrationHoldsForMatesThatItHasNotSeen() throws {
        let codebook = try Self.trained.get().codebook
        var source = SpectrumSample.heavyTailed(dimension: 128, mean: 0.05, seed: testSeed &+ 5)
        let rows = source.rows(1500)
        let probes = (0..<1500).flatMap { source.mate(of: Array(rows.row($0))) }
        let lists = codebook.encode(embeddings: rows.values).lists
        let prepared = PreparedProbes(probes: probes, codebook: codebook)
        for target in [0.5, 0.8, 0.9, 0.95, 0.99] {
            let share = codebook.calibration.visitedShare(forRecall: target)
            let found = (0..<1500).filter { prepared.lists(ofProbe: $0, share: share).lists.contains(lists[$0]) }.count
            let recall = Double(found) / 1500
            let tolerance = 4 * (target * (1 - target) * (1.0 / 1024 + 1.0 / 1500)).squareRoot()
            #expect(recall >= target - tolerance, "seed \(testSeed), target \(target)")
            // One list more than needed is a part of 128.
            #expect(recall <= target + tolerance + 0.02, "seed \(testSeed), target \(target)")
        }
    }
}
