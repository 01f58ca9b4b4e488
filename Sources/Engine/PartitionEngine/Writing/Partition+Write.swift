internal import FaceModel
internal import Glibc
internal import LMDB
internal import PartitionStore
internal import Synchronization

extension Partition {
    /// Makes all batches durable in one commit (group commit) and says what each did: the way of a replica that is
    /// alone, without a log. One that was logged is no longer; its entries are removed, and other replicas need a
    /// copy.
    ///
    /// Call from the partition's write lane only. Blocks until the disk has it. A batch whose key was seen before
    /// changes nothing and answers as it did then.
    ///
    /// - Parameter epoch: of the shard map under which the writes were ordered.
    /// - Throws: nothing was written, unless ``PartitionError/requiresReopen``: then reopening shows whether it was.
    package func write(_ batches: [WriteBatch], epoch: UInt64) throws(PartitionError) -> [WriteReceipt] {
        do {
            for batch in batches { try check(batch, epoch: epoch) }
            // Deletions go on when the disk is nearly full.
            if batches.contains(where: \.operation.bringsFaces) { try checkFreeDisk() }
            let (receipts, state, faces) = try environment.write { transaction in
                var writer = try WritePass(self, transaction)
                var receipts: [WriteReceipt] = []
                for batch in batches { receipts.append(try writer.apply(batch, epoch: epoch, transaction)) }
                return (receipts, try writer.finish(transaction), writer.changedFaces)
            }
            noteCommit(state, changing: faces)
            return receipts
        } catch {
            throw PartitionError(error)
        }
    }

    /// - Parameter epoch: of the write.
    func check(_ batch: WriteBatch, epoch: UInt64) throws(PartitionError) {
        if case .restore(let faces, _) = batch.operation { return try check(faces, epoch: epoch) }
        guard case .enrol(let rows, let embeddings) = batch.operation else { return }
        guard embeddings.dimension == shape.dimension, embeddings.rowCount == rows.count else {
            throw .invalidWrite(
                reason: "\(embeddings.rowCount) embeddings of dimension \(embeddings.dimension) for \(rows.count) "
                    + "faces of dimension \(shape.dimension)"
            )
        }
        for row in rows {
            if let problem = row.metadata.problem { throw .invalidWrite(reason: problem) }
        }
        guard embeddings.hasUnitLength else { throw .invalidWrite(reason: UnitLength.problem) }
    }

    private func check(_ faces: ArchivedFaces, epoch: UInt64) throws(PartitionError) {
        guard faces.dimension == shape.dimension, faces.precision == shape.precision else {
            throw .invalidWrite(
                reason: "restored embeddings of dimension \(faces.dimension) and \(faces.precision.name) for faces of "
                    + "dimension \(shape.dimension) and \(shape.precision.name)"
            )
        }
        // What is written from now on has to be newer than what is restored.
        guard faces.rows.allSatisfy({ $0.version.epoch < epoch }) else {
            throw .invalidWrite(reason: "a restored face of epoch \(epoch) or later, which is that of the write itself")
        }
        if let problem = faces.problem { throw .invalidWrite(reason: problem) }
    }

    /// Whether the disk has room for more, as writes need it: the reserve, and more of it once they were refused.
    ///
    /// - Throws: ``PartitionError/storageFull(path:freeByteCount:minimumByteCount:)``.
    package func checkFreeDisk() throws(PartitionError) {
        guard let free = freeDiskByteCount else { return }
        let isShort = isDiskShort.load(ordering: .relaxed)
        let needed = isShort ? options.renewedFreeByteCount : options.minimumFreeByteCount
        isDiskShort.store(free < needed, ordering: .relaxed)
        guard free >= needed else {
            throw .storageFull(path: environment.path, freeByteCount: free, minimumByteCount: needed)
        }
    }

    /// Whether half of the reserve is there. Up to that it is for what was ordered before it was known that there is no
    /// room: a replica that does not take such an entry takes none behind it, deletions among them.
    func checkReserve() throws(PartitionError) {
        let needed = options.minimumFreeByteCount / 2
        guard let free = freeDiskByteCount, free < needed else { return }
        throw .storageFull(path: environment.path, freeByteCount: free, minimumByteCount: needed)
    }

    /// Whether there are row ids for more faces. Whoever orders some has to know: an entry for which there are none is
    /// never applied, and nor is any behind it, deletions among them.
    ///
    /// - Throws: ``PartitionError/rowIDsExhausted``.
    package func checkRowIDs() throws(PartitionError) {
        let nextRow: UInt32
        do {
            nextRow = try environment.read { try state($0).nextRow }
        } catch {
            throw PartitionError(error)
        }
        guard nextRow < options.rowIDLimit else { throw .rowIDsExhausted }
    }

    /// nil when the file system does not tell.
    var freeDiskByteCount: UInt64? {
        var status = statvfs()
        guard unsafe statvfs(environment.path, &status) == 0 else { return nil }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}
