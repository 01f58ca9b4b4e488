internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization
internal import VectorMath

/// One attempt at a search of one commit: what all of its parts have in common.
struct SearchPlan: Sendable {
    /// Matches and candidates kept beyond the matches wanted, in case their similarities are equal.
    static let spareRoom = 16
    /// What going through rows one after the other takes for each, in codes scanned: between a third of a scattered row
    /// (single probes, as fast as memory) and a fifteenth (photos).
    private static let consecutiveRowCost = 3.0

    let partition: Partition
    private(set) var search: PartitionSearch
    /// Rows kept for each probe.
    private(set) var room: Int
    let state: PartitionState
    let transactionNumber: UInt64
    /// The codes to scan; nil when every embedding is compared.
    let snapshot: CodeSnapshot?
    /// Codes to scan, those of dead rows that are still in a run among them.
    let codeCount: UInt64
    let liveness: RowLiveness
    /// Live rows to compare instead of a scan; nil for a scan.
    let onlyRows: [UInt32]?
    /// Full chunks with live rows among those that are gone through one after the other.
    let flatChunkCount: Int
    let rows: RowReader
    /// What checks of earlier searches make of a recall target.
    let recallFactor: RecallCorrection.Factor
    /// What the search takes for each probe, in codes scanned.
    private let workPerProbe: Double

    init(
        _ partition: Partition,
        search: PartitionSearch,
        _ state: PartitionState,
        _ passing: PassingRows,
        expired: RowSet,
        room: Int,
        _ transaction: borrowing ReadTransaction
    ) throws {
        self.partition = partition
        self.search = search
        self.room = room
        self.state = state
        transactionNumber = transaction.number
        let snapshot =
            search.parameters.effort != .exact && state.foldedRow > 0 ? try partition.snapshot(transaction) : nil
        self.snapshot = snapshot
        codeCount = snapshot?.rowCount ?? 0
        recallFactor = partition.recallCorrection.factor
        rows = RowReader(partition: partition, state: state, transaction: transaction.number)
        let tombstones = try partition.tombstones(transaction, rowCount: state.nextRow)
        let hidden = try Self.hiddenRows(expired, partition, search, transaction)
        // Of the filter nothing is asked yet.
        let unfiltered = RowLiveness(tombstones, hidden: hidden)
        let firstFlatRow = min(snapshot == nil ? 0 : state.foldedRow, rows.sealedRow)
        let flatChunks = firstFlatRow / UInt32(RowChunk.rowCount)..<rows.sealedRow / UInt32(RowChunk.rowCount)
        let chunkCount = unfiltered.liveChunkCount(in: flatChunks)
        let scanCost = Self.scanCost(
            search.parameters,
            codeCount: codeCount,
            snapshot?.generations.first?.codebook,
            recallFactor,
            flatRowCount: chunkCount * RowChunk.rowCount + Int(state.nextRow - rows.sealedRow)
        )
        let rowCost = partition.options.scatteredRowCost
        let isCheaperThanScan = { (count: Int) in Double(count) * rowCost <= scanCost }
        let bitmap: RowBitmap?
        switch passing {
        case .all: (onlyRows, bitmap) = (nil, nil)
        case .few(let few):
            let live = few.filter { unfiltered.isLive($0) }
            (onlyRows, bitmap) =
                isCheaperThanScan(live.count) ? (live, nil) : (nil, RowBitmap(live, below: state.nextRow))
        case .many(let found):
            let filtered = RowLiveness(tombstones, hidden: hidden, passing: found.bitmap)
            let areFew = Self.areFew(found, tombstones, hidden: hidden, state, isFew: isCheaperThanScan)
            (onlyRows, bitmap) = areFew ? (filtered.liveRows(in: 0..<state.nextRow), nil) : (nil, found.bitmap)
        }
        workPerProbe = onlyRows.map { Double($0.count) * rowCost } ?? scanCost
        if let bitmap {
            liveness = RowLiveness(tombstones, hidden: hidden, passing: bitmap)
            flatChunkCount = liveness.liveChunkCount(in: flatChunks)
        } else {
            liveness = unfiltered
            flatChunkCount = chunkCount
        }
    }

    /// The same search, on the same commit, for some of its probes, and with other room for each.
    func narrowed(to probes: [Int], room: Int) -> SearchPlan {
        var plan = self
        plan.search.probes = search.probes.rows(probes)
        plan.room = room
        return plan
    }

