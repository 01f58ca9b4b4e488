package import ClusterModel
package import FaceModel

/// What an operator asks the cluster to do about where replicas are, or about a collection's codebook.
package enum OperationOrder: Hashable, Sendable {
    /// - Parameter to: the worker that gets the replica; nil for the one that suits best.
    case move(collection: String, shardIndex: UInt32, from: NodeID, to: NodeID?)
    /// Make the worker's replica the primary.
    case lead(collection: String, shardIndex: UInt32, worker: NodeID)
    /// Move all replicas off the worker and give it no others.
    case drain(NodeID)
    /// As ``drain(_:)``; then the worker is none of the cluster's any more.
    case decommission(NodeID)
    /// Let the worker have replicas again; a drain that is under way is cancelled.
    case recommission(NodeID)
    case copies(collection: String, CopyCount)
    /// Divide replicas and primaries evenly.
    case rebalance
    /// Make two of each of these shards, or of all when none is named.
    case split(collection: String, shardIndices: [UInt32])
    /// Make one of each two of these shards, neighbours on the ring, or of all when none is named.
    case merge(collection: String, shardIndices: [UInt32])
    /// Give the collection its next codebook.
    case train(collection: String)
}

/// Asks what an operation would do; nothing is changed.
package struct PlanOperation: Hashable, Sendable {
    package var order: OperationOrder

    package init(order: OperationOrder) {
        self.order = order
    }
}

/// Answer to ``PlanOperation``.
package struct OperationPlan: Hashable, Sendable {
    /// What would come to a worker, and go from it.
    package struct Load: Hashable, Sendable {
        package var worker: NodeID
        package var incomingByteCount: UInt64
        package var outgoingByteCount: UInt64
        /// Most bytes of disk that it takes on the worker at a time, besides what is there.
        package var peakDiskByteCount: UInt64
        package var freeDiskByteCount: UInt64
        /// Bytes that searches will want to have in memory there, besides what they want now.
        package var memoryByteCount: UInt64

        package init(
            worker: NodeID,
            incomingByteCount: UInt64,
            outgoingByteCount: UInt64,
            peakDiskByteCount: UInt64,
            freeDiskByteCount: UInt64,
            memoryByteCount: UInt64
        ) {
            self.worker = worker
            self.incomingByteCount = incomingByteCount
            self.outgoingByteCount = outgoingByteCount
            self.peakDiskByteCount = peakDiskByteCount
            self.freeDiskByteCount = freeDiskByteCount
            self.memoryByteCount = memoryByteCount
        }
    }

    package var steps: [OperationDescription.Step]
    package var loads: [Load]
    /// Time that copying takes at the rate of the last copies where there were any; the remarks tell that, and how many
    /// copies there are at a time for each worker.
    package var estimatedSeconds: Double
    package var assumedBytesPerSecond: Double
    /// What people should know besides, a sentence each: at most ``remarkLimit``.
    package var remarks: [String]
    /// Other steps have another; 0 from a build that does not tell.
    package var fingerprint: UInt64

    package static let remarkLimit = 100

    package init(
        steps: [OperationDescription.Step],
        loads: [Load],
        estimatedSeconds: Double,
        assumedBytesPerSecond: Double,
        remarks: [String] = [],
        fingerprint: UInt64 = 0
    ) {
        self.steps = steps
        self.loads = loads
        self.fingerprint = fingerprint
        self.estimatedSeconds = estimatedSeconds
        self.assumedBytesPerSecond = assumedBytesPerSecond
        self.remarks = remarks
    }
}

/// Begins an operation, unless one with this id was begun before.
package struct BeginOperation: Hashable, Sendable {
    package var id: OperationID
    package var order: OperationOrder
    /// Of the plan that somebody has seen: what would do anything else is refused. 0 for whatever it does.
    package var fingerprint: UInt64

    package init(id: OperationID, order: OperationOrder, fingerprint: UInt64 = 0) {
        self.id = id
        self.order = order
        self.fingerprint = fingerprint
    }
}

