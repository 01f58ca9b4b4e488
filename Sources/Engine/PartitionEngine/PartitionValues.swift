package import FaceModel
internal import PartitionStore

/// One write: all of it becomes durable in one commit, or none.
package struct WriteBatch: Sendable {
    package enum Operation: Sendable {
        /// As many rows as embeddings; unit vectors.
        case enrol(rows: [EnrolRow], embeddings: EmbeddingMatrix)
        case delete([FaceID])
        /// Removes those of the faces that have expired by a moment; see ``Partition/expiry(now:)``. Repeated without
        /// harm, so it leaves no receipt.
        case expire(at: Timestamp, faces: [FaceID])
        /// Nothing: behind it every replica looks at what it holds. Leaves no receipt.
        case beginEpoch
        /// Puts faces of a backup back under the versions that they had. The last one, which may bring none, ends the
        /// restoration: until then no face expires, and what comes behind it changes nothing.
        case restore(ArchivedFaces, isLast: Bool)

        /// Whether what it answered is kept under its key.
        package var leavesReceipt: Bool {
            switch self {
            case .enrol, .delete: true
            case .expire, .beginEpoch, .restore: false
            }
        }

        /// Whether the disk holds more after it.
        package var bringsFaces: Bool {
            switch self {
            case .enrol: true
            case .restore(let faces, _): faces.count > 0
            case .delete, .expire, .beginEpoch: false
            }
        }
    }

    package var key: IdempotencyKey
    package var operation: Operation

    package init(key: IdempotencyKey, operation: Operation) {
        self.key = key
        self.operation = operation
    }
}

/// What a write did.
package struct WriteReceipt: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        case enrolled([EnrolOutcome])
        case deleted([DeleteOutcome])
        case expired(faceCount: Int)
        case epochBegun
        /// Nothing: the key was used before, by the write of this sequence, for something else.
        case keyReused

        init(_ kept: ReceiptRecord.Outcome) {
            self =
                switch kept {
                case .enrolled(let outcomes): .enrolled(outcomes)
                case .deleted(let outcomes): .deleted(outcomes)
                }
        }

        /// What is kept of it; nil of what leaves no receipt.
        var kept: ReceiptRecord.Outcome? {
            switch self {
            case .enrolled(let outcomes): .enrolled(outcomes)
            case .deleted(let outcomes): .deleted(outcomes)
            case .expired, .epochBegun, .keyReused: nil
            }
        }
    }

    package var outcome: Outcome
    /// Sequence of the write in its partition.
    package var sequence: UInt64

    package init(outcome: Outcome, sequence: UInt64) {
        self.outcome = outcome
        self.sequence = sequence
    }

    init(_ record: ReceiptRecord) {
        self.init(outcome: Outcome(record.outcome), sequence: record.sequence)
    }
}

/// A search of one partition.
package struct PartitionSearch: Sendable {
    package var parameters: SearchParameters
    /// A face that must not be found: the probe's own.
    package var excludedFace: FaceID?
    /// Unit vectors of the collection's dimension.
    package var probes: EmbeddingMatrix
    /// Faces that expire at or before this moment are not found.
    package var now: Timestamp
    /// Share of the collection that the partition holds, in (0, 1]: of the collection's best candidates, only that
    /// share is to be expected here.
    package var collectionShare = 1.0
    /// What the matches may take; nil for whatever they take.
    package var answerBound: AnswerBound?

    package init(parameters: SearchParameters, excludedFace: FaceID?, probes: EmbeddingMatrix, now: Timestamp) {
        self.parameters = parameters
        self.excludedFace = excludedFace
        self.probes = probes
        self.now = now
    }
}

package struct PartitionSearchAnswer: Sendable {
    /// Per probe, best first.
    package var matches: [[Match]]
    package var faceCount: UInt64
    /// Faces that the visited part stands for, over probes: `faceCount` unless the search was stopped.
    package var facesAnswered: UInt64
    /// Rows compared, by code or in full, summed over probes.
    package var rowsVisited: UInt64
    /// Lists visited, summed over probes.
    package var listsVisited: UInt64
    /// Rows whose stored embeddings were compared because their codes or roundings promised a match,
    /// summed over probes.
    package var rowsReranked: UInt64
    /// Oldest codebook generation whose codes were scanned; 0 when every embedding was compared.
    package var generation: UInt32
    /// Share of the mates that the visited lists were chosen to find, by the calibration: above what was asked for
    /// where the calibration had to be corrected. Nil when another effort chose, or every embedding was compared.
    package var recallTarget: Double?
    /// Rows whose faces were looked up for the matches in the end, summed over probes: however many rows are equally
    /// similar, a few more than there are matches.
    package var rowsKept: UInt64 = 0
    package var stages = SearchStages()

    package init(
        matches: [[Match]],
        faceCount: UInt64,
        facesAnswered: UInt64,
        rowsVisited: UInt64,
        listsVisited: UInt64,
        rowsReranked: UInt64,
        generation: UInt32
    ) {
        self.matches = matches
        self.faceCount = faceCount
        self.facesAnswered = facesAnswered
        self.rowsVisited = rowsVisited
        self.listsVisited = listsVisited
        self.rowsReranked = rowsReranked
        self.generation = generation
    }
}

