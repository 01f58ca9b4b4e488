internal import Checksum
internal import FaceModel
internal import FaceRecords
internal import LMDB
internal import PartitionStore

/// What a partition holds, in sums that are equal on replicas at one sequence and add up over a split.
package struct PartitionDigest: Hashable, Sendable {
    /// Of the last write that it holds.
    package var sequence: UInt64
    package var faceCount: UInt64
    /// Slice `n` sums the faces whose place on the ring has `n` for its high byte.
    package var slices: [UInt128]

    /// The slices in 64 bits.
    package var summary: UInt64 {
        SipHash.hash64(key: (0, 0)) { hash in
            for slice in slices {
                hash.add(UInt64(truncatingIfNeeded: slice))
                hash.add(UInt64(truncatingIfNeeded: slice >> 64))
            }
        }
    }
}

extension Partition {
    /// Rows looked at in one step of counting.
    private static let countingRowLimit = 8192

    /// The digest that every write keeps up to date; nil while the rows of a partition of an earlier format have not
    /// all been counted.
    package func digest() throws(PartitionError) -> PartitionDigest? {
        do {
            return try environment.read { transaction in
                let record = try digestRecord(transaction)
                guard record.isComplete else { return nil }
                let state = try state(transaction)
                return PartitionDigest(sequence: state.sequence, faceCount: state.faceCount, slices: record.slices)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    func digestRecord(_ transaction: borrowing ReadTransaction) throws -> DigestRecord {
        guard let bytes = try unsafe transaction.value(of: tables.meta, key: MetaKey.digest) else {
            throw PartitionStoreError.missing(table: "meta", key: 0)
        }
        return try unsafe DigestRecord(bytes: bytes)
    }

    /// What a face adds to the digest. Its row is read only when its record, of an earlier format, has no checksum of
    /// it.
    func contribution(
        of face: FaceID,
        _ record: FaceRecord,
        _ transaction: borrowing ReadTransaction
    ) throws -> DigestRecord.Contribution {
        DigestRecord.Contribution(
            of: face,
            version: record.version,
            metadata: record.metadata,
            embeddingChecksum: try record.embeddingChecksum ?? storedChecksum(ofRow: record.row, transaction),
            in: identity.collection.id
        )
    }

    /// CRC-32C of a stored embedding, which is verified; in a read transaction or a write transaction.
    func storedChecksum(ofRow row: UInt32, _ transaction: borrowing ReadTransaction) throws -> UInt32 {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        let chunk = row / rowsPerChunk
        guard let bytes = try unsafe transaction.value(of: tables.rows, key: chunk) else {
            return unsafe CRC32C.checksum(try tables.tailRow(row, shape: shape, transaction))
        }
        let view = try unsafe RowChunk(bytes, shape: shape)
        let marks = verifiedBlocks.rows(chunkCount: Int(chunk) + 1)
        if !marks.isMarked(Int(chunk)) {
            try view.verify(chunk: chunk)
            marks.mark(Int(chunk))
        }
        let first = Int(row % rowsPerChunk) * shape.rowByteCount
        return unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: view.rows[first..<first + shape.rowByteCount]))
    }

    /// Counts the next rows of a partition of an earlier format into its digest; whether there were any to count.
    func countRows() throws -> Bool {
        try environment.read { reading in
            var record = try digestRecord(reading)
            if record.isComplete { return false }
            let state = try state(reading)
            let first = record.uncountedRow
            let end = first + min(UInt32(Self.countingRowLimit), state.nextRow - min(first, state.nextRow))
            try unsafe reading.forEach(in: tables.rowFaces, .from(first, before: end)) { entry in
                guard let row = unsafe entry.uint32Key, let face = unsafe FaceID(keyBytes: entry.value) else {
                    throw PartitionStoreError.malformed(table: "rowFaces", reason: "an entry that is no row and face")
                }
                record.add(try contribution(of: face, tables.record(of: face, inRow: row, reading), reading))
                return .next
            }
            record.uncountedRow = end < state.nextRow ? end : .max
            try checkFreeDisk()
            try environment.write { transaction in
                try transaction.put(tables.meta, key: MetaKey.digest, value: record.encoded())
            }
            return true
        }
    }
}
