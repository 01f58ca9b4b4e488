internal import LMDB
internal import PartitionStore
internal import Synchronization

/// Codes of no run: see ``LooseRunsRecord``. They are removed some chunks at a time, so that the write lane is not kept
/// for the time that those of millions of rows take.
extension Partition {
    func looseRuns(_ transaction: borrowing ReadTransaction) throws -> LooseRunsRecord {
        try unsafe transaction.value(of: tables.meta, key: MetaKey.looseRuns).map {
            try unsafe LooseRunsRecord(bytes: $0)
        } ?? LooseRunsRecord()
    }

    /// Changes the record, which is there only while there are such runs.
    func changeLooseRuns(
        _ transaction: borrowing WriteTransaction,
        _ change: (inout LooseRunsRecord) -> Void
    ) throws {
        let before = try looseRuns(transaction.reading)
        var record = before
        change(&record)
        if record == before { return }
        if record.runs.isEmpty {
            try transaction.delete(tables.meta, key: MetaKey.looseRuns)
        } else {
            try transaction.put(tables.meta, key: MetaKey.looseRuns, value: record.encoded())
        }
    }

    /// Takes runs out of the index, and their codes too if these are few; otherwise ``removeLooseRuns()`` does that.
    func remove(_ runs: [RunManifest], _ transaction: borrowing WriteTransaction) throws {
        let isAtOnce = runs.reduce(0) { $0 + Int($1.chunkCount) } <= options.chunkRemovalLimit
        for run in runs {
            try transaction.delete(tables.runs, key: run.run)
            if isAtOnce { try transaction.removeAll(tables.codes, in: .prefix(run.run)) }
        }
        if !isAtOnce {
            try changeLooseRuns(transaction) { record in for run in runs { record.insert(run.run) } }
        }
    }

    /// Removes some chunks of a run that is no part of the index and that no merge is writing; whether there was one.
    func removeLooseRuns() throws -> Bool {
        let underWay = merges.withLock { $0.values.map(\.run) }
        let found = try environment.read { try looseRuns($0).runs.first { !underWay.contains($0) } }
        guard let run = found else { return false }
        try environment.write { transaction in
            guard try !transaction.reading.contains(tables.runs, key: run) else {
                throw PartitionStoreError.contradiction(
                    table: "meta",
                    key: UInt64(run),
                    reason: "a run that searches scan is to be removed"
                )
            }
            let range = CodeChunkKey(run: run, chunk: 0).number..<CodeChunkKey(run: run + 1, chunk: 0).number
            if let first = try firstChunk(in: range, transaction.reading) {
                let end = min(range.upperBound, first + UInt64(max(1, options.chunkRemovalLimit)))
                try transaction.removeAll(tables.codes, in: .from(first, before: end))
            }
            if try firstChunk(in: range, transaction.reading) == nil {
                try changeLooseRuns(transaction) { $0.remove(run) }
            }
        }
        return true
    }

    /// Number of the first key of `codes` in a range; nil for none.
    private func firstChunk(in range: Range<UInt64>, _ transaction: borrowing ReadTransaction) throws -> UInt64? {
        let number = try transaction.withCursor(tables.codes) { cursor in
            try unsafe cursor.seek(to: range.lowerBound)?.uint64Key
        }
        return number.flatMap { range.contains($0) ? $0 : nil }
    }
}
