internal import FaceModel
internal import VectorMath

/// Measures on simulated mates how much must be visited and how early codes may be given up.
struct CodebookCalibrator {
    /// Most rows that get mates; none of them trained the quantizer. The more, the less the confidence bound costs: for
    /// a recall of 0.99 the share that finds 0.9919 of the mates of so many.
    static let rowLimit = 8192
    /// Mates whose tables are made together: with the scores of all lists they take 20 KiB each.
    private static let probesAtATime = 512
    /// Similarities between which the lines of the scan calibration are fitted.
    private static let lineSimilarities: [Float] = [0.30, 0.40, 0.55]

    let sample: EmbeddingMatrix
    let rows: Range<Int>
    /// Nearest list of each of `rows`.
    let assignment: ArraySlice<UInt32>
    private var simulation: MateSimulation

    init(
        sample: EmbeddingMatrix,
        rows: Range<Int>,
        assignment: ArraySlice<UInt32>,
        spectrum: PrincipalComponents,
        generator: SplitMix64
    ) {
        self.sample = sample
        self.rows = rows
        self.assignment = assignment
        simulation = MateSimulation(spectrum: spectrum, generator: generator)
    }

    /// The calibrated form of a codebook that has everything else.
    ///
    /// - Parameter proceed: called between rounds of mates with the share of them that is done; false ends the work.
    /// - Returns: nil when `proceed` ended it.
    mutating func calibrated(_ codebook: Codebook, proceed: (Float) -> Bool) -> Codebook? {
        let floors = RecallCalibration.leastSimilarities
        let roundCount = Float(floors.count + Self.lineSimilarities.count)
        var bands: [[Double]] = []
        for (round, floor) in floors.enumerated() {
            if !proceed(Float(round) / roundCount) { return nil }
            // One mate of each row: mates of one row lie in the same lists, and a bound over several of them would take
            // them for independent.
            let end = round + 1 < floors.count ? floors[round + 1] : MateSimulation.wildLimit
            bands.append(visitedShares(simulation.mates(of: sample, rows: rows, .wild(floor..<end)), codebook))
        }
        let shares = floors.indices.map { first in
            RecallCalibration.MateShares(
                leastSimilarity: floors[first],
                all: sharesOfAll(bands, from: first),
                band: bands[first]
            )
        }
        let lines = scanCalibration(codebook) { proceed((Float(floors.count) + Float($0)) / roundCount) }
        guard let lines else { return nil }
        return Codebook(
            generation: codebook.generation,
            dimension: codebook.dimension,
            plan: codebook.plan,
            mean: codebook.mean,
            projection: codebook.projection,
            scale: codebook.scale,
            quantizer: codebook.quantizer,
            energyShare: codebook.energyShare,
            sampleCount: codebook.sampleCount,
            calibration: RecallCalibration(mateShares: shares),
            scanCalibration: lines
        )
    }

    /// Of each row the share of one of its mates, from a band on, in which so many fall as do of mates in the wild.
    private mutating func sharesOfAll(_ bands: [[Double]], from first: Int) -> [Double] {
        let floors = RecallCalibration.leastSimilarities
        return rows.indices.map { row in
            let similarity = simulation.draw(.wild(floors[first]..<MateSimulation.wildLimit))
            let band = floors.lastIndex { $0 <= similarity } ?? first
            return bands[band][row - rows.lowerBound]
        }
    }

    /// For each mate, the share of the collection visited when its row's list has been.
    private func visitedShares(_ mates: [Float], _ codebook: Codebook) -> [Double] {
        let rotated = codebook.rotate(probes: mates)
        let (coded, quantizer) = (codebook.plan.codedDimension, codebook.quantizer)
        return assignment.enumerated().map { index, list in
            let scores = quantizer.scores(rotated: rotated[index * coded..<(index + 1) * coded])
            let own = Int(list)
            var share = 0.0
            for list in scores.indices where scores[list] > scores[own] || (scores[list] == scores[own] && list <= own)
            {
                share += Double(quantizer.weights[list])
            }
            return share
        }
    }

    private mutating func scanCalibration(_ codebook: Codebook, proceed: (Int) -> Bool) -> ScanCalibration? {
        let values = rows.flatMap { sample.row($0) }
        let batch = codebook.encode(embeddings: values)
        var heads: [(value: Float, estimate: Float)] = []
        var whole: [(value: Float, estimate: Float)] = []
        for (round, similarity) in Self.lineSimilarities.enumerated() {
            if !proceed(round) { return nil }
            let mates = simulation.mates(of: sample, rows: rows, .exactly(similarity))
            for first in stride(from: 0, to: rows.count, by: Self.probesAtATime) {
                let block = first..<min(rows.count, first + Self.probesAtATime)
                let values = mates[block.lowerBound * sample.dimension..<block.upperBound * sample.dimension]
                let probes = PreparedProbes(probes: Array(values), codebook: codebook)
                for (probe, row) in block.enumerated() {
                    let estimate = probes.estimate(probe: probe, code: batch, row: row)
                    heads.append((estimate.whole, estimate.head))
                    // The mean's part is taken off; it is added again where the lines are used.
                    whole.append((similarity - probes.meanTerms[probe], estimate.whole))
                }
            }
        }
        return ScanCalibration(head: ScanCalibration.fit(heads), whole: ScanCalibration.fit(whole))
    }
}

extension PreparedProbes {
    /// The estimates of one row's similarity, the mean's part left out, after the heads without the row's factor and
    /// of the whole code with it, as the scan's kernels sum them up.
    package func estimate(probe: Int, code batch: CodeBatch, row: Int) -> (head: Float, whole: Float) {
        let estimator = estimators[probe]
        let headByteCount = tableByteCount / VectorKernels.lutPlaneByteCount * VectorKernels.planeByteCount
        let codeByteCount = headByteCount + weightCount / 8
        let code = batch.codes[row * codeByteCount..<(row + 1) * codeByteCount]
        var sum = 0
        for (offset, byte) in code.prefix(headByteCount).enumerated() {
            // Byte 4 z + j has position 8 z + j in its low and 8 z + 4 + j in its high half.
            let position = offset % VectorKernels.planeByteCount / 4 * 8 + offset % 4
            let plane = offset / VectorKernels.planeByteCount * VectorKernels.lutPlaneByteCount
            let table = probe * tableByteCount + plane + 16 * position
            sum += Int(tables[table + Int(byte & 15)]) + Int(tables[table + 64 + Int(byte >> 4)])
        }
        let head = estimator.step * Float(sum) + estimator.headBias
        for (offset, byte) in code.dropFirst(headByteCount).enumerated() {
            for bit in 0..<8 where byte >> bit & 1 == 1 {
                sum += Int(weights[probe * weightCount + 8 * offset + bit])
            }
        }
        let factor = Float(Float16(bitPattern: batch.factors[row]))
        return (head, factor * (estimator.step * Float(sum) + estimator.bias))
    }
}