    /// The best rows of every probe, found by the caller's thread and those that have nothing else to do: of all probes
    /// at once, unless their shortlists would take too much memory.
    func run(
        _ team: SearchTeam,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> SearchPass.Outcome {
        let groups = probeGroups(memberLimit: team.memberLimit)
        if groups.count == 1 { return try runAtOnce(team, transaction, shouldStop: shouldStop) }
        var isStopped = false
        func stops() -> Bool {
            isStopped = isStopped || shouldStop()
            return isStopped
        }
        var outcomes: [(part: SearchPart, outcome: SearchPass.Outcome)] = []
        for probes in groups {
            let plan = narrowed(to: Array(probes), room: room)
            let outcome: SearchPass.Outcome
            // The first asks by itself.
            if probes.lowerBound > 0, stops() {
                // It only says that it is left out, and needs no help for that.
                let whole = SearchPart(probes: 0..<probes.count, slice: .whole)
                outcome = try plan.outcome(of: whole, nil, transaction, shouldStop: { true })
            } else {
                outcome = try plan.runAtOnce(team, transaction, shouldStop: stops)
            }
            outcomes.append((SearchPart(probes: probes, slice: .whole), outcome))
        }
        return SearchPass.Outcome(merging: outcomes, probeCount: search.probes.rowCount, room: room)
    }

    /// How a search of some of the probes, or all, is divided among threads.
    func parts(probeCount: Int, memberLimit: Int) -> [SearchPart] {
        SearchDivision.parts(
            probeCount: probeCount,
            work: Double(probeCount) * workPerProbe,
            leastWork: partition.options.leastPartWork,
            memberLimit: memberLimit
        )
    }

    private func runAtOnce(
        _ team: SearchTeam,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> SearchPass.Outcome {
        let probeCount = search.probes.rowCount
        let parts = parts(probeCount: probeCount, memberLimit: team.memberLimit)
        if parts.count == 1 { return try outcome(of: parts[0], nil, transaction, shouldStop: shouldStop) }
        let outcomes = try DividedSearch(self, parts: parts).run(team: team, transaction, shouldStop: shouldStop)
        return SearchPass.Outcome(merging: outcomes, probeCount: probeCount, room: room)
    }

    /// What one part finds.
    ///
    /// - Parameters:
    ///   - leastUseful: what the threads of this search tell each other; nil for one alone.
    ///   - transaction: of the plan's commit.
    func outcome(
        of part: SearchPart,
        _ leastUseful: SharedSimilarities?,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> SearchPass.Outcome {
        var pass = SearchPass(self, part, leastUseful)
        try pass.run(transaction, shouldStop: shouldStop)
        pass.noteFaults(of: partition.coldRows)
        return pass.outcome
    }

    /// Whether the rows that pass a filter and may be found are few. Counting them takes going through all rows, so
    /// bounds are asked first, and what lives is counted once in a commit.
    ///
    /// - Parameter isFew: true of every lower number than one that it is true of.
    private static func areFew(
        _ found: FilterCache.Found,
        _ tombstones: Tombstones,
        hidden: RowSet,
        _ state: PartitionState,
        isFew: (Int) -> Bool
    ) -> Bool {
        let passing = found.bitmap.count
        if isFew(passing) { return true }
        // Rows that are no face's are dead.
        let deadCount = max(0, Int(state.nextRow) - Int(state.faceCount))
        if !isFew(max(0, passing - deadCount - hidden.count)) { return false }
        let all = 0..<state.nextRow
        let liveCount = found.liveCount.count(inTransaction: tombstones.transactionNumber) {
            RowLiveness(tombstones, hidden: [], passing: found.bitmap).liveCount(in: all)
        }
        if isFew(liveCount) { return true }
        if hidden.isEmpty || !isFew(max(0, liveCount - hidden.count)) { return false }
        return isFew(RowLiveness(tombstones, hidden: hidden, passing: found.bitmap).liveCount(in: all))
    }

    /// What a scan takes for each probe, in codes.
    ///
    /// - Parameters:
    ///   - codeCount: codes that there are.
    ///   - codebook: the newest that some of them are of; nil without any.
    ///   - flatRowCount: rows that are gone through one after the other, dead ones among them.
    private static func scanCost(
        _ parameters: SearchParameters,
        codeCount: UInt64,
        _ codebook: Codebook?,
        _ recallFactor: RecallCorrection.Factor,
        flatRowCount: Int
    ) -> Double {
        let flatCost = Double(flatRowCount) * consecutiveRowCost
        guard let codebook else { return flatCost }
        let visitedShare =
            switch parameters.effort {
            case .exact, .full: 1.0
            case .lists(let count): min(1, Double(count) / Double(codebook.listCount))
            case .recall(let recall):
                codebook.calibration.curve(atOrAbove: leastSimilarity(parameters))
                    .visitedShare(finding: recallFactor.demand(forRecall: recall, of: codebook).listRecall)
            }
        return Double(codeCount) * visitedShare + flatCost
    }

    /// The threshold, or without one the similarity from which on a recall is promised. Below
    /// ``leastCalibratedSimilarity`` nothing is promised, whatever the threshold.
    static func leastSimilarity(_ parameters: SearchParameters) -> Float {
        parameters.threshold ?? leastCalibratedSimilarity
    }

    /// From here on down a calibration knows nothing.
    static var leastCalibratedSimilarity: Float { RecallCalibration.leastSimilarities[0] }

    /// Rows that live in the tables but must not be found.
    private static func hiddenRows(
        _ expired: RowSet,
        _ partition: Partition,
        _ search: PartitionSearch,
        _ transaction: borrowing ReadTransaction
    ) throws -> RowSet {
        var hidden = expired
        if let excluded = search.excludedFace,
            let bytes = try unsafe transaction.value(of: partition.tables.faces, key: excluded)
        {
            hidden.insert(try unsafe FaceRecord(bytes: bytes, face: excluded).row)
        }
        return hidden
    }
}
