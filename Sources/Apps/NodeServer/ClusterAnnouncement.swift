import ClusterModel
import ServiceLifecycle

/// Says that a cluster in one process serves, once its coordinator has heard of every worker: a collection that is
/// created at that moment has a place for its shards.
struct ClusterAnnouncement: Service {
    let coordinator: Coordinator
    let workers: [NodeID]
    let admin: AdminEndpoint?
    /// Gets the admin endpoint's address.
    let announce: @Sendable (String?) -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !workers.allSatisfy(coordinator.hears) {
                do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
            }
            let address = await admin?.address()
            if !Task.isCancelled { announce(address) }
        }
        try await gracefulShutdown()
    }
}
