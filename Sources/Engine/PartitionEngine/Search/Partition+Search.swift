internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization
internal import VectorMath

extension Partition {
    /// Finds the best matches of every probe on the commit that is newest when it begins.
    ///
    /// Runs on its caller's thread; any number of searches may run at once. Similarities are inner products of the
    /// probe and the stored embedding, one order of summation whatever the effort; equal ones rank by face id.
    ///
    /// - Parameter shouldStop: asked every few hundred microseconds; ends the search with what was found, and
    ///   `facesAnswered` says how much that was.
    package func search(
        _ search: PartitionSearch,
        shouldStop: () -> Bool
    ) throws(PartitionError) -> PartitionSearchAnswer {
        precondition(search.probes.dimension == shape.dimension, "probes have the collection's dimension")
        do {
            // Equal similarities at the end of the list are ranked by face id, so all of them must be kept: try again
            // with more room in the rare case that they were not.
            var room = search.parameters.matchLimit + SearchPass.spareRoom
            while true {
                let answer = try environment.read { transaction -> PartitionSearchAnswer? in
                    let state = try state(transaction)
                    guard
                        let passing = try passingRows(
                            search.parameters.filter,
                            state,
                            transaction,
                            shouldStop: shouldStop
                        )
                    else { return PartitionSearchAnswer.nothing(of: state, probeCount: search.probes.rowCount) }
                    var pass = try SearchPass(self, search: search, state, passing, room: room, transaction)
                    return try pass.run(transaction, shouldStop: shouldStop)
                }
                if let answer { return answer }
                room *= 4
            }
        } catch {
            throw PartitionError(error)
        }
    }
}

extension PartitionSearchAnswer {
    /// The answer of a search that was stopped before it compared anything.
    fileprivate static func nothing(of state: PartitionState, probeCount: Int) -> PartitionSearchAnswer {
        PartitionSearchAnswer(
            matches: [[Match]](repeating: [], count: probeCount),
            faceCount: state.faceCount,
            facesAnswered: 0,
            rowsVisited: 0,
            listsVisited: 0,
            rowsReranked: 0,
            generation: 0
        )
    }
}

/// One attempt at a search, within one read transaction.
private struct SearchPass {
    /// Share that codes may lose of the mates that are just as similar as the last match wanted, or as the threshold.
    private static let codeMissRate = 0.001
    /// Matches kept beyond those wanted, in case their similarities are equal.
    static let spareRoom = 32
    /// Candidates beyond the matches wanted that are compared after each round of a scan, and kept at least.
    private static let spareCandidates = 16
    /// What comparing rows one after the other takes for each, in codes scanned.
    private static let consecutiveRowCost = 6.0