/// Holds an operation up, lets it go on, or takes it back.
package struct ChangeOperation: Hashable, Sendable {
    package enum Verb: UInt8, CaseIterable, Sendable {
        case pause = 1
        case resume = 2
        case cancel = 3
    }

    package var id: OperationID
    package var verb: Verb

    package init(id: OperationID, verb: Verb) {
        self.id = id
        self.verb = verb
    }
}

/// Where an operation is. Answer to ``BeginOperation`` and ``ChangeOperation``.
package struct OperationDescription: Hashable, Sendable {
    package enum Kind: UInt8, CaseIterable, Sendable {
        /// A replica moves, or another becomes the primary.
        case change = 1
        case drain = 2
        case decommission = 3
        case copies = 4
        case rebalance = 5
        case recommission = 6
        /// A codebook is trained and comes into every replica.
        case rollout = 7
    }

    /// How far a codebook is on its way into a collection's replicas.
    package struct Rollout: Hashable, Sendable {
        package enum Stage: UInt8, CaseIterable, Sendable {
            case training = 1
            case installing = 2
            /// Rows of the codebook before are coded again.
            case recoding = 3
            case done = 4
        }

        /// One shard, by the slowest of its replicas that are served.
        package struct Shard: Hashable, Sendable {
            package var index: UInt32
            /// That are served.
            package var replicaCount: UInt32
            package var installedCount: UInt32
            package var rowCount: UInt64
            /// Rows that no older codebook codes; 0 until every replica has the new one.
            package var codedRowCount: UInt64

            package init(
                index: UInt32,
                replicaCount: UInt32,
                installedCount: UInt32,
                rowCount: UInt64,
                codedRowCount: UInt64
            ) {
                self.index = index
                self.replicaCount = replicaCount
                self.installedCount = installedCount
                self.rowCount = rowCount
                self.codedRowCount = codedRowCount
            }
        }

        package var generation: UInt32
        package var cause: TrainingCause
        package var stage: Stage
        /// Nil while no worker says that it trains.
        package var training: CollectionDescription.Training?
        /// In order of shard; none while it is trained, and when it has ended.
        package var shards: [Shard]
        /// Coded again, over the last seconds.
        package var rowsPerSecond: Double
        /// What it waits for, as sentences, be it something that gets on or not; nil when it has ended.
        package var waitsFor: String?
        /// Time since it last got on, further than it ever was, or last waited for its turn.
        package var silentMilliseconds: UInt64

        package init(
            generation: UInt32,
            cause: TrainingCause,
            stage: Stage,
            training: CollectionDescription.Training? = nil,
            shards: [Shard] = [],
            rowsPerSecond: Double = 0,
            waitsFor: String? = nil,
            silentMilliseconds: UInt64 = 0
        ) {
            self.generation = generation
            self.cause = cause
            self.stage = stage
            self.training = training
            self.shards = shards
            self.rowsPerSecond = rowsPerSecond
            self.waitsFor = waitsFor
            self.silentMilliseconds = silentMilliseconds
        }
    }

    package struct Step: Hashable, Sendable {
        package var collection: String
        package var shardIndex: UInt32
        package var change: ReplicaChange
        package var state: OperationStepState
        /// What it waits for, as a sentence; nil when it waits for nothing.
        package var waitsFor: String?
        /// Of what is copied: as the shard was last reported, or as the copy was made. 0 where nothing is.
        package var totalByteCount: UInt64
        package var sentByteCount: UInt64
        /// Over the last seconds.
        package var bytesPerSecond: Double
        /// Time since it last got on, further than it ever was.
        package var silentMilliseconds: UInt64
        package var restartCount: UInt32

        package init(
            collection: String,
            shardIndex: UInt32,
            change: ReplicaChange,
            state: OperationStepState,
            waitsFor: String? = nil,
            totalByteCount: UInt64 = 0,
            sentByteCount: UInt64 = 0,
            bytesPerSecond: Double = 0,
            silentMilliseconds: UInt64 = 0,
            restartCount: UInt32 = 0
        ) {
            self.collection = collection
            self.shardIndex = shardIndex
            self.change = change
            self.state = state
            self.waitsFor = waitsFor
            self.totalByteCount = totalByteCount
            self.sentByteCount = sentByteCount
            self.bytesPerSecond = bytesPerSecond
            self.silentMilliseconds = silentMilliseconds
            self.restartCount = restartCount
        }
    }

    package var id: OperationID
    package var kind: Kind
    /// Of a drain, decommission or recommission.
    package var worker: NodeID?
    /// Of a change of copies, or a rollout.
    package var collection: String?
    package var state: OperationState
    package var created: Timestamp
    package var ended: Timestamp?
    /// Why it ended as it did, where that was not asked for; of an open one all of whose steps have ended, what it
    /// waits for.
    package var note: String?
    package var steps: [Step]
    /// Of a rollout, which has no steps.
    package var rollout: Rollout?
    /// Time for which none of its steps has been under way, though it waits for no other's; 0 of one that gets on. Told
    /// in an ``OperationList`` alone.
    package var standstillMilliseconds: UInt64 = 0
    /// Of a rollout: trainings that failed, as far as the coordinator has seen it. Told in an ``OperationList`` alone.
    package var failedTrainingCount: UInt32 = 0
    /// Bytes of replicas that it brings, those that have come and all of them; 0 of one that has ended, and of a
    /// rollout. Told in an ``OperationList`` alone.
    package var copiedByteCount: UInt64 = 0
    package var totalByteCount: UInt64 = 0
    /// Time that the rest is expected to take; 0 where nobody knows. Told in an ``OperationList`` alone.
    package var remainingMilliseconds: UInt64 = 0

    package init(
        id: OperationID,
        kind: Kind,
        worker: NodeID? = nil,
        collection: String? = nil,
        state: OperationState,
        created: Timestamp,
        ended: Timestamp? = nil,
        note: String? = nil,
        steps: [Step] = [],
        rollout: Rollout? = nil
    ) {
        self.id = id
        self.kind = kind
        self.worker = worker
        self.collection = collection
        self.state = state
        self.created = created
        self.ended = ended
        self.note = note
        self.steps = steps
        self.rollout = rollout
    }
}

