internal import Checksum
internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// Whether a partition is what it says, found by reading all of it and believing nothing that was checked before.
extension Partition {
    /// Computes the digest from the tables: every face's record and every stored embedding is read and verified.
    ///
    /// One read transaction: pages that writes free meanwhile are used again only after it, so the file may grow; its
    /// address space does not.
    /// - Returns: nil when it was stopped.
    package func recomputeDigest(shouldStop: () -> Bool = { false }) throws(PartitionError) -> PartitionDigest? {
        try verifying { transaction in
            let state = try state(transaction)
            return try FaceVerification(self, state).run(transaction, shouldStop)
        }
    }

    /// Reads every record and every chunk of every table, verifies each, and holds what they say against each other:
    /// faces against rows, lists against faces, runs against rows, the log against its chain, counts, and the digest.
    ///
    /// Reads as ``recomputeDigest(shouldStop:)`` does.
    /// - Returns: the digest; nil when it was stopped.
    /// - Throws: the first damage found, with its table and key.
    package func verifyAll(shouldStop: () -> Bool = { false }) throws(PartitionError) -> PartitionDigest? {
        try verifying { transaction in
            let state = try state(transaction)
            try verifyMeta(state, transaction)
            let digest = try FaceVerification(self, state).run(transaction, shouldStop)
            let kept = try digestRecord(transaction)
            guard !kept.isComplete || kept.slices == digest.slices else {
                throw PartitionStoreError.contradiction(
                    table: "meta",
                    key: 0,
                    reason: "the digest is not that of the faces"
                )
            }
            try verifyRuns(state, transaction, shouldStop)
            try verifyReceipts(state, transaction)
            try verifyEarlierReceipts(state, transaction, shouldStop)
            try verifyErasures(state, transaction)
            try verifyLog(state, transaction, shouldStop)
            return digest
        }
    }

    /// What the function throws that stops a verification.
    struct Stopped: Error {}

    private func verifying(
        _ body: (borrowing ReadTransaction) throws -> PartitionDigest
    ) throws(PartitionError) -> PartitionDigest? {
        do {
            return try environment.readForLong(body)
        } catch is Stopped {
            return nil
        } catch {
            throw PartitionError(error)
        }
    }

    private func verifyMeta(_ state: PartitionState, _ transaction: borrowing ReadTransaction) throws {
        guard let bytes = try unsafe transaction.value(of: tables.meta, key: MetaKey.identity) else {
            throw PartitionStoreError.missing(table: "meta", key: 1)
        }
        guard try unsafe IdentityRecord.decode(bytes) == identity else {
            throw PartitionStoreError.contradiction(table: "meta", key: 1, reason: "it was another when it was opened")
        }
        let codebooks = try InstalledCodebooks(tables, transaction)
        guard codebooks.fit(state, dimension: shape.dimension) else {
            throw PartitionStoreError.malformed(table: "meta", reason: "the codebook is not the state's")
        }
        _ = try recoding(transaction)
        _ = try Self.receiptTimes(tables, transaction)
        _ = try remnants(transaction)
        if let end = try restorationEnd(transaction), end.sequence > state.sequence {
            throw PartitionStoreError.contradiction(
                table: "meta",
                key: 0,
                reason: "a restoration ended with a write that there was not yet"
            )
        }
        try unsafe transaction.value(of: tables.meta, key: MetaKey.intake).map {
            _ = try unsafe IntakeRecord(bytes: $0)
        }
    }

    /// Manifests and codes: each live row that was folded lies in one run that searches scan.
    private func verifyRuns(
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        _ shouldStop: () -> Bool
    ) throws {
        let pending = try recoding(transaction)?.pendingRuns ?? []
        let liveness = RowLiveness(try Tombstones(transaction, tables: tables, rowCount: state.nextRow), hidden: [])
        var chunkCount = 0
        var seen = RowBitmap([], below: state.foldedRow)
        var (liveCount, deadCount) = (0, 0)
        try unsafe transaction.forEach(in: tables.runs) { entry in
            guard let number = unsafe entry.uint32Key else {
                throw PartitionStoreError.malformed(table: "runs", reason: "a key that is no run")
            }
            let manifest = try unsafe manifest(entry.value, of: number, state)
            let rows = try codedRows(of: manifest, transaction, shouldStop)
            chunkCount += Int(manifest.chunkCount)
            if pending.contains(number) { return .next }
            for row in rows {
                guard row < state.foldedRow, !seen.contains(row) else {
                    throw PartitionStoreError.contradiction(
                        table: "runs",
                        key: UInt64(number),
                        reason: "a row that is fresh or in another run too"
                    )
                }
                seen.insert(row)
                if liveness.isLive(row) { liveCount += 1 } else { deadCount += 1 }
            }
            return .next
        }
        chunkCount += try verifyLooseRuns(state, transaction, shouldStop)
        guard try transaction.count(of: tables.codes) == chunkCount else {
            throw PartitionStoreError.contradiction(table: "codes", key: 0, reason: "chunks of no run")
        }
        let foldedCount = (0..<state.foldedRow).count { liveness.isLive($0) }
        let freshDeadCount = (state.foldedRow..<state.nextRow).count { !liveness.isLive($0) }
        guard liveCount == foldedCount, state.tombstoneCount == UInt64(deadCount + freshDeadCount) else {
            throw PartitionStoreError.contradiction(
                table: "runs",
                key: 0,
                reason: "\(liveCount) live and \(deadCount) dead rows are in runs, not as the state says"
            )
        }
    }

