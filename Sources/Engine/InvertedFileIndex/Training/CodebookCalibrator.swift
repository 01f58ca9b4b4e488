internal import FaceModel
internal import VectorMath

/// Measures on simulated mates how much must be visited and how early codes may be given up.
struct CodebookCalibrator {
    /// Most rows that get mates; none of them trained the quantizer.
    static let rowLimit = 4000
    /// Mates of each row for the visited shares: the more, the less the confidence bound costs.
    private static let matesPerRow = 4
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
    mutating func calibrated(_ codebook: Codebook) -> Codebook {
        let shares = (0..<Self.matesPerRow).flatMap { _ in
            visitedShares(simulation.mates(of: sample, rows: rows, .wild), codebook)
        }
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
            scanCalibration: scanCalibration(codebook)
        )
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

    private mutating func scanCalibration(_ codebook: Codebook) -> ScanCalibration {
        let planeCount = codebook.plan.planeCount
        let values = rows.flatMap { sample.row($0) }
        let batch = codebook.encode(embeddings: values)
        var planes = [[(value: Float, estimate: Float)]](repeating: [], count: planeCount)
        var whole: [(value: Float, estimate: Float)] = []
        for similarity in Self.lineSimilarities {
            let mates = simulation.mates(of: sample, rows: rows, .exactly(similarity))
            let probes = PreparedProbes(probes: mates, codebook: codebook)
            for index in 0..<rows.count {
                // The mean's part is taken off; it is added again where the lines are used.
                let meanTerm = probes.lines[index].meanTerm
                let parts = probes.partialEstimates(probe: index, code: batch, row: index)
                let estimate = parts[planeCount] - meanTerm
                for plane in 0..<planeCount { planes[plane].append((estimate, parts[plane] - meanTerm)) }
                whole.append((similarity - meanTerm, estimate))
            }
        }
        return ScanCalibration(planes: planes.map(ScanCalibration.fit), whole: ScanCalibration.fit(whole))
    }
}

extension PreparedProbes {
    /// The estimates of one row's similarity after each plane, without its factor, and of the whole code with it, as
    /// the scan's kernels sum them up.
    fileprivate func partialEstimates(probe: Int, code batch: CodeBatch, row: Int) -> [Float] {
        let planeCount = tableByteCount / VectorKernels.lutPlaneByteCount
        let line = lines[probe]
        var sum = 0
        var estimates: [Float] = []
        for plane in 0..<planeCount {
            for byte in 0..<VectorKernels.planeByteCount {
                let value = batch.codes[(row * planeCount + plane) * VectorKernels.planeByteCount + byte]
                // Byte 4 z + j has position 8 z + j in its low and 8 z + 4 + j in its high half.
                let position = byte / 4 * 8 + byte % 4
                let table = probe * tableByteCount + plane * VectorKernels.lutPlaneByteCount + 16 * position
                sum += Int(tables[table + Int(value & 15)]) + Int(tables[table + 64 + Int(value >> 4)])
            }
            estimates.append(line.meanTerm + line.step * Float(sum) + biases[probe * planeCount + plane])
        }
        let factor = Float(Float16(bitPattern: batch.factors[row]))
        estimates.append(line.meanTerm + factor * (line.step * Float(sum) + line.bias))
        return estimates
    }
}
