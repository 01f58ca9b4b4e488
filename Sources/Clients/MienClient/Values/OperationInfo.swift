import ClusterModel
import FaceModel
import WireProtocol

/// What can be asked of a cluster about where replicas are. Workers are named by their identity.
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

    /// - Throws: `invalidRequest` for what is no worker's identity.
    var order: OperationOrder {
        get throws(MienClientError) {
            switch self {
            case .move(let collection, let shard, let from, let to):
                .move(
                    collection: collection,
                    shardIndex: UInt32(clamping: shard),
                    from: try Self.node(from),
                    to: try to.map(Self.node)
                )
            case .lead(let collection, let shard, let worker):
                .lead(collection: collection, shardIndex: UInt32(clamping: shard), worker: try Self.node(worker))
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
                .split(collection: collection, shardIndices: shards.map { UInt32(clamping: $0) })
            case .merge(let collection, let shards):
                .merge(collection: collection, shardIndices: shards.map { UInt32(clamping: $0) })
            }
        }
    }

    private static func node(_ text: String) throws(MienClientError) -> NodeID {
        guard let node = NodeID(text) else {
            throw MienClientError(code: .invalidRequest, message: "'\(text.prefix(64))' is no worker's identity.")
        }
        return node
    }
}

/// One operation: a change of where replicas are, and how far it is.
public struct OperationInfo: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        /// A replica moves, or another becomes the primary.
        case change
        case drain
        case decommission
        case recommission
        case copies
        case rebalance
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
        /// Time since something about the step last changed.
        public var silence: Duration
        /// How often it began anew, since it did not get on.
        public var restartCount: Int
    }

    public var id: String
    public var kind: Kind
    /// Of a drain, decommission or recommission.
    public var workerID: String?
    /// Of a change of copies.
    public var collection: String?
    public var state: State
    public var created: Face.Timestamp
    public var ended: Face.Timestamp?
    /// Why it ended as it did, where that was not asked for.
    public var note: String?
    public var steps: [Step]

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

    /// In a step's `waitsFor` is what would hold it up now.
    public var steps: [OperationInfo.Step]
    public var loads: [Load]
    /// Time for copying at the assumed rate, one copy at a time for each worker.
    public var estimatedTime: Duration
    public var assumedBytesPerSecond: Double
    /// What people should know besides, a sentence each: replicas that stay because they are pinned.
    public var remarks: [String]

    init(_ plan: OperationPlan) {
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
    /// The rule that decides, as sentences.
    public var reason: String
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