    /// Chunks that no search sees; how many they are.
    private func verifyLooseRuns(
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        _ shouldStop: () -> Bool
    ) throws -> Int {
        var count = 0
        for run in try looseRuns(transaction).runs {
            guard run < state.nextRun, try !transaction.contains(tables.runs, key: run) else {
                throw PartitionStoreError.contradiction(
                    table: "meta",
                    key: UInt64(run),
                    reason: "a run that searches scan, or that there was not yet, is to be removed"
                )
            }
            try unsafe transaction.forEach(in: tables.codes, .prefix(run)) { entry in
                if shouldStop() { throw Stopped() }
                guard let number = unsafe entry.uint64Key else {
                    throw PartitionStoreError.malformed(table: "codes", reason: "a key that is no chunk")
                }
                let key = CodeChunkKey(run: run, chunk: UInt32(truncatingIfNeeded: number))
                try unsafe CodeChunk.verify(entry.value, key)
                count += 1
                return .next
            }
        }
        return count
    }

    /// The rows that a run's chunks hold, each chunk verified.
    private func codedRows(
        of manifest: RunManifest,
        _ transaction: borrowing ReadTransaction,
        _ shouldStop: () -> Bool
    ) throws -> [UInt32] {
        let codebook = try codebook(ofGeneration: manifest.generation, transaction)
        let planeCount = codebook.plan.planeCount
        var rows: [UInt32] = []
        for chunk in 0..<manifest.chunkCount {
            if shouldStop() { throw Stopped() }
            let key = CodeChunkKey(run: manifest.run, chunk: chunk)
            guard let bytes = try unsafe transaction.value(of: tables.codes, key: key) else {
                throw PartitionStoreError.missing(table: "codes", key: key.number)
            }
            let view = try unsafe CodeChunk(bytes, planeCount: planeCount, key: key)
            try view.verify(key)
            for slot in 0..<view.slotCount {
                let row = unsafe VectorKernels.slot(slot, records: view.records, planeCount: planeCount).rowID
                if row == VectorKernels.absentRow { continue }
                guard row >= manifest.firstRow, row < manifest.endRow else {
                    throw PartitionStoreError.contradiction(
                        table: "codes",
                        key: key.number,
                        reason: "a row outside its run"
                    )
                }
                rows.append(row)
            }
        }
        guard rows.count == Int(manifest.rowCount), manifest.listCount == codebook.listCount else {
            throw PartitionStoreError.contradiction(
                table: "runs",
                key: UInt64(manifest.run),
                reason: "it has \(rows.count) rows"
            )
        }
        return rows
    }

    private func verifyReceipts(_ state: PartitionState, _ transaction: borrowing ReadTransaction) throws {
        for number in state.oldestReceipt..<state.nextReceipt {
            guard let key = try unsafe transaction.value(of: tables.receiptOrder, key: number), key.count == 16,
                let bytes = try unsafe transaction.value(of: tables.receipts, key: key)
            else { throw PartitionStoreError.missing(table: "receipts", key: number) }
            guard try unsafe ReceiptRecord(bytes: bytes).sequence <= state.sequence else {
                throw PartitionStoreError.contradiction(table: "receipts", key: number, reason: "of no write yet")
            }
        }
        let count = Int(state.nextReceipt - state.oldestReceipt)
        guard try transaction.count(of: tables.receiptOrder) == count,
            try transaction.count(of: tables.receipts) == count
        else { throw PartitionStoreError.contradiction(table: "receipts", key: 0, reason: "not \(count) of them") }
    }

    /// They end where the newest begin, without a gap; of a key that was used again the later write's is there.
    private func verifyEarlierReceipts(
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        _ shouldStop: () -> Bool
    ) throws {
        var next: UInt64?
        var count = 0
        try unsafe transaction.forEach(in: tables.earlierReceiptOrder) { entry in
            if shouldStop() { throw Stopped() }
            let (number, place) = try unsafe tables.earlierReceipt(entry)
            guard number == next ?? number else {
                throw PartitionStoreError.missing(table: "earlierReceiptOrder", key: next ?? number)
            }
            next = number + 1
            guard let bytes = try unsafe transaction.value(of: tables.earlierReceipts, key: place.key) else {
                throw PartitionStoreError.missing(table: "earlierReceipts", key: number)
            }
            let receipt = try unsafe ReceiptRecord(bytes: bytes)
            guard receipt.sequence <= state.sequence else {
                throw PartitionStoreError.contradiction(
                    table: "earlierReceipts",
                    key: number,
                    reason: "of no write yet"
                )
            }
            if place.isOf(receipt) { count += 1 }
            return .next
        }
        guard next ?? state.oldestReceipt == state.oldestReceipt,
            try transaction.count(of: tables.earlierReceipts) == count
        else {
            throw PartitionStoreError.contradiction(table: "earlierReceipts", key: 0, reason: "not \(count) of them")
        }
    }

    private func verifyLog(
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction,
        _ shouldStop: () -> Bool
    ) throws {
        let last = state.lastLogged
        let count = Int(last.sequence + 1 - state.firstLogged)
        guard try transaction.count(of: tables.log) == count else {
            throw PartitionStoreError.contradiction(table: "log", key: 0, reason: "not \(count) entries")
        }
        var previous: UInt64?
        for sequence in state.firstLogged..<last.sequence + 1 {
            if shouldStop() { throw Stopped() }
            let entry = try tables.logEntry(sequence, transaction)
            let isNext =
                previous.map { entry.continues($0) } ?? (sequence != state.sequence + 1 || entry.continues(state.chain))
            let isApplied = sequence != state.sequence || entry.chain == state.chain && entry.epoch == state.epoch
            let isLast = sequence != last.sequence || entry.chain == last.chain && entry.epoch == last.epoch
            guard isNext, isApplied, isLast else {
                throw PartitionStoreError.contradiction(
                    table: "log",
                    key: sequence,
                    reason: "it does not continue the entry before"
                )
            }
            previous = entry.chain
        }
    }
}
