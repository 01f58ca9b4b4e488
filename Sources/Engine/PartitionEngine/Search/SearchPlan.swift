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
    let search: PartitionSearch
    /// Rows kept for each probe.
    let room: Int
    let state: PartitionState
    let transactionNumber: UInt64
    /// The codes to scan; nil when every embedding is compared.
    let snapshot: CodeSnapshot?
    let liveness: RowLiveness
    /// Rows to compare instead of a scan, dead and hidden ones among them; nil for a scan.
    let onlyRows: [UInt32]?
    let rows: RowReader
    /// What checks of earlier searches make of a recall target.
    let recallFactor: RecallCorrection.Factor
    /// What the search takes, in codes scanned.
    private let work: Double

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
        recallFactor = partition.recallCorrection.factor
        let scanCost = Self.scanCost(search.parameters, state, snapshot?.generations.first?.codebook, recallFactor)
        let rowCost = partition.options.scatteredRowCost
        let isCheaperThanScan = { (count: Int) in Double(count) * rowCost <= scanCost }
        let bitmap: RowBitmap?
        switch passing {
        case .all: (onlyRows, bitmap) = (nil, nil)
        case .few(let few):
            (onlyRows, bitmap) =
                isCheaperThanScan(few.count) ? (few, nil) : (nil, RowBitmap(few, below: state.nextRow))
        case .many(let many): (onlyRows, bitmap) = isCheaperThanScan(many.count) ? (many.rows, nil) : (nil, many)
        }
        work = Double(search.probes.rowCount) * (onlyRows.map { Double($0.count) * rowCost } ?? scanCost)
        rows = RowReader(partition: partition, state: state, transaction: transaction.number)
        liveness = RowLiveness(
            try partition.tombstones(transaction, rowCount: state.nextRow),
            hidden: try Self.hiddenRows(expired, partition, search, transaction),
            passing: bitmap
        )
    }

    /// The best rows of every probe, found by the caller's thread and those that have nothing else to do.
    func run(
        _ team: SearchTeam,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> PartitionSearchAnswer? {
        let probeCount = search.probes.rowCount
        let parts = SearchDivision.parts(
            probeCount: probeCount,
            work: work,
            leastWork: partition.options.leastPartWork,
            memberLimit: team.memberLimit
        )
        if parts.count == 1 {
            let outcome = try outcome(of: parts[0], nil, transaction, shouldStop: shouldStop)
            return try answer(outcome, transaction)
        }
        let outcomes = try DividedSearch(self, parts: parts).run(team: team, transaction, shouldStop: shouldStop)
        return try answer(SearchPass.Outcome(merging: outcomes, probeCount: probeCount, room: room), transaction)
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
        pass.noteFaults()
        return pass.outcome
    }

    /// What a scan takes for each probe, in codes.
    private static func scanCost(
        _ parameters: SearchParameters,
        _ state: PartitionState,
        _ codebook: Codebook?,
        _ recallFactor: RecallCorrection.Factor
    ) -> Double {
        guard let codebook else { return Double(state.nextRow) * consecutiveRowCost }
        let visitedShare =
            switch parameters.effort {
            case .exact, .full: 1.0
            case .lists(let count): min(1, Double(count) / Double(codebook.listCount))
            case .recall(let recall):
                codebook.calibration.curve(atOrAbove: leastSimilarity(parameters))
                    .visitedShare(forRecall: recallFactor.target(for: recall, generation: codebook.generation))
            }
        return Double(state.foldedRow) * visitedShare + Double(state.nextRow - state.foldedRow) * consecutiveRowCost
    }

    /// The similarity from which on a recall is promised.
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
