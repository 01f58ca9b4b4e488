package import ClusterModel
package import Observability
package import PartitionEngine
package import ShardReplication
package import Threads
package import WireProtocol
package import WireTransport

/// What a worker is started with.
package struct WorkerOptions: Sendable {
    /// Folder of everything the worker keeps; made when it is missing.
    package var dataDirectory: String
    /// Where to listen; port 0 takes any free one.
    package var listen: NodeAddress
    /// Where other nodes reach this worker; nil for where it listens.
    package var advertise: NodeAddress?
    /// Every coordinator that should hear of this worker.
    package var coordinators: [NodeAddress]
    /// The cluster's shared secret; nil when the cluster has none.
    package var token: String?
    package var serverTLS: ServerTLS?
    /// For calls to coordinators and other workers.
    package var clientTLS: ClientTLS?
    /// Threads for searches and reads: at least 1.
    package var searchThreadCount: Int
    /// Share of one processor that training takes, and that all replicas together take to code rows again: above 0, at
    /// most 1.
    package var backgroundProcessorShare: Double
    package var heartbeatInterval: Duration
    /// Most bytes of copies that a shard's primary sends in a second.
    package var copyBytesPerSecond = 64 << 20
    /// Most bytes of one slice of such a copy.
    package var copySliceByteCount = PartitionSlice.byteLimit
    /// Time that other replicas get to take over when the worker stops.
    package var handOverTime = Duration.seconds(4)
    /// Time that requests under way get to finish when the worker stops.
    package var gracePeriod: Duration
    package var wireLimits: WireLimits
    /// Connections open at once.
    package var connectionLimit: Int
    package var limits: WorkerLimits
    package var partition: PartitionOptions
    /// Memory that the process may hold, less a reserve, before faces are turned away; 0 for what its control group and
    /// machine have.
    package var memoryLimitByteCount: UInt64 = 0
    /// How long replicas wait for each other.
    package var replication = ReplicationTimings()
    /// How often the replicas of a shard that is written to say what they hold, so that they can be compared.
    package var checkpointInterval = Duration.seconds(10)
    /// How often all of every partition is read to see whether it is sound; zero for never.
    package var verificationPeriod = Duration.seconds(24 * 3600)
    /// What is read into memory when a partition has been opened, before searches ask for it.
    package var prefault = PrefaultPolicy.codes
    /// How long, from its start, the worker counts as not ready while that goes on; zero for not at all.
    package var warmingPatience = Duration.seconds(60)
    /// A shard search that takes longer is logged; zero for none.
    package var slowSearch = Duration.milliseconds(500)
    /// One search in so many is repeated with `exact`; 0 for none.
    package var recallCheckInterval = 1000
    /// Shared by the workers of a process; nil for one of this worker's own.
    package var recall: RecallBook?
    /// Where the threads of replicas come from, and those of snapshots and of readings that somebody asked for.
    package var threads = ThreadSource()
    /// Where the worker records what it does.
    package var metrics = MetricRegistry()
    /// Name and version of the program, for the logs of its peers.
    package var agent: String

    package init(
        dataDirectory: String,
        listen: NodeAddress,
        advertise: NodeAddress? = nil,
        coordinators: [NodeAddress],
        token: String? = nil,
        serverTLS: ServerTLS? = nil,
        clientTLS: ClientTLS? = nil,
        searchThreadCount: Int,
        backgroundProcessorShare: Double = 0.5,
        heartbeatInterval: Duration = .seconds(1),
        gracePeriod: Duration = .seconds(10),
        wireLimits: WireLimits = WireLimits(),
        connectionLimit: Int = 4096,
        limits: WorkerLimits = WorkerLimits(),
        partition: PartitionOptions = PartitionOptions(),
        agent: String
    ) {
        self.dataDirectory = dataDirectory
        self.listen = listen
        self.advertise = advertise
        self.coordinators = coordinators
        self.token = token
        self.serverTLS = serverTLS
        self.clientTLS = clientTLS
        self.searchThreadCount = searchThreadCount
        self.backgroundProcessorShare = backgroundProcessorShare
        self.heartbeatInterval = heartbeatInterval
        self.gracePeriod = gracePeriod
        self.wireLimits = wireLimits
        self.connectionLimit = connectionLimit
        self.limits = limits
        self.partition = partition
        self.agent = agent
    }
}
