internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization

/// Where the codes of one commit lie: manifests read, chunks found. Made once per commit that is searched.
///
/// Its pointers are valid inside read transactions of the same number only.
@safe
final class CodeSnapshot: @unchecked Sendable {
    // Sendable: immutable after init; the memory behind the pointers is a read-only map.
    @safe
    struct Run {
        let manifest: RunManifest
        let chunks: [UnsafeRawBufferPointer]
        let marks: VerifiedBlocks.Marks
    }

    let transactionNumber: UInt64
    let runs: [Run]

    init(_ transaction: borrowing ReadTransaction, partition: Partition) throws {
        transactionNumber = transaction.number
        var runs: [Run] = []
        let tables = partition.tables
        let codebook = partition.installedCodebook.withLock { $0 }
        try unsafe transaction.forEach(in: tables.runs) { entry in
            guard let number = unsafe entry.uint32Key else {
                throw PartitionStoreError.malformed(table: "runs", reason: "a key that is no run")
            }
            let manifest = try unsafe RunManifest(bytes: entry.value, run: number)
            guard manifest.generation == codebook?.generation, manifest.listCount == codebook?.listCount else {
                throw PartitionStoreError.malformed(table: "runs", reason: "a run of another codebook")
            }
            var chunks: [UnsafeRawBufferPointer] = unsafe []
            for chunk in 0..<manifest.chunkCount {
                let key = CodeChunkKey(run: number, chunk: chunk)
                guard let bytes = try unsafe transaction.value(of: tables.codes, key: key) else {
                    throw PartitionStoreError.missing(table: "codes", key: key.number)
                }
                unsafe chunks.append(bytes)
            }
            unsafe runs.append(
                Run(manifest: manifest, chunks: chunks, marks: partition.verifiedBlocks.run(manifest))
            )
            return .next
        }
        self.runs = runs
        partition.verifiedBlocks.keepRuns(Set(runs.map { $0.manifest.run }))
    }
}

extension Partition {
    /// The snapshot of the transaction's commit, made if no search has used that commit yet.
    func snapshot(_ transaction: borrowing ReadTransaction) throws -> CodeSnapshot {
        if let known = snapshots.withLock({ $0 }), known.transactionNumber == transaction.number { return known }
        let new = try CodeSnapshot(transaction, partition: self)
        snapshots.withLock { kept in
            if kept.map({ $0.transactionNumber < new.transactionNumber }) ?? true { kept = new }
        }
        return new
    }
}
