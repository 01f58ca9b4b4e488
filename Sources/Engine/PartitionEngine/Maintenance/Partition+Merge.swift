internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization
internal import VectorMath

extension Partition {
    /// Does a slice of rewriting neighbouring runs into one, or one run without its dead rows; whether there was
    /// anything to do.
    ///
    /// Runs of an older codebook are left to ``recode()``: those of the newest hold the youngest rows, without a gap.
    /// A merge goes on with the runs that it began with, whatever is folded meanwhile.
    /// - Parameter forced: runs that are to go, however few of their rows are dead; they come first.
    func mergeRuns(_ codebook: Codebook, forced: Set<UInt32> = []) throws -> Bool {
        try environment.read { reading in
            let before = try state(reading)
            let runs = try snapshot(reading).runs(ofGeneration: codebook.generation)
            let merge: RunMerge
            if let underWay = merges.withLock({ $0[.compaction] }) {
                merge = underWay
            } else {
                let spoilt = runs.map(\.manifest.run).first { forced.contains($0) }
                let plan = try spoilt.map { [$0] } ?? plan(runs, before, reading).map(\.run)
                if plan.isEmpty { return false }
                merge = RunMerge(of: plan, into: before.nextRun, codebook: codebook, tables: tables)
            }
            let inputs = merge.inputs.compactMap { number in runs.first { $0.manifest.run == number } }
            guard inputs.count == merge.inputs.count else {
                // Another codebook has come: what was written is removed next.
                merges.withLock { $0[.compaction] = nil }
                return true
            }
            try checkFreeDisk()
            try advance(merge, .compaction, of: inputs, codebook, before, reading) { written, state, transaction in
                let read = inputs.reduce(UInt64(0)) { $0 + UInt64($1.manifest.rowCount) }
                // Dead rows that were left out. What died since it was copied is in the new run.
                try state.removeTombstones(read - UInt64(written))
                try remove(inputs.map(\.manifest), transaction)
            }
            return true
        }
    }

    /// The runs to merge next, in order of their rows; none when nothing is worth it.
    private func plan(
        _ runs: [CodeSnapshot.Run],
        _ state: PartitionState,
        _ reading: borrowing ReadTransaction
    ) throws -> [MergePlanner.Run] {
        let tombstones = try tombstones(reading, rowCount: state.nextRow)
        let planner = MergePlanner(
            ratio: options.mergeRatio,
            deadShare: options.compactionDeadShare
        )
        return planner.plan(
            runs.map { run in
                let manifest = run.manifest
                let live =
                    state.tombstoneCount == 0
                    ? Int(manifest.rowCount) : tombstones.liveCount(in: manifest.firstRow..<manifest.endRow)
                return MergePlanner.Run(
                    run: manifest.run,
                    firstRow: manifest.firstRow,
                    rowCount: Int(manifest.rowCount),
                    deadCount: Int(manifest.rowCount) - live
                )
            }
        )
    }

    /// Does the next slice of a merge in one commit, which the last one ends by `replace`.
    ///
    /// The runs are read on the commit before, so their chunks stay where they are while the new one is written.
    ///
    /// - Parameters:
    ///   - inputs: runs of the merge, in its order.
    ///   - before: the state of the commit that is read.
    ///   - replace: takes out of the index what the merged run, of which it gets the row count, stands in for.
    func advance(
        _ merge: RunMerge,
        _ kind: RunMerge.Kind,
        of inputs: [CodeSnapshot.Run],
        _ codebook: Codebook,
        _ before: PartitionState,
        _ reading: borrowing ReadTransaction,
        replace: (_ written: UInt32, inout PartitionState, borrowing WriteTransaction) throws -> Void
    ) throws {
        let liveness = RowLiveness(try tombstones(reading, rowCount: before.nextRow), hidden: [])
        var merge = merge
        let isDone = try environment.write { transaction in
            var state = before
            state.nextRun = max(state.nextRun, merge.run + 1)
            let isDone = try merge.copySlice(
                of: inputs,
                codebook: codebook,
                liveness: liveness,
                rowLimit: max(1, options.mergeRowLimit),
                transaction
            )
            if isDone {
                let written = try merge.finish(of: inputs, transaction)
                try changeLooseRuns(transaction) { $0.remove(merge.run) }
                try replace(written, &state, transaction)
            } else {
                try changeLooseRuns(transaction) { $0.insert(merge.run) }
            }
            try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
            return isDone
        }
        merges.withLock { $0[kind] = isDone ? nil : merge }
    }

    /// Goes through one list of a run, for whoever copies its codes: they get a new checksum there, so each chunk is
    /// verified whether or not it was before.
    ///
    /// - Parameters:
    ///   - rows: which of the list's rows in the run, counted from 0; nil for all.
    ///   - code: where each code is unpacked to, of the codebook's byte count.
    ///   - verified: chunks that were verified for the copy in the same read transactions, and need not be again.
    ///   - body: gets the row's id and factor, and its code.
    static func forEachCode(
        of run: CodeSnapshot.Run,
        list: Int,
        rows: Range<Int>? = nil,
        planeCount: Int,
        into code: inout [UInt8],
        verified: inout Set<CodeChunkKey>,
        _ body: (_ stored: (rowID: UInt32, factor: UInt16), _ code: [UInt8]) throws -> Void
    ) throws {
        let manifest = run.manifest
        let slotsPerChunk = run.slotCount(planeCount: planeCount)
        let first = Int(manifest.firstSlots[list])
        var lastVerified = -1
        for row in rows ?? 0..<Int(manifest.listRowCounts[list]) {
            let slot = first + row
            let number = slot / slotsPerChunk
            let key = CodeChunkKey(run: manifest.run, chunk: UInt32(number))
            let view = try unsafe CodeChunk(
                run.chunks[number],
                planeCount: planeCount,
                slotCount: slotsPerChunk,
                key: key
            )
            if number != lastVerified {
                if verified.insert(key).inserted {
                    try view.verify(key)
                    run.marks.mark(number)
                }
                lastVerified = number
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
