import ClusterController
import ClusterModel
import ClusterState
import Etcd
import Logging
import NIOCore
import NodeConfiguration

/// Opens the metadata store of a coordinator, and waits for one that is away: who started the node learns why from the
/// log.
struct MetadataOpening {
    struct Opened {
        var store: any MetadataStore
        /// What lies in it: a store that goes away once it was read does not end the start.
        var records: ClusterRecords
        /// When they began to be read: since then others may have changed them.
        var readFrom: ContinuousClock.Instant
    }

    private static let longestPause = Duration.seconds(5)

    let etcd: EtcdConfiguration?
    let folder: CoordinatorFolder
    let group: any EventLoopGroup
    let logger: Logger

    init(_ etcd: EtcdConfiguration?, folder: CoordinatorFolder, group: any EventLoopGroup, logger: Logger) {
        self.etcd = etcd
        self.folder = folder
        self.group = group
        self.logger = logger
    }

    /// - Throws: what waiting does not mend.
    func run() async throws -> Opened {
        guard let etcd else {
            let began = ContinuousClock.now
            let records = try await ClusterRecords.load(from: folder.store)
            return Opened(store: folder.store, records: records, readFrom: began)
        }
        let expected = try await folder.store.clusterElsewhere()
        var pause = Duration.milliseconds(500)
        while true {
            do throws(MetadataError) {
                return try await open(etcd, expected)
            } catch {
                switch error {
                case .unavailable(let reason), .outcomeUnknown(let reason):
                    logger.warning("waiting for the metadata store", metadata: ["reason": "\(reason)"])
                default: throw error
                }
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
    }

    /// Opens the store, makes sure that it is of this cluster, and remembers which that is.
    private func open(
        _ etcd: EtcdConfiguration,
        _ expected: NodeID?
    ) async throws(MetadataError) -> Opened {
        let store = try await EtcdMetadataStore.open(etcd, group: group)
        do throws(MetadataError) {
            let began = ContinuousClock.now
            let records = try await ClusterRecords.load(from: store, expecting: expected)
            if expected == nil { try await folder.store.leave(for: records.metadata.clusterID) }
            return Opened(store: store, records: records, readFrom: began)
        } catch {
            await store.close()
            throw error
        }
    }
}

extension EtcdMetadataStore {
    static func open(
        _ etcd: EtcdConfiguration,
        group: any EventLoopGroup
    ) async throws(MetadataError) -> EtcdMetadataStore {
        try await open(
            EtcdOptions(
                endpoints: etcd.endpoints.map(\.description),
                user: etcd.user.map { .init(name: $0.name, password: $0.password.text) },
                tls: .init(
                    trustRoots: etcd.trustRoots,
                    certificate: etcd.certificate,
                    privateKey: etcd.privateKey
                )
            ),
            prefix: etcd.prefix,
            leaseTime: etcd.lease,
            group: group
        )
    }
}
