import ClusterController
import NIOPosix
package import NodeConfiguration

extension NodeServer {
    /// What a migration of a cluster's metadata has done.
    package struct MetadataMoved: Sendable {
        package var cluster: String
        package var recordCount: Int
        package var byteCount: Int
        package var endpoints: [String]
        package var prefix: String
    }

    /// Brings the metadata in a stopped coordinator's data folder to the etcd of its configuration.
    ///
    /// - Throws: ``NodeStartError``; then the folder is as it was.
    package static func moveMetadataToEtcd(_ configuration: CoordinatorConfiguration) async throws -> MetadataMoved {
        guard let etcd = configuration.etcd else { preconditionFailure("a migration to no etcd") }
        do throws(MetadataError) {
            let folder = try await CoordinatorFolder.open(at: configuration.data)
            let outcome: MetadataMigration.Outcome
            do throws(MetadataError) {
                let store = try await EtcdMetadataStore.open(etcd, group: MultiThreadedEventLoopGroup.singleton)
                do throws(MetadataError) {
                    outcome = try await MetadataMigration.run(from: folder.store, to: store)
                } catch {
                    await store.close()
                    throw error
                }
                await store.close()
            } catch {
                await folder.store.close()
                throw error
            }
            await folder.store.close()
            return MetadataMoved(
                cluster: "\(outcome.cluster)",
                recordCount: outcome.recordCount,
                byteCount: outcome.byteCount,
                endpoints: etcd.endpoints.map(\.description),
                prefix: etcd.prefix
            )
        } catch {
            throw NodeStartError.metadata(error)
        }
    }
}
