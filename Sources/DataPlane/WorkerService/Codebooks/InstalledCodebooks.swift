import ClusterModel
import FaceModel
import InvertedFileIndex
import PartitionEngine
import Synchronization
import WireProtocol

/// The codebooks that this worker's replicas use, for a coordinator that has lost one. Reads partitions: for the
/// control thread.
final class InstalledCodebooks: Sendable {
    private let replicas: ReplicaTable
    /// Of the codebook last asked for.
    private let latest = Mutex<(collection: CollectionID, summary: CollectionDescription.Codebook)?>(nil)

    init(replicas: ReplicaTable) {
        self.replicas = replicas
    }

    /// A slice of a codebook; nil when no replica that serves uses it.
    func fetch(_ request: FetchCodebook) throws(WireStatus) -> CodebookFetched? {
        for replica in replicas.all where replica.shard.collection == request.collection {
            // A replica that is out of service is no reason to give up.
            guard let slice = try? slice(of: replica, request, limit: CodebookShelf.sliceByteLimit) else { continue }
            guard !slice.bytes.isEmpty else {
                throw Refusal.invalid(
                    "the codebook has \(slice.byteCount) bytes, and the slice was to begin behind them"
                )
            }
            return CodebookFetched(
                slice: CodebookSlice(
                    totalByteCount: UInt64(slice.byteCount),
                    offset: request.offset,
                    bytes: slice.bytes
                ),
                summary: try summary(of: replica, request)
            )
        }
        return nil
    }

    private func slice(
        of replica: Replica,
        _ request: FetchCodebook,
        limit: Int
    ) throws(WireStatus) -> (bytes: [UInt8], byteCount: Int)? {
        try replica.read(.local) { (partition, _) throws(PartitionError) in
            try partition.codebookSlice(
                generation: request.generation,
                offset: Int(clamping: request.offset),
                limit: limit
            )
        }
    }

    private func summary(
        of replica: Replica,
        _ request: FetchCodebook
    ) throws(WireStatus) -> CollectionDescription.Codebook {
        if let latest = latest.withLock({ $0 }), latest.collection == request.collection,
            latest.summary.generation == request.generation
        {
            return latest.summary
        }
        let whole = FetchCodebook(collection: request.collection, generation: request.generation, offset: 0)
        guard let bytes = try slice(of: replica, whole, limit: .max)?.bytes else {
            throw WireStatus(code: .notFound, message: "the codebook has just been replaced")
        }
        let summary: CollectionDescription.Codebook
        do throws(CodebookError) {
            summary = CollectionDescription.Codebook(try Codebook(bytes: bytes))
        } catch {
            throw WireStatus(code: .internalError, message: "an installed codebook cannot be read: \(error)")
        }
        latest.withLock { $0 = (request.collection, summary) }
        return summary
    }
}

extension CollectionDescription.Codebook {
    /// What people may know of a codebook.
    init(_ codebook: Codebook) {
        self.init(
            generation: codebook.generation,
            codedDimension: codebook.plan.codedDimension,
            codeByteCount: codebook.plan.codeByteCount,
            listCount: codebook.listCount,
            energyShare: codebook.energyShare,
            sampleCount: UInt32(clamping: codebook.sampleCount),
            calibrationProbeCount: UInt32(clamping: codebook.calibration.probeCount),
            calibration: codebook.calibration.curves.flatMap { curve in
                (RecallCalibration.targets + [1]).map {
                    CalibrationPoint(
                        leastSimilarity: curve.leastSimilarity,
                        recall: $0,
                        visitedShare: curve.visitedShare(
                            finding: codebook.calibration.demand(forRecall: $0).listRecall
                        )
                    )
                }
            }
        )
    }
}
