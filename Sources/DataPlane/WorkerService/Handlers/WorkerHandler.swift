import ClusterModel
import FaceModel
import Threads
import WireProtocol
import WireTransport

/// Answers the requests that reach a worker: who may ask, which replica, under which epoch, on which thread.
///
/// Runs on the connection's event loop and only decides; reads go to the search threads, writes to the replica's lane,
/// control requests, one at a time, to the control thread. What takes long has a thread of its own: reading all of a
/// replica, snapshots, the checks of copies that come. Short searches alone are answered where they come in.
struct WorkerHandler: RequestHandler {
    let replicas: ReplicaTable
    let searches: BoundedExecutor
    let loopTurns: LoopTurns
    let control: BoundedExecutor
    let shelf: CodebookShelf
    let installed: InstalledCodebooks
    let training: TrainingService
    let installations: CodebookInstallations
    let limits: WorkerLimits
    let metrics: WorkerMetrics
    let recall: RecallChecker
    /// Where slices of copies are put together, one at a time.
    let copies: PartitionReceiver
    let snapshots: SnapshotShelf
    let memory: MemoryWatch
    /// Of whole replicas, for whoever asked for one.
    let readings: AwaitedReadings
    /// Largest answer, in bytes, that this worker builds.
    let answerByteLimit: Int

    func handle(_ request: Request, call: ServerCall) {
        guard call.peerRole == .coordinator || call.peerRole == .worker else {
            return call.fail(
                Refusal.invalid("this node is a worker and answers only the cluster's nodes; connect to a coordinator")
            )
        }
        switch request {
        case .shardEnrol(let request): enrol(request, call)
        case .shardDelete(let request): delete(request, call)
        case .shardGet(let request): get(request, call)
        case .shardList(let request): list(request, call)
        case .confirmShard(let request): confirm(request, call)
        case .shardSearch(let request): search(request, call)
        case .sampleEmbeddings(let request): sample(request, call)
        case .hostReplica(let request): host(request, call)
        case .dropReplica(let request): drop(request, call)
        case .trainCodebook(let request): train(request, call)
        case .fetchCodebook(let request): fetch(request, call)
        case .installCodebook(let request): install(request, call)
        case .verifyReplica(let request): verify(request, call)
        case .prepareSuccessor(let request): prepare(request, call)
        case .abandonSuccessor(let request): abandon(request, call)
        case .abandonTraining(let request): abandon(request, call)
        case .appendEntries(let request): append(request, call)
        case .partitionSlice(let request): receive(request, call)
        case .offerCopy(let request): receive(request, call)
        case .holdWrites(let request): hold(request, call)
        case .cutShard(let request): cut(request, call)
        case .describeSnapshot(let request): describe(request, call)
        case .readSnapshot(let request): read(request, call)
        case .releaseSnapshot(let request): release(request, call)
        case .shardRestore(let request): restore(request, call)
        case .shardErasures(let request): list(request, call)
        case .readLog(let request): read(request, call)
        default:
            call.fail(
                Refusal.invalid("this node is a worker and does not answer that request; send it to a coordinator")
            )
        }
    }

    /// The replica a request is addressed to, when it may be served here now, and what it must fit.
    func admit(
        _ route: ShardRoute,
        isWrite: Bool = false
    ) throws(WireStatus) -> (
        replica: Replica, terms: Replica.Terms
    ) {
        let replica = try replicas.replica(route.shard)
        return (replica, try replica.admit(isWrite ? .writing(route.epoch) : .reading(route.epoch)))
    }

    func check(_ dimension: Int, against terms: Replica.Terms, _ shard: ShardID) throws(WireStatus) {
        guard dimension == terms.dimension else {
            throw Refusal.wrongDimension(shard, sent: dimension, held: terms.dimension)
        }
    }

    /// Queues `body` for a search thread and sends its result, unless the caller has given up by its turn.
    ///
    /// - Parameter byteCount: what the request keeps in memory while it waits.
    func onSearchThread(
        _ call: ServerCall,
        byteCount: Int,
        _ body: @escaping @Sendable () throws(WireStatus) -> some WireMessage
    ) {
        let isQueued = searches.submit(
            BoundedExecutor.Job(
                byteCount: byteCount,
                run: { answer(call, body) },
                abandon: { call.fail(Refusal.stopping) }
            )
        )
        if !isQueued { call.fail(Refusal.searchQueueFull(limit: searches.queueLimit)) }
    }

    /// The same on the control thread.
    func onControlThread(
        _ call: ServerCall,
        _ body: @escaping @Sendable () throws(WireStatus) -> some WireMessage
    ) {
        let isQueued = control.submit(
            BoundedExecutor.Job(run: { answer(call, body) }, abandon: { call.fail(Refusal.stopping) })
        )
        if !isQueued { call.fail(Refusal.controlQueueFull(limit: control.queueLimit)) }
    }

    /// Answers with what `body` gives, unless the caller has given up; a nil is answered elsewhere.
    func answer(_ call: ServerCall, _ body: () throws(WireStatus) -> (some WireMessage)?) {
        if call.deadline.hasPassed { return call.fail(Refusal.deadlineExceeded) }
        if call.isCancelled { return call.fail(Refusal.cancelled) }
        do throws(WireStatus) {
            if let message = try body() { call.reply(message) }
        } catch {
            call.fail(error)
        }
    }
}
