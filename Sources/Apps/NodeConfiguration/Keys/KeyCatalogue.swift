import Logging

/// Every option there is, with its default and range. `config/*.yaml` explain each one to operators.
enum KeyCatalogue {
    private typealias Key = ConfigurationKey<Never>

    // Shared by all roles.
    static let tokenFile = Key.optionalPath("token_file")
    static let tlsCertificate = Key.optionalPath("tls.certificate")
    static let tlsPrivateKey = Key.optionalPath("tls.private_key")
    static let tlsTrustRoots = Key.optionalPath("tls.trust_roots")
    static let logLevel = Key.choice("log.level", default: Logger.Level.info)
    static let logFormat = Key.choice("log.format", default: LogFormat.text)
    /// Nodes send each other up to 8 MiB at once, and the wire allows no more than 256 MiB.
    static let maxFrame = Key.bytes("limits.max_frame", default: 16 << 20, in: 16 << 20...256 << 20)
    static let maxStreams = Key.count("limits.max_streams", default: 256, in: 1...65536)
    static let maxK = Key.count("limits.max_k", default: 1000, in: 1...1000)
    static let maxBatch = Key.count("limits.max_batch", default: 4096, in: 1...65536)
    static let maxProbes = Key.count("limits.max_probes", default: 1024, in: 1...65536)
    static let unauthenticatedBytes = Key.bytes("limits.unauthenticated_bytes", default: 4 << 10, in: 1 << 10...1 << 20)
    static let unauthenticatedTime = Key.duration("limits.unauthenticated_time", default: 5000, in: 100...300_000)

    // Coordinator.
    static let coordinatorListen = Key.listenAddress("coordinator.listen", default: "127.0.0.1:7400")
    static let coordinatorAdvertise = Key.optionalPeerAddress("coordinator.advertise")
    static let coordinatorAdmin = Key.adminAddress("coordinator.admin_listen")
    static let coordinatorData = Key.path("coordinator.data", default: "data/coordinator")
    static let workerTimeout = Key.duration("coordinator.worker_timeout", default: 1500, in: 200...600_000)
    static let replaceAfter = Key.duration("coordinator.replace_after", default: 600_000, in: 0...604_800_000)
    static let repairAfter = Key.duration("coordinator.repair_after", default: 60000, in: 0...604_800_000)
    static let rebalanceAfter = Key.duration("coordinator.rebalance_after", default: 0, in: 0...604_800_000)
    static let loadWindow = Key.duration("coordinator.load_window", default: 21_600_000, in: 0...604_800_000)
    static let splitAbove = Key.count("coordinator.split_above", default: 0, in: 0...1_000_000_000)
    static let copiesPerWorker = Key.count("coordinator.copies_per_worker", default: 1, in: 1...64)
    static let spareDisk = Key.bytes("coordinator.spare_disk", default: 1 << 30, in: 16 << 20...1 << 40)
    static let reservedMemory = Key.choice("coordinator.reserve_memory", default: ReservedMemory.codes)
    static let defaultDeadline = Key.duration("coordinator.default_deadline", default: 10000, in: 10...600_000)
    static let archivePlace = Key.optionalPath("coordinator.archive.place")
    static let archiveInterval = Key.duration("coordinator.archive.interval", default: 5000, in: 200...3_600_000)
    static let coordinatorSlowSearch = Key.duration("coordinator.slow_search", default: 1000, in: 0...600_000)
    static let trainingMinFaces = Key.count("coordinator.training.min_faces", default: 50000, in: 1024...10_000_000)
    static let trainingSample = Key.count("coordinator.training.sample", default: 196_608, in: 1024...1_000_000)
    static let trainingGrowth = Key.count("coordinator.training.growth", default: 4, in: 2...1000)
    static let trainingLists = Key.automaticCount("coordinator.training.lists", in: 1...65536)

    // Where a coordinator's metadata is.
    static let coordinatorMetadata = Key.choice("coordinator.metadata", default: MetadataPlace.embedded)
    static let etcdEndpoints = Key.endpoints("coordinator.etcd.endpoints", default: "http://127.0.0.1:2379")
    static let etcdPrefix = Key.etcdPrefix("coordinator.etcd.prefix", default: "mien/")
    static let etcdLease = Key.duration("coordinator.etcd.lease", default: 3000, in: 2000...60000)
    static let etcdUser = Key.optionalName("coordinator.etcd.user")
    static let etcdPasswordFile = Key.optionalPath("coordinator.etcd.password_file")
    static let etcdTrustRoots = Key.optionalPath("coordinator.etcd.tls.trust_roots")
    static let etcdCertificate = Key.optionalPath("coordinator.etcd.tls.certificate")
    static let etcdPrivateKey = Key.optionalPath("coordinator.etcd.tls.private_key")

