package import ClusterModel
package import FaceModel

/// What is known of a collection, for people and programs.
package struct CollectionDescription: Hashable, Sendable {
    package enum ShardState: UInt8, CaseIterable, Sendable {
        /// No live worker holds a replica that has every face.
        case missing = 0
        /// Searches and writes are answered.
        case serving = 1
        /// A live worker holds it, and none takes writes for it yet.
        case opening = 2
        /// Every such replica is out of service on its live worker, whose log says why.
        case failed = 3
    }

    /// One replica of a shard.
    package struct Replica: Hashable, Sendable {
        package var worker: NodeID
        /// Whether it is the one that is to order writes.
        package var isPrimary: Bool
        /// Whether it has every acknowledged write.
        package var isInSync: Bool
        /// What it is able to do, by its worker's last report.
        package var role: WorkerReport.ReplicaRole
        package var state: ShardState
        /// Sequence that it has applied, by its worker's last report.
        package var sequence: UInt64

        package init(
            worker: NodeID,
            isPrimary: Bool,
            isInSync: Bool,
            role: WorkerReport.ReplicaRole,
            state: ShardState,
            sequence: UInt64
        ) {
            self.worker = worker
            self.isPrimary = isPrimary
            self.isInSync = isInSync
            self.role = role
            self.state = state
            self.sequence = sequence
        }
    }

    /// One shard of the collection as the coordinator last heard of it.
    package struct Shard: Hashable, Sendable {
        package var index: UInt32
        package var range: HashRange
        /// Worker that orders its writes; nil while none does.
        package var worker: NodeID?
        package var state: ShardState
        package var faceCount: UInt64
        /// Faces not yet in a run of codes.
        package var freshCount: UInt64
        /// Dead rows that compaction has not dropped yet.
        package var tombstoneCount: UInt64
        package var sequence: UInt64
        /// Newest codebook generation installed; 0 for none.
        package var generation: UInt32
        /// Generation that still has codes beside the newest; 0 for none.
        package var olderGeneration: UInt32
        /// Its rows that wait to be coded again.
        package var olderRowCount: UInt64
        /// Ascending by worker.
        package var replicas: [Replica]

        package init(
            index: UInt32,
            range: HashRange,
            worker: NodeID?,
            state: ShardState,
            faceCount: UInt64,
            freshCount: UInt64,
            tombstoneCount: UInt64,
            sequence: UInt64,
            generation: UInt32 = 0,
            olderGeneration: UInt32 = 0,
            olderRowCount: UInt64 = 0,
            replicas: [Replica] = []
        ) {
            self.index = index
            self.range = range
            self.worker = worker
            self.state = state
            self.faceCount = faceCount
            self.freshCount = freshCount
            self.tombstoneCount = tombstoneCount
            self.sequence = sequence
            self.generation = generation
            self.olderGeneration = olderGeneration
            self.olderRowCount = olderRowCount
            self.replicas = replicas
        }
    }

    /// The newest codebook.
    package struct Codebook: Hashable, Sendable {
        package var generation: UInt32
        /// Components that are coded, of the collection's dimension.
        package var codedDimension: Int
        package var codeByteCount: Int
        package var listCount: Int
        /// Share of the sample's energy that the coded components hold, 0…1.
        package var energyShare: Float
        package var sampleCount: UInt32
        /// Searches that the calibration was measured with.
        package var calibrationProbeCount: UInt32
        /// Rows to visit (share of the collection, 0…1) for each recall target of mates at or above a similarity;
        /// ascending by similarity, then by target.
        package var calibration: [CalibrationPoint]

        package init(
            generation: UInt32,
            codedDimension: Int,
            codeByteCount: Int,
            listCount: Int,
            energyShare: Float,
            sampleCount: UInt32,
            calibrationProbeCount: UInt32,
            calibration: [CalibrationPoint]
        ) {
            self.generation = generation
            self.codedDimension = codedDimension
            self.codeByteCount = codeByteCount
            self.listCount = listCount
            self.energyShare = energyShare
            self.sampleCount = sampleCount
            self.calibrationProbeCount = calibrationProbeCount
            self.calibration = calibration
        }
    }

    package enum TrainingState: UInt8, CaseIterable, Sendable {
        /// Too few faces: searches compare every embedding.
        case notNeeded = 0
        case running = 1
        case trained = 2
    }

    package struct CodebookStanding: Hashable, Sendable {
        package var origin: CodebookOrigin
        package var fit: CodebookFit

        package init(origin: CodebookOrigin, fit: CodebookFit) {
            self.origin = origin
            self.fit = fit
        }
    }

    /// The training under way.
    package struct Training: Hashable, Sendable {
        /// Of the codebook that it makes.
        package var generation: UInt32
        package var worker: NodeID
        package var progress: WorkerReport.Training.Progress

        package init(generation: UInt32, worker: NodeID, progress: WorkerReport.Training.Progress) {
            self.generation = generation
            self.worker = worker
            self.progress = progress
        }
    }

    package var collection: Collection
    package var shards: [Shard]
    package var training: TrainingState
    package var codebook: Codebook?
    /// Where the codebook comes from, and how well it fits what came after it; nil without one.
    package var standing: CodebookStanding?
    /// Nil while no worker says that it trains.
    package var trainingUnderWay: Training?
    /// Name of the backup whose faces are being put into it; nil for one that serves.
    package var restoredFrom: String?

    package init(
        collection: Collection,
        shards: [Shard],
        training: TrainingState,
        codebook: Codebook?,
        standing: CodebookStanding? = nil,
        trainingUnderWay: Training? = nil,
        restoredFrom: String? = nil
    ) {
        self.collection = collection
        self.shards = shards
        self.training = training
        self.codebook = codebook
        self.standing = standing
        self.trainingUnderWay = trainingUnderWay
        self.restoredFrom = restoredFrom
    }

    /// Exact only while every shard's worker is live.
    package var faceCount: UInt64 { shards.reduce(0) { $0 + $1.faceCount } }
}

package struct CreateCollection: Hashable, Sendable {
    package var configuration: CollectionConfiguration

    package init(configuration: CollectionConfiguration) {
        self.configuration = configuration
    }
}

package struct DescribeCollection: Hashable, Sendable {
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

package struct ListCollections: Hashable, Sendable {
    package init() {}
}

package struct CollectionList: Hashable, Sendable {
    package var collections: [CollectionDescription]

    package init(collections: [CollectionDescription]) {
        self.collections = collections
    }
}

package struct DeleteCollection: Hashable, Sendable {
    package var name: String
    /// The collection that is meant: another one that has its name by then is left alone. Nil for whichever has it,
    /// from a build that does not tell.
    package var id: CollectionID?

    package init(name: String, id: CollectionID? = nil) {
        self.name = name
        self.id = id
    }
}

package struct CollectionDeleted: Hashable, Sendable {
    /// A worker that has, or may have, a replica of the collection yet.
    package struct Worker: Hashable, Sendable {
        package var id: NodeID
        /// Nil when none is known.
        package var address: NodeAddress?

        package init(id: NodeID, address: NodeAddress?) {
            self.id = id
            self.address = address
        }
    }

    /// Faces it held, as last known.
    package var faceCount: UInt64
    /// Workers that have not said that they dropped what they have of it: a coordinator that is cut off from the
    /// metadata store may go on answering from them.
    package var unconfirmed: [Worker]

    package init(faceCount: UInt64, unconfirmed: [Worker] = []) {
        self.faceCount = faceCount
        self.unconfirmed = unconfirmed
    }
}
