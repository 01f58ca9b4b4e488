import ClusterModel
import FaceModel
import WireProtocol

/// What is known of a collection.
public struct CollectionInfo: Hashable, Sendable {
    public enum ShardState: String, Hashable, Sendable {
        /// No live worker holds a copy that has every face.
        case missing
        /// Searches and writes are answered.
        case serving
        /// A live worker holds it, and none takes writes for it yet.
        case opening
        /// Every such copy is out of service on its live worker, whose log says why.
        case failed
    }

    /// One copy of a shard, as the coordinator last heard of it.
    public struct Replica: Hashable, Sendable {
        public var workerID: String
        /// Whether it is the one that orders writes.
        public var isPrimary: Bool
        /// Whether it has every acknowledged write; others are catching up.
        public var isInSync: Bool
        /// Whether it says that it answers searches.
        public var answersSearches: Bool
        public var state: ShardState
        /// Number of its last write.
        public var sequence: UInt64
    }

    /// One shard, as the coordinator last heard of it.
    public struct Shard: Hashable, Sendable {
        public var index: Int
        /// Identity of the worker that orders its writes; nil while none does.
        public var workerID: String?
        public var state: ShardState
        public var faceCount: UInt64
        /// Faces that the index does not hold yet; searches find them all the same.
        public var freshCount: UInt64
        /// Deleted or replaced rows still on disk.
        public var tombstoneCount: UInt64
        /// Newest codebook generation that it uses; 0 for none.
        public var generation: Int
        /// Generation that still has codes beside the newest; 0 for none.
        public var olderGeneration: Int
        /// Its rows that wait to be coded again.
        public var olderRowCount: UInt64
        /// Its copies, in order of their workers.
        public var replicas: [Replica]

        /// Copies that have every acknowledged write and whose worker is there.
        public var inSyncCount: Int { replicas.count { $0.isInSync && $0.state == .serving } }

        /// Writes that a copy is behind the one that is furthest.
        public func lag(of replica: Replica) -> UInt64 {
            (replicas.map(\.sequence).max() ?? replica.sequence) - replica.sequence
        }
    }

    public enum Training: String, Hashable, Sendable {
        /// Too few faces: searches compare every embedding.
        case notNeeded = "not needed"
        case running
        case trained
    }

    /// Where the codebook comes from, and how well it fits what came after it.
    public struct CodebookStanding: Hashable, Sendable {
        public enum Cause: String, Hashable, Sendable {
            /// The collection had become large enough for its first.
            case first
            /// It had grown by a multiple.
            case growth
            /// The coded components held less of the recent faces' energy.
            case energy
            /// Lists had become uneven.
            case imbalance
            /// Searches missed more mates than its calibration promised.
            case recall
            /// Somebody asked for it.
            case request
        }

        public var cause: Cause
        /// Faces of the collection when the training was ordered.
        public var faceCount: UInt64
        /// Faces that were coded when they were new.
        public var recentFaceCount: UInt64
        /// Share of the recent faces' energy that the coded components hold, over the same share of the sample.
        public var energyRatio: Double
        /// Imbalance of the lists, over that of the sample.
        public var imbalanceRatio: Double
        /// How often searches that were checked against exact ones found their mates, the mates of a probe counted as
        /// one. Each shard tells of those that asked for about the recall whose promise is broken worst there, or while
        /// none is, for about the default's, or where none of these was checked, for about the one that was checked
        /// most. Nil while none was checked.
        public var liveRecall: RecallEstimate?
        /// How many times as many mates those searches missed as the calibration promised, at least that many with 99 %
        /// confidence; 1 when there were no more. In each shard, searches that ask for about that recall aim higher.
        public var missRatio: Double
    }

    /// The training under way.
    public struct TrainingUnderWay: Hashable, Sendable {
        public enum Stage: String, Hashable, Sendable {
            /// Faces are being drawn from the shards.
            case sampling
            case principalComponents = "principal components"
            case centroids
            case calibration
        }

        /// Of the codebook that it makes.
        public var generation: Int
        public var workerID: String
        public var stage: Stage
        /// Share of the stage that is done, 0…1.
        public var share: Double
        /// Time since it began.
        public var elapsed: Duration
    }

    /// What the index learnt of the collection's faces.
    public struct Codebook: Hashable, Sendable {
        /// How much of the collection a search visits for a recall target.
        public struct CalibrationPoint: Hashable, Sendable {
            /// Of the mates at or above this similarity.
            public var leastSimilarity: Double
            /// Share of the mates found, 0…1.
            public var recall: Double
            /// Share of the collection visited, 0…1.
            public var visitedShare: Double
        }

