import ClusterController
import ClusterModel
import FaceModel
import NIOCore
import NIOPosix
import PortHolding
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// A worker without faces: does what a coordinator tells it, and reports what it is told to report.
final class FakeControlWorker: Sendable {
    struct State: Sendable {
        var replicas: [ShardID: WorkerReport.Replica] = [:]
        var copyRefusals: [WorkerReport.CopyRefusal] = []
        /// Shards whose replica here waits for the disk.
        var stuckShards: [ShardID] = []
        /// Shards that it makes to take others' place, which it has at once, and what they are made from.
        var successors: [ShardID: [UInt32]] = [:]
        var trainings: [WorkerReport.Training] = []
        var clusterID: NodeID?
        var standing = CoordinatorStanding.untold
        var codebook: [UInt8] = []
        /// Slices of codebooks under way, and whole ones.
        var staged: [ShardID: [UInt8]] = [:]
        var installed: [ShardID: [UInt8]] = [:]
        var orders: [TrainCodebook] = []
        var hostCount = 0
        /// Orders of those by which a replica that is not there may begin with nothing.
        var beginCount = 0
        var drops: [DropReplica] = []
        /// What a reading of any of its replicas finds.
        var reading: ReplicaVerified?
        /// Readings asked for, and whether their answers wait.
        var readingCount = 0
        var holdsReadings = false
        /// How many of the readings may have to wait, from the first.
        var heldReadingCount = Int.max
        /// Whether it sends no heartbeats, and answers all the same.
        var isSilent = false
        /// The last reply to a heartbeat.
        var reply: HeartbeatReply?
        /// Whether it goes by groups that it hears of, as a worker does.
        var followsGroups = true
        /// Requests to refuse instead, by the status.
        var refusal: (@Sendable (Request) -> WireStatus?)?
        /// Requests that were refused for it.
        var refusedCount = 0
    }

    let id: NodeID
    let state = Mutex(State())
    private let server = Mutex<WireServer?>(nil)
    private let heldPorts = Mutex<[HeldPort]>([])
    private let beating = Mutex<[Task<Void, Never>]>([])

    init(_ number: UInt64) {
        id = NodeID(high: 7, low: number)
    }

    var shards: [ShardID] { state.withLock { $0.replicas.keys.sorted() } }
    var address: NodeAddress? { server.withLock { $0?.address } }

    /// Begins to listen and to send heartbeats.
    func start(in cluster: ControlCluster) async throws { try await start(in: [cluster]) }

    /// Begins to listen and to send heartbeats to several coordinators, which share a token.
    func start(in clusters: [ControlCluster]) async throws {
        let token = clusters[0].token
        let server = try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: 0),
                token: token,
                role: .worker,
                node: id,
                agent: "fake worker"
            ),
            handler: self,
            group: MultiThreadedEventLoopGroup.singleton
        )
        self.server.withLock { $0 = server }
        for cluster in clusters { beat(to: cluster.address, token, from: server.address) }
    }

    private func beat(to coordinator: NodeAddress, _ token: String, from address: NodeAddress) {
        let task = Task {
            let client = PeerClient(
                address: coordinator,
                role: .worker,
                token: token,
                tls: nil,
                group: MultiThreadedEventLoopGroup.singleton,
                agent: "fake worker"
            )
            while !Task.isCancelled {
                if !state.withLock(\.isSilent),
                    let reply = try? await client.call(heartbeat(from: address), deadline: .after(.seconds(1)))
                {
                    take(reply)
                }
                try? await Task.sleep(for: .milliseconds(30))
            }
            await client.close()
        }
        beating.withLock { $0.append(task) }
    }

    /// Goes by the groups of the reply.
    private func take(_ reply: HeartbeatReply) {
        state.withLock { state in
            state.clusterID = reply.clusterID
            state.reply = reply
            guard state.followsGroups else { return }
            for group in reply.groups { state.replicas[group.shard]?.follow(group.group, as: id) }
        }
    }

    func stop() async {
        let tasks = beating.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in tasks {
            task.cancel()
            await task.value
        }
        guard let server = server.withLock({ $0 }) else { return }
        await server.shutdown(gracePeriod: .zero)
        let port = HeldPort(server.address.port) { Issue.record("\($0)") }
        heldPorts.withLock { $0.append(port) }
        self.server.withLock { $0 = nil }
    }

    func heartbeat(from address: NodeAddress) -> Heartbeat {
        state.withLock { state in
            Heartbeat(
                worker: id,
                address: address,
                clusterID: state.clusterID,
                report: WorkerReport(
                    replicas: Array(state.replicas.values),
                    copyRefusals: state.copyRefusals,
                    stuckShards: state.stuckShards,
                    successors: state.successors.map { state.successor($0, from: $1) },
                    trainings: state.trainings,
                    residentByteCount: 11,
                    freeDiskByteCount: 22 << 30,
                    kernelLevel: "scalar"
                ),
                standing: state.standing
            )
        }
    }

    func setFaceCount(_ count: UInt64) {
        state.withLock { state in
            for shard in state.replicas.keys { state.replicas[shard]!.faceCount = count }
        }
    }
}

