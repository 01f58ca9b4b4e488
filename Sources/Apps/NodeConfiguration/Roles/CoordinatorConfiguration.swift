/// The options of a coordinator.
package struct CoordinatorConfiguration: Sendable, Equatable {
    package var listen: NetworkAddress
    /// The address that others connect to; nil for the one listened on.
    package var advertise: NetworkAddress?
    /// Nil when there is to be none, and in `mien dev`, which has one for the process.
    package var admin: AdminListener?
    /// Folder of the node's identity, of its codebooks and of an embedded metadata store; relative to the working
    /// directory unless it starts with `/`.
    package var data: String
    /// Nil for a metadata store in the data folder, which is that of a cluster with one coordinator.
    package var etcd: EtcdConfiguration?
    /// How long a worker may be silent before it counts as lost.
    package var workerTimeout: Duration
    /// How long it may be silent before its replicas are made anew elsewhere; zero for never.
    package var replaceAfter: Duration
    /// How long a damaged replica must have been out of service before it is made anew; zero for never.
    package var repairAfter: Duration
    /// How long workers must have been uneven before replicas are moved without being asked; zero for never.
    package var rebalanceAfter: Duration
    /// Time over which what searches of a shard compare is averaged; zero to level workers by bytes alone.
    package var loadWindow: Duration
    /// Faces above which a shard is split without being asked; 0 for never.
    package var splitAbove: Int
    /// Copies that a worker has part in at a time, on account of operations.
    package var copiesPerWorker: Int
    /// Bytes of disk that stay free on a worker, whatever is moved to it.
    package var spareDisk: Int
    package var reservedMemory: ReservedMemory
    /// Deadline of a request that names none.
    package var defaultDeadline: Duration
    /// A search that takes longer is logged; zero for none.
    package var slowSearch: Duration
    /// A folder or `s3://bucket/prefix` that the logs of all collections are archived to; nil for none.
    package var archivePlace: String?
    /// Between two turns of archiving.
    package var archiveInterval: Duration
    package var training: TrainingConfiguration
    package var limits: RequestLimits
    package var token: AccessToken?
    package var tls: TLSFiles?
    package var log: LogConfiguration

    /// - Throws: every problem of the sources at once.
    package init(from sources: ConfigurationSources) throws(NodeConfigurationError) {
        var configuration = LayeredConfiguration(role: .coordinator, sources: sources)
        let keys = KeyCatalogue.self
        self.init(
            listen: configuration.value(keys.coordinatorListen),
            advertise: configuration.value(keys.coordinatorAdvertise),
            data: configuration.value(keys.coordinatorData),
            shared: SharedConfiguration(reading: &configuration),
            reading: &configuration
        )
        ListenerPolicy.check(
            listen: listen,
            key: keys.coordinatorListen.path,
            advertise: advertise,
            advertiseKey: keys.coordinatorAdvertise.path,
            isProtectedBy: (tls, token),
            &configuration
        )
        admin = .read(
            keys.coordinatorAdmin,
            besides: listen,
            listenKey: keys.coordinatorListen.path,
            isProtectedBy: (tls, token),
            &configuration
        )
        let etcd = EtcdConfiguration(reading: &configuration)
        self.etcd = configuration.value(keys.coordinatorMetadata) == .etcd ? etcd : nil
        configuration.checkPortClash()
        try configuration.finish()
    }

    init(
        listen: NetworkAddress,
        advertise: NetworkAddress?,
        data: String,
        shared: SharedConfiguration,
        reading configuration: inout LayeredConfiguration
    ) {
        self.listen = listen
        self.advertise = advertise
        self.data = data
        workerTimeout = configuration.value(KeyCatalogue.workerTimeout)
        replaceAfter = configuration.value(KeyCatalogue.replaceAfter)
        repairAfter = configuration.value(KeyCatalogue.repairAfter)
        rebalanceAfter = configuration.value(KeyCatalogue.rebalanceAfter)
        loadWindow = configuration.value(KeyCatalogue.loadWindow)
        splitAbove = configuration.value(KeyCatalogue.splitAbove)
        copiesPerWorker = configuration.value(KeyCatalogue.copiesPerWorker)
        spareDisk = configuration.value(KeyCatalogue.spareDisk)
        reservedMemory = configuration.value(KeyCatalogue.reservedMemory)
        defaultDeadline = configuration.value(KeyCatalogue.defaultDeadline)
        slowSearch = configuration.value(KeyCatalogue.coordinatorSlowSearch)
        archivePlace = configuration.value(KeyCatalogue.archivePlace)
        archiveInterval = configuration.value(KeyCatalogue.archiveInterval)
        training = TrainingConfiguration(reading: &configuration)
        limits = shared.limits
        token = shared.token
        tls = shared.tls
        log = shared.log
    }
}

extension LayeredConfiguration {
    /// One file may describe a machine that runs both roles; they must not want the same port.
    mutating func checkPortClash() {
        let coordinatorKey = KeyCatalogue.coordinatorListen
        let workerKey = KeyCatalogue.workerListen
        guard let coordinator = fileValue(coordinatorKey), let worker = fileValue(workerKey),
            coordinator.clashes(with: worker)
        else { return }
        let place = filePlace(of: workerKey.path)
        note(.portClash(place, key: workerKey.path, otherKey: coordinatorKey.path, address: "\(coordinator)"))
    }
}
