import Glibc

/// The options of a worker.
package struct WorkerConfiguration: Sendable, Equatable {
    package var listen: NetworkAddress
    /// The address that others connect to; nil for the one listened on.
    package var advertise: NetworkAddress?
    /// Nil when there is to be none, and in `mien dev`, which has one for the process.
    package var admin: AdminListener?
    /// Folder of the partitions; relative to the working directory unless it starts with `/`.
    package var data: String
    /// Coordinators to register with; at least one, all different.
    package var coordinators: [NetworkAddress]
    /// Threads of the search executor, at least one.
    package var searchThreads: Int
    /// Percent of one processor that a training takes, and each shard's coding of rows again.
    package var backgroundPercent: Int
    /// Most bytes of copies that each shard's primary sends in a second.
    package var copyRate: Int
    /// Time after which nothing of a deleted face's embedding is left in files; above zero.
    package var erasurePeriod: Duration
    /// How long deletions are remembered.
    package var erasureRetention: Duration
    /// How often all of every partition is read to see whether it is sound; zero for never.
    package var verifyPeriod: Duration
    package var memory: WorkerMemory
    /// How often the worker reports to its coordinators.
    package var heartbeatInterval: Duration
    /// A shard search that takes longer is logged; zero for none.
    package var slowSearch: Duration
    /// One search in so many is repeated with `exact`; 0 for none.
    package var recallCheckInterval: Int
    package var limits: RequestLimits
    package var token: AccessToken?
    package var tls: TLSFiles?
    package var log: LogConfiguration

    /// - Throws: every problem of the sources at once.
    package init(from sources: ConfigurationSources) throws(NodeConfigurationError) {
        var configuration = LayeredConfiguration(role: .worker, sources: sources)
        let keys = KeyCatalogue.self
        self.init(
            listen: configuration.value(keys.workerListen),
            advertise: configuration.value(keys.workerAdvertise),
            data: configuration.value(keys.workerData),
            coordinators: configuration.value(keys.workerCoordinators),
            automaticThreads: Self.coreCount,
            shared: SharedConfiguration(reading: &configuration),
            reading: &configuration
        )
        ListenerPolicy.check(
            listen: listen,
            key: keys.workerListen.path,
            advertise: advertise,
            advertiseKey: keys.workerAdvertise.path,
            isProtectedBy: (tls, token),
            &configuration
        )
        ListenerPolicy.check(
            peers: coordinators,
            key: keys.workerCoordinators.path,
            isProtectedBy: (tls, token),
            &configuration
        )
        admin = .read(
            keys.workerAdmin,
            besides: listen,
            listenKey: keys.workerListen.path,
            isProtectedBy: (tls, token),
            &configuration
        )
        configuration.checkPortClash()
        try configuration.finish()
    }

    init(
        listen: NetworkAddress,
        advertise: NetworkAddress?,
        data: String,
        coordinators: [NetworkAddress],
        automaticThreads: Int,
        shared: SharedConfiguration,
        reading configuration: inout LayeredConfiguration
    ) {
        self.listen = listen
        self.advertise = advertise
        self.data = data
        self.coordinators = coordinators
        searchThreads = configuration.value(KeyCatalogue.searchThreads) ?? automaticThreads
        backgroundPercent = configuration.value(KeyCatalogue.backgroundPercent)
        copyRate = configuration.value(KeyCatalogue.copyRate)
        erasurePeriod = configuration.value(KeyCatalogue.erasurePeriod)
        erasureRetention = configuration.value(KeyCatalogue.erasureRetention)
        verifyPeriod = configuration.value(KeyCatalogue.verifyPeriod)
        memory = WorkerMemory(reading: &configuration)
        heartbeatInterval = configuration.value(KeyCatalogue.heartbeatInterval)
        slowSearch = configuration.value(KeyCatalogue.workerSlowSearch)
        recallCheckInterval = configuration.value(KeyCatalogue.recallCheckInterval)
        limits = shared.limits
        token = shared.token
        tls = shared.tls
        log = shared.log
    }

    /// Processors online, at least 1.
    static var coreCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}

/// How much memory a worker gives to what can grow.
package struct WorkerMemory: Sendable, Equatable {
    /// Most that the process may hold; 0 for what its control group and machine have.
    package var limitBytes: Int
    /// Address space that a partition is opened with; it gets more while it serves. It is reserved, not used: resident
    /// memory and disk follow the data.
    package var partitionMapBytes: Int
    /// Writes received and not yet committed, over all partitions; more are refused with `retryAfter`.
    package var queuedWritesBytes: Int
    package var prefault: Prefault
    /// How long, from its start, a worker is not ready while that is read.
    package var warmWait: Duration

    init(reading configuration: inout LayeredConfiguration) {
        limitBytes = configuration.value(KeyCatalogue.memoryLimit)
        partitionMapBytes = configuration.value(KeyCatalogue.memoryPartitionMap)
        queuedWritesBytes = configuration.value(KeyCatalogue.memoryQueuedWrites)
        prefault = configuration.value(KeyCatalogue.memoryPrefault)
        warmWait = configuration.value(KeyCatalogue.memoryWarmWait)
    }
}