    // Worker.
    static let workerListen = Key.listenAddress("worker.listen", default: "127.0.0.1:7401")
    static let workerAdvertise = Key.optionalPeerAddress("worker.advertise")
    static let workerAdmin = Key.adminAddress("worker.admin_listen")
    static let workerData = Key.path("worker.data", default: "data/worker")
    static let workerCoordinators = Key.peerAddresses("worker.coordinators", default: "127.0.0.1:7400")
    static let searchThreads = Key.automaticCount("worker.search_threads", in: 1...1024)
    static let backgroundPercent = Key.count("worker.background_percent", default: 50, in: 1...100)
    static let erasureRetention = Key.duration(
        "worker.erasure_retention",
        default: 9600 * 3_600_000,
        in: 24 * 3_600_000...876_000 * 3_600_000
    )
    static let erasurePeriod = Key.duration(
        "worker.erasure_period",
        default: 24 * 3_600_000,
        in: 1000...8760 * 3_600_000
    )
    static let verifyPeriod = Key.duration("worker.verify_period", default: 24 * 3_600_000, in: 0...8760 * 3_600_000)
    static let copyRate = Key.bytes("worker.copy_rate", default: 64 << 20, in: 1 << 20...16 << 30)
    static let memoryLimit = Key.bytes("worker.memory.limit", default: 0, in: 0...1 << 50)
    static let memoryPartitionMap = Key.bytes("worker.memory.partition_map", default: 64 << 30, in: 1 << 30...4 << 40)
    static let memoryQueuedWrites = Key.bytes(
        "worker.memory.queued_writes",
        default: 256 << 20,
        in: 16 << 20...64 << 30
    )
    static let memoryPrefault = Key.choice("worker.memory.prefault", default: Prefault.codes)
    static let memoryWarmWait = Key.duration("worker.memory.warm_wait", default: 60000, in: 0...3_600_000)
    static let workerSlowSearch = Key.duration("worker.slow_search", default: 500, in: 0...600_000)
    static let recallCheckInterval = Key.count("worker.recall_check_interval", default: 1000, in: 0...1_000_000)
    static let heartbeatInterval = Key.duration("worker.heartbeat_interval", default: 500, in: 50...60000)

    // Development cluster.
    static let devListen = Key.listenAddress("dev.listen", default: "127.0.0.1:7400")
    static let devAdmin = Key.adminAddress("dev.admin_listen")
    static let devData = Key.path("dev.data", default: "data/dev")
    static let devWorkers = Key.count("dev.workers", default: 3, in: 1...64)

    static let shared: [AnyConfigurationKey] = [
        .init(tokenFile), .init(tlsCertificate), .init(tlsPrivateKey), .init(tlsTrustRoots), .init(logLevel),
        .init(logFormat), .init(maxFrame), .init(maxStreams), .init(maxK), .init(maxBatch), .init(maxProbes),
        .init(unauthenticatedBytes), .init(unauthenticatedTime),
    ]
    /// Where a coordinator or worker is placed; `mien dev` chooses these itself.
    static let coordinatorPlacement: [AnyConfigurationKey] = [
        .init(coordinatorListen), .init(coordinatorAdvertise), .init(coordinatorAdmin), .init(coordinatorData),
        .init(coordinatorMetadata), .init(etcdEndpoints), .init(etcdPrefix), .init(etcdLease), .init(etcdUser),
        .init(etcdPasswordFile), .init(etcdTrustRoots), .init(etcdCertificate), .init(etcdPrivateKey),
    ]
    static let coordinatorTuning: [AnyConfigurationKey] = [
        .init(workerTimeout), .init(replaceAfter), .init(repairAfter), .init(rebalanceAfter), .init(loadWindow),
        .init(splitAbove),
        .init(copiesPerWorker), .init(spareDisk), .init(reservedMemory), .init(defaultDeadline),
        .init(trainingMinFaces), .init(trainingSample), .init(trainingLists), .init(trainingGrowth),
        .init(coordinatorSlowSearch), .init(archivePlace), .init(archiveInterval),
    ]
    static let workerPlacement: [AnyConfigurationKey] = [
        .init(workerListen), .init(workerAdvertise), .init(workerAdmin), .init(workerData), .init(workerCoordinators),
    ]
    static let workerTuning: [AnyConfigurationKey] = [
        .init(searchThreads), .init(backgroundPercent), .init(copyRate), .init(erasurePeriod), .init(erasureRetention),
        .init(verifyPeriod),
        .init(memoryLimit), .init(memoryPartitionMap),
        .init(memoryQueuedWrites), .init(memoryPrefault), .init(memoryWarmWait), .init(heartbeatInterval),
        .init(workerSlowSearch),
        .init(recallCheckInterval),
    ]
    static let dev: [AnyConfigurationKey] = [.init(devListen), .init(devAdmin), .init(devData), .init(devWorkers)]

    static let all = shared + dev + coordinatorPlacement + coordinatorTuning + workerPlacement + workerTuning
}
