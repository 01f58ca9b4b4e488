internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

extension Partition {
    /// Rewrites neighbouring runs into one, or one run without its dead rows; whether there was anything to do.
    ///
    /// Runs of an older codebook are left to ``recode()``: those of the newest hold the youngest rows, without a gap.
    /// The old runs are read on the commit before, so their chunks stay where they are while the new one is written.
    func mergeRuns(_ codebook: Codebook) throws -> Bool {
        try environment.read { reading in
            let before = try state(reading)
            let runs = try snapshot(reading).runs(ofGeneration: codebook.generation)
            let tombstones = try tombstones(reading, rowCount: before.nextRow)
            let liveness = RowLiveness(tombstones, hidden: [])
            let planner = MergePlanner(
                ratio: options.mergeRatio,
                deadShare: options.compactionDeadShare
            )
            let plan = planner.plan(
                runs.map { run in
                    let manifest = run.manifest
                    let live =
                        before.tombstoneCount == 0
                        ? Int(manifest.rowCount) : tombstones.liveCount(in: manifest.firstRow..<manifest.endRow)
                    return MergePlanner.Run(
                        run: manifest.run,
                        firstRow: manifest.firstRow,
                        rowCount: Int(manifest.rowCount),
                        deadCount: Int(manifest.rowCount) - live
                    )
                }
            )
            if plan.isEmpty { return false }
            let numbers = plan.map(\.run)
            let inputs = runs.filter { numbers.contains($0.manifest.run) }
                .sorted { $0.manifest.firstRow < $1.manifest.firstRow }
            try checkFreeDisk()
            try environment.write { transaction in
                var state = before
                let written = try rewrite(
                    inputs,
                    as: state.nextRun,
                    codebook: codebook,
                    liveness: liveness,
                    transaction
                )
                let read = inputs.reduce(UInt64(0)) { $0 + UInt64($1.manifest.rowCount) }
                try state.removeTombstones(read - UInt64(written))
                state.nextRun += 1
                for input in inputs { try remove(run: input.manifest.run, transaction) }
                try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
            }
            return true
        }
    }

    func remove(run: UInt32, _ transaction: borrowing WriteTransaction) throws {
        try transaction.delete(tables.runs, key: run)
        try transaction.removeAll(tables.codes, in: .prefix(run))
    }

    /// Copies live rows of `inputs` list by list into a new run; the rows written.
    func rewrite(
        _ inputs: [CodeSnapshot.Run],
        as run: UInt32,
        codebook: Codebook,
        liveness: RowLiveness,
        _ transaction: borrowing WriteTransaction
    ) throws -> UInt32 {
        let planeCount = codebook.plan.planeCount
        var writer = RunWriter(
            run: run,
            generation: codebook.generation,
            planeCount: planeCount,
            listCount: codebook.listCount,
            tables: tables
        )
        var code = [UInt8](repeating: 0, count: codebook.plan.codeByteCount)
        for list in 0..<codebook.listCount {
            for input in inputs {
                try Self.forEachCode(of: input, list: list, planeCount: planeCount, into: &code) { stored, code in
                    guard liveness.isLive(stored.rowID) else { return }
                    try writer.add(
                        list: UInt32(list),
                        row: stored.rowID,
                        code: code[...],
                        factor: stored.factor,
                        transaction
                    )
                }
            }
        }
        return try writer.finish(
            firstRow: inputs[0].manifest.firstRow,
            endRow: inputs[inputs.count - 1].manifest.endRow,
            transaction
        )
    }

    /// Goes through one list of a run; chunks are verified on their first touch.
    ///
    /// - Parameters:
    ///   - code: where each code is unpacked to, of the codebook's byte count.
    ///   - body: gets the row's id and factor, and its code.
    static func forEachCode(
        of run: CodeSnapshot.Run,
        list: Int,
        planeCount: Int,
        into code: inout [UInt8],
        _ body: (_ stored: (rowID: UInt32, factor: UInt16), _ code: [UInt8]) throws -> Void
    ) throws {
        let manifest = run.manifest
        let slotsPerChunk = run.slotCount(planeCount: planeCount)
        let first = Int(manifest.firstSlots[list])
        for slot in first..<first + Int(manifest.listRowCounts[list]) {
            let number = slot / slotsPerChunk
            let key = CodeChunkKey(run: manifest.run, chunk: UInt32(number))
            let view = try unsafe CodeChunk(
                run.chunks[number],
                planeCount: planeCount,
                slotCount: slotsPerChunk,
                key: key
            )
            if !run.marks.isMarked(number) {
                try view.verify(key)
                run.marks.mark(number)
            }
            let place = slot % slotsPerChunk
            let stored = unsafe VectorKernels.slot(place, records: view.records, planeCount: planeCount)
            unpack(view, planeCount: planeCount, slot: place, into: &code)
            try body((stored.rowID, stored.factor), code)
        }
    }

    private static func unpack(_ chunk: CodeChunk, planeCount: Int, slot: Int, into code: inout [UInt8]) {
        unsafe code.withUnsafeMutableBufferPointer { code in
            unsafe VectorKernels.unpackCode(
                heads: chunk.heads,
                headStride: chunk.headByteCount,
                records: chunk.records,
                planeCount: planeCount,
                slot: slot,
                code: code
            )
        }
    }
}
