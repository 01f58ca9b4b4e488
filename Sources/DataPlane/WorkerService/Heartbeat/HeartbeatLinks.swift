import ClusterModel
import Synchronization
import WireProtocol
import WireTransport

/// The heartbeats of a worker, one service for each coordinator that it knows: those of its configuration always,
/// others as long as they are named.
final class HeartbeatLinks: Sendable {
    private struct State {
        var list = CoordinatorList()
        var learned: [NodeAddress: HeartbeatService] = [:]
        /// What must end the worker.
        var failure: WorkerError?
    }

    private let configured: Mutex<[HeartbeatService]>
    private let make: @Sendable (NodeAddress, @escaping @Sendable (HeartbeatReply?) -> Void) -> HeartbeatService
    private let state = Mutex(State())
    private let arrivals: AsyncStream<HeartbeatService>
    private let arrival: AsyncStream<HeartbeatService>.Continuation

    /// - Parameters:
    ///   - coordinators: the configured ones.
    ///   - make: a service for one address, which gives the reply to every heartbeat to the closure.
    init(
        to coordinators: [NodeAddress],
        make: @escaping @Sendable (NodeAddress, @escaping @Sendable (HeartbeatReply?) -> Void) -> HeartbeatService
    ) {
        self.make = make
        configured = Mutex([])
        (arrivals, arrival) = AsyncStream.makeStream()
        let services = coordinators.map { address in make(address) { [weak self] in self?.ended($0) } }
        configured.withLock { $0 = services }
        for service in services { arrival.yield(service) }
    }

    /// Whether a coordinator took the last heartbeat, or there is none to take any.
    var isHeard: Bool {
        let services = all
        return services.isEmpty || services.contains(where: \.isHeard)
    }

    /// Asks one coordinator after the other, those first that took the last heartbeat, until one answers. One that this
    /// worker refuses is asked for nothing: it works on a copy of the store.
    func call<R: WireRequest>(_ request: R, timeout: Duration) async throws(WireStatus) -> R.Reply {
        var failure = WireStatus(.unavailable, "No coordinator is known by which this worker goes.")
        let services = all.filter { !$0.isRefused }
        for service in services.filter(\.isHeard) + services.filter({ !$0.isHeard }) {
            do throws(WireStatus) {
                return try await service.call(request, deadline: .after(timeout))
            } catch {
                failure = error
            }
        }
        throw failure
    }

    func beatSoon() {
        for service in all { service.beatSoon() }
    }

    func beatForCounts() {
        for service in all { service.beatForCounts() }
    }

    /// Beats until cancelled.
    ///
    /// - Throws: what must end the worker, such as a coordinator of another cluster.
    func run() async throws(WorkerError) {
        await withDiscardingTaskGroup { group in
            for await service in arrivals {
                group.addTask {
                    do throws(WorkerError) {
                        try await service.run()
                    } catch {
                        self.state.withLock { $0.failure = error }
                        // No more arrivals: the others end as well.
                        self.arrival.finish()
                    }
                }
            }
            group.cancelAll()
        }
        if let failure = state.withLock(\.failure) { throw failure }
    }

    private var all: [HeartbeatService] {
        configured.withLock(\.self) + state.withLock { Array($0.learned.values) }
    }

    /// Looks at who is to be told, after every heartbeat.
    private func ended(_ reply: HeartbeatReply?) {
        let configured = configured.withLock(\.self).map {
            CoordinatorList.Configured(address: $0.coordinator, reached: $0.isHeard ? $0.coordinatorID : nil)
        }
        let (arrived, left) = state.withLock { state in
            if let reply { state.list.heard(reply) }
            let wanted = state.list.addresses(besides: configured)
            let left = state.learned.filter { !wanted.contains($0.key) }
            for address in left.keys { state.learned[address] = nil }
            var arrived: [HeartbeatService] = []
            for address in wanted where state.learned[address] == nil {
                let service = make(address) { [weak self] in self?.ended($0) }
                state.learned[address] = service
                arrived.append(service)
            }
            return (arrived, Array(left.values))
        }
        for service in left { service.stop() }
        for service in arrived { arrival.yield(service) }
    }
}
