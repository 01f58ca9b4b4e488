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

        /// Slots of each chunk.
        func slotCount(planeCount: Int) -> Int {
            unsafe chunks.first.map { unsafe CodeChunk.slotCount(of: $0, planeCount: planeCount) }
                ?? CodeChunk.slotCount
        }

        init(_ manifest: RunManifest, of partition: Partition, _ transaction: borrowing ReadTransaction) throws {
            var chunks: [UnsafeRawBufferPointer] = unsafe []
            for chunk in 0..<manifest.chunkCount {
                let key = CodeChunkKey(run: manifest.run, chunk: chunk)
                guard let bytes = try unsafe transaction.value(of: partition.tables.codes, key: key) else {
                    throw PartitionStoreError.missing(table: "codes", key: key.number)
                }
                unsafe chunks.append(bytes)
            }
            self.manifest = manifest
            unsafe self.chunks = unsafe chunks
            marks = partition.verifiedBlocks.run(manifest)
        }

        /// Throws unless the run has the lists of its codebook, and its chunks have room for them.
        func check(_ codebook: Codebook) throws {
            guard manifest.listCount == codebook.listCount,
                manifest.fits(chunksOf: slotCount(planeCount: codebook.plan.planeCount))
            else {
                throw PartitionStoreError.malformed(table: "runs", reason: "a run of another codebook")
            }
        }
    }

    /// The runs that were coded by one codebook.
    struct Generation {
        let codebook: Codebook
        var runs: [Run]

        var rowCount: UInt64 { runs.reduce(0) { $0 + UInt64($1.manifest.rowCount) } }
    }

    let transactionNumber: UInt64
    /// Newest first; none without a run.
    let generations: [Generation]

    var rowCount: UInt64 { generations.reduce(0) { $0 + $1.rowCount } }

    init(_ transaction: borrowing ReadTransaction, partition: Partition, earlier: CodeSnapshot?) throws {
        transactionNumber = transaction.number
        var generations: [Generation] = []
        var numbers: Set<UInt32> = []
        let state = try partition.state(transaction)
        let pending = try partition.recoding(transaction)?.pendingRuns ?? []
        try unsafe transaction.forEach(in: partition.tables.runs) { entry in
            guard let number = unsafe entry.uint32Key else {
                throw PartitionStoreError.malformed(table: "runs", reason: "a key that is no run")
            }
            if pending.contains(number) { return .next }
            numbers.insert(number)
            let run: Run
            if let known = earlier?.run(number) {
                run = known
            } else {
                let manifest = try unsafe partition.manifest(entry.value, of: number, state)
                run = try Run(manifest, of: partition, transaction)
            }
            let generation = run.manifest.generation
            let index: Int
            if let place = generations.firstIndex(where: { $0.codebook.generation == generation }) {
                index = place
            } else {
                index = generations.count
                let codebook =
                    try earlier?.codebook(ofGeneration: generation)
                    ?? partition.codebook(ofGeneration: generation, transaction)
                generations.append(Generation(codebook: codebook, runs: []))
            }
            try run.check(generations[index].codebook)
            generations[index].runs.append(run)
            return .next
        }
        self.generations = generations.sorted { $0.codebook.generation > $1.codebook.generation }
        partition.verifiedBlocks.keepRuns(numbers.union(pending))
    }

    /// The runs of a generation, in the order of their numbers.
    func runs(ofGeneration generation: UInt32) -> [Run] {
        generations.first { $0.codebook.generation == generation }?.runs ?? []
    }

    private func run(_ number: UInt32) -> Run? {
        for generation in generations {
            if let run = generation.runs.first(where: { $0.manifest.run == number }) { return run }
        }
        return nil
    }

    private func codebook(ofGeneration generation: UInt32) -> Codebook? {
        generations.first { $0.codebook.generation == generation }?.codebook
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

    /// What the stored manifest of a run says. It speaks of folded rows alone: who asks which of these live relies
    /// on that.
    func manifest(_ bytes: UnsafeRawBufferPointer, of run: UInt32, _ state: PartitionState) throws -> RunManifest {
        let manifest = try unsafe RunManifest(bytes: bytes, run: run)
        guard manifest.endRow <= state.foldedRow else {
            throw PartitionStoreError.malformed(table: "runs", reason: "a run of rows that are in none")
        }
        return manifest
    }

    /// How far a run has been coded again; nil while none is.
    func recoding(_ transaction: borrowing ReadTransaction) throws -> RecodingRecord? {
        try unsafe transaction.value(of: tables.meta, key: MetaKey.recoding).map {
            try unsafe RecodingRecord(bytes: $0)
        }
    }
}