extension FakeControlWorker.State {
    /// It is sealed once nothing is written any more.
    fileprivate func successor(_ shard: ShardID, from indices: [UInt32]) -> WorkerReport.Successor {
        let sources = indices.compactMap { index -> WorkerReport.Successor.Source? in
            guard let end = replicas[ShardID(collection: shard.collection, index: index)]?.end else { return nil }
            return WorkerReport.Successor.Source(shardIndex: index, sequence: end.sequence)
        }
        let isSealed = sources.count == indices.count
        return WorkerReport.Successor(
            shard: shard,
            state: isSealed ? .sealed : .following,
            sources: isSealed ? sources : []
        )
    }
}

extension WorkerReport.Replica {
    fileprivate mutating func follow(_ group: ReplicaGroup, as worker: NodeID) {
        guard group.version >= groupVersion else { return }
        epoch = max(epoch, group.epoch)
        groupVersion = group.version
        role = group.primary == worker ? .primary : group.isInSync(worker) ? .secondary : .waiting
        let hasEnded = group.isFrozen && role == .primary
        end = hasEnded ? WorkerReport.End(groupVersion: group.version, sequence: sequence) : nil
    }
}

extension FakeControlWorker: RequestHandler {
    func handle(_ request: Request, call: ServerCall) {
        if let status = state.withLock({ $0.refusal })?(request) {
            state.withLock { $0.refusedCount += 1 }
            return call.fail(status)
        }
        switch request {
        case .hostReplica(let request):
            state.withLock { state in
                state.hostCount += 1
                if request.mayBegin { state.beginCount += 1 }
                var replica =
                    state.replicas[request.shard]
                    ?? WorkerReport.Replica(
                        shard: request.shard,
                        epoch: request.group.epoch,
                        state: .serving,
                        faceCount: 0,
                        freshCount: 0,
                        tombstoneCount: 0,
                        sequence: 0,
                        diskByteCount: 0,
                        generation: 0
                    )
                replica.follow(request.group, as: id)
                state.replicas[request.shard] = replica
                state.successors[request.shard] = nil
            }
            call.reply(Acknowledgement())
        case .dropReplica(let request):
            state.withLock { state in
                state.drops.append(request)
                state.replicas[request.shard] = nil
            }
            call.reply(Acknowledgement())
        case .verifyReplica:
            let number = state.withLock { state in
                state.readingCount += 1
                return state.readingCount
            }
            call.run {
                while self.state.withLock({ $0.holdsReadings && number <= $0.heldReadingCount }), !Task.isCancelled {
                    try? await Task.sleep(for: .milliseconds(5))
                }
                guard let reading = self.state.withLock(\.reading) else {
                    throw WireStatus(.invalidRequest, "The fake worker has nothing to read.")
                }
                return reading
            }
        case .shardRestore: call.reply(ShardEnrolled(outcomes: [], sequence: 1))
        case .prepareSuccessor(let request):
            state.withLock { $0.successors[request.shard] = request.sources }
            call.reply(Acknowledgement())
        case .trainCodebook(let request):
            state.withLock { state in
                state.orders.append(request)
                state.trainings = [
                    .init(
                        collection: request.collection.id,
                        generation: request.generation,
                        isFinished: false,
                        failure: nil
                    )
                ]
            }
            call.reply(Acknowledgement())
        case .abandonTraining(let request):
            state.withLock { state in
                state.trainings.removeAll {
                    $0.collection == request.collection && $0.generation == request.generation
                }
            }
            call.reply(Acknowledgement())
        case .fetchCodebook(let request):
            // As a worker does, from a training or else from a replica.
            let isHere = state.withLock { state in
                !state.codebook.isEmpty || state.installed.keys.contains { $0.collection == request.collection }
            }
            guard isHere else { return call.fail(WireStatus(.notFound, "The codebook is not here.")) }
            call.reply(
                state.withLock { state in
                    let installed = state.installed.first { $0.key.collection == request.collection }?.value
                    let codebook = state.codebook.isEmpty ? installed ?? [] : state.codebook
                    return CodebookFetched(
                        slice: CodebookSlice(
                            totalByteCount: UInt64(codebook.count),
                            offset: request.offset,
                            bytes: Array(codebook.dropFirst(Int(request.offset)).prefix(1000))
                        ),
                        summary: .madeUp(generation: request.generation)
                    )
                }
            )
        case .installCodebook(let request):
            let isValid = state.withLock { state -> Bool in
                if request.slice.offset == 0 { state.staged[request.shard] = [] }
                guard state.staged[request.shard]?.count == Int(request.slice.offset) else { return false }
                state.staged[request.shard]! += request.slice.bytes
                let bytes = state.staged[request.shard]!
                guard bytes.count == Int(request.slice.totalByteCount) else { return true }
                guard CodebookFiles.digest(of: bytes) == request.digest else { return false }
                state.installed[request.shard] = bytes
                state.replicas[request.shard]?.generation = request.generation
                return true
            }
            if isValid {
                call.reply(Acknowledgement())
            } else {
                call.fail(WireStatus(.invalidRequest, "The slice does not fit."))
            }
        default: call.fail(WireStatus(.invalidRequest, "The fake worker answers control requests only."))
        }
    }
}

/// What readings of replicas without faces find.
extension ReplicaVerified {
    static let soundReading = ReplicaVerified(
        sequence: 0,
        faceCount: 0,
        slices: [UInt128](repeating: 0, count: ReplicaVerified.sliceCount),
        damage: nil
    )
    static let damagedReading = ReplicaVerified(
        sequence: 0,
        faceCount: 0,
        slices: [],
        damage: "A checksum is wrong."
    )
}
