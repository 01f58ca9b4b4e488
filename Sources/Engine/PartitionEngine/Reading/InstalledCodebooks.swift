internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization

/// The codebooks whose codes a partition holds: the newest codes what comes, an older one stays until its last code is
/// gone. A copy of what is in `meta`, decoded.
struct InstalledCodebooks {
    var newest: Codebook?
    /// Of a lower generation.
    var older: Codebook?

    init(_ tables: PartitionTables, _ transaction: borrowing ReadTransaction) throws {
        newest = try Self.codebook(MetaKey.codebook, tables, transaction)
        older = try Self.codebook(MetaKey.olderCodebook, tables, transaction)
    }

    /// Whether these are codebooks of such a partition in such a state.
    func fit(_ state: PartitionState, dimension: Int) -> Bool {
        guard newest?.generation ?? 0 == state.generation, newest?.dimension ?? dimension == dimension else {
            return false
        }
        guard let older else { return true }
        return older.generation < state.generation && older.dimension == dimension
    }

    private static func codebook(
        _ key: StaticString,
        _ tables: PartitionTables,
        _ transaction: borrowing ReadTransaction
    ) throws -> Codebook? {
        guard let bytes = try unsafe transaction.value(of: tables.meta, key: key) else { return nil }
        unsafe MappedPages.readAheadIfLong(bytes)
        return try unsafe Codebook(bytes: Array(bytes))
    }
}

extension Partition {
    /// The codebook of a generation in the transaction's commit.
    ///
    /// Memory knows the newest commit's: a transaction that began before is asked itself when it sees another one.
    func codebook(ofGeneration generation: UInt32, _ transaction: borrowing ReadTransaction) throws -> Codebook {
        let known = codebooks.withLock { [$0.newest, $0.older] }
        let stored = { (transaction: borrowing ReadTransaction) in
            let stored = try InstalledCodebooks(self.tables, transaction)
            return [stored.newest, stored.older]
        }
        for codebook in try known.contains(where: { $0?.generation == generation }) ? known : stored(transaction) {
            if let codebook, codebook.generation == generation { return codebook }
        }
        throw PartitionStoreError.malformed(table: "runs", reason: "a run of a codebook that is not here")
    }
}
