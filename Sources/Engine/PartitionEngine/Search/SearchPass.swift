internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization
internal import VectorMath

/// One attempt at a search, within one read transaction.
struct SearchPass {
    /// Share that codes may lose of the mates that are just as similar as the last match wanted, or as the threshold.
    static let codeMissRate = 0.001
    /// Matches and candidates kept beyond the matches wanted, in case their similarities are equal.
    static let spareRoom = 16
    /// What comparing rows one after the other takes for each, in codes scanned.
    static let consecutiveRowCost = 6.0

    let partition: Partition
    let search: PartitionSearch
    let room: Int
    let state: PartitionState
    /// The codes to scan; nil when every embedding is compared.
    let snapshot: CodeSnapshot?
    let liveness: RowLiveness
    /// Rows to compare instead of a scan, dead and hidden ones among them; nil for a scan.
    let onlyRows: [UInt32]?
    let rows: RowReader
    var best: [BoundedTopK]
    var rowsVisited: UInt64 = 0
    var listsVisited: UInt64 = 0
    var rowsReranked: UInt64 = 0

    init(
        _ partition: Partition,
        search: PartitionSearch,
        _ state: PartitionState,
        _ passing: PassingRows,
        room: Int,
        _ transaction: borrowing ReadTransaction
    ) throws {
        self.partition = partition
        self.search = search
        self.room = room
        self.state = state
        let snapshot =
            search.parameters.effort != .exact && state.foldedRow > 0 ? try partition.snapshot(transaction) : nil
        self.snapshot = snapshot
        let scanCost = Self.scanCost(search.parameters.effort, state, snapshot?.generations.first?.codebook)
        let isCheaperThanScan = { (count: Int) in Double(count) * partition.options.scatteredRowCost <= scanCost }
        let bitmap: RowBitmap?
        switch passing {
        case .all: (onlyRows, bitmap) = (nil, nil)
        case .few(let few):
            (onlyRows, bitmap) =
                isCheaperThanScan(few.count) ? (few, nil) : (nil, RowBitmap(few, below: state.nextRow))
        case .many(let many): (onlyRows, bitmap) = isCheaperThanScan(many.count) ? (many.rows, nil) : (nil, many)
        }
        rows = RowReader(partition: partition, state: state, transaction: transaction.number)
        liveness = RowLiveness(
            try partition.tombstones(transaction, rowCount: state.nextRow),
            hidden: try Self.hiddenRows(partition, search, transaction),
            passing: bitmap
        )
        best = [BoundedTopK](repeating: BoundedTopK(capacity: room), count: search.probes.rowCount)
    }

    /// Nil when equal similarities did not fit `room`.
    mutating func run(
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> PartitionSearchAnswer? {
        var firstFlatRow: UInt32 = 0
        var plannedShare = 1.0
        var generation: UInt32 = 0
        let flatShare: Double
        if let onlyRows {
            flatShare = try compare(onlyRows, transaction, shouldStop: shouldStop)
        } else {
            if let snapshot {
                firstFlatRow = state.foldedRow
                generation = snapshot.generations.last?.codebook.generation ?? 0
                plannedShare = try scanLists(snapshot, transaction, shouldStop: shouldStop)
            }
            flatShare = try scanRows(from: firstFlatRow, transaction, shouldStop: shouldStop)
        }
        var matches: [[Match]] = []
        for kept in best {
            guard let resolved = try resolve(kept, transaction) else { return nil }
            matches.append(resolved)
        }
        return PartitionSearchAnswer(
            matches: matches,
            faceCount: state.faceCount,
            facesAnswered: facesAnswered(listShare: plannedShare, flatShare: flatShare, firstFlatRow: firstFlatRow),
            rowsVisited: rowsVisited,
            listsVisited: listsVisited,
            rowsReranked: rowsReranked,
            generation: generation
        )
    }

    /// What a scan takes for each probe, in codes.
    private static func scanCost(_ effort: SearchEffort, _ state: PartitionState, _ codebook: Codebook?) -> Double {
        guard let codebook else { return Double(state.nextRow) * consecutiveRowCost }
        let visitedShare =
            switch effort {
            case .exact, .full: 1.0
            case .lists(let count): min(1, Double(count) / Double(codebook.listCount))
            case .recall(let target): codebook.calibration.visitedShare(forRecall: target)
            }
        return Double(state.foldedRow) * visitedShare + Double(state.nextRow - state.foldedRow) * consecutiveRowCost
    }

    /// Rows that live in the tables but must not be found.
    private static func hiddenRows(
        _ partition: Partition,
        _ search: PartitionSearch,
        _ transaction: borrowing ReadTransaction
    ) throws -> Set<UInt32> {
        var hidden: Set<UInt32> = []
        try unsafe transaction.forEach(in: partition.tables.byExpiry) { entry in
            guard let key = unsafe ExpiryKey(keyBytes: entry.key) else {
                throw PartitionStoreError.malformed(table: "byExpiry", reason: "a key of another size")
            }
            guard key.expires <= search.now else { return .stop }
            hidden.insert(key.row)
            return .next
        }
        if let excluded = search.excludedFace,
            let bytes = try unsafe transaction.value(of: partition.tables.faces, key: excluded)
        {
            hidden.insert(try unsafe FaceRecord(bytes: bytes, face: excluded).row)
        }
        return hidden
    }

    private func facesAnswered(listShare: Double, flatShare: Double, firstFlatRow: UInt32) -> UInt64 {
        if listShare >= 1, flatShare >= 1 { return state.faceCount }
        let done = listShare * Double(firstFlatRow) + flatShare * Double(state.nextRow - firstFlatRow)
        return UInt64(Double(state.faceCount) * done / Double(max(1, state.nextRow)))
    }
}
