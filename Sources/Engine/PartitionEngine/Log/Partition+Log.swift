package import FaceModel
internal import LMDB
package import PartitionStore

/// The durable side of a replica that has others beside it: a log of ordered operations, applied when they are
/// committed.
///
/// An entry that is not applied is in the log alone: no search sees it, and it is dropped without undoing anything.
/// What an entry changes, its receipt, the digest and the sequence applied are one commit, so a crash leaves the tables
/// as the entries through that sequence made them, and repeats none.
extension Partition {
    /// Does one step of a replica in one durable commit.
    ///
    /// Call from the write lane only. From the first call on the partition is *logged*: its faces expire by entries of
    /// the log alone, never by maintenance. A ``write(_:epoch:)`` ends that.
    ///
    /// - Throws: nothing was changed, unless ``PartitionError/requiresReopen``: then reopening shows whether it was.
    ///   ``PartitionError/logRefused(_:)`` for a transaction that this log does not allow.
    package func commit(_ transaction: LogTransaction) throws(PartitionError) -> LogOutcome {
        do {
            for entry in transaction.append { try check(entry) }
            // All the rest goes on when the disk is nearly full: what is in the log has its place in the reserve.
            if transaction.append.contains(where: { $0.operation.bringsFaces }) { try checkReserve() }
            let (state, applied, faces) = try environment.write { writing in
                var pass = try WritePass(self, writing)
                pass.state.isLogged = true
                if let epoch = transaction.promise { pass.promise(epoch) }
                if let sequence = transaction.truncateAfter { try pass.truncateLog(after: sequence, writing) }
                for entry in transaction.append { try pass.appendToLog(entry, writing) }
                let applied = try pass.applyLog(
                    through: transaction.applyThrough,
                    appended: transaction.append,
                    writing
                )
                if let sequence = transaction.forgetThrough { try pass.forgetLog(through: sequence, writing) }
                return (try pass.finish(writing), applied, pass.changedFaces)
            }
            noteCommit(state, changing: faces)
            return LogOutcome(extent: LogExtent(state), applied: applied)
        } catch {
            throw PartitionError(error)
        }
    }

    /// Where the log stands: what a replica knows of itself when it starts.
    package func logExtent() throws(PartitionError) -> LogExtent {
        do {
            return try environment.read { LogExtent(try state($0)) }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Entries from a sequence on, for a replica that has those before: one at least, and no more than `byteLimit`
    /// bytes of them; none when the sequence is behind the last. Each is verified, and that it continues the one
    /// before.
    ///
    /// - Throws: ``LogRefusal/notInLog(sequence:first:last:)`` for one that was forgotten: a replica that needs it
    ///   needs a copy.
    package func logEntries(from sequence: UInt64, byteLimit: Int) throws(PartitionError) -> [LogEntry] {
        do {
            return try environment.read { transaction in
                let state = try state(transaction)
                let last = state.lastLogged
                guard sequence >= state.firstLogged, sequence <= last.sequence + 1 else {
                    throw PartitionError.logRefused(
                        .notInLog(sequence: sequence, first: state.firstLogged, last: last.sequence)
                    )
                }
                var entries: [LogEntry] = []
                var byteCount = 0
                var next = sequence
                while next <= last.sequence {
                    guard let bytes = try unsafe transaction.value(of: tables.log, key: next) else {
                        throw PartitionStoreError.missing(table: "log", key: next)
                    }
                    // While this one is copied and checked, the next is read.
                    if next < last.sequence,
                        let following = try unsafe transaction.value(of: tables.log, key: next + 1)
                    {
                        unsafe MappedPages.readAheadIfLong(following)
                    }
                    let entry = try unsafe tables.logEntry(bytes, under: next)
                    byteCount += entry.byteCount
                    if !entries.isEmpty, byteCount > byteLimit { break }
                    guard entries.last.map({ entry.continues($0.chain) }) ?? true,
                        next < last.sequence || entry.chain == last.chain
                    else {
                        throw PartitionStoreError.contradiction(
                            table: "log",
                            key: next,
                            reason: "it does not continue the entry before"
                        )
                    }
                    entries.append(entry)
                    next += 1
                }
                return entries
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// What a write answered that was applied before; nil when its key is not known, or not any more.
    package func receipt(of key: IdempotencyKey) throws(PartitionError) -> WriteReceipt? {
        do {
            return try environment.read { try tables.receipt(of: key, $0).map { WriteReceipt($0) } }
        } catch {
            throw PartitionError(error)
        }
    }

    /// The entry that a write becomes when it is ordered behind one whose chain is `previousChain`. Reads nothing; any
    /// thread may call it.
    ///
    /// - Throws: ``PartitionError/invalidWrite(reason:)`` for a write that does not fit the collection, or is too
    /// large.
    package func logEntry(
        for batch: WriteBatch,
        epoch: UInt64,
        sequence: UInt64,
        after previousChain: UInt64
    ) throws(PartitionError) -> LogEntry {
        try check(batch, epoch: epoch)
        let operation: LogOperation =
            switch batch.operation {
            case .enrol(let rows, let embeddings):
                .enrol(rows: rows, embeddings: StoredEmbeddings(rounding: embeddings, to: shape))
            case .delete(let faces): .delete(faces)
            case .expire(let moment, let faces): .expire(at: moment, faces: faces)
            case .beginEpoch: .beginEpoch
            case .restore(let faces, let isLast):
                .restore(
                    rows: faces.rows,
                    embeddings: StoredEmbeddings(shape: shape, bytes: faces.embeddings[...]),
                    isLast: isLast
                )
            }
        do throws(LogEntryError) {
            return try LogEntry(
                epoch: epoch,
                sequence: sequence,
                key: batch.key,
                operation: operation,
                after: previousChain
            )
        } catch {
            throw .invalidWrite(reason: "\(error)")
        }
    }

    /// An entry was checked by itself when it was read; here that it is of this collection, and what folds rely on.
    private func check(_ entry: LogEntry) throws(PartitionError) {
        guard let embeddings = entry.operation.embeddings else { return }
        guard embeddings.shape == shape else {
            throw .invalidWrite(
                reason: "embeddings of dimension \(embeddings.shape.dimension) and \(embeddings.shape.precision.name) "
                    + "for faces of dimension \(shape.dimension) and \(shape.precision.name)"
            )
        }
        // Rounded since they were checked: no replica refuses what another has ordered.
        let tolerance = 2 * UnitLength.tolerance
        let areUnits = (0..<embeddings.rowCount).allSatisfy {
            shape.precision.hasUnitLength(embeddings.row($0), tolerance: tolerance)
        }
        guard areUnits else { throw .invalidWrite(reason: UnitLength.problem) }
    }
}

extension StoredEmbeddings {
    /// Embeddings as they are stored, once and for all replicas: rounding them again changes no bit.
    init(rounding embeddings: EmbeddingMatrix, to shape: RowChunk.Shape) {
        precondition(embeddings.dimension == shape.dimension, "embeddings of the collection's dimension")
        var bytes = [UInt8](repeating: 0, count: embeddings.rowCount * shape.rowByteCount)
        unsafe bytes.withUnsafeMutableBytes { unsafe shape.store(embeddings.values[...], into: $0) }
        self.init(shape: shape, bytes: bytes[...])
    }
}