        public var generation: Int
        /// Components that are coded, of the collection's dimension.
        public var codedDimension: Int
        public var codeByteCount: Int
        public var listCount: Int
        /// Share of the sample's energy that the coded components hold, 0…1.
        public var energyShare: Double
        public var sampleCount: Int
        /// Searches that the calibration was measured with.
        public var calibrationProbeCount: Int
        /// Ascending by similarity, then by recall; the last of each similarity visits everything.
        public var calibration: [CalibrationPoint]
    }

    public var id: String
    public var options: CollectionOptions
    public var created: Face.Timestamp
    /// In order of their place in the collection.
    public var shards: [Shard]
    public var training: Training
    public var codebook: Codebook?
    /// Nil without a codebook.
    public var standing: CodebookStanding?
    /// Nil while no worker trains.
    public var trainingUnderWay: TrainingUnderWay?
    /// Name of the backup whose faces are being put into it; until they all are it answers no search. Nil for one that
    /// serves.
    public var restoredFrom: String?

    /// Exact only while every shard's worker is live.
    public var faceCount: UInt64 { shards.reduce(0) { $0 &+ $1.faceCount } }
    public var freshCount: UInt64 { shards.reduce(0) { $0 &+ $1.freshCount } }

    init(_ description: CollectionDescription) {
        id = description.collection.id.description
        options = CollectionOptions(description.collection.configuration)
        created = Face.Timestamp(millisecondsSince1970: description.collection.created.milliseconds)
        shards = description.shards.map {
            Shard(
                index: Int($0.index),
                workerID: $0.worker?.description,
                state: ShardState($0.state),
                faceCount: $0.faceCount,
                freshCount: $0.freshCount,
                tombstoneCount: $0.tombstoneCount,
                generation: Int($0.generation),
                olderGeneration: Int($0.olderGeneration),
                olderRowCount: $0.olderRowCount,
                replicas: $0.replicas.map {
                    Replica(
                        workerID: $0.worker.description,
                        isPrimary: $0.isPrimary,
                        isInSync: $0.isInSync,
                        answersSearches: $0.role != .waiting,
                        state: ShardState($0.state),
                        sequence: $0.sequence
                    )
                }
            )
        }
        training =
            switch description.training {
            case .notNeeded: .notNeeded
            case .running: .running
            case .trained: .trained
            }
        codebook = description.codebook.map {
            Codebook(
                generation: Int($0.generation),
                codedDimension: $0.codedDimension,
                codeByteCount: $0.codeByteCount,
                listCount: $0.listCount,
                energyShare: Double($0.energyShare),
                sampleCount: Int($0.sampleCount),
                calibrationProbeCount: Int($0.calibrationProbeCount),
                calibration: $0.calibration.map {
                    .init(
                        leastSimilarity: Double($0.leastSimilarity),
                        recall: $0.recall,
                        visitedShare: $0.visitedShare
                    )
                }
            )
        }
        standing = description.standing.map {
            CodebookStanding(
                cause: .init($0.origin.cause),
                faceCount: $0.origin.faceCount,
                recentFaceCount: $0.fit.recentRowCount,
                energyRatio: Double($0.fit.energyRatio),
                imbalanceRatio: Double($0.fit.imbalanceRatio),
                liveRecall: $0.fit.recall.recall.map(RecallEstimate.init),
                missRatio: $0.fit.recall.excess
            )
        }
        restoredFrom = description.restoredFrom
        trainingUnderWay = description.trainingUnderWay.map(TrainingUnderWay.init)
    }
}

extension CollectionInfo.TrainingUnderWay {
    init(_ training: CollectionDescription.Training) {
        self.init(
            generation: Int(training.generation),
            workerID: training.worker.description,
            stage: .init(training.progress.stage),
            // In this order of the numbers, that NaN is 0.
            share: Double(min(max(0, training.progress.share), 1)),
            elapsed: .milliseconds(Int64(clamping: training.progress.elapsedMilliseconds))
        )
    }
}

extension CollectionInfo.CodebookStanding.Cause {
    init(_ cause: TrainingCause) {
        self =
            switch cause {
            case .first: .first
            case .growth: .growth
            case .energy: .energy
            case .imbalance: .imbalance
            case .recall: .recall
            case .request: .request
            }
    }
}

extension CollectionInfo.TrainingUnderWay.Stage {
    init(_ stage: TrainingProgress.Stage) {
        self =
            switch stage {
            case .sampling: .sampling
            case .principalComponents: .principalComponents
            case .centroids: .centroids
            case .calibration: .calibration
            }
    }
}

extension CollectionInfo.ShardState {
    init(_ state: CollectionDescription.ShardState) {
        self =
            switch state {
            case .missing: .missing
            case .serving: .serving
            case .opening: .opening
            case .failed: .failed
            }
    }
}
