import FaceModel
import Foundation
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
        let segment = CodePlane.dimension
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
        // Never more than one for 16 of the 896 rows that train.
        #expect(try (1...56).contains(Self.train(source.rows(1024), listCount: 5000).listCount))
    }

    /// A codebook outlives the faces that it was trained on: no centroid is one of them, whatever lists are asked for.
    @Test func noCentroidIsASingleRow() throws {
        var source = SpectrumSample.heavyTailed(dimension: 64)
        // One that is like no other, and trains.
        let outlier: [Float] = (0..<64).map { $0 == 63 ? 1 : 0 }
        let values = outlier + source.rows(1099).values
        for seed: UInt64 in 1...3 {
            let sample = EmbeddingMatrix(dimension: 64, values: values)
            let codebook = try Self.train(sample, listCount: 1024, seed: seed)
            // 963 rows train: for 60 lists, of which some have fewer than eight.
            #expect((30...60).contains(codebook.listCount))
            let (coded, leading) = (codebook.plan.codedDimension, codebook.quantizer.dimension)
            let rotated = codebook.rotate(embeddings: values)
            let rows = stride(from: 0, to: rotated.count, by: coded).flatMap {
                SpectrumSample.normalised(Array(rotated[$0..<$0 + leading]))
            }
            let centroids = (0..<codebook.listCount).flatMap { list in
                SpectrumSample.normalised(
                    codebook.quantizer.centroids[list * leading..<(list + 1) * leading].map { Float($0) }
                )
            }
            let cosines = Matrix(rows: 1100, columns: leading, storage: rows)
                .multiplied(
                    by: Matrix(rows: codebook.listCount, columns: leading, storage: centroids),
                    transposingOther: true
                )
            #expect(cosines.storage.max()! < 0.95, "seed \(testSeed), \(seed)")
        }
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

    @Test func progressGoesThroughTheStagesInOrderAndNeverFallsBack() throws {
        var source = SpectrumSample.heavyTailed(dimension: 64)
        let sample = source.rows(9000)
        var told: [TrainingProgress] = []
        _ = try CodebookTrainer.train(
            sample: sample,
            generation: 1,
            listCount: 16,
            seed: 1,
            progress: { told.append($0) },
            shouldStop: { false }
        )
        #expect(told.allSatisfy { (0...1).contains($0.share) })
        for (earlier, later) in zip(told, told.dropFirst()) {
            #expect(
                (earlier.stage.rawValue, earlier.share) <= (later.stage.rawValue, later.share),
                "\(earlier), then \(later)"
            )
        }
        #expect(Set(told.map(\.stage)) == [.principalComponents, .centroids, .calibration])
        // Ten iterations over two blocks of rows, and blocks before and behind them.
        #expect(told.count { $0.stage == .centroids } >= 20)
        #expect(told.count { $0.stage == .calibration } == 14)
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
            var compared = 0
            _ = ListScanner(codebook: again, tolerance: CodeTolerance(missRate: 0.01)).scan(
                probes: probes,
                plan: VisitPlan(walks: [probes.walk(ofProbe: 0)]) { _ in .infinity },
                lists: lists,
                comparisonCount: 26,
                candidateLimit: 2000,
                shouldStop: { false },
                comparing: { _, rows in
                    compared += rows.count
                    return -.infinity
                }
            )
            #expect(compared == 1100)
        }
    }

    // MARK: Plan

    private static func bits(_ plan: CodePlan) -> [Int] {
        (0..<plan.segmentCount).map { segment in plan.planes.first { $0.segment == segment }?.bits ?? 0 }
    }

    @Test func bitsFollowTheEnergy() {
        func bits(_ energies: [Float]) -> [Int] { Self.bits(CodePlan.forSpectrum(energies)) }
        // A heavy tail, as face embeddings have it: three bits where half of the energy is, and the tail is kept.
        #expect(bits((0..<512).map { 1 / (Float($0) + 8.3) }) == [3, 1, 1])
        // Nearly all in the first segment.
        #expect(bits((0..<512).map { exp(-Float($0) / 40) }) == [4, 1])
        // All alike: one bit each.
        #expect(bits([Float](repeating: 1, count: 512)) == [2, 1, 1, 1])
        #expect(bits([Float](repeating: 1, count: 2048)) == [1, 1, 1, 1, 1])
    }

    @Test func theGreatestBitsOfTheFirstSegmentsAreReadFirst() {
        let planes = CodePlan.forSpectrum((0..<512).map { 1 / (Float($0) + 8.3) }).planes
        #expect(planes.map { "\($0.segment).\($0.bit)" } == ["0.0", "1.0", "0.1", "2.0", "0.2"])
    }

    @Test func aPlanIsAlsoMadeOfItsBits() {
        let energies = (0..<512).map { 1 / (Float($0) + 8.3) }
        #expect(CodePlan(bits: [3, 1, 1]) == CodePlan.forSpectrum(energies))
        #expect(Self.bits(CodePlan.forSpectrum(energies, planeCount: 4)) == [3, 1])
        #expect(Self.bits(CodePlan(bits: [2, 0, 1])) == [2, 0, 1])
    }

    @Test func aCodebookMayBeTrainedForAGivenPlan() throws {
        let sample = try Self.trained.get().sample
        let plan = CodePlan(bits: [2])
        let codebook = try CodebookTrainer.train(
            sample: sample,
            generation: 4,
            listCount: 1,
            plan: plan,
            seed: 1,
            shouldStop: { false }
        )
        #expect(codebook.plan == plan)
        #expect(codebook.encode(embeddings: sample.values).codes.count == sample.rowCount * 32)
    }

    @Test(arguments: [(64, 128), (72, 128), (120, 128), (128, 128), (192, 256), (256, 256), (264, 256), (384, 384)])
    func dimensionsArePaddedToWholeSegments(dimension: Int, coded: Int) {
        let plan = CodePlan.forSpectrum([Float](repeating: 1, count: dimension))
        #expect(plan.codedDimension == coded)
        #expect(plan.codeByteCount == 16 * plan.planeCount)
    }

    @Test func everyDimensionHasAPlanThatFitsTheKernels() {
        for dimension in stride(from: 64, through: 2048, by: 8) {
            let plan = CodePlan.forSpectrum((0..<dimension).map { 1 / Float($0 + 8) })
            #expect(CodePlane.areValid(plan.planes, dimension: plan.codedDimension), "\(dimension)")
            #expect(plan.codedDimension < dimension + CodePlane.dimension)
        }
    }

    // MARK: Calibration

    @Test func calibrationRisesInBothFields() throws {
        let calibration = try Self.trained.get().codebook.calibration
        #expect(calibration.curves.map(\.leastSimilarity) == RecallCalibration.leastSimilarities)
        for curve in calibration.curves {
            let points = curve.points
            #expect(zip(points, points.dropFirst()).allSatisfy { $0.recall < $1.recall })
            #expect(zip(points, points.dropFirst()).allSatisfy { $0.visitedShare <= $1.visitedShare })
            #expect(points.last?.recall == 1 && points.last?.visitedShare == 1)
            #expect(points.allSatisfy { (0...1).contains($0.visitedShare) })
            // One trial for each of the eighth of the sample that trained nothing, and no row twice.
            #expect(curve.probeCount == 1024)
        }
        // Better mates are nearer.
        for (worse, better) in zip(calibration.curves, calibration.curves.dropFirst()) {
            #expect(zip(worse.points, better.points).allSatisfy { $0.visitedShare >= $1.visitedShare })
        }
        let (weak, strong) = (calibration.curve(atOrAbove: 0.3), calibration.curve(atOrAbove: 0.8))
        #expect(strong.visitedShare(finding: 0.9) < 0.7 * weak.visitedShare(finding: 0.9))
    }

    /// For a target of 90 % lists find 90.25 %. Of 1000 probes with shares 0.001 … 1 that allows 81 misses:
    /// P(X ≤ 81) < 5 % < P(X ≤ 82) for X ~ Bin(1000, 0.0975).
    @Test func calibrationTakesTheShareThatABinomialBoundAllows() {
        let shares = (1...1000).map { Double($0) / 1000 }
        let calibration = RecallCalibration(mateShares: [.alike(from: 0.3, shares.shuffled())])
        let curve = calibration.curve(atOrAbove: 0.4)
        #expect(curve.probeCount == 1000 && calibration.probeCount == 1000)
        #expect(curve.visitedShare(finding: 0.9025) == 0.919)
        // Between two points the next one counts, never less.
        #expect(curve.visitedShare(finding: 0.86) == 0.919)
        // Even no miss among 1000 does not show 99.9 %.
        #expect(curve.visitedShare(finding: 0.999) == 1)
        let unknown = RecallCalibration(mateShares: [.alike(from: 0.3, [])])
        #expect(unknown.curve(atOrAbove: 0.5).visitedShare(finding: 0.5) == 1)
        #expect(RecallCalibration.none.curve(atOrAbove: 0.5).visitedShare(finding: 0.5) == 1)
    }

    /// Of 9000 mates in a band lists may miss 1.5 % where they may miss 0.75 % of all: the band's share counts where it
    /// is the greater.
    @Test func eachBandOfSimilarityIsOwedNearlyAsMuch() {
        let all = [Double](repeating: 0.1, count: 9000)
        // 1 % of the band lie far out.
        let band = [Double](repeating: 0.2, count: 8910) + [Double](repeating: 0.9, count: 90)
        let calibration = RecallCalibration(mateShares: [.init(leastSimilarity: 0.3, all: all, band: band)])
        let curve = calibration.curve(atOrAbove: 0.3)
        #expect(curve.visitedShare(finding: 0.99) == 0.2)
        #expect(curve.visitedShare(finding: 0.995) == 0.9)
        // Half a percent of the band is owed there.
        #expect(curve.visitedShare(finding: 0.5) == 0.2)
        #expect(curve.probeCount == 9000)
        // Few mates in a band show nothing of it.
        let few = RecallCalibration(mateShares: [.init(leastSimilarity: 0.3, all: all, band: [0.1])])
        #expect(few.curve(atOrAbove: 0.3).visitedShare(finding: 0.9) == 1)
    }

    @Test func aSimilarityHasTheCurveOfTheNextLowerOne() {
        let calibration = RecallCalibration(
            mateShares: [
                .alike(from: 0.3, [Double](repeating: 0.5, count: 9000)),
                .alike(from: 0.6, [Double](repeating: 0.25, count: 9000)),
            ]
        )
        for (similarity, share): (Float, Double) in [
            (-.infinity, 0.5), (0, 0.5), (0.3, 0.5), (0.59, 0.5), (0.6, 0.25), (1, 0.25),
        ] {
            #expect(calibration.curve(atOrAbove: similarity).visitedShare(finding: 0.9) == share)
        }
        // What finds weaker mates finds better ones: chance must not say otherwise.
        let odd = RecallCalibration(
            mateShares: [
                .alike(from: 0.3, [Double](repeating: 0.2, count: 9000)),
                .alike(from: 0.6, [Double](repeating: 0.4, count: 9000)),
            ]
        )
        #expect(odd.curve(atOrAbove: 0.7).visitedShare(finding: 0.9) == 0.2)
    }

    /// What a target leaves to miss is divided: half of it to lists and half to codes where it is little, never more
    /// than 0.25 % to codes.
    @Test func listsFindMoreThanATargetSays() {
        for (target, recall) in [(0.5, 0.5025), (0.9, 0.9025), (0.99, 0.9925), (0.995, 0.9975), (0.998, 0.999), (1, 1)]
        {
            #expect(abs(RecallCalibration.listRecall(for: target) - recall) < 1e-12, "\(target)")
        }
        // A table of other points, as in codebooks of before, is read the same way.
        let curve = RecallCalibration.Curve(
            leastSimilarity: 0.3,
            points: [(0.9, 0.2), (0.99, 0.5), (0.9925, 0.6), (1, 1)].map { .init(recall: $0.0, visitedShare: $0.1) },
            probeCount: 9000
        )
        for (target, share) in [(0.8975, 0.2), (0.9, 0.5), (0.9875, 0.5), (0.99, 0.6), (0.995, 1)] {
            let demand = RecallCalibration(curves: [curve]).demand(forRecall: target)
            #expect(curve.visitedShare(finding: demand.listRecall) == share, "\(target)")
        }
    }

    /// Fresh rows and fresh mates made by the same recipe: lists must find what they are to find for the target at
    /// least, within four deviations of the 1500 test probes.
    @Test func calibrationHoldsForMatesThatItHasNotSeen() throws {
        let codebook = try Self.trained.get().codebook
        var source = SpectrumSample.heavyTailed(dimension: 128, mean: 0.05, seed: testSeed &+ 5)
        let rows = source.rows(1500)
        let probes = (0..<1500).flatMap { source.mate(of: Array(rows.row($0))) }
        let lists = codebook.encode(embeddings: rows.values).lists
        let prepared = PreparedProbes(probes: probes, codebook: codebook)
        for target in [0.5, 0.8, 0.9, 0.95, 0.99] {
            let due = codebook.calibration.demand(forRecall: target).listRecall
            let share = codebook.calibration.curve(atOrAbove: 0.40).visitedShare(finding: due)
            let found = (0..<1500).count { probe in
                var walk = prepared.walk(ofProbe: probe)
                return walk.next(until: share).contains(lists[probe])
            }
            let recall = Double(found) / 1500
            #expect(due >= RecallCalibration.listRecall(for: target))
            let tolerance = 4 * (due * (1 - due) * (1.0 / 1024 + 1.0 / 1500)).squareRoot()
            #expect(recall >= due - tolerance, "seed \(testSeed), target \(target)")
            // The bound asks for some more than is due, and one list is a part of 128.
            #expect(recall <= due + 2 * tolerance + 0.02, "seed \(testSeed), target \(target)")
        }
    }

    // MARK: Scan calibration

    /// Of mates at a similarity, about the share that the lines are asked for stays below them.
    @Test func scanLinesLoseTheShareTheyAreAskedFor() throws {
        let codebook = try Self.trained.get().codebook
        let calibration = codebook.scanCalibration
        // The whole code knows more than its heads.
        #expect(calibration.head.deviation > 0.005 && calibration.head.deviation < 0.1)
        #expect(calibration.head.slope > 0.5 && calibration.head.slope < 1)
        // All components are coded, and factors correct the code's length.
        #expect(abs(calibration.whole.slope - 1) < 0.05 && abs(calibration.whole.intercept) < 0.02)
        #expect(calibration.whole.deviation > 0.005 && calibration.whole.deviation < 0.05)

        // Counted of mates of rows that it has not seen, within four deviations of the 1024 rows that the lines were
        // fitted on, and of these.
        let (similarity, batchCount, rowCount): (Float, Int, Int) = (0.40, 8, 1024)
        let shares: [(share: Double, deviations: Float)] = [(0.1, 1.2816), (0.01, 2.3263)]
        var source = SpectrumSample.heavyTailed(dimension: 128, mean: 0.05, seed: testSeed &+ 6)
        var lost = shares.map { _ in (heads: 0, whole: 0) }
        for _ in 0..<batchCount {
            let rows = source.rows(rowCount)
            let batch = codebook.encode(embeddings: rows.values)
            let mates = (0..<rowCount).flatMap { source.mate(of: Array(rows.row($0)), similarity: similarity) }
            let probes = PreparedProbes(probes: mates, codebook: codebook)
            for row in 0..<rowCount {
                let estimate = probes.estimate(probe: row, code: batch, row: row)
                let wanted = similarity - probes.meanTerms[row]
                for (index, line) in shares.enumerated() {
                    let headLeast = calibration.headLeast(for: wanted, deviations: line.deviations)
                    let wholeLeast = calibration.whole.least(for: wanted, deviations: line.deviations)
                    lost[index].heads += estimate.head < headLeast ? 1 : 0
                    lost[index].whole += estimate.whole < wholeLeast ? 1 : 0
                }
            }
        }
        let count = Double(batchCount * rowCount)
        for (line, counts) in zip(shares, lost) {
            let tolerance = 4 * (line.share * (1 - line.share) * (1.0 / 1024 + 1 / count)).squareRoot()
            // What was fitted far out says less of what is nearer, but never that nothing is lost.
            let due = max(line.share / 5, line.share - tolerance)...line.share + tolerance
            #expect(due.contains(Double(counts.heads) / count), "\(testSeed), of \(line.share): \(counts) of \(count)")
            #expect(due.contains(Double(counts.whole) / count), "\(testSeed), of \(line.share): \(counts) of \(count)")
        }
    }
}

extension RecallCalibration.MateShares {
    /// The mates of the first band lie as all do.
    fileprivate static func alike(from leastSimilarity: Float, _ shares: [Double]) -> Self {
        Self(leastSimilarity: leastSimilarity, all: shares, band: shares)
    }
}
