import ClusterModel
import FaceModel
import WireProtocol

/// What can be asked of a cluster about where replicas are, or about a collection's codebook. Workers are named by
/// their identity.
public enum OperationRequest: Hashable, Sendable {
    /// A replica makes way for one on another worker; with `to` nil on the one that suits best.
    case move(collection: String, shard: Int, from: String, to: String?)
    /// The worker's replica becomes the primary.
    case lead(collection: String, shard: Int, worker: String)
    /// All replicas leave the worker, and it gets no others.
    case drain(worker: String)
    /// As ``drain(worker:)``; then the worker is none of the cluster's any more.
    case decommission(worker: String)
    /// The worker may have replicas again; a drain that is under way is cancelled.
    case recommission(worker: String)
    /// Every shard of the collection gets so many replicas, of which so many must be in sync for writes.
    case copies(collection: String, count: Int, minimumInSync: Int)
    /// Replicas and primaries are divided evenly among the workers.
    case rebalance
    /// Each of these shards becomes two; all of the collection's when none is named.
    case split(collection: String, shards: [Int])
    /// Each two of these shards, neighbours on the ring, become one; all of the collection's when none is named.
    case merge(collection: String, shards: [Int])
    /// The collection gets its next codebook: one is trained on what it holds now, and all rows are coded by it.
    case train(collection: String)

    /// - Throws: `invalidRequest` for what is no worker's identity or no shard's number.
    var order: OperationOrder {
        get throws(MienClientError) {
            switch self {
            case .move(let collection, let shard, let from, let to):
                .move(
                    collection: collection,
                    shardIndex: try ShardNumber.wire(shard),
                    from: try Self.node(from),
                    to: try to.map(Self.node)
                )
            case .lead(let collection, let shard, let worker):
                .lead(collection: collection, shardIndex: try ShardNumber.wire(shard), worker: try Self.node(worker))
            case .drain(let worker): .drain(try Self.node(worker))
            case .decommission(let worker): .decommission(try Self.node(worker))
            case .recommission(let worker): .recommission(try Self.node(worker))
            case .copies(let collection, let count, let minimum):
                .copies(
                    collection: collection,
                    CopyCount(replicationFactor: count, minimumInSync: minimum)
                )
            case .rebalance: .rebalance
            case .split(let collection, let shards):
                .split(collection: collection, shardIndices: try shards.map(ShardNumber.wire))
            case .merge(let collection, let shards):
                .merge(collection: collection, shardIndices: try shards.map(ShardNumber.wire))
            case .train(let collection): .train(collection: collection)
            }
        }
    }

    private static func node(_ text: String) throws(MienClientError) -> NodeID {
        guard let node = NodeID(text) else {
            throw .withoutEffect(.invalidRequest, "'\(text.prefix(64))' is no worker's identity.")
        }
        return node
    }
}