    private let partition: Partition
    private let search: PartitionSearch
    private let room: Int
    private let state: PartitionState
    private let codebook: Codebook?
    private let liveness: RowLiveness
    /// Rows to compare instead of a scan, dead and hidden ones among them; nil for a scan.
    private let onlyRows: [UInt32]?
    private let rows: RowReader
    private var best: [BoundedTopK]
    private var rowsVisited: UInt64 = 0
    private var listsVisited: UInt64 = 0
    private var rowsReranked: UInt64 = 0

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
        let codebook =
            search.parameters.effort != .exact && state.foldedRow > 0
            ? partition.installedCodebook.withLock { $0 } : nil
        self.codebook = codebook
        let scanCost = Self.scanCost(search.parameters.effort, state, codebook)
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
            if let codebook {
                firstFlatRow = state.foldedRow
                generation = codebook.generation
                plannedShare = try scanLists(codebook, transaction, shouldStop: shouldStop)
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

    /// Compares every probe with the live ones of some rows; the share of them that was done.
    private mutating func compare(
        _ rowIDs: [UInt32],
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Double {
        for first in stride(from: 0, to: rowIDs.count, by: RowChunk.rowCount) {
            if shouldStop() { return Double(first) / Double(rowIDs.count) }
            // The rows of a block stay in cache from probe to probe.
            let block = rowIDs[first..<min(rowIDs.count, first + RowChunk.rowCount)].filter { liveness.isLive($0) }
            for probe in 0..<search.probes.rowCount { try compare(block, withProbe: probe, transaction) }
            rowsVisited += UInt64(block.count * search.probes.rowCount)
        }
        return 1
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

    /// Scans codes and compares the stored embeddings of the best of them; the share of the plan that was done.
    private mutating func scanLists(
        _ codebook: Codebook,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Double {
        let probes = PreparedProbes(probes: search.probes.values, codebook: codebook)
        let selections = (0..<probes.probeCount).map { probe in
            switch search.parameters.effort {
            case .exact: preconditionFailure("exact searches scan no lists")
            case .full: probes.lists(ofProbe: probe, count: codebook.listCount)
            case .lists(let count): probes.lists(ofProbe: probe, count: count)
            case .recall(let target):
                probes.lists(ofProbe: probe, share: codebook.calibration.visitedShare(forRecall: target))
            }
        }
        let matchLimit = search.parameters.matchLimit
        var limit = partition.options.candidateFloor + partition.options.candidatesPerMatch * matchLimit
        if case .recall = search.parameters.effort {} else { limit *= 4 }
        // More room is asked for when equal similarities did not fit.
        let least = room > matchLimit + Self.spareRoom ? room : matchLimit + Self.spareCandidates
        let scanner = ListScanner(codebook: codebook, missRate: Self.codeMissRate)
        let outcome = try scanner.scan(
            probes: probes,
            selections: selections,
            lists: StoredInvertedLists(
                snapshot: try partition.snapshot(transaction),
                liveness: liveness,
                planeCount: codebook.plan.planeCount
            ),
            comparisonCount: part(of: matchLimit + Self.spareCandidates),
            candidateLimit: max(part(of: limit), least),
            shouldStop: shouldStop
        ) { probe, rows in
            try compare(rows, withProbe: probe, transaction)
            return leastUsefulSimilarity(probe: probe)
        }
        rowsVisited += outcome.rowsVisited
        listsVisited += outcome.listsVisited
        rowsReranked += outcome.rowsReranked
        return outcome.completedShare
    }

    /// How many of the best rows of the whole collection are to be expected here, and two standard deviations more.
    private func part(of count: Int) -> Int {
        let expected = Double(count) * search.collectionShare
        return min(count, Int((expected + 2 * expected.squareRoot()).rounded(.up)))
    }

    /// The similarity below which a further row changes nothing: that of the last match wanted, or the threshold.
    ///
    /// Only `recall` trusts the calibrated line from similarities to estimates: it promises a share of the mates. Other
    /// efforts keep the best candidates by rank alone, so nothing is missed while these hold every row.
    private func leastUsefulSimilarity(probe: Int) -> Float {
        guard case .recall = search.parameters.effort else { return -.infinity }
        let floor = search.parameters.threshold ?? -.infinity
        guard best[probe].count >= search.parameters.matchLimit else { return floor }
        return max(floor, best[probe].score(ofRank: search.parameters.matchLimit))
    }

    /// Compares one probe with scattered live rows.
    private mutating func compare(
        _ rowIDs: [UInt32],
        withProbe probe: Int,
        _ transaction: borrowing ReadTransaction
    ) throws {
        let floor = search.parameters.threshold ?? -.infinity
        // Read once: within the loop, each use of a member of `self` would be a copy.
        let rows = rows
        try unsafe withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: rowIDs.count) { pointers in
            for (index, row) in rowIDs.enumerated() {
                guard let pointer = try unsafe rows.row(row, transaction) else {
                    throw PartitionStoreError.missing(table: "rows", key: UInt64(row))
                }
                unsafe pointers[index] = unsafe pointer
            }
            unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: rowIDs.count) { similarities in
                unsafe search.probes.row(probe).withUnsafeBufferPointer { probe in
                    unsafe RowKernel.similarities(
                        probe: probe,
                        rows: UnsafeBufferPointer(pointers),
                        shape: rows.shape,
                        into: similarities
                    )
                }
                for (index, row) in rowIDs.enumerated() {
                    let similarity = unsafe similarities[index]
                    if similarity >= floor { offer(row, similarity, probe: probe) }
                }
            }
        }
    }

    /// Compares every probe with every live row from `first` on, the first of a full chunk or of the tail; the share of
    /// them that was done.
    private mutating func scanRows(
        from first: UInt32,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> Double {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        let planned = Double(state.nextRow - first)
        let tailCount = Int(state.nextRow - rows.sealedRow)
        let blockRowCount = rows.sealedRow > first ? RowChunk.rowCount : tailCount
        var similarities = [Float](repeating: 0, count: search.probes.rowCount * blockRowCount)
        for chunk in first / rowsPerChunk..<max(first, rows.sealedRow) / rowsPerChunk {
            if shouldStop() { return Double(chunk * rowsPerChunk - first) / planned }
            guard let bytes = try unsafe rows.chunk(chunk, transaction) else { continue }
            unsafe compare(bytes, RowChunk.rowCount, firstRow: chunk * rowsPerChunk, &similarities)
        }
        guard tailCount > 0 else { return 1 }
        let tail = partition.tail(ofChunk: rows.sealedRow / rowsPerChunk)
        try unsafe tail.withRows(count: tailCount, partition.tables, transaction) { bytes in
            unsafe compare(bytes, tailCount, firstRow: rows.sealedRow, &similarities)
        }
        return 1
    }

    /// Compares every probe with rows side by side and offers those that live.
    ///
    /// - Parameter similarities: room for one of each row and probe.
    private mutating func compare(
        _ bytes: UnsafeRawPointer,
        _ rowCount: Int,
        firstRow: UInt32,
        _ similarities: inout [Float]
    ) {
        unsafe RowKernel.similarities(
            probes: search.probes,
            rows: bytes,
            rowCount: rowCount,
            shape: rows.shape,
            into: &similarities
        )
        rowsVisited += UInt64(rowCount * search.probes.rowCount)
        let floor = search.parameters.threshold ?? -.infinity
        for probe in 0..<search.probes.rowCount {
            var least = max(floor, best[probe].threshold)
            unsafe similarities.withUnsafeBufferPointer { similarities in
                for offset in 0..<rowCount {
                    let similarity = unsafe similarities[probe * rowCount + offset]
                    guard similarity >= least else { continue }
                    let row = firstRow + UInt32(offset)
                    guard liveness.isLive(row) else { continue }
                    offer(row, similarity, probe: probe)
                    least = max(floor, best[probe].threshold)
                }
            }
        }
    }

    /// Offers a live row that is not below the search's threshold.
    private mutating func offer(_ row: UInt32, _ similarity: Float, probe: Int) {
        best[probe].insert(score: min(1, max(-1, similarity)), id: UInt64(row))
    }

    /// The matches of one probe; nil when more rows are as similar as the last match than were kept.
    private func resolve(_ kept: BoundedTopK, _ transaction: borrowing ReadTransaction) throws -> [Match]? {
        let limit = search.parameters.matchLimit
        var entries = kept.sorted()
        if entries.count > limit {
            let last = entries[limit - 1].score
            if entries.count == room, entries[room - 1].score == last { return nil }
            entries.removeAll { $0.score < last }
        }
        var matches: [(match: Match, row: UInt32)] = []
        for entry in entries {
            let row = UInt32(entry.id)
            guard let key = try unsafe transaction.value(of: partition.tables.rowFaces, key: row),
                let face = unsafe FaceID(keyBytes: key)
            else { throw PartitionStoreError.missing(table: "rowFaces", key: entry.id) }
            matches.append((Match(faceID: face, similarity: entry.score, metadata: FaceMetadata()), row))
        }
        matches.sort { Match.ranksBefore($0.match, $1.match) }
        matches.removeLast(max(0, matches.count - limit))
        for index in matches.indices {
            let face = matches[index].match.faceID
            guard let bytes = try unsafe transaction.value(of: partition.tables.faces, key: face) else {
                throw PartitionStoreError.missing(table: "faces", key: face.high)
            }
            let record = try unsafe FaceRecord(bytes: bytes, face: face)
            guard record.row == matches[index].row else {
                throw PartitionStoreError.malformed(table: "rowFaces", reason: "a row that names another row's face")
            }
            matches[index].match.metadata = record.metadata
        }
        return matches.map(\.match)
    }

    private func facesAnswered(listShare: Double, flatShare: Double, firstFlatRow: UInt32) -> UInt64 {
        if listShare >= 1, flatShare >= 1 { return state.faceCount }
        let done = listShare * Double(firstFlatRow) + flatShare * Double(state.nextRow - firstFlatRow)
        return UInt64(Double(state.faceCount) * done / Double(max(1, state.nextRow)))
    }
}
