package import ClusterModel
package import FaceModel

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
    /// The groups of the shards that the worker is a member of: of all of them, unless ``omitsGroups``.
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
    /// Copies that a paused operation is for: nothing of them is made or sent for now.
    package var heldCopies: [HeldCopy]
    /// Whether the worker may be a member of groups that are not among these: it goes by newer ones than the records
    /// tell.
    package var omitsGroups: Bool

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
        run: NodeID? = nil,
        heldCopies: [HeldCopy] = [],
        omitsGroups: Bool = false
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
        self.heldCopies = heldCopies
        self.omitsGroups = omitsGroups
    }
}

/// A replica that an operation brings to a worker.
package struct HeldCopy: Hashable, Sendable {
    package var shard: ShardID
    package var worker: NodeID

    package init(shard: ShardID, worker: NodeID) {
        self.shard = shard
        self.worker = worker
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
///
/// It may arrive long after it was sent, or decided on: a worker that is a member of a later group refuses it.
package struct DropReplica: Hashable, Sendable {
    package var shard: ShardID
    package var epoch: Epoch
    /// Version of the group that the worker is no member of; 0 of a shard that is gone for good. Nil from a coordinator
    /// that does not say: then what the worker was told last of its groups tells.
    package var groupVersion: UInt64?

    package init(shard: ShardID, epoch: Epoch, groupVersion: UInt64? = 0) {
        self.shard = shard
        self.epoch = epoch
        self.groupVersion = groupVersion
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
    /// Whether one that is whole stays: the shard may yet take its place, and may have when this arrives; so it is from
    /// a coordinator that does not say. False of one that never will.
    package var sparesSealed: Bool

    package init(shard: ShardID, sparesSealed: Bool = false) {
        self.shard = shard
        self.sparesSealed = sparesSealed
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
    /// Rows that all pages of one seed are to have together, about; 0 for a sample of one page.
    package var totalCount: UInt32
    /// Where the page before ended; 0 for the first.
    package var firstRow: UInt32

    package init(route: ShardRoute, count: UInt32, seed: UInt64, totalCount: UInt32 = 0, firstRow: UInt32 = 0) {
        self.route = route
        self.count = count
        self.seed = seed
        self.totalCount = totalCount
        self.firstRow = firstRow
    }
}

package struct EmbeddingSample: Sendable {
    /// Whether another page follows.
    package enum Continuation: Hashable, Sendable {
        /// The sample is of one page, or the worker draws each page by itself.
        case untold
        case from(row: UInt32)
        case end
    }

    package var embeddings: EmbeddingMatrix
    package var continuation: Continuation

    package init(embeddings: EmbeddingMatrix, continuation: Continuation = .untold) {
        self.embeddings = embeddings
        self.continuation = continuation
    }
}