/// One operation: a change of where replicas are, or the rollout of a codebook, and how far it is.
public struct OperationInfo: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        /// A replica moves, or another becomes the primary.
        case change
        case drain
        case decommission
        case recommission
        case copies
        case rebalance
        /// A codebook is trained and comes into every replica.
        case rollout
    }

    public enum State: String, Hashable, Sendable {
        case running
        case paused
        /// What can be is taken back, the rest is brought to its end.
        case cancelling
        case done
        case cancelled

        public var hasEnded: Bool { self == .done || self == .cancelled }
    }

    public enum StepState: String, Hashable, Sendable {
        case waiting
        case running
        case undoing
        case done
        /// The shard's replicas are where they were.
        case undone

        public var hasEnded: Bool { self == .done || self == .undone }
    }

    /// What a step does to a shard, or to its replicas. Workers are named by their identity.
    public enum Change: Hashable, Sendable {
        case move(from: String, to: String)
        case add(String)
        case remove(String)
        case lead(String)
        /// Two shards take the shard's place.
        case split(into: [Int])
        /// The shard and its neighbour become one.
        case merge(with: Int, into: Int)
    }

    public struct Step: Hashable, Sendable {
        public var collection: String
        public var shardIndex: Int
        public var change: Change
        public var state: StepState
        /// What it waits for, as a sentence; nil when it waits for nothing.
        public var waitsFor: String?
        /// Bytes that are copied; 0 where none are.
        public var totalByteCount: UInt64
        public var sentByteCount: UInt64
        /// Over the last seconds.
        public var bytesPerSecond: Double
        /// Time since the step last got on, further than it ever was.
        public var silence: Duration
        /// How often it began anew, since it did not get on.
        public var restartCount: Int
    }

    /// How far a codebook is on its way into a collection's replicas.
    public struct Rollout: Hashable, Sendable {
        public enum Stage: String, Hashable, Sendable {
            case training
            case installing
            /// Rows of the codebook before are coded again.
            case recoding
            case done
        }

        /// One shard, by the slowest of its replicas that are served.
        public struct Shard: Hashable, Sendable {
            public var index: Int
            /// That are served.
            public var replicaCount: Int
            public var installedCount: Int
            public var rowCount: UInt64
            /// Rows that no older codebook codes; 0 until every replica has the new one.
            public var codedRowCount: UInt64
        }

        public var generation: Int
        /// Why it began.
        public var cause: CollectionInfo.CodebookStanding.Cause
        public var stage: Stage
        /// Nil while no worker says that it trains.
        public var training: CollectionInfo.TrainingUnderWay?
        /// In order of shard; none while it is trained, and when it has ended.
        public var shards: [Shard]
        /// Coded again, over the last seconds.
        public var rowsPerSecond: Double
        /// What it waits for, as sentences, be it something that gets on or not; nil when it has ended.
        public var waitsFor: String?
        /// Time since it last got on, further than it ever was, or last waited for its turn.
        public var silence: Duration
        /// Trainings of it that failed, as far as the coordinator has seen it; 0 from an older coordinator, and in the
        /// answer to a change.
        public var failedTrainingCount = 0

        public var rowCount: UInt64 { shards.reduce(0) { $0 &+ $1.rowCount } }
        public var codedRowCount: UInt64 { shards.reduce(0) { $0 &+ $1.codedRowCount } }
    }

    public var id: String
    public var kind: Kind
    /// Of a drain, decommission or recommission.
    public var workerID: String?
    /// Of a change of copies, or a rollout.
    public var collection: String?
    public var state: State
    public var created: Face.Timestamp
    public var ended: Face.Timestamp?
    /// Why it ended as it did, where that was not asked for; of an open one all of whose steps have ended, what it
    /// waits for.
    public var note: String?
    public var steps: [Step]
    /// Of a rollout, which has no steps.
    public var rollout: Rollout?
    /// Time for which none of its steps has been under way, though it waits for no other's; zero of one that gets on,
    /// from an older coordinator, and in the answer to a change.
    public var standstill: Duration
    /// Bytes of replicas that it brings, those that have come and all of them, as large as they are now; 0 of one that
    /// has ended, of a rollout, from an older coordinator, and in the answer to a change.
    public var copiedByteCount: UInt64
    public var totalByteCount: UInt64
    /// Time that the rest is expected to take, at the rate of the last copies; nil where nobody knows.
    public var remainingTime: Duration?

    init(_ description: OperationDescription) {
        id = description.id.description
        kind = Kind(description.kind)
        workerID = description.worker?.description
        collection = description.collection
        state = State(description.state)
        created = .init(millisecondsSince1970: description.created.milliseconds)
        ended = description.ended.map { .init(millisecondsSince1970: $0.milliseconds) }
        note = description.note
        steps = description.steps.map(Step.init)
        rollout = description.rollout.map(Rollout.init)
        rollout?.failedTrainingCount = Int(description.failedTrainingCount)
        standstill = .milliseconds(Int64(clamping: description.standstillMilliseconds))
        copiedByteCount = description.copiedByteCount
        totalByteCount = description.totalByteCount
        let remaining = description.remainingMilliseconds
        remainingTime = remaining > 0 ? .milliseconds(Int64(clamping: remaining)) : nil
    }
}

/// What an operation would do.
public struct OperationPlanInfo: Hashable, Sendable {
    /// What would come to a worker, and go from it.
    public struct Load: Hashable, Sendable {
        public var workerID: String
        public var incomingByteCount: UInt64
        public var outgoingByteCount: UInt64
        /// Most bytes of disk that it takes at a time, besides what is there.
        public var peakDiskByteCount: UInt64
        public var freeDiskByteCount: UInt64
        /// Bytes that searches will want to have in memory there, besides what they want now.
        public var memoryByteCount: UInt64
    }

    /// Sixteen hexadecimal digits, others where other steps are planned: ``MienClient/begin(_:planned:)`` takes it.
    /// Empty from an older coordinator.
    public var id: String
    /// In a step's `waitsFor` is what would hold it up now.
    public var steps: [OperationInfo.Step]
    public var loads: [Load]
    /// Time for copying at that rate, with as many copies at a time for each worker as the remarks tell.
    public var estimatedTime: Duration
    /// Of the last copies that the coordinator saw, where it saw any.
    public var assumedBytesPerSecond: Double
    /// What people should know besides, a sentence each: where the rate comes from, replicas that stay because they are
    /// pinned.
    public var remarks: [String]

    /// Nil of what is no plan's identity.
    static func fingerprint(_ id: String) -> UInt64? {
        guard id.utf8.count == 16, let number = UInt64(id, radix: 16), number != 0 else { return nil }
        return number
    }