/// Asks for the operations that are open, and for the last that ended.
package struct ListOperations: Hashable, Sendable {
    package init() {}
}

/// Answer to ``ListOperations``.
package struct OperationList: Hashable, Sendable {
    /// The oldest first.
    package var operations: [OperationDescription]
    /// Replicas that come in the place of lost ones, or come back, which no operation brings: on their way, or waiting
    /// for their turn.
    package var replacements: [OperationDescription.Step]

    package init(operations: [OperationDescription], replacements: [OperationDescription.Step] = []) {
        self.operations = operations
        self.replacements = replacements
    }
}

/// Asks why the replicas of a shard are where they are.
package struct ExplainShard: Hashable, Sendable {
    package var collection: String
    package var shardIndex: UInt32

    package init(collection: String, shardIndex: UInt32) {
        self.collection = collection
        self.shardIndex = shardIndex
    }
}

/// Answer to ``ExplainShard``.
package struct ShardExplanation: Hashable, Sendable {
    /// What the rules say of one worker.
    package struct Verdict: Hashable, Sendable {
        package var worker: NodeID
        package var hasReplica: Bool
        /// An operator wants a replica to stay there.
        package var isPinned: Bool
        /// Name of the rule that decides; empty from a build that does not tell.
        package var rule: String
        /// How things are, as sentences.
        package var reason: String

        package init(worker: NodeID, hasReplica: Bool, isPinned: Bool = false, rule: String = "", reason: String) {
            self.worker = worker
            self.hasReplica = hasReplica
            self.isPinned = isPinned
            self.rule = rule
            self.reason = reason
        }
    }

    package var verdicts: [Verdict]

    package init(verdicts: [Verdict]) {
        self.verdicts = verdicts
    }
}
