internal import FaceModel
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// Comparison of rows that may not be in memory.
extension SearchPass {
    private static let sampleCount = 128

    /// Compares one probe with scattered live rows, of which some may have to be read from the disk: those that are in
    /// memory first, then those that their roundings, where these are in memory, leave open to be among the matches.
    ///
    /// What is left out has a similarity below that of the last match wanted, or the threshold, by the bound of an
    /// exact search: the matches are, bit by bit, those of comparing every row.
    mutating func compareReadingLittle(
        _ rowIDs: [UInt32],
        withProbe probe: Int,
        _ transaction: borrowing ReadTransaction
    ) throws {
        guard try isAnyMissing(ofSome: rowIDs, transaction) else {
            partition.coldRows.noteReading(isAnyMissing: false)
            return try compareAtOnce(rowIDs, withProbe: probe, transaction)
        }
        var present: [UInt32] = []
        var missing: [UInt32] = []
        for row in rowIDs {
            if try plan.rows.isInMemory(row, transaction) { present.append(row) } else { missing.append(row) }
        }
        partition.coldRows.noteReading(isAnyMissing: !missing.isEmpty)
        try compareAtOnce(present, withProbe: probe, transaction)
        if missing.isEmpty { return }
        let open = try rowsLeftOpen(missing, withProbe: probe, transaction)
        try plan.rows.readAhead(open, transaction)
        try compareAtOnce(open, withProbe: probe, transaction)
    }

    /// Whether any of at most so many rows, evenly spread over those given, is not in memory: asking about a row costs
    /// as much as comparing it, and where hardly any is missing, waiting for those costs less than asking about all.
    private func isAnyMissing(ofSome rowIDs: [UInt32], _ transaction: borrowing ReadTransaction) throws -> Bool {
        let count = min(rowIDs.count, Self.sampleCount)
        for index in 0..<count
        where try !plan.rows.isInMemory(rowIDs[index * rowIDs.count / count], transaction) {
            return true
        }
        return false
    }

    /// Those of some rows that may be among the matches of a probe, as far as roundings in memory can tell.
    private mutating func rowsLeftOpen(
        _ rowIDs: [UInt32],
        withProbe probe: Int,
        _ transaction: borrowing ReadTransaction
    ) throws -> [UInt32] {
        let reader = RoundedRowReader(partition: partition, state: state, transaction: transaction.number)
        let rounded = roundedProbes ?? RoundedProbes(probes)
        roundedProbes = rounded
        let bounds = try rowIDs.map { row in
            guard let chunk = try reader.chunkInMemory(ofRow: row, transaction) else {
                return VectorKernels.ProductBounds.unknown
            }
            return rounded.bounds(ofRow: Int(row) % RoundedRowChunk.rowCount, in: chunk, probe: probe)
        }
        // So many rows are at least as similar as the last match can be.
        var similarities = outcome.best[probe].heap.map(\.score) + bounds.map(\.least)
        similarities.sort(by: >)
        let wanted = parameters.matchLimit
        // Similarities above 1 are told as 1: there face ids decide.
        let least = similarities.count < wanted ? floor : max(floor, min(1, similarities[wanted - 1]))
        return zip(rowIDs, bounds).filter { !($0.1.greatest < least) }.map(\.0)
    }
}
