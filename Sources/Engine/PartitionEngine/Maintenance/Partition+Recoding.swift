internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization

/// The way from one codebook to the next: codes of the older one are made again from the stored embeddings.
///
/// The youngest run of the older codebook goes first, so that the newest codebook's runs are always those of the
/// youngest rows. It is coded slice by slice into pending runs, which no search sees; then these are merged, and one
/// commit puts what they hold in its place. Each step is one commit: a crash repeats at most one, and begins that merge
/// anew.
extension Partition {
    /// Does one step; whether there was anything to do.
    ///
    /// Call from the write lane only, when ``maintain(now:isIdle:)`` has nothing to do.
    package func recode() throws(PartitionError) -> Bool {
        let (newest, older) = codebooks.withLock { ($0.newest, $0.older) }
        guard let newest, let older else { return false }
        do {
            let isDone = try environment.read { reading in
                let snapshot = try snapshot(reading)
                let runs = snapshot.runs(ofGeneration: older.generation)
                guard let last = runs.max(by: { $0.manifest.firstRow < $1.manifest.firstRow })?.manifest else {
                    try environment.write { transaction in
                        try transaction.delete(tables.meta, key: MetaKey.olderCodebook)
                    }
                    return true
                }
                let record = try recoding(reading) ?? RecodingRecord(run: last.run, nextRow: last.firstRow)
                guard record.run == last.run else {
                    throw PartitionStoreError.malformed(table: "meta", reason: "another run than the last is recoded")
                }
                try record.check(in: last)
                try checkFreeDisk()
                if record.nextRow < last.endRow {
                    try recodeSlice(of: last, record, newest, reading)
                } else {
                    try replace(last, by: record.pendingRuns, newest, reading)
                }
                return false
            }
            if isDone { codebooks.withLock { $0.older = nil } }
            return true
        } catch {
            throw PartitionError(error)
        }
    }

    /// Codes the next rows of a run into a pending one.
    private func recodeSlice(
        of run: RunManifest,
        _ record: RecodingRecord,
        _ codebook: Codebook,
        _ reading: borrowing ReadTransaction
    ) throws {
        let before = try state(reading)
        let rows = RowReader(partition: self, state: before, transaction: reading.number)
        let liveness = RowLiveness(try tombstones(reading, rowCount: before.nextRow), hidden: [])
        let limit = UInt32(max(RowChunk.rowCount, options.recodeRowLimit / RowChunk.rowCount * RowChunk.rowCount))
        let end = record.nextRow + min(limit, run.endRow - record.nextRow)
        let coded = try code(record.nextRow..<end, codebook, rows, liveness, reading)
        try environment.write { transaction in
            var state = before
            var record = record
            let written = try write(coded, of: record.nextRow..<end, as: state.nextRun, codebook, transaction)
            if written > 0 { record.pendingRuns.append(state.nextRun) }
            record.nextRow = end
            state.nextRun += 1
            try transaction.put(tables.meta, key: MetaKey.recoding, value: record.encoded())
            try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
        }
    }

    /// Puts what the pending runs hold in the place of the run that they were coded from; when there are several, by a
    /// merge that takes a commit for each of its slices.
    private func replace(
        _ run: RunManifest,
        by pendingRuns: [UInt32],
        _ codebook: Codebook,
        _ reading: borrowing ReadTransaction
    ) throws {
        let before = try state(reading)
        let pending = try pendingRuns.map { number in
            guard let bytes = try unsafe reading.value(of: tables.runs, key: number) else {
                throw PartitionStoreError.missing(table: "runs", key: UInt64(number))
            }
            let run = try unsafe CodeSnapshot.Run(manifest(bytes, of: number, before), of: self, reading)
            try run.check(codebook)
            return run
        }
        func end(
            _ written: UInt32,
            _ state: inout PartitionState,
            _ transaction: borrowing WriteTransaction
        ) throws {
            guard written <= run.rowCount else {
                throw PartitionStoreError.malformed(table: "runs", reason: "a run of more rows than it says")
            }
            // Rows that died before they were coded again are in no run any more.
            try state.removeTombstones(UInt64(run.rowCount - written))
            try remove([run] + (pending.count > 1 ? pending.map(\.manifest) : []), transaction)
            try transaction.delete(tables.meta, key: MetaKey.recoding)
        }
        guard pending.count > 1 else {
            return try environment.write { transaction in
                var state = before
                try end(pending.first?.manifest.rowCount ?? 0, &state, transaction)
                try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
            }
        }
        let underWay = merges.withLock { $0[.recoding] }.flatMap { $0.inputs == pendingRuns ? $0 : nil }
        let merge =
            underWay ?? RunMerge(of: pendingRuns, into: before.nextRun, codebook: codebook, tables: tables)
        try advance(merge, .recoding, of: pending, codebook, before, reading, replace: end)
    }
}
