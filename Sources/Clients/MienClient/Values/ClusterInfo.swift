import ClusterModel
import FaceModel
import WireProtocol

/// A cluster as its coordinator sees it.
public struct ClusterInfo: Hashable, Sendable {
    /// What a worker may be used for.
    public enum WorkerStanding: String, Hashable, Sendable {
        case active
        /// It serves what it has and gets nothing more.
        case draining
        /// It is none of the cluster's any more, and gets nothing.
        case decommissioned
    }

    /// The likely cause of a worker's silence: what came of calling it.
    public enum SilenceCause: String, Hashable, Sendable, CaseIterable {
        /// Its machine is there, and nobody listens at its port.
        case notRunning
        /// Its machine takes the connection, and its process says nothing.
        case hanging
        /// No connection to its address comes about, for whatever reason lies on the way or at the coordinator.
        case unreachable
        /// It and the coordinator do not accept each other.
        case refused
        /// The connection is closed in place of an answer.
        case closed
        /// It answers; its reports do not come through.
        case answering
        /// Another node answers at its address.
        case replaced

        /// A clause for people.
        public var clause: String { model.clause ?? rawValue }
    }

    public struct Worker: Hashable, Sendable {
        public var id: String
        public var address: String
        public var isLive: Bool
        /// Time since its last report; nil when it was never heard of.
        public var silence: Duration?
        /// What the coordinator that answered has found out of why it is silent; nil when nothing, or it is live.
        public var silenceCause: SilenceCause?
        public var standing: WorkerStanding
        public var replicaCount: Int
        /// Replicas that answer nothing because a check or the disk failed.
        public var failedReplicaCount: Int
        public var faceCount: UInt64
        public var diskByteCount: UInt64
        public var freeDiskByteCount: UInt64
        public var residentByteCount: UInt64
        /// Bytes of the compact codes, which every search scans, and how many of them are in memory.
        public var codeByteCount: UInt64
        public var residentCodeByteCount: UInt64
        /// Bytes of the stored embeddings, of which a search reads some and an exact one all, and how many of them are
        /// in memory.
        public var rowByteCount: UInt64
        public var residentRowByteCount: UInt64
        public var memory: MemoryInfo
        /// What the worker's processor is used by, such as `avx512`.
        public var kernelLevel: String
        /// As last reported; what a worker does is shards' parts of searches and writes.
        public var activity: NodeActivityInfo
        /// Shards that are made here to take the place of others.
        public var successors: [Successor]
        /// Rows that searches compare here in a second, as the coordinator that answered has averaged them over hours:
        /// what replicas are placed by.
        public var comparedRowRate: Double

        /// Whether searches read codes from disk.
        public var isCold: Bool {
            let mapped = MappedMemory(codeByteCount: codeByteCount, residentCodeByteCount: residentCodeByteCount)
            return mapped.warmth < MappedMemory.leastWarmth
        }
    }

    /// A shard that a worker makes from its replicas of others, which are split or merged.
    public struct Successor: Hashable, Sendable {
        public enum State: String, Hashable, Sendable {
            /// Rows come over.
            case copying
            /// All rows are there, and changes come over.
            case following
            /// Everything is there: it may take the others' place.
            case sealed
            /// It is tried again.
            case failed
        }

        /// Identity of the collection.
        public var collectionID: String
        public var shardIndex: Int
        public var state: State
        public var rowCount: UInt64
        /// Rows of the replicas that it is made from.
        public var totalRowCount: UInt64
        /// Of the disk that it takes, beside them.
        public var diskByteCount: UInt64
        /// Why it failed, as a sentence; nil unless it has.
        public var failure: String?
    }

    /// A shard of which copies that should be equal differ.
    public struct DifferentShard: Hashable, Sendable {
        public var collectionName: String
        public var shardIndex: Int
    }

    /// A coordinator that is there.
    public struct Coordinator: Hashable, Sendable {
        public var id: String
        public var address: String
        /// Since when it is the controller, the one that makes workers do what is missing, by its own clock; nil when
        /// it is not.
        public var controllerSince: Face.Timestamp?
    }

    public var id: String
    /// The coordinator that answered.
    public var coordinatorID: String
    public var version: String
    public var uptime: Duration
    /// Version of the shard map.
    public var epoch: UInt64
    /// Of the coordinator that answered.
    public var activity: NodeActivityInfo
    /// As far as the one that answered knows.
    public var coordinators: [Coordinator]
    /// Why the cluster cannot be changed now, as a sentence; nil when it can. Searches and writes do not need the
    /// store.
    public var storeProblem: String?
    public var workers: [Worker]
    public var collections: [CollectionInfo]
    /// Names of the collections of which faces were given up and have not come back.
    public var lossyCollections: [String]
    /// Shards whose copies in sync said, at one of the last writes, that they do not hold the same; in order of
    /// collection, then of index.
    public var differentShards: [DifferentShard]

