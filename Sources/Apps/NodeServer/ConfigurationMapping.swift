import ClusterModel
import NodeConfiguration
import PartitionEngine
import WireProtocol
import WorkerService

extension NodeAddress {
    init(_ address: NetworkAddress) {
        self.init(host: address.host, port: address.port)
    }
}

extension AccessToken {
    /// The secret as the hello carries it.
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension WireLimits {
    init(_ limits: RequestLimits) {
        self.init(
            payloadByteCount: UInt32(limits.maxFrameBytes),
            streamCount: UInt32(limits.maxStreams),
            batchRowCount: UInt32(limits.maxBatch),
            probeCount: UInt32(limits.maxProbes),
            matchLimit: UInt32(limits.maxK)
        )
    }
}

extension WorkerOptions {
    init(_ configuration: WorkerConfiguration, tls: NodeTLS?) {
        self.init(
            dataDirectory: configuration.data,
            listen: NodeAddress(configuration.listen),
            advertise: configuration.advertise.map { NodeAddress($0) },
            coordinators: configuration.coordinators.map { NodeAddress($0) },
            token: configuration.token?.text,
            serverTLS: tls?.server,
            clientTLS: tls?.client,
            searchThreadCount: configuration.searchThreads,
            backgroundProcessorShare: Double(configuration.backgroundPercent) / 100,
            heartbeatInterval: configuration.heartbeatInterval,
            wireLimits: WireLimits(configuration.limits),
            agent: NodeServer.agent
        )
        copyBytesPerSecond = configuration.copyRate
        verificationPeriod = configuration.verifyPeriod
        partition.erasurePeriod = configuration.erasurePeriod
        partition.erasureRetention = configuration.erasureRetention
        slowSearch = configuration.slowSearch
        recallCheckInterval = configuration.recallCheckInterval
        limits.writeQueueBytes = configuration.memory.queuedWritesBytes
        partition.mapByteCount = configuration.memory.partitionMapBytes
        memoryLimitByteCount = UInt64(configuration.memory.limitBytes)
        warmingPatience = configuration.memory.warmWait
        prefault =
            switch configuration.memory.prefault {
            case .none: .none
            case .codes: .codes
            case .roundings: .roundings
            case .all: .all
            }
    }
}
