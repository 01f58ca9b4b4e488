package import ClusterState

/// How a cluster controller behaves; the defaults suit a cluster on one fast network.
package struct ControllerOptions: Sendable {
    /// Where nobody is replaced, nobody waits for longer for a worker that is away.
    package static let defaultReplacementTime = Duration.seconds(600)

    /// A worker that is silent for longer counts as absent.
    package var silenceLimit: Duration
    /// The replicas of a worker that has not been heard of for so long are made anew elsewhere; zero for never.
    package var replacementTime: Duration
    /// A damaged replica that has been out of service for so long is made anew without being asked; zero for never.
    package var repairTime: Duration
    /// Workers that have been uneven for so long are levelled without being asked; zero for never.
    package var balancingTime: Duration
    /// Time over which the load of shards is averaged; zero for balance by bytes alone.
    package var loadWindow: Duration
    /// Faces above which a shard is split without being asked; 0 for never.
    package var shardFaceLimit: UInt64
    /// Time between two looks at whether the records in memory are still those of a store that others change too.
    package var confirmationInterval: Duration
    /// A worker that refuses this coordinator is waited for no longer once it has not been heard for so long, nor for
    /// less than ``silenceLimit``.
    package var rivalPatience = Duration.seconds(60)
    /// Longest time between two looks at what has to be done.
    package var tick: Duration
    /// Longest time that a worker which is silent has to answer a hello, by which people are told why it is.
    package var signTimeout: Duration
    /// Deadline of one control call to a worker.
    package var callTimeout: Duration
    /// Deadline of one slice of a codebook, whose last one includes its installation.
    package var installTimeout: Duration
    /// Time a new collection may take to be hosted when the caller names none.
    package var createTimeout: Duration
    /// Longest time that the deletion of a collection waits until the workers have dropped it.
    package var deletionTimeout: Duration
    /// Bytes of a codebook sent at once: 1–4 MiB.
    package var sliceByteCount: Int
    package var training: TrainingPolicy
    package var actions: ActionLedger.Limits
    package var operations: OperationPlanner.Limits
    /// Disk that stays free on every worker, whatever comes to it.
    package var spareDiskByteCount: UInt64
    /// Whether replicas come only to workers with memory for what searches read of them.
    package var reservesMemory: Bool
    /// Version of the program, for people.
    package var version: String

    package init(
        silenceLimit: Duration = .milliseconds(1500),
        replacementTime: Duration = ControllerOptions.defaultReplacementTime,
        repairTime: Duration = .seconds(60),
        balancingTime: Duration = .zero,
        loadWindow: Duration = .seconds(6 * 3600),
        shardFaceLimit: UInt64 = 0,
        confirmationInterval: Duration = .milliseconds(300),
        tick: Duration = .milliseconds(250),
        signTimeout: Duration = .seconds(2),
        callTimeout: Duration = .seconds(5),
        installTimeout: Duration = .seconds(120),
        createTimeout: Duration = .seconds(10),
        deletionTimeout: Duration = .seconds(3),
        sliceByteCount: Int = 4 << 20,
        training: TrainingPolicy = TrainingPolicy(),
        actions: ActionLedger.Limits = ActionLedger.Limits(),
        operations: OperationPlanner.Limits = OperationPlanner.Limits(),
        spareDiskByteCount: UInt64 = 1 << 30,
        reservesMemory: Bool = true,
        version: String = "unknown"
    ) {
        self.silenceLimit = silenceLimit
        self.replacementTime = replacementTime
        self.repairTime = repairTime
        self.balancingTime = balancingTime
        self.loadWindow = loadWindow
        self.shardFaceLimit = shardFaceLimit
        self.confirmationInterval = confirmationInterval
        self.tick = tick
        self.signTimeout = signTimeout
        self.callTimeout = callTimeout
        self.installTimeout = installTimeout
        self.createTimeout = createTimeout
        self.deletionTimeout = deletionTimeout
        self.sliceByteCount = sliceByteCount
        self.training = training
        self.actions = actions
        self.operations = operations
        self.spareDiskByteCount = spareDiskByteCount
        self.reservesMemory = reservesMemory
        self.version = version
    }
}
