package import ClusterModel
package import FaceModel

/// What a worker says of itself with every heartbeat.
package struct WorkerReport: Hashable, Sendable {
    package enum ReplicaState: UInt8, CaseIterable, Sendable {
        /// Also of one that was closed, to be opened again or to be removed. Can move to: `serving`, `failed`.
        case opening = 1
        /// Can move to: `opening`, `failed`.
        case serving = 2
        /// A check or the disk failed; the replica answers nothing. Can move to: `opening`.
        case failed = 3
    }

    /// What a replica is able to do at the moment.
    package enum ReplicaRole: UInt8, CaseIterable, Sendable {
        /// Answers neither searches nor writes: it catches up, or knows of no group that confirms it.
        case waiting = 0
        /// Answers searches.
        case secondary = 1
        /// Answers searches and orders writes.
        case primary = 2
    }

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

        package init(worker: NodeID, sentByteCount: UInt64, totalByteCount: UInt64) {
            self.worker = worker
            self.sentByteCount = sentByteCount
            self.totalByteCount = totalByteCount
        }
    }

    /// Why the last attempt at such a copy failed: it goes with the ``Heartbeat``, behind the report.
    package struct CopyRefusal: Hashable, Sendable {
        package static let reasonLimit = 1024

        package var shard: ShardID
        package var worker: NodeID
        /// As a sentence.
        package var reason: String

        package init(shard: ShardID, worker: NodeID, reason: String) {
            self.shard = shard
            self.worker = worker
            self.reason = reason
        }
    }

    /// What searches of a replica have cost since its worker's process began to hold it. It goes with the
    /// ``Heartbeat``, behind the report.
    package struct SearchedRows: Hashable, Sendable {
        package var shard: ShardID
        /// Rows that were compared, each search and each match counted as some.
        package var rowCount: UInt64

        package init(shard: ShardID, rowCount: UInt64) {
            self.shard = shard
            self.rowCount = rowCount
        }
    }

    /// An epoch below which a replica acknowledges nothing, above the one that it goes by: it was promised to a primary
    /// before a restart, or by a group that this worker has yet to be told. It goes with the ``Heartbeat``, behind the
    /// report.
    package struct PromisedEpoch: Hashable, Sendable {
        package var shard: ShardID
        package var epoch: Epoch

        package init(shard: ShardID, epoch: Epoch) {
            self.shard = shard
            self.epoch = epoch
        }
    }

    /// Epoch of the last entry that a replica has applied. What it has of an earlier one may have been given up since.
    /// It goes with the ``Heartbeat``, behind the report.
    package struct AppliedEpoch: Hashable, Sendable {
        package var shard: ShardID
        package var epoch: Epoch

        package init(shard: ShardID, epoch: Epoch) {
            self.shard = shard
            self.epoch = epoch
        }
    }

    /// Where a primary that orders no writes any more has ended.
    package struct End: Hashable, Sendable {
        /// Of the group by which it orders none.
        package var groupVersion: UInt64
        /// Of the last write that it ordered; everything is applied through it.
        package var sequence: UInt64

        package init(groupVersion: UInt64, sequence: UInt64) {
            self.groupVersion = groupVersion
            self.sequence = sequence
        }
    }

    /// A shard that is to take the place of others, made on this worker from their replicas.
    package struct Successor: Hashable, Sendable {
        package enum State: UInt8, CaseIterable, Sendable {
            /// Rows come over. Can move to: `following`, `failed`.
            case copying = 1
            /// All rows are there, and changes come over. Can move to: `sealed`, `failed`, `copying`.
            case following = 2
            /// Everything is there, durably, through ``sources``. Can move to: `following`.
            case sealed = 3
            /// It is tried again. Can move to: `copying`.
            case failed = 4
        }

        /// A shard that it is made from, and the sequence through which everything of it is there.
        package struct Source: Hashable, Sendable {
            package var shardIndex: UInt32
            package var sequence: UInt64

            package init(shardIndex: UInt32, sequence: UInt64) {
                self.shardIndex = shardIndex
                self.sequence = sequence
            }
        }

        package var shard: ShardID
        package var state: State
        package var rowCount: UInt64
        /// Rows of the replicas that it is made from.
        package var totalRowCount: UInt64
        /// Of the disk that it takes, beside the replicas that it is made from.
        package var diskByteCount: UInt64
        /// Empty unless it is sealed.
        package var sources: [Source]
        /// Why it failed, as a sentence; empty unless it has.
        package var failure: String

        package init(
            shard: ShardID,
            state: State,
            rowCount: UInt64 = 0,
            totalRowCount: UInt64 = 0,
            diskByteCount: UInt64 = 0,
            sources: [Source] = [],
            failure: String = ""
        ) {
            self.shard = shard
            self.state = state
            self.rowCount = rowCount
            self.totalRowCount = totalRowCount
            self.diskByteCount = diskByteCount
            self.sources = sources
            self.failure = failure
        }
    }

    package struct Replica: Hashable, Sendable {
        package var shard: ShardID
        package var epoch: Epoch
        /// Version of its group that it goes by, or, before it has heard of one, went by before a restart; 0 when it
        /// knows of none.
        package var groupVersion: UInt64
        package var role: ReplicaRole
        package var state: ReplicaState
        package var faceCount: UInt64
        package var freshCount: UInt64
        package var tombstoneCount: UInt64
        package var sequence: UInt64
        /// Bytes of the replica's files.
        package var diskByteCount: UInt64
        /// Newest codebook generation installed; 0 for none.
        package var generation: UInt32
        /// Generation that still has codes beside the newest; 0 for none.
        package var olderGeneration: UInt32
        /// Its rows that wait to be coded again.
        package var olderRowCount: UInt64
        /// Of the newest codebook to what came after it.
        package var fit: CodebookFit
        /// What the replica held at the last checkpoint of its log; nil before one. Replicas at one sequence have one
        /// digest.
        package var checkpoint: Checkpoint?
        /// That it sends.
        package var copies: [Copy]
        /// Nil while writes are ordered, or wait to be finished.
        package var end: End?
        /// Share of what its searches read that is in memory: ``MappedMemory/warmth``.
        package var warmth: Float

        package init(
            shard: ShardID,
            epoch: Epoch,
            groupVersion: UInt64 = 0,
            role: ReplicaRole = .waiting,
            state: ReplicaState,
            faceCount: UInt64,
            freshCount: UInt64,
            tombstoneCount: UInt64,
            sequence: UInt64,
            diskByteCount: UInt64,
            generation: UInt32,
            olderGeneration: UInt32 = 0,
            olderRowCount: UInt64 = 0,
            fit: CodebookFit = .unknown,
            checkpoint: Checkpoint? = nil,
            copies: [Copy] = [],
            end: End? = nil,
            warmth: Float = 1
        ) {
            self.shard = shard
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
        }
    }

    /// A codebook training on this worker.
    package struct Training: Hashable, Sendable {
        /// How far a training under way is.
        package struct Progress: Hashable, Sendable {
            package var stage: TrainingProgress.Stage
            /// Share of the stage that is done, 0…1.
            package var share: Float
            /// Time since the training began.
            package var elapsedMilliseconds: UInt64

            package init(stage: TrainingProgress.Stage, share: Float, elapsedMilliseconds: UInt64) {
                self.stage = stage
                self.share = share
                self.elapsedMilliseconds = elapsedMilliseconds
            }
        }

        package var collection: CollectionID
        package var generation: UInt32
        package var isFinished: Bool
        /// Why it failed; nil while it has not.
        package var failure: String?
        /// Nil while it waits for another, and once it has ended.
        package var progress: Progress?

        package init(
            collection: CollectionID,
            generation: UInt32,
            isFinished: Bool,
            failure: String?,
            progress: Progress? = nil
        ) {
            self.collection = collection
            self.generation = generation
            self.isFinished = isFinished
            self.failure = failure
            self.progress = progress
        }
    }

    package var replicas: [Replica]
    package var copyRefusals: [CopyRefusal]
    /// Shards whose replica here has waited for the disk for long, and waits still.
    package var stuckShards: [ShardID]
    /// Of replicas that were searched.
    package var searchedRows: [SearchedRows]
    /// Most bytes of a copy that it sends in a second; 0 when it does not say.
    package var copyBytesPerSecond: UInt64
    /// Of replicas that have promised more than they go by.
    package var promisedEpochs: [PromisedEpoch]
    /// Of replicas that have been read.
    package var appliedEpochs: [AppliedEpoch]
    package var successors: [Successor]
    package var trainings: [Training]
    package var residentByteCount: UInt64
    package var mapped: MappedMemory
    package var freeDiskByteCount: UInt64
    /// Memory that it could hold besides what is held, by its limit, control group and machine; nil when it cannot
    /// tell.
    package var availableMemoryByteCount: UInt64?
    package var memory: MemoryLedger
    /// It is about to stop, and hands over what it can.
    package var isStopping: Bool
    /// Kernel level in use, for people.
    package var kernelLevel: String
    package var activity: NodeActivity

    package init(
        replicas: [Replica] = [],
        copyRefusals: [CopyRefusal] = [],
        stuckShards: [ShardID] = [],
        searchedRows: [SearchedRows] = [],
        copyBytesPerSecond: UInt64 = 0,
        promisedEpochs: [PromisedEpoch] = [],
        appliedEpochs: [AppliedEpoch] = [],
        successors: [Successor] = [],
        trainings: [Training] = [],
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
        self.copyRefusals = copyRefusals
        self.stuckShards = stuckShards
        self.searchedRows = searchedRows
        self.copyBytesPerSecond = copyBytesPerSecond
        self.promisedEpochs = promisedEpochs
        self.appliedEpochs = appliedEpochs
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
}
