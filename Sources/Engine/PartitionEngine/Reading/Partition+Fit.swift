internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization

extension Partition {
    /// How well the newest codebook fits the rows that came after it; nil without a codebook.
    func fit(_ transaction: borrowing ReadTransaction) throws -> CodebookFit? {
        guard let codebook = codebooks.withLock({ $0.newest }) else { return nil }
        let intake = try intake(codebook, transaction)
        var fit = CodebookFit.unknown
        fit.recentRowCount = intake.rowCount
        fit.recall = recallCorrection.evidence(ofGeneration: codebook.generation)
        if intake.energy > 0, codebook.energyShare > 0 {
            fit.energyRatio = Float(intake.codedEnergy / intake.energy) / codebook.expectedEnergyShare
        }
        let runs = try snapshot(transaction).runs(ofGeneration: codebook.generation)
        var counts = [UInt64](repeating: 0, count: codebook.listCount)
        for run in runs {
            for (list, count) in run.manifest.listRowCounts.enumerated() { counts[list] += UInt64(count) }
        }
        let sample = codebook.quantizer.weights.map { UInt64(($0 * Float(codebook.sampleCount)).rounded()) }
        let state = try state(transaction)
        // Faces of one person often come together: the first rows that are folded lie less evenly than all.
        let isMostlyFolded = counts.reduce(0, +) >= 3 * UInt64(state.nextRow - state.foldedRow)
        if isMostlyFolded, let now = ListImbalance.of(counts), let trained = ListImbalance.of(sample) {
            fit.imbalanceRatio = Float(now / trained)
        }
        return fit
    }

    /// What a codebook has made of new rows so far.
    func intake(_ codebook: Codebook, _ transaction: borrowing ReadTransaction) throws -> IntakeRecord {
        let stored = try unsafe transaction.value(of: tables.meta, key: MetaKey.intake).map {
            try unsafe IntakeRecord(bytes: $0)
        }
        if let stored, stored.generation == codebook.generation { return stored }
        return IntakeRecord(generation: codebook.generation, firstRow: 0)
    }
}

extension Codebook {
    /// The share of the energy of other rows of the sample's kind that the coded components hold.
    ///
    /// Principal components hold more of the sample's own: of n rows of dimension d, by about d / n (measured: 13 000
    /// rows of dimension 512 made it 0.963 of the sample's, 1 / (1 + d / n) is 0.962).
    fileprivate var expectedEnergyShare: Float {
        if plan.codedDimension >= dimension { return energyShare }
        return energyShare / (1 + Float(dimension) / Float(max(1, sampleCount)))
    }
}

/// How unevenly rows lie in lists: with how many others a row shares its list, on average, over what it would be if all
/// lists were alike. 1 for lists that are alike, whatever the number of rows.
enum ListImbalance {
    /// Fewer rows a list than these say little.
    private static let leastRowsPerList = 4

    /// - Parameter counts: rows of each list.
    /// - Returns: nil for too few rows.
    static func of(_ counts: [UInt64]) -> Double? {
        let rowCount = Double(counts.reduce(0, +))
        guard rowCount >= Double(leastRowsPerList * counts.count), rowCount > 1 else { return nil }
        let pairs = counts.reduce(0.0) { $0 + Double($1) * Double($1 > 0 ? $1 - 1 : 0) }
        let imbalance = pairs * Double(counts.count) / (rowCount * (rowCount - 1))
        return imbalance > 0 ? imbalance : nil
    }
}
