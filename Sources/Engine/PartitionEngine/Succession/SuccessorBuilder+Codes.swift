internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization
internal import VectorMath

/// The codes of rows that have come over.
extension SuccessorBuilder {
    /// It was told to stop: what was begun is not finished.
    private struct Stopped: Error {}

    /// Takes the codes of the rows over that came first, after all rows are here: some lists at a time, each time with
    /// a reader in the sources and one commit, so that neither pages nor memory are held for long. No search sees the
    /// run before the last of them.
    ///
    /// - Parameter rest: called again and again between them; says whether to stop.
    /// - Returns: false when it was stopped: then the builder is only good for ``close()``.
    package func copyCodes(resting rest: () -> Bool = { false }) throws(PartitionError) -> Bool {
        guard !hasCodes else { return true }
        hasCodes = true
        let codebook = partition.codebooks.withLock { $0.newest }
        let end = codedRowCount / UInt32(RowChunk.rowCount) * UInt32(RowChunk.rowCount)
        guard let codebook, end > 0 else { return true }
        do {
            try writeRun(codebook, below: end) { if rest() { throw Stopped() } }
            return true
        } catch is Stopped {
            return false
        } catch {
            throw PartitionError(error)
        }
    }

    /// Writes the run of the first own rows.
    ///
    /// What the sources have of codes may change from slice to slice: a code that is gone by then is of a row that has
    /// died there, or was coded anew, and its own row is coded here.
    private func writeRun(_ codebook: Codebook, below end: UInt32, _ rest: () throws -> Void) throws {
        var writer = RunWriter(
            run: try partition.environment.read { try partition.state($0).nextRun },
            generation: codebook.generation,
            planeCount: codebook.plan.planeCount,
            listCount: codebook.listCount,
            tables: partition.tables
        )
        var isCoded = [Bool](repeating: false, count: Int(end))
        var list = 0
        while list < codebook.listCount {
            try rest()
            try partition.checkFreeDisk()
            try readingRuns(of: sources[...], codebook.generation) { inputs in
                try partition.environment.write { transaction in
                    var rowCount = 0
                    while list < codebook.listCount, rowCount < max(1, partition.options.mergeRowLimit) {
                        try forEachCode(of: list, codebook, in: inputs) { (own, code, factor) in
                            rowCount += 1
                            guard own < end, !isCoded[Int(own)] else { return }
                            isCoded[Int(own)] = true
                            try writer.add(list: UInt32(list), row: own, code: code, factor: factor, transaction)
                        }
                        list += 1
                    }
                }
            }
        }
        try moveRows(below: end, rest) { !isCoded[Int($0)] }
        try partition.environment.write { transaction in
            var state = try partition.state(transaction.reading)
            let written = try writer.finish(firstRow: 0, endRow: end, transaction)
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
    private func forEachCode(
        of list: Int,
        _ codebook: Codebook,
        in inputs: [Input],
        _ body: (_ own: UInt32, _ code: ArraySlice<UInt8>, _ factor: UInt16) throws -> Void
    ) throws {
        var code = [UInt8](repeating: 0, count: codebook.plan.codeByteCount)
        for (runs, rows) in inputs {
            for run in runs {
                try Partition.forEachCode(of: run, list: list, planeCount: codebook.plan.planeCount, into: &code) {
                    (stored, code) in
                    guard let own = rows[stored.rowID] else { return }
                    try body(own, code[...], stored.factor)
                }
            }
        }
    }

    /// Gives live rows new ids behind all others: what has no code here is coded like any fresh row.
    private func moveRows(below end: UInt32, _ rest: () throws -> Void, where isToMove: (UInt32) -> Bool) throws {
        var next: UInt32 = 0
        while next < end {
            try rest()
            let first = next
            try partition.environment.read { reading in
                let state = try partition.state(reading)
                let rows = RowReader(partition: partition, state: state, transaction: reading.number)
                let tombstones = try partition.tombstones(reading, rowCount: state.nextRow)
                let liveness = RowLiveness(tombstones, hidden: [])
                var moving: [UInt32] = []
                while next < end, moving.count < Int(Self.sliceRowCount) {
                    if isToMove(next), liveness.isLive(next) { moving.append(next) }
                    next += 1
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
            precondition(next > first, "a step moves on")
        }
    }
}
