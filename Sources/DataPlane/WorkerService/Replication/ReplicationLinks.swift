import ClusterModel
import NIOCore
import PartitionStore
import ShardReplication
import Synchronization
import WireProtocol
import WireTransport

/// The replicas' ways to each other and to the coordinators, and their sense of time.
final class ReplicationLinks: Sendable {
    /// This worker.
    let node: NodeID
    private let clients: WorkerClients
    private let group: any EventLoopGroup
    /// Messages of the log have a connection of their own, so that copies do not hold them up.
    private let logLoop: any EventLoop
    private let executor: EventLoopTaskExecutor
    /// What messages of the log hold in memory.
    let entriesUnderWay = EntriesUnderWay()
    private let addresses = Mutex<[NodeID: NodeAddress]>([:])
    private let proposer = Mutex<(@Sendable (ProposeGroup) async throws(WireStatus) -> ShardGroup)?>(nil)

    /// How long an answer to a message of the log counts.
    private static let appendTimeout = Replication.longestCall
    static let proposalTimeout = Duration.seconds(2)
    private static let tickInterval = Duration.milliseconds(50)

    init(node: NodeID, clients: WorkerClients, group: any EventLoopGroup) {
        self.node = node
        self.clients = clients
        self.group = group
        logLoop = group.next()
        executor = EventLoopTaskExecutor(logLoop)
    }

    /// Says how coordinators are asked; before that nothing is proposed.
    func propose(by proposer: @escaping @Sendable (ProposeGroup) async throws(WireStatus) -> ShardGroup) {
        self.proposer.withLock { $0 = proposer }
    }

    /// A coordinator has answered a heartbeat: where the other replicas are, and what the groups are.
    ///
    /// - Parameter asked: when the heartbeat was sent.
    func heard(_ reply: HeartbeatReply, asked: ContinuousClock.Instant, of replicas: ReplicaTable) {
        addresses.withLock { addresses in
            for worker in reply.workers { addresses[worker.id] = worker.address }
        }
        // Records of unknown age confirm nothing.
        let age: Duration? = reply.recordAge <= UInt64(Int64.max) ? .microseconds(Int64(reply.recordAge)) : nil
        let confirmed = age.map { ReplicationClock.time(of: asked) - $0 }
        for group in reply.groups { replicas.find(group.shard)?.take(group.group, asked: confirmed) }
        guard let confirmed, !reply.omitsGroups else { return }
        let own = reply.groups.filter { $0.group.members.contains(node) }
        replicas.told(Set(own.map(\.shard)), asOf: confirmed)
    }

    /// Sends a message; those to one worker leave in order. Without an answer nothing is heard of it any more.
    ///
    /// One whose entries are too much beside those on their way is lost before it is made.
    func send(
        _ request: AppendRequest<LogEntry>,
        of shard: ShardID,
        to worker: NodeID,
        answered: @escaping @Sendable (EntriesAppended) -> Void
    ) {
        guard let address = addresses.withLock({ $0[worker] }) else { return }
        let byteCount = request.entries.reduce(0) { $0 + $1.byteCount }
        guard let share = entriesUnderWay.share(of: byteCount, to: shard, on: worker) else { return }
        let message = AppendEntries(request, of: shard, from: node)
        let client = clients.client(for: worker, at: address, on: logLoop)
        Task(executorPreference: executor) {
            let reply = try? await client.call(message, deadline: .after(Self.appendTimeout), holding: share)
            // The message was here until now, and its bytes may be in the connection still, which holds the share, too.
            withExtendedLifetime(share) {}
            if let reply { answered(reply) }
        }
    }

    func call<R: WireRequest>(
        _ request: R,
        on worker: NodeID,
        deadline: WireDeadline
    ) async throws(WireStatus) -> R.Reply {
        guard let address = addresses.withLock({ $0[worker] }) else {
            throw WireStatus(.unavailable, "No address is known of worker \(worker).")
        }
        return try await clients.client(for: worker, at: address, on: group).call(request, deadline: deadline)
    }

    /// Asks a coordinator for a change; `answered` gets the group as it is then, unless none could be asked.
    func propose(_ proposal: ProposeGroup, answered: @escaping @Sendable (ReplicaGroup) -> Void) {
        guard let proposer = proposer.withLock(\.self) else { return }
        Task {
            if let reply = try? await proposer(proposal), reply.shard == proposal.shard { answered(reply.group) }
        }
    }

    func close() async { await clients.close() }

    /// Tells replicas that time passes, until cancelled.
    func run(_ replicas: ReplicaTable) async {
        while !Task.isCancelled {
            for replica in replicas.all { replica.tick() }
            try? await Task.sleep(for: Self.tickInterval)
        }
    }
}
