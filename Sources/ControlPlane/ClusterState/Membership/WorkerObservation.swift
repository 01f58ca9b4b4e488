package import ClusterModel
package import FaceModel

/// One replica as its worker last reported it.
package struct ReplicaObservation: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// Can move to: `serving`, `failed`.
        case opening
        /// Can move to: `failed`.
        case serving
        /// Out of service; its worker tries to open it again. Can move to: `opening`.
        case failed
    }

    /// What a replica held behind one entry of its log: the same as every other one of its shard.
    package struct Checkpoint: Hashable, Sendable {
        package var sequence: UInt64
        package var digest: UInt64

        package init(sequence: UInt64, digest: UInt64) {
            self.sequence = sequence
            self.digest = digest
        }
    }

    /// A copy that a primary sends to a replica which lacks too much for its log.
    package struct Copy: Hashable, Sendable {
        package var worker: NodeID
        package var sentByteCount: UInt64
        /// 0 while the copy is being made.
        package var totalByteCount: UInt64
        /// Why the last attempt at it failed, as a sentence; nil when none has, or it gets on.
        package var refusal: String?

        package init(worker: NodeID, sentByteCount: UInt64, totalByteCount: UInt64, refusal: String? = nil) {
            self.refusal = refusal
            self.worker = worker
            self.sentByteCount = sentByteCount
            self.totalByteCount = totalByteCount
        }
    }

    package enum Role: Hashable, Sendable {
        /// Answers neither searches nor writes: it catches up, or knows of no group that confirms it.
        case waiting
        /// Answers searches.
        case secondary
        /// Answers searches and orders writes.
        case primary
    }

    /// Where a primary that orders no writes any more has ended: everything that it ordered is applied here.
    package struct End: Hashable, Sendable {
        /// Of the group by which it orders none.
        package var groupVersion: UInt64
        package var sequence: UInt64

        package init(groupVersion: UInt64, sequence: UInt64) {
            self.groupVersion = groupVersion
            self.sequence = sequence
        }
    }

    package var epoch: Epoch
    /// Version of its group that it goes by, or, before it has heard of one, went by before a restart; 0 when it knows
    /// of none.
    package var groupVersion: UInt64
    package var role: Role
    package var state: State
    package var faceCount: UInt64
    package var freshCount: UInt64
    package var tombstoneCount: UInt64
    package var sequence: UInt64
    package var diskByteCount: UInt64
    /// Newest codebook generation installed; 0 for none.
    package var generation: UInt32
    /// Generation that still has codes beside the newest; 0 for none.
    package var olderGeneration: UInt32
    /// Its rows that wait to be coded again.
    package var olderRowCount: UInt64
    /// Of the newest codebook to what came after it.
    package var fit: CodebookFit
    /// The last; nil before one.
    package var checkpoint: Checkpoint?
    /// That it sends.
    package var copies: [Copy]
    /// Nil while writes are ordered, or wait to be finished.
    package var end: End?
    /// Share, 0…1, of what its searches read that is in memory.
    package var warmth: Double
    /// It has waited for its disk for long, and waits still.
    package var isStuck: Bool
    /// Rows that searches of it have compared since its worker began to hold it.
    package var searchedRowCount: UInt64 = 0
    /// Below which it acknowledges nothing; nil where that is the epoch that it goes by, or a lower one.
    package var promisedEpoch: Epoch?
    /// Of the last entry that it has applied; nil where its worker does not say, or nothing is applied.
    package var appliedEpoch: Epoch?

    /// The highest that it has heard of, be it from before a restart.
    package var highestEpoch: Epoch { max(epoch, promisedEpoch ?? epoch) }

    package init(
        epoch: Epoch,
        groupVersion: UInt64 = 0,
        role: Role = .waiting,
        state: State,
        faceCount: UInt64 = 0,
        freshCount: UInt64 = 0,
        tombstoneCount: UInt64 = 0,
        sequence: UInt64 = 0,
        diskByteCount: UInt64 = 0,
        generation: UInt32 = 0,
        olderGeneration: UInt32 = 0,
        olderRowCount: UInt64 = 0,
        fit: CodebookFit = .unknown,
        checkpoint: Checkpoint? = nil,
        copies: [Copy] = [],
        end: End? = nil,
        warmth: Double = 1,
        isStuck: Bool = false
    ) {
        self.epoch = epoch
        self.groupVersion = groupVersion
        self.role = role
        self.state = state
        self.faceCount = faceCount
        self.freshCount = freshCount
        self.tombstoneCount = tombstoneCount
        self.sequence = sequence
        self.diskByteCount = diskByteCount
        self.generation = generation
        self.olderGeneration = olderGeneration
        self.olderRowCount = olderRowCount
        self.fit = fit
        self.checkpoint = checkpoint
        self.copies = copies
        self.end = end
        self.warmth = warmth
        self.isStuck = isStuck
    }
}

