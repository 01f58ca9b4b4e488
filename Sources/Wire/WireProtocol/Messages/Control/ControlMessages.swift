package import ClusterModel
package import FaceModel

/// What a worker says of itself with every heartbeat.
package struct WorkerReport: Hashable, Sendable {
    package enum ReplicaState: UInt8, CaseIterable, Sendable {
        /// Can move to: `serving`, `failed`.
        case opening = 1
        /// Can move to: `failed`.
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
        /// Version of its group that it goes by; 0 when it has not heard of one.
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

package struct HeartbeatReply: Hashable, Sendable {
    /// Where a coordinator or a worker is.
    package struct Node: Hashable, Sendable {
        package var id: NodeID
        package var address: NodeAddress

        package init(id: NodeID, address: NodeAddress) {
            self.id = id
            self.address = address
        }
    }

    package var clusterID: NodeID
    package var epoch: Epoch
    /// The one that replies.
    package var coordinator: NodeID
    /// Of the records that this reply is made from; of two replies the one with the higher revision is newer.
    package var revision: UInt64
    /// All that are there, as far as the records tell; empty where there is only one.
    package var coordinators: [Node]
    /// The groups of all shards that the worker is a member of.
    package var groups: [ShardGroup]
    /// Where the members of these groups are.
    package var workers: [Node]
    /// How old the records may be that this reply is made from, in microseconds: nothing in them was different that
    /// much before the heartbeat came.
    package var recordAge: UInt64
    /// Collections whose codebook is not to be worked at for now: neither trained, nor rows coded again by it.
    package var heldCollections: [CollectionID]
    /// Of a coordinator whose store nobody else can change: made anew at each of its starts. Two that are there at once
    /// have copies of one store. Nil where several coordinators share a store.
    package var run: NodeID?

    package init(
        clusterID: NodeID,
        epoch: Epoch,
        coordinator: NodeID,
        revision: UInt64 = 0,
        coordinators: [Node] = [],
        groups: [ShardGroup] = [],
        workers: [Node] = [],
        recordAge: UInt64 = .max,
        heldCollections: [CollectionID] = [],
        run: NodeID? = nil
    ) {
        self.clusterID = clusterID
        self.epoch = epoch
        self.coordinator = coordinator
        self.revision = revision
        self.coordinators = coordinators
        self.groups = groups
        self.workers = workers
        self.recordAge = recordAge
        self.heldCollections = heldCollections
        self.run = run
    }
}

/// The replicas of one shard, as the metadata store has them.
package struct ShardGroup: Hashable, Sendable {
    package var shard: ShardID
    package var group: ReplicaGroup

    package init(shard: ShardID, group: ReplicaGroup) {
        self.shard = shard
        self.group = group
    }
}

/// Worker → coordinator: a replica asks for a change of its group. Answered by the group as it is then, whether the
/// change was made or not.
package struct ProposeGroup: Hashable, Sendable {
    package var shard: ShardID
    package var proposal: GroupProposal

    package init(shard: ShardID, proposal: GroupProposal) {
        self.shard = shard
        self.proposal = proposal
    }
}

/// Coordinator → worker: host a replica of this group. Idempotent; a higher version replaces a lower one.
package struct HostReplica: Hashable, Sendable {
    package var shard: ShardID
    package var range: HashRange
    package var collection: Collection
    package var erasureKey: ErasureKey
    package var group: ReplicaGroup
    /// Whether an empty replica may be made where there is none: not of one that counts as having every face.
    package var mayBegin: Bool

    /// - Parameter erasureKey: nil for that of a collection from before there were keys.
    package init(
        shard: ShardID,
        range: HashRange,
        collection: Collection,
        erasureKey: ErasureKey? = nil,
        group: ReplicaGroup,
        mayBegin: Bool = true
    ) {
        self.shard = shard
        self.group = group
        self.mayBegin = mayBegin
        self.range = range
        self.collection = collection
        self.erasureKey = erasureKey ?? ErasureKey(of: collection.id)
    }
}

/// Coordinator → worker: remove the replica and its files. Idempotent.
package struct DropReplica: Hashable, Sendable {
    package var shard: ShardID
    package var epoch: Epoch

    package init(shard: ShardID, epoch: Epoch) {
        self.shard = shard
        self.epoch = epoch
    }
}

/// Coordinator → worker: make a shard that is to take the place of others, from their replicas on the worker, and
/// follow what is written to them. Idempotent.
package struct PrepareSuccessor: Hashable, Sendable {
    package static let sourceLimit = 16

    package var shard: ShardID
    /// Faces whose places are in it come over.
    package var range: HashRange
    package var collection: Collection
    package var erasureKey: ErasureKey
    /// Shards of the collection that it is made from; one at least.
    package var sources: [UInt32]

    package init(
        shard: ShardID,
        range: HashRange,
        collection: Collection,
        erasureKey: ErasureKey,
        sources: [UInt32]
    ) {
        self.shard = shard
        self.range = range
        self.collection = collection
        self.erasureKey = erasureKey
        self.sources = sources
    }
}

/// Coordinator → worker: give up the training of a codebook, or forget what came of it. Idempotent; replicas that use
/// the codebook keep it.
package struct AbandonTraining: Hashable, Sendable {
    package var collection: CollectionID
    package var generation: UInt32

    package init(collection: CollectionID, generation: UInt32) {
        self.collection = collection
        self.generation = generation
    }
}

/// Coordinator → worker: remove what was made of a shard that does not take the place of others. Idempotent; a replica
/// that serves is refused.
package struct AbandonSuccessor: Hashable, Sendable {
    package var shard: ShardID

    package init(shard: ShardID) {
        self.shard = shard
    }
}

/// Coordinator → worker: read all of a replica, verify every checksum, and hold what its tables say against each other.
/// Takes about a second for each GB. A replica that is damaged leaves service.
package struct VerifyReplica: Hashable, Sendable {
    package var shard: ShardID

    package init(shard: ShardID) {
        self.shard = shard
    }
}

/// Answer to ``VerifyReplica``.
package struct ReplicaVerified: Hashable, Sendable {
    package static let sliceCount = 256

    /// Of the last write that it holds.
    package var sequence: UInt64
    package var faceCount: UInt64
    /// Sums over the faces of each of 256 slices of the ring, equal on replicas at one sequence; empty when damaged.
    package var slices: [UInt128]
    /// The first damage found, as a sentence; nil when there is none.
    package var damage: String?

    package init(sequence: UInt64, faceCount: UInt64, slices: [UInt128], damage: String?) {
        self.sequence = sequence
        self.faceCount = faceCount
        self.slices = slices
        self.damage = damage
    }
}

/// Coordinator → worker: train a codebook on samples of these shards. Answered at once; ``WorkerReport/Training`` tells
/// the rest.
package struct TrainCodebook: Hashable, Sendable {
    package struct Source: Hashable, Sendable {
        package var shard: ShardID
        package var epoch: Epoch
        package var address: NodeAddress
        /// Rows to sample from it.
        package var sampleCount: UInt32

        package init(shard: ShardID, epoch: Epoch, address: NodeAddress, sampleCount: UInt32) {
            self.shard = shard
            self.epoch = epoch
            self.address = address
            self.sampleCount = sampleCount
        }
    }

    package var collection: Collection
    package var generation: UInt32
    /// Inverted lists wanted; 0 lets the worker choose from the sample's size.
    package var listCount: UInt32
    package var sources: [Source]

    package init(collection: Collection, generation: UInt32, listCount: UInt32, sources: [Source]) {
        self.collection = collection
        self.generation = generation
        self.listCount = listCount
        self.sources = sources
    }
}

/// Reads a slice of a trained codebook's bytes.
package struct FetchCodebook: Hashable, Sendable {
    package var collection: CollectionID
    package var generation: UInt32
    package var offset: UInt64

    package init(collection: CollectionID, generation: UInt32, offset: UInt64) {
        self.collection = collection
        self.generation = generation
        self.offset = offset
    }
}

/// A slice of a codebook's bytes, at most 4 MiB.
package struct CodebookSlice: Hashable, Sendable {
    package var totalByteCount: UInt64
    package var offset: UInt64
    package var bytes: [UInt8]

    package init(totalByteCount: UInt64, offset: UInt64, bytes: [UInt8]) {
        self.totalByteCount = totalByteCount
        self.offset = offset
        self.bytes = bytes
    }
}

/// Answer to ``FetchCodebook``: the slice, and what people may know of the codebook.
package struct CodebookFetched: Hashable, Sendable {
    package var slice: CodebookSlice
    package var summary: CollectionDescription.Codebook

    package init(slice: CodebookSlice, summary: CollectionDescription.Codebook) {
        self.slice = slice
        self.summary = summary
    }
}

/// Coordinator → worker: store this slice; the codebook is installed in the replica when its last slice has come and
/// its SHA-256 is right.
package struct InstallCodebook: Hashable, Sendable {
    package var shard: ShardID
    package var epoch: Epoch
    package var generation: UInt32
    /// SHA-256 of the whole codebook: 32 bytes.
    package var digest: [UInt8]
    package var slice: CodebookSlice

    package init(shard: ShardID, epoch: Epoch, generation: UInt32, digest: [UInt8], slice: CodebookSlice) {
        self.shard = shard
        self.epoch = epoch
        self.generation = generation
        self.digest = digest
        self.slice = slice
    }
}

/// Worker → worker: a random sample of a shard's embeddings, for training.
package struct SampleEmbeddings: Hashable, Sendable {
    package var route: ShardRoute
    /// Rows wanted: 1–4096 a call.
    package var count: UInt32
    package var seed: UInt64

    package init(route: ShardRoute, count: UInt32, seed: UInt64) {
        self.route = route
        self.count = count
        self.seed = seed
    }
}

package struct EmbeddingSample: Sendable {
    package var embeddings: EmbeddingMatrix

    package init(embeddings: EmbeddingMatrix) {
        self.embeddings = embeddings
    }
}
