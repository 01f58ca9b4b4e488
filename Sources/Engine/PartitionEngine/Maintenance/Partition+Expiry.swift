package import FaceModel
internal import LMDB
internal import PartitionStore

/// Faces are removed soon after they expire, by a write like any other: of the replica alone, or of the log.
///
/// The write names the faces. "All that expired by then, at most so many" would not be the same faces everywhere: those
/// of one moment lie in the order of their rows, and rows differ from replica to replica.
///
/// While faces of a backup are being put back none is removed.
extension Partition {
    /// Faces that one write removes. More that have expired follow in the next: it stays due.
    private static let expiryLimit = 1024

    /// Whether faces have expired that are still stored.
    package func expiryDue(now: Timestamp) throws(PartitionError) -> Bool {
        do {
            return try environment.read { try !expiredRows(now: now, limit: 1, $0).isEmpty }
        } catch {
            throw PartitionError(error)
        }
    }

    /// The write that removes the faces that have expired, up to 1024 of them; nil when there are none.
    ///
    /// Between here and its place in the log a face may be replaced by one that has not expired, which stays.
    package func expiry(now: Timestamp) throws(PartitionError) -> WriteBatch.Operation? {
        do {
            return try environment.read { transaction in
                let rows = try expiredRows(now: now, limit: Self.expiryLimit, transaction)
                if rows.isEmpty { return nil }
                let faces = try rows.map { row in
                    let face = try tables.face(ofRow: row, transaction)
                    let record = try tables.record(of: face, inRow: row, transaction)
                    guard let expires = record.metadata.expires, expires <= now else {
                        throw PartitionStoreError.malformed(
                            table: "byExpiry",
                            reason: "an entry that is not its face's"
                        )
                    }
                    return face
                }
                return .expire(at: now, faces: faces)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Does the write, when the partition is not logged; whether there was one.
    func removeExpired(now: Timestamp) throws -> Bool {
        let state = try environment.read { try self.state($0) }
        guard !state.isLogged, let operation = try expiry(now: now) else { return false }
        _ = try write([WriteBatch(key: .random(), operation: operation)], epoch: max(state.epoch, state.promisedEpoch))
        return true
    }

    private func expiredRows(
        now: Timestamp,
        limit: Int,
        _ transaction: borrowing ReadTransaction
    ) throws -> [UInt32] {
        // What is put back from a backup is compared with it when all of it is there.
        if try transaction.contains(tables.meta, key: MetaKey.restoration) { return [] }
        var rows: [UInt32] = []
        try unsafe transaction.forEach(in: tables.byExpiry) { entry in
            guard let key = unsafe ExpiryKey(keyBytes: entry.key) else {
                throw PartitionStoreError.malformed(table: "byExpiry", reason: "a key of another size")
            }
            guard key.expires <= now, rows.count < limit else { return .stop }
            rows.append(key.row)
            return .next
        }
        return rows
    }
}