/// A shard that is to take the place of others, as the worker that makes it from their replicas last reported it.
package struct SuccessorObservation: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// Rows come over. Can move to: `following`, `failed`.
        case copying
        /// All rows are there, and changes come over. Can move to: `sealed`, `failed`, `copying`.
        case following
        /// Everything is there, durably, through these sequences of the shards that it is made from. Can move to:
        /// `following`.
        case sealed([ShardID: UInt64])
        /// With the reason, as a sentence; it is tried again. Can move to: `copying`.
        case failed(String)

        var isSealed: Bool { if case .sealed = self { true } else { false } }
    }

    package var state: State
    package var rowCount: UInt64
    /// Rows that it is made from.
    package var totalRowCount: UInt64
    package var diskByteCount: UInt64

    package init(state: State, rowCount: UInt64 = 0, totalRowCount: UInt64 = 0, diskByteCount: UInt64 = 0) {
        self.state = state
        self.rowCount = rowCount
        self.totalRowCount = totalRowCount
        self.diskByteCount = diskByteCount
    }
}

/// A codebook training as its worker last reported it.
package struct TrainingObservation: Hashable, Sendable {
    package struct Progress: Hashable, Sendable {
        package var progress: TrainingProgress
        /// Since the training began.
        package var elapsed: Duration

        package init(_ progress: TrainingProgress, elapsed: Duration) {
            self.progress = progress
            self.elapsed = elapsed
        }
    }

    package enum State: Hashable, Sendable {
        /// Can move to: `finished`, `failed`. Without a progress while it waits for another training.
        case running(Progress?)
        case finished
        /// With the reason, as a sentence. Can move to: `running`, by a new order.
        case failed(String)
    }

    package var collection: CollectionID
    package var generation: UInt32
    package var state: State

    package init(collection: CollectionID, generation: UInt32, state: State) {
        self.collection = collection
        self.generation = generation
        self.state = state
    }
}

/// What a worker last said of itself.
package struct WorkerObservation: Hashable, Sendable {
    package var replicas: [ShardID: ReplicaObservation]
    /// Shards that are made to take the place of others.
    package var successors: [ShardID: SuccessorObservation]
    package var trainings: [TrainingObservation]
    package var residentByteCount: UInt64
    package var mapped: MappedMemory
    package var freeDiskByteCount: UInt64
    /// Memory that it could hold besides what is held; nil when it cannot tell.
    package var availableMemoryByteCount: UInt64?
    package var memory: MemoryLedger
    /// It is about to stop, and hands over what it can.
    package var isStopping: Bool
    package var kernelLevel: String
    package var activity: NodeActivity
    /// Most bytes of a copy that it sends in a second; nil when it did not say.
    package var copyBytesPerSecond: UInt64?

    package init(
        replicas: [ShardID: ReplicaObservation] = [:],
        successors: [ShardID: SuccessorObservation] = [:],
        trainings: [TrainingObservation] = [],
        residentByteCount: UInt64 = 0,
        mapped: MappedMemory = MappedMemory(),
        freeDiskByteCount: UInt64 = 0,
        availableMemoryByteCount: UInt64? = nil,
        memory: MemoryLedger = MemoryLedger(),
        isStopping: Bool = false,
        kernelLevel: String = "",
        activity: NodeActivity = NodeActivity()
    ) {
        self.replicas = replicas
        self.successors = successors
        self.trainings = trainings
        self.residentByteCount = residentByteCount
        self.mapped = mapped
        self.freeDiskByteCount = freeDiskByteCount
        self.availableMemoryByteCount = availableMemoryByteCount
        self.memory = memory
        self.isStopping = isStopping
        self.kernelLevel = kernelLevel
        self.activity = activity
    }

    package func training(of collection: CollectionID, generation: UInt32) -> TrainingObservation.State? {
        trainings.last { $0.collection == collection && $0.generation == generation }?.state
    }
}
