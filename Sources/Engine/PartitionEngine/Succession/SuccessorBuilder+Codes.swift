internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization
internal import VectorMath

/// The codes of rows that have come over.
extension SuccessorBuilder {
    /// Codes that are coming over: the run that is written, which no search sees yet.
    struct CodeCopy {
        let codebook: Codebook
        var writer: RunWriter
        /// Of the rows below the run's end.
        var isCoded: [Bool]
        /// The next list.
        var list = 0
        /// The next row of those that are moved, for want of a code.
        var row: UInt32 = 0

        var endRow: UInt32 { UInt32(isCoded.count) }
    }

    /// Takes some codes over of the rows that came first, after all rows are here: some lists, with one reader in each
    /// source and one commit, so that neither pages nor memory are held for long.
    ///
    /// What the sources have of codes may change from step to step: a code that is gone by then is of a row that has
    /// died there, or was coded anew, and its own row is coded here.
    ///
    /// - Returns: whether there are more.
    package func copyCodes() throws(PartitionError) -> Bool {
        do {
            guard var copy = try codeCopy ?? beginCodes() else { return false }
            codeCopy = nil
            if copy.list < copy.codebook.listCount {
                try copyLists(&copy)
            } else if copy.row < copy.endRow {
                try moveRows(&copy)
            } else {
                try endCodes(&copy)
                return false
            }
            codeCopy = copy
            return true
        } catch {
            throw PartitionError(error)
        }
    }

    /// Nil when there are none to come, or when all have.
    private func beginCodes() throws -> CodeCopy? {
        guard !hasCodes else { return nil }
        hasCodes = true
        let codebook = partition.codebooks.withLock { $0.newest }
        let end = codedRowCount / UInt32(RowChunk.rowCount) * UInt32(RowChunk.rowCount)
        guard let codebook, end > 0 else { return nil }
        let writer = RunWriter(
            run: try partition.environment.read { try partition.state($0).nextRun },
            generation: codebook.generation,
            planeCount: codebook.plan.planeCount,
            listCount: codebook.listCount,
            tables: partition.tables
        )
        return CodeCopy(codebook: codebook, writer: writer, isCoded: [Bool](repeating: false, count: Int(end)))
    }

    private func copyLists(_ copy: inout CodeCopy) throws {
        let codebook = copy.codebook
        try partition.checkFreeDisk()
        try readingRuns(of: sources[...], codebook.generation) { inputs in
            try partition.environment.write { transaction in
                var rowCount = 0
                var verified = inputs.map { _ in Set<CodeChunkKey>() }
                while copy.list < codebook.listCount, rowCount < max(1, partition.options.mergeRowLimit) {
                    let list = copy.list
                    try forEachCode(of: list, codebook, in: inputs, verified: &verified) { (own, code, factor) in
                        rowCount += 1
                        guard own < copy.endRow, !copy.isCoded[Int(own)] else { return }
                        copy.isCoded[Int(own)] = true
                        try copy.writer.add(list: UInt32(list), row: own, code: code, factor: factor, transaction)
                    }
                    copy.list += 1
                }
            }
        }
    }

    private func endCodes(_ copy: inout CodeCopy) throws {
        let end = copy.endRow
        try partition.environment.write { transaction in
            var state = try partition.state(transaction.reading)
            let written = try copy.writer.finish(firstRow: 0, endRow: end, transaction)
            // Rows that died here are in no run.
            state.tombstoneCount -= min(state.tombstoneCount, UInt64(end - written))
            state.foldedRow = end
            state.nextRun += 1
            try transaction.put(partition.tables.meta, key: MetaKey.state, value: state.encoded())
        }
    }

    /// The runs of a source, and the own rows of its rows.
    private typealias Input = (runs: [CodeSnapshot.Run], rows: CopiedRows)

    /// Opens a read transaction of each source.
    private func readingRuns(
        of remaining: ArraySlice<Source>,
        _ generation: UInt32,
        inputs: [Input] = [],
        _ body: ([Input]) throws -> Void
    ) throws {
        guard let source = remaining.first else { return try body(inputs) }
        try source.partition.environment.read { transaction in
            let runs = try source.partition.snapshot(transaction).runs(ofGeneration: generation)
            try readingRuns(of: remaining.dropFirst(), generation, inputs: inputs + [(runs, source.rows)], body)
        }
    }

    /// Goes through the codes of rows that are here, of one list.
    ///
    /// - Parameter verified: chunks of each of the inputs, as ``Partition`` has them.
    private func forEachCode(
        of list: Int,
        _ codebook: Codebook,
        in inputs: [Input],
        verified: inout [Set<CodeChunkKey>],
        _ body: (_ own: UInt32, _ code: ArraySlice<UInt8>, _ factor: UInt16) throws -> Void
    ) throws {
        var code = [UInt8](repeating: 0, count: codebook.plan.codeByteCount)
        for (index, (runs, rows)) in inputs.enumerated() {
            for run in runs {
                // What is written with them is the new partition's.
                var isWriting = false
                do {
                    try Partition.forEachCode(
                        of: run,
                        list: list,
                        planeCount: codebook.plan.planeCount,
                        into: &code,
                        verified: &verified[index]
                    ) { (stored, code) in
                        guard let own = rows[stored.rowID] else { return }
                        isWriting = true
                        try body(own, code[...], stored.factor)
                        isWriting = false
                    }
                } catch {
                    if !isWriting { note(error, of: index) }
                    throw error
                }
            }
        }
    }

    /// Gives live rows without a code new ids behind all others: they are coded like any fresh row.
    private func moveRows(_ copy: inout CodeCopy) throws {
        try partition.environment.read { reading in
            let state = try partition.state(reading)
            let rows = RowReader(partition: partition, state: state, transaction: reading.number)
            let tombstones = try partition.tombstones(reading, rowCount: state.nextRow)
            let liveness = RowLiveness(tombstones, hidden: [])
            var moving: [UInt32] = []
            while copy.row < copy.endRow, moving.count < Int(Self.sliceRowCount) {
                if !copy.isCoded[Int(copy.row)], liveness.isLive(copy.row) { moving.append(copy.row) }
                copy.row += 1
            }
            guard !moving.isEmpty else { return }
            try partition.environment.write { transaction in
                var pass = try WritePass(partition, transaction)
                for row in moving {
                    try unsafe pass.move(row, stored: rows.bytes(of: row, reading), transaction)
                }
                _ = try pass.finish(transaction)
            }
        }
    }
}
