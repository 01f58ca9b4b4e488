import Checksum
import InvertedFileIndex
import VectorMath

extension FuzzTarget {
    /// Codebooks without their checksum, which is put behind them; one that is accepted has to be of use.
    static let codebooks = FuzzTarget(
        name: "codebooks",
        seeds: { CodebookTarget.codebooks.map { $0.encoded().dropLast(4) } },
        accepts: { CodebookTarget.accepts($0) }
    )
}

enum CodebookTarget {
    static func accepts(_ body: [UInt8]) -> Bool {
        let checksum = unsafe body.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        var bytes = body + [0, 0, 0, 0]
        replaceNumber(&bytes, at: body.count, with: checksum)
        guard let codebook = try? Codebook(bytes: bytes) else { return false }
        precondition(codebook.encoded() == bytes, "a codebook is another after it was written")
        let probe = (0..<codebook.dimension).map { Float($0 % 7 - 3) / 16 }
        var walk = PreparedProbes(probes: probe, codebook: codebook).walk(ofProbe: 0)
        precondition(Set(walk.next(until: .infinity)).count == codebook.listCount, "a walk leaves lists out")
        let rotated = codebook.rotate(embeddings: probe)
        let list = codebook.quantizer.assign(rotated: rotated, rowStride: codebook.plan.codedDimension)[0]
        precondition(list < codebook.listCount, "an embedding has no list")
        let demand = codebook.calibration.demand(forRecall: 0.99)
        let share = codebook.calibration.curve(atOrAbove: 0.4).visitedShare(finding: demand.listRecall)
        precondition((0...1).contains(share), "a search visits more than there is")
        return true
    }

    fileprivate static let codebooks = [CodePlan(bits: [1]), CodePlan(bits: [2, 1])].map { plan in
        let dimension = plan.segmentCount == 1 ? 64 : 136
        let coded = plan.codedDimension
        var projection = [Float](repeating: 0, count: coded * dimension)
        for component in 0..<dimension { projection[component * dimension + component] = 1 }
        let line = ScanCalibration.Line(intercept: 0.01, slope: 0.98, deviation: 0.02)
        return Codebook(
            generation: 2,
            dimension: dimension,
            plan: plan,
            mean: [Float](repeating: 0.01, count: dimension),
            projection: projection,
            scale: [Float](repeating: 0.1, count: coded),
            quantizer: CoarseQuantizer(
                dimension: plan.centroidDimension,
                centroids: (0..<2 * plan.centroidDimension).map { Int8($0 % 100 - 50) },
                weights: [0.25, 0.75]
            ),
            energyShare: 0.97,
            sampleCount: 1024,
            calibration: RecallCalibration(
                curves: [
                    RecallCalibration.Curve(
                        leastSimilarity: 0.3,
                        points: [
                            RecallCalibration.Point(recall: 0.99, visitedShare: 0.5),
                            RecallCalibration.Point(recall: 1, visitedShare: 1),
                        ],
                        probeCount: 9
                    )
                ]
            ),
            scanCalibration: ScanCalibration(head: line, whole: line)
        )
    }
}
