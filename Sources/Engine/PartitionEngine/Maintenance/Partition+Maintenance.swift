package import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization

/// What one step of maintenance did.
package enum MaintenanceStep: String, CaseIterable, Sendable {
    /// Faces that have expired were removed.
    case expiry
    /// Records of erasures were forgotten, longer ago than backups are kept.
    case erasure
    /// Fresh rows were coded into a run.
    case fold
    /// Some rows of runs that are to become one, or of one that is written again without its dead rows, were copied;
    /// or some codes were removed that are in no run any more.
    case merge
    /// Rows of a chunk that is mostly dead were moved.
    case evacuation
    /// Dead embeddings were overwritten.
    case scrub
    /// Rows of a partition of an earlier format were rounded, or counted in its digest.
    case upgrade
    /// Codes were read back from the file, to lie in memory as one large page.
    case settling
}

extension Partition {
    /// Does one bounded step of what keeps the partition in shape: removes expired faces, folds fresh rows into a run,
    /// merges runs, rewrites a run with many dead rows, empties chunks of mostly dead rows, overwrites dead embeddings,
    /// rounds and counts the rows of a partition of an earlier format, forgets old erasures. Of a
    /// logged partition faces expire by entries of its log alone; see ``expiry(now:)``.
    ///
    /// Each step is one commit, so a crash loses nothing and repeats at most one step; but a merge of many rows takes
    /// several, and begins anew after a crash. Call from the write lane only.
    /// - Parameters:
    ///   - isIdle: nothing waits to be written, so that smaller folds are worth while.
    ///   - isWarm: what is read into memory beforehand is there, so that codes may be settled in it.
    /// - Returns: what was done, and then another step may be worth while; nil when there is nothing to do.
    @discardableResult
    package func maintain(
        now: Timestamp,
        isIdle: Bool = false,
        isWarm: Bool = true
    ) throws(PartitionError) -> MaintenanceStep? {
        do {
            if try removeExpired(now: now) { return .expiry }
            if try forgetErasures(now: now) { return .erasure }
            if try removeLooseRuns() { return .merge }
            let codebook = codebooks.withLock { $0.newest }
            if let codebook {
                if try hasManyRuns(), try mergeRuns(codebook) { return .merge }
                if try fold(codebook, leastRowCount: options.foldRowCount) { return .fold }
                if try mergeRuns(codebook) { return .merge }
            }
            if try evacuate() { return .evacuation }
            // Last, so that rows that move are folded many at a time.
            if isIdle, let codebook,
                try fold(codebook, leastRowCount: min(options.idleFoldRowCount, options.foldRowCount))
            {
                return .fold
            }
            if try scrub() { return .scrub }
            if try roundRows() { return .upgrade }
            if try countRows() { return .upgrade }
            return try isIdle && isWarm && settleCodes() ? .settling : nil
        } catch {
            throw PartitionError(error)
        }
    }