    init(_ status: ClusterStatus) {
        id = status.clusterID.description
        coordinatorID = status.coordinatorID.description
        version = status.version
        uptime = .seconds(Int64(clamping: status.uptimeSeconds))
        epoch = status.epoch.number
        activity = NodeActivityInfo(status.activity)
        coordinators = status.coordinators.map {
            Coordinator(
                id: $0.id.description,
                address: $0.address.description,
                controllerSince: $0.controllerSince.map { .init(millisecondsSince1970: $0.milliseconds) }
            )
        }
        storeProblem = status.storeProblem
        workers = status.workers.indices.map { index in
            let worker = status.workers[index]
            let report = worker.report
            return Worker(
                id: worker.id.description,
                address: worker.address.description,
                isLive: worker.isLive,
                silence: worker.silentMilliseconds == .max
                    ? nil : .milliseconds(Int64(clamping: worker.silentMilliseconds)),
                silenceCause: SilenceCause(status.silenceCauses[index]),
                standing: WorkerStanding(worker.standing),
                replicaCount: report.replicas.count,
                failedReplicaCount: report.replicas.count { $0.state == .failed },
                faceCount: report.replicas.reduce(0) { $0 &+ $1.faceCount },
                diskByteCount: report.replicas.reduce(0) { $0 &+ $1.diskByteCount },
                freeDiskByteCount: report.freeDiskByteCount,
                residentByteCount: report.residentByteCount,
                codeByteCount: report.mapped.codeByteCount,
                residentCodeByteCount: report.mapped.residentCodeByteCount,
                rowByteCount: report.mapped.rowByteCount,
                residentRowByteCount: report.mapped.residentRowByteCount,
                memory: MemoryInfo(report.memory),
                kernelLevel: report.kernelLevel,
                activity: NodeActivityInfo(report.activity),
                successors: report.successors.map(Successor.init),
                comparedRowRate: status.comparedRowRates[index]
            )
        }
        collections = status.collections.map(CollectionInfo.init).sorted { $0.options.name < $1.options.name }
        lossyCollections = zip(status.collections, status.losses).filter(\.1)
            .map(\.0.collection.configuration.name).sorted()
        let names = Dictionary(
            status.collections.map { ($0.collection.id, $0.collection.configuration.name) },
            uniquingKeysWith: { first, _ in first }
        )
        differentShards = status.differentShards.compactMap { shard in
            names[shard.collection].map { DifferentShard(collectionName: $0, shardIndex: Int(shard.index)) }
        }
        .sorted { ($0.collectionName, $0.shardIndex) < ($1.collectionName, $1.shardIndex) }
    }
}

extension ClusterInfo.Successor {
    fileprivate init(_ successor: WorkerReport.Successor) {
        let state: State =
            switch successor.state {
            case .copying: .copying
            case .following: .following
            case .sealed: .sealed
            case .failed: .failed
            }
        self.init(
            collectionID: successor.shard.collection.description,
            shardIndex: Int(successor.shard.index),
            state: state,
            rowCount: successor.rowCount,
            totalRowCount: successor.totalRowCount,
            diskByteCount: successor.diskByteCount,
            failure: successor.failure.isEmpty ? nil : successor.failure
        )
    }
}

extension ClusterInfo.SilenceCause {
    fileprivate init?(_ cause: ClusterModel.SilenceCause) {
        switch cause {
        case .unknown: return nil
        case .notRunning: self = .notRunning
        case .hanging: self = .hanging
        case .unreachable: self = .unreachable
        case .refused: self = .refused
        case .closed: self = .closed
        case .answering: self = .answering
        case .replaced: self = .replaced
        }
    }

    fileprivate var model: ClusterModel.SilenceCause {
        switch self {
        case .notRunning: .notRunning
        case .hanging: .hanging
        case .unreachable: .unreachable
        case .refused: .refused
        case .closed: .closed
        case .answering: .answering
        case .replaced: .replaced
        }
    }
}

extension ClusterInfo.WorkerStanding {
    fileprivate init(_ standing: ClusterModel.WorkerStanding) {
        self =
            switch standing {
            case .active: .active
            case .draining: .draining
            case .decommissioned: .decommissioned
            }
    }
}
