import ClusterModel
import ServiceLifecycle

/// Says that a cluster in one process serves, once its coordinator has heard of every worker: a collection that is
/// created at that moment has a place for its shards.
struct ClusterAnnouncement: Service {
    let coordinator: Coordinator
    let workers: [NodeID]
    let announce: @Sendable () -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !workers.allSatisfy(coordinator.hears) {
                do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
            }
            announce()
        }
        try await gracefulShutdown()
    }
}