    /// Stores the codebook that later folds use; the same one again changes nothing.
    ///
    /// The one before stays as long as runs hold its codes, which searches scan all the same; ``recode()`` does away
    /// with them. While there are two, no third is taken; and none that is not newer, since codes on disk belong to the
    /// one that made them.
    ///
    /// Call from the write lane only.
    package func install(codebook bytes: [UInt8]) throws(PartitionError) {
        do {
            let codebook = try Codebook(bytes: bytes)
            guard codebook.dimension == shape.dimension else {
                throw PartitionError.codebook(
                    .malformed(reason: "dimension \(codebook.dimension) in a collection of \(shape.dimension)")
                )
            }
            let installed = try environment.write { transaction in
                var state = try state(transaction.reading)
                var hasRuns = false
                if let stored = try unsafe transaction.reading.value(of: tables.meta, key: MetaKey.codebook) {
                    if unsafe stored.elementsEqual(bytes) { return false }
                    guard codebook.generation > state.generation,
                        try !transaction.reading.contains(tables.meta, key: MetaKey.olderCodebook)
                    else {
                        throw PartitionError.generationConflict(
                            installed: state.generation,
                            offered: codebook.generation
                        )
                    }
                    hasRuns = try transaction.reading.statistics(of: tables.runs).entryCount > 0
                    let older = unsafe Array(stored)
                    if hasRuns { try transaction.put(tables.meta, key: MetaKey.olderCodebook, value: older) }
                }
                state.generation = codebook.generation
                try transaction.put(tables.meta, key: MetaKey.codebook, value: bytes)
                let intake = IntakeRecord(generation: codebook.generation, firstRow: state.nextRow)
                try transaction.put(tables.meta, key: MetaKey.intake, value: intake.encoded())
                try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
                return true
            }
            if installed {
                let stored = try environment.read { try InstalledCodebooks(tables, $0) }
                codebooks.withLock { $0 = stored }
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Whether folds have left so many runs that merging them comes before the next: a short run takes several times
    /// the room of its codes, because each list begins at a whole group.
    private func hasManyRuns() throws -> Bool {
        try environment.read { try $0.count(of: tables.runs) >= options.foldRunLimit }
    }

    /// Turns the oldest fresh rows of full chunks into a run.
    private func fold(_ codebook: Codebook, leastRowCount: Int) throws -> Bool {
        try environment.read { reading in
            let before = try state(reading)
            let rows = RowReader(partition: self, state: before, transaction: reading.number)
            let freshCount = rows.sealedRow - min(before.foldedRow, rows.sealedRow)
            guard freshCount >= UInt32(leastRowCount) else { return false }
            let limit = UInt32(max(RowChunk.rowCount, options.foldRowLimit / RowChunk.rowCount * RowChunk.rowCount))
            // Near the end of the row ids the sum of the two has no room.
            let end = before.foldedRow + min(limit, freshCount)
            let liveness = RowLiveness(try tombstones(reading, rowCount: before.nextRow), hidden: [])
            let intake = try intake(codebook, reading)
            let coded = try code(
                before.foldedRow..<end,
                codebook,
                rows,
                liveness,
                newFrom: intake.firstRow,
                reading
            )
            try checkFreeDisk()
            try environment.write { transaction in
                var state = before
                let written = try write(coded, of: before.foldedRow..<end, as: state.nextRun, codebook, transaction)
                var intake = intake
                intake.add(
                    rowCount: coded.newRowCount,
                    energy: coded.energy,
                    codedEnergy: coded.codedEnergy
                )
                try transaction.put(tables.meta, key: MetaKey.intake, value: intake.encoded())
                try state.removeTombstones(UInt64(end - before.foldedRow - written))
                state.foldedRow = end
                state.nextRun += 1
                try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
            }
            return true
        }
    }

    /// Writes a run of coded rows; how many they are.
    func write(
        _ coded: CodedRows,
        of range: Range<UInt32>,
        as run: UInt32,
        _ codebook: Codebook,
        _ transaction: borrowing WriteTransaction
    ) throws -> UInt32 {
        var writer = RunWriter(
            run: run,
            generation: codebook.generation,
            planeCount: codebook.plan.planeCount,
            listCount: codebook.listCount,
            tables: tables
        )
        for entry in coded.order {
            let first = entry.position * coded.codeByteCount
            try writer.add(
                list: entry.list,
                row: entry.row,
                code: coded.codes[first..<first + coded.codeByteCount],
                factor: coded.factors[entry.position],
                transaction
            )
        }
        return try writer.finish(firstRow: range.lowerBound, endRow: range.upperBound, transaction)
    }

    struct CodedRows {
        struct Place {
            let list: UInt32
            let row: UInt32
            let position: Int
        }

        var codes: [UInt8] = []
        let codeByteCount: Int
        var factors: [UInt16] = []
        /// By list, then row.
        var order: [Place] = []
        /// Rows that are new to the codebook, and sums over them; see ``CodeBatch``.
        var newRowCount = 0
        var energy = 0.0
        var codedEnergy = 0.0
    }

    /// Codes the live rows of whole chunks.
    ///
    /// - Throws: when a chunk is gone that has live rows: without codes no scan would find them.
    func code(
        _ range: Range<UInt32>,
        _ codebook: Codebook,
        _ rows: RowReader,
        _ liveness: RowLiveness,
        newFrom firstNew: UInt32 = 0,
        _ transaction: borrowing ReadTransaction
    ) throws -> CodedRows {
        var coded = CodedRows(codeByteCount: codebook.plan.codeByteCount)
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        let chunks = range.lowerBound / rowsPerChunk..<range.upperBound / rowsPerChunk
        try transaction.readAhead(of: tables.rows, keys: chunks)
        for chunk in chunks {
            guard let bytes = try unsafe rows.chunk(chunk, transaction) else {
                if liveness.liveCount(inChunk: chunk) == 0 { continue }
                throw PartitionStoreError.missing(table: "rows", key: UInt64(chunk))
            }
            let batch = codebook.encode(embeddings: unsafe shape.floats(bytes, count: RowChunk.rowCount))
            for offset in 0..<RowChunk.rowCount {
                let row = chunk * rowsPerChunk + UInt32(offset)
                guard liveness.isLive(row) else { continue }
                coded.order.append(
                    CodedRows.Place(list: batch.lists[offset], row: row, position: coded.factors.count)
                )
                let first = offset * coded.codeByteCount
                coded.codes.append(contentsOf: batch.codes[first..<first + coded.codeByteCount])
                coded.factors.append(batch.factors[offset])
                guard row >= firstNew else { continue }
                coded.newRowCount += 1
                coded.energy += Double(batch.energies[offset])
                coded.codedEnergy += Double(batch.codedEnergies[offset])
            }
        }
        coded.order.sort { ($0.list, $0.row) < ($1.list, $1.row) }
        return coded
    }
}
