internal import Glibc
internal import LMDB
internal import PartitionStore
package import Threads

/// A copy that was made of a partition.
package struct PartitionCopy: Hashable, Sendable {
    /// Of the last write that it holds.
    package var sequence: UInt64
    package var byteCount: UInt64
}

extension Partition {
    /// Puts a copy into the place of a partition. Both are closed, and on one file system; the copy's folder is
    /// removed.
    ///
    /// The file takes the other's name at once: after a crash there is either of them, whole.
    package static func replace(at directory: String, byCopyAt copy: String) throws(PartitionError) {
        let (source, target) = ("\(copy)/data.mdb", "\(directory)/data.mdb")
        // That of the other would be held against the copy. Gone too early, it only has to be written anew.
        let mark = "\(directory)/\(Environment.damageMarkName)"
        if unsafe unlink(mark) != 0, errno != ENOENT { throw .store(.environment(.io(path: mark, errno: errno))) }
        if unsafe rename(source, target) != 0 { throw .store(.environment(.io(path: source, errno: errno))) }
        let folder = unsafe Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .store(.environment(.io(path: directory, errno: errno))) }
        defer { Glibc.close(folder) }
        guard fsync(folder) == 0 else { throw .store(.environment(.io(path: directory, errno: errno))) }
        try remove(at: copy)
    }

    /// Writes a copy of the partition, as of one commit, to a folder that has none: all of it, index, log and receipts
    /// too, so that it opens and serves at once. Nothing in it is this replica's rather than the shard's.
    ///
    /// Pages that hold nothing any more are left out, and with them the embeddings of deleted faces whose chunks were
    /// overwritten or emptied. Searches, writes and maintenance go on; pages that they free are not used again before
    /// the copy is done, so the file may grow meanwhile. Any thread may call it.
    ///
    /// The copy of a partition that is not logged is not either: what it expires by itself would be another write than
    /// the original's. To make it a replica, give it its first ``commit(_:)`` before it is maintained.
    ///
    /// - Parameter pace: that of the copying; the calling thread writes the copy.
    /// - Returns: nil when it was stopped; the folder then holds no partition.
    package func copy(
        to directory: String,
        pace: CopyingPace = CopyingPace(),
        shouldStop: () -> Bool = { false }
    ) throws(PartitionError) -> PartitionCopy? {
        do {
            guard
                try environment.copy(
                    to: directory,
                    compacting: true,
                    pace: pace,
                    shouldStop: shouldStop
                )
            else { return nil }
            let copy = try Self.openEnvironment(directory, options: options, create: false)
            defer { copy.close() }
            let meta = try copy.openTable(named: "meta")
            let sequence = try copy.read { transaction in
                guard let bytes = try unsafe transaction.value(of: meta, key: MetaKey.state) else {
                    throw PartitionStoreError.missing(table: "meta", key: 0)
                }
                return try unsafe PartitionState(bytes: bytes).sequence
            }
            var status = stat()
            guard unsafe stat("\(directory)/data.mdb", &status) == 0 else {
                throw LMDBError.io(path: directory, errno: errno)
            }
            return PartitionCopy(sequence: sequence, byteCount: UInt64(status.st_size))
        } catch {
            throw PartitionError(error)
        }
    }
}
