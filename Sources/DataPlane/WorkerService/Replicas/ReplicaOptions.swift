import PartitionEngine
import ShardReplication
import Threads

/// What every replica of a worker is opened with.
struct ReplicaOptions: Sendable {
    var limits: WorkerLimits
    var partition: PartitionOptions
    /// Keeps what all shards do in the background to ``WorkerOptions/backgroundProcessorShare`` together.
    var backgroundPace: SharedBackgroundPace
    /// What making shards of others has, of all that are made here together.
    var successorShare: DividedProcessorShare
    /// What is not worked at for now, by operators' will.
    var operationHolds: OperationHolds
    var replication: ReplicationTimings
    /// See ``WorkerOptions/checkpointInterval``.
    var checkpointInterval: Duration
    /// See ``WorkerOptions/copyBytesPerSecond``.
    var copyBytesPerSecond: Int
    var copySliceByteCount: Int
    /// Ways to the other replicas and to the coordinators.
    var links: ReplicationLinks
    /// What is read into memory when a partition has been opened.
    var prefault: PrefaultPolicy
    /// The few threads that do so, for all replicas.
    var warming: BoundedExecutor
    /// Where each replica's own thread comes from.
    var threads: ThreadSource
    var metrics: WorkerMetrics
    /// Called from a lane when what the next heartbeat should say has changed.
    var reportChanged: @Sendable () -> Void
    /// Likewise when that is only how many faces there are, or how far maintenance is: it is said a few times a second.
    var countsChanged: @Sendable () -> Void
}