    init(_ plan: OperationPlan) {
        let digits = String(plan.fingerprint, radix: 16)
        id = plan.fingerprint == 0 ? "" : String(repeating: "0", count: 16 - digits.count) + digits
        steps = plan.steps.map(OperationInfo.Step.init)
        loads = plan.loads.map { load in
            Load(
                workerID: load.worker.description,
                incomingByteCount: load.incomingByteCount,
                outgoingByteCount: load.outgoingByteCount,
                peakDiskByteCount: load.peakDiskByteCount,
                freeDiskByteCount: load.freeDiskByteCount,
                memoryByteCount: load.memoryByteCount
            )
        }
        estimatedTime = .seconds(plan.estimatedSeconds)
        assumedBytesPerSecond = plan.assumedBytesPerSecond
        remarks = plan.remarks
    }
}

/// Why a worker holds, or does not hold, a replica of a shard.
public struct PlacementReason: Hashable, Sendable {
    public var workerID: String
    public var hasReplica: Bool
    /// An operator wants a replica to stay there.
    public var isPinned: Bool
    /// Name of the rule that decides (`docs/operations/elasticity.md` lists them); empty when an older coordinator
    /// does not tell.
    public var rule: String
    /// How things are, as sentences.
    public var reason: String
}

/// Operations, and what is done beside them.
public struct OperationOverview: Hashable, Sendable {
    /// Those that are open and the last that ended, the oldest first.
    public var operations: [OperationInfo]
    /// Replicas that come in the place of lost ones, or come back themselves: on their way, or waiting for their turn.
    /// No operation brings them; none from an older coordinator.
    public var replacements: [OperationInfo.Step]

    init(_ list: OperationList) {
        operations = list.operations.map(OperationInfo.init)
        replacements = list.replacements.map(OperationInfo.Step.init)
    }
}

extension OperationInfo.Step {
    fileprivate init(_ step: OperationDescription.Step) {
        self.init(
            collection: step.collection,
            shardIndex: Int(step.shardIndex),
            change: .init(step.change),
            state: .init(step.state),
            waitsFor: step.waitsFor,
            totalByteCount: step.totalByteCount,
            sentByteCount: step.sentByteCount,
            bytesPerSecond: step.bytesPerSecond,
            silence: .milliseconds(Int64(clamping: step.silentMilliseconds)),
            restartCount: Int(step.restartCount)
        )
    }
}

extension OperationInfo.Rollout {
    fileprivate init(_ rollout: OperationDescription.Rollout) {
        self.init(
            generation: Int(rollout.generation),
            cause: .init(rollout.cause),
            stage: .init(rollout.stage),
            training: rollout.training.map(CollectionInfo.TrainingUnderWay.init),
            shards: rollout.shards.map { shard in
                Shard(
                    index: Int(shard.index),
                    replicaCount: Int(shard.replicaCount),
                    installedCount: Int(shard.installedCount),
                    rowCount: shard.rowCount,
                    codedRowCount: shard.codedRowCount
                )
            },
            rowsPerSecond: rollout.rowsPerSecond,
            waitsFor: rollout.waitsFor,
            silence: .milliseconds(Int64(clamping: rollout.silentMilliseconds))
        )
    }
}

extension OperationInfo.Rollout.Stage {
    fileprivate init(_ stage: OperationDescription.Rollout.Stage) {
        self =
            switch stage {
            case .training: .training
            case .installing: .installing
            case .recoding: .recoding
            case .done: .done
            }
    }
}

extension OperationInfo.Change {
    fileprivate init(_ change: ReplicaChange) {
        self =
            switch change {
            case .move(let from, let to): .move(from: from.description, to: to.description)
            case .add(let worker): .add(worker.description)
            case .remove(let worker): .remove(worker.description)
            case .lead(let worker): .lead(worker.description)
            case .split(_, let lower, let upper): .split(into: [Int(lower), Int(upper)])
            case .merge(let other, let successor): .merge(with: Int(other), into: Int(successor))
            }
    }
}

extension OperationInfo.Kind {
    fileprivate init(_ kind: OperationDescription.Kind) {
        self =
            switch kind {
            case .change: .change
            case .drain: .drain
            case .decommission: .decommission
            case .recommission: .recommission
            case .copies: .copies
            case .rebalance: .rebalance
            case .rollout: .rollout
            }
    }
}

extension OperationInfo.State {
    fileprivate init(_ state: OperationState) {
        self =
            switch state {
            case .running: .running
            case .paused: .paused
            case .cancelling: .cancelling
            case .done: .done
            case .cancelled: .cancelled
            }
    }
}

extension OperationInfo.StepState {
    fileprivate init(_ state: OperationStepState) {
        self =
            switch state {
            case .waiting: .waiting
            case .running: .running
            case .undoing: .undoing
            case .done: .done
            case .undone: .undone
            }
    }
}