/// A partition in numbers.
package struct PartitionStatistics: Hashable, Sendable {
    package var faceCount: UInt64
    /// Rows not yet in a run of codes, dead ones among them.
    package var freshCount: UInt64
    /// Dead rows that are still in a run or fresh.
    package var tombstoneCount: UInt64
    package var sequence: UInt64
    /// Of the last entry applied, or the last write.
    package var epoch: UInt64
    /// Bytes of the environment's file that were ever used.
    package var diskByteCount: UInt64
    /// Newest codebook generation installed; 0 for none.
    package var generation: UInt32
    /// Generation that still has codes beside the newest; 0 for none.
    package var olderGeneration: UInt32
    /// Its rows that wait to be coded again.
    package var olderRowCount: UInt64
    /// How well the newest codebook fits what came after it; nil without one.
    package var fit: CodebookFit?
    package var runCount: Int
    /// Blocks that the runs' codes lie in.
    package var codeChunkCount: Int
    /// Bytes of memory that codebooks, and what is known of filters and of expired faces, take.
    package var codebookByteCount: Int
    package var filterByteCount: Int
    /// Bytes of the codes that a full scan reads.
    package var codeByteCount: UInt64
    /// Bytes of the stored embeddings of full chunks, and of the same rounded.
    package var rowByteCount: UInt64
    /// Bytes of the stored embeddings of fresh rows.
    package var freshByteCount: UInt64
    /// Row ids that were given out, of 2^32: none is used again.
    package var rowIDCount: UInt64

    package init(
        faceCount: UInt64,
        freshCount: UInt64,
        tombstoneCount: UInt64,
        sequence: UInt64,
        epoch: UInt64,
        diskByteCount: UInt64,
        generation: UInt32,
        olderGeneration: UInt32,
        olderRowCount: UInt64,
        fit: CodebookFit?,
        runCount: Int,
        codeChunkCount: Int = 0,
        codebookByteCount: Int = 0,
        filterByteCount: Int = 0,
        codeByteCount: UInt64,
        rowByteCount: UInt64,
        freshByteCount: UInt64 = 0,
        rowIDCount: UInt64 = 0
    ) {
        self.faceCount = faceCount
        self.freshCount = freshCount
        self.tombstoneCount = tombstoneCount
        self.sequence = sequence
        self.epoch = epoch
        self.diskByteCount = diskByteCount
        self.generation = generation
        self.olderGeneration = olderGeneration
        self.olderRowCount = olderRowCount
        self.fit = fit
        self.runCount = runCount
        self.codeChunkCount = codeChunkCount
        self.codebookByteCount = codebookByteCount
        self.filterByteCount = filterByteCount
        self.codeByteCount = codeByteCount
        self.rowByteCount = rowByteCount
        self.freshByteCount = freshByteCount
        self.rowIDCount = rowIDCount
    }
}

/// What a partition's file has of pages.
package struct PartitionFileUse: Hashable, Sendable {
    /// Bytes of pages that were ever used; the file does not shrink.
    package var usedByteCount: Int
    /// Bytes of pages among them that later commits may take.
    package var freeByteCount: Int
    /// Most bytes that the file may have.
    package var mapByteCount: Int
    /// Commits that the oldest read transaction is behind; pages freed since cannot be taken.
    package var oldestReaderLag: UInt64

    /// Bytes of pages that hold something: what a copy has.
    package var liveByteCount: Int { usedByteCount - freeByteCount }

    package init(usedByteCount: Int, freeByteCount: Int, mapByteCount: Int = 0, oldestReaderLag: UInt64 = 0) {
        self.usedByteCount = usedByteCount
        self.freeByteCount = freeByteCount
        self.mapByteCount = mapByteCount
        self.oldestReaderLag = oldestReaderLag
    }
}
