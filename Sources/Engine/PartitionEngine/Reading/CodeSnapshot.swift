internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization

/// Where the codes of one commit lie: manifests read, chunks found. Made once per commit that is searched; runs never
/// change, so what an earlier commit had is taken over.
///
/// Its pointers are valid inside read transactions of the same number only.
@safe
final class CodeSnapshot: @unchecked Sendable {
    // Sendable: immutable after init; the memory behind the pointers is a read-only map.
    @safe
    final class Run {
        let manifest: RunManifest
        let chunks: [UnsafeRawBufferPointer]
        let marks: VerifiedBlocks.Marks

        init(manifest: RunManifest, chunks: [UnsafeRawBufferPointer], marks: VerifiedBlocks.Marks) {
            self.manifest = manifest
            unsafe self.chunks = unsafe chunks
            self.marks = marks
        }
    }

    let transactionNumber: UInt64
    let runs: [Run]

    init(_ transaction: borrowing ReadTransaction, partition: Partition, earlier: CodeSnapshot?) throws {
        transactionNumber = transaction.number
        var runs: [Run] = []
        let tables = partition.tables
        let codebook = partition.installedCodebook.withLock { $0 }
        try unsafe transaction.forEach(in: tables.runs) { entry in
            guard let number = unsafe entry.uint32Key else {
                throw PartitionStoreError.malformed(table: "runs", reason: "a key that is no run")
            }
            if let known = earlier?.runs.first(where: { $0.manifest.run == number }) {
                runs.append(known)
                return .next
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
        let known = snapshots.withLock { $0 }
        if let known, known.transactionNumber == transaction.number { return known }
        let new = try CodeSnapshot(transaction, partition: self, earlier: known)
        snapshots.withLock { kept in
            if kept.map({ $0.transactionNumber < new.transactionNumber }) ?? true { kept = new }
        }
        return new
    }
}
