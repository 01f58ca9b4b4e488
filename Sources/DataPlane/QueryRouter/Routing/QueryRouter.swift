import ClusterModel
import FaceModel
import NIOCore
import Observability
import Synchronization
import Threads
import WireProtocol
package import WireTransport

/// Answers clients' data requests by asking the shards: divides, fans out, tries again inside the deadline, merges.
///
/// Holds no state but connections; every request works from the shard map it began with and takes a newer one only when
/// a worker says that there is one. Call it from a task on the event loop that is passed along: nothing then changes
/// threads. A cancelled task cancels its shard requests.
package final class QueryRouter: Sendable {
    let source: any ShardMapSource
    let clients: WorkerClients
    let options: RouterOptions
    let metrics: RouterMetrics
    let unreachable = UnreachableWorkers()
    let choice: Mutex<ReadChoice>
    private let deadly = Mutex(DeadlyRequests())
    private let overloadRetries: Mutex<RequestBudget>
    /// Writes under way, by shard: one that waits for a replica holds up no other.
    let writes: ConcurrencyLimits<ShardID>

    package init(
        source: any ShardMapSource,
        clients: WorkerClients,
        options: RouterOptions = RouterOptions(),
        metrics: RouterMetrics
    ) {
        self.source = source
        self.clients = clients
        self.options = options
        self.metrics = metrics
        choice = Mutex(ReadChoice(limits: options.reads))
        overloadRetries = Mutex(
            RequestBudget(share: options.overloadRetryShare, reserve: Double(options.overloadRetryReserve))
        )
        let writes = ConcurrencyLimits<ShardID>(options.writesUnderWay)
        self.writes = writes
        metrics.collect { [weak writes] in writes?.collect(into: &$0, LabelValue.writes) }
    }

    /// One request's fixed circumstances.
    struct Context: Sendable {
        var map: ShardMap
        var collection: Collection
        var placements: [ShardPlacement]
        /// When the shards have to have answered: a little before the caller's deadline.
        var deadline: WireDeadline
        var eventLoop: any EventLoop
        var began: NIODeadline
        /// Its calls that are under way, by worker.
        let turns: CallTurns
        /// When the request came, by the clock that goes on while the machine is suspended.
        var arrival = ContinuousClock.now
        /// Set when a shard that was asked is in no newer map: others have taken its place.
        let replacement = OneWayFlag()
        /// Set when that is why all of the request is done again, so that nobody receives what came of it.
        let repetition = OneWayFlag()
        /// Of a request that is no write: those have their own.
        var lost = SharedLosses()
        /// Where what its shards answer is counted; nil where nobody does.
        var bytes: CallBytes?

        /// Whether shards are asked one after the other: the request may be what workers die of.
        var isInTurn: Bool { lost.isSuspected }
        var name: String { collection.name }
        /// Why nobody is asked any more.
        var refusal: WireStatus? { lost.current.refusal ?? bytes?.refusal }
        /// Since the request came.
        var elapsed: Duration { .now - arrival }
        /// When the shards have to have answered: since the request came, as the machines have it.
        var end: Duration { elapsed + deadline.remaining }

        /// Whether all of the request is done again by a newer map, whatever came of it by this one. Asked once its
        /// shards have answered or failed; whoever asks later is told the same.
        func isDoneAgain() -> Bool {
            if repetition.isSet { return true }
            guard replacement.isSet, !deadline.hasPassed, !Task.isCancelled else { return false }
            repetition.set()
            return true
        }
    }

    /// - Parameter isRestore: whether the request is for a collection that is being restored, and for no other.
    func context(
        of name: String,
        isRestore: Bool = false,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) throws(WireStatus) -> Context {
        let map = source.current
        guard let collection = map.collection(named: name), let placements = map.placements[collection.id] else {
            throw WireStatus(
                .notFound,
                "There is no collection '\(name.prefix(64))'; 'mien collection list' shows those there are."
            )
        }
        let isRestoring = map.restoring.contains(collection.id)
        guard isRestoring == isRestore else {
            throw isRestore
                ? WireStatus(
                    .invalidRequest,
                    "Collection '\(name)' is not being restored: faces of a backup go into a new collection only."
                )
                : WireStatus(
                    .unavailable,
                    "Collection '\(name)' is being restored from a backup and is not whole yet; "
                        + "'mien collection describe \(name)' tells.",
                    retryAfterMilliseconds: 1000
                )
        }
        let remaining = deadline.isNone ? options.defaultDeadline : deadline.remaining
        return Context(
            map: map,
            collection: collection,
            placements: placements,
            deadline: .after(options.shardTime(of: remaining)),
            eventLoop: eventLoop,
            began: .now(),
            turns: CallTurns(limit: options.shardsUnderWay)
        )
    }

    /// Does a request by the newest shard map, and all of it again, inside the deadline, when other shards took the
    /// place of one that it asked: what the others answered before is asked of them once more, since a face may have
    /// been counted twice or not at all otherwise. Writes carry their key.
    ///
    /// - Parameters:
    ///   - request: it is refused while it is remembered as one that workers were lost under.
    ///   - write: what the request does as a write; nil for one that changes nothing.
    ///   - bytes: where what its shards answer is counted; nil where nobody does.
    /// - Throws: a status that says whether nothing was done by all of it.
    func onNewestMap<R>(
        of name: String,
        for request: some WireRequest,
        write: WriteUnderWay? = nil,
        deadline: WireDeadline,
        on eventLoop: any EventLoop,
        counting bytes: CallBytes? = nil,
        _ body: (Context) async throws(WireStatus) -> R
    ) async throws(WireStatus) -> R {
        do throws(WireStatus) {
            return try await inRounds(of: name, for: request, write, deadline: deadline, on: eventLoop, bytes, body)
        } catch {
            throw write?.withLock { $0.told(error) } ?? error.withoutEffect
        }
    }

    private func inRounds<R>(
        of name: String,
        for request: some WireRequest,
        _ write: WriteUnderWay?,
        deadline: WireDeadline,
        on eventLoop: any EventLoop,
        _ bytes: CallBytes?,
        _ body: (Context) async throws(WireStatus) -> R
    ) async throws(WireStatus) -> R {
        let standing = deadly.withLock { $0.standing(of: request, now: .now) }
        if case .refused(let time)? = standing {
            metrics.refusedDeadly(name)
            throw LostWorkers.refusal(for: time)
        }
        let isSuspected = standing == .suspected
        if isSuspected { write?.withLock { $0.suspect() } }
        let deadline = deadline.isNone ? WireDeadline.after(options.defaultDeadline) : deadline
        var first: Context?
        defer {
            let lost = write?.withLock(\.lost) ?? first?.lost.current
            if let lost, lost.areTooMany {
                deadly.withLock { $0.remember(request, isDeadly: lost.areDeadly, now: .now) }
            }
        }
        while true {
            var context = try context(of: name, deadline: deadline, on: eventLoop)
            context.lost = SharedLosses(isSuspected: isSuspected)
            context.bytes = bytes
            if let first {
                bytes?.beginAnew()
                (context.began, context.arrival, context.lost) = (first.began, first.arrival, first.lost)
            }
            first = context
            do throws(WireStatus) {
                let answer = try await body(context)
                // Whoever else was content with a part was told of shards that had none for want of room here.
                if let refusal = bytes?.refusal { throw refusal }
                // One that does without the shard need not.
                if !context.isDoneAgain() {
                    if isSuspected { deadly.withLock { $0.acquit(request) } }
                    return answer
                }
            } catch {
                if let refusal = bytes?.refusal { throw refusal }
                guard context.isDoneAgain() else { throw error }
            }
        }
    }

    /// Runs one task per number below `count` at once, unless the context wants them in turn; results in order of
    /// number. Their calls of one worker wait for their turns there.
    func fanOut<T: Sendable>(
        _ count: Int,
        _ context: Context,
        _ body: @escaping @Sendable (Int) async -> T
    ) async -> [T] {
        if count == 1 || context.isInTurn {
            var results: [T] = []
            for number in 0..<count { results.append(await body(number)) }
            return results
        }
        return await withTaskGroup(of: (Int, T).self) { group in
            for number in 0..<count { group.addTask { (number, await body(number)) } }
            var results = [T?](repeating: nil, count: count)
            for await (number, result) in group {
                results[number] = result
                // What the others would answer is not taken.
                if context.bytes?.refusal != nil { group.cancelAll() }
            }
            return results.map { $0! }
        }
    }

    /// A shard is asked for something, for the first time.
    func noteRequest() { overloadRetries.withLock { $0.noteRequest() } }

    /// Whether a shard that failed so may be asked again as far as the others are concerned.
    func mayRetry(after status: StatusCode) -> Bool {
        status != .overloaded || overloadRetries.withLock { $0.take() }
    }

    /// Checks a consistency token and gives the sequence each shard has to have reached.
    ///
    /// A token that names a shard which is not in the map yet comes from a coordinator that knows a newer one: the
    /// shard that is asked by this map may go on answering for a moment without what was written to those in its place.
    /// The request begins anew by a newer map, until there is one or its deadline comes.
    func minimumSequences(
        _ token: ConsistencyToken?,
        _ context: Context
    ) async throws(WireStatus) -> [UInt32: UInt64] {
        guard let token else { return [:] }
        guard token.collection == context.collection.id else {
            throw await foreignStatus(
                context,
                "The consistency token is of another collection than '\(context.name)', or of one of this name that "
                    + "was deleted; leave it out."
            )
        }
        let (shards, collection) = (token.sequences.keys, context.collection.id)
        guard context.map.isOlder(than: shards, of: collection) else { return token.sequences }
        await source.refresh()
        if source.current.isOlder(than: shards, of: collection) { try? await Task.sleep(for: Self.newerMapPause) }
        context.replacement.set()
        throw WireStatus(
            .notYet,
            "The consistency token names a shard of '\(context.name)' that this coordinator has not heard of yet; send "
                + "the request again, or to another coordinator.",
            retryAfterMilliseconds: 200
        )
    }

    /// What a request comes to that goes by an earlier answer, which was of another collection than the one that has
    /// the name by this map.
    ///
    /// That one may have got the name since, and this coordinator has not heard of it yet: the request begins anew by a
    /// newer map where there is one. It is refused for good by the newest alone.
    ///
    /// - Parameter refusal: what is wrong then, and what helps.
    /// - Returns: `invalidRequest`; `notYet` when it is not known.
    func foreignStatus(_ context: Context, _ refusal: String) async -> WireStatus {
        let isNewest = await source.refresh()
        if source.current.collection(named: context.name)?.id != context.collection.id {
            context.replacement.set()
        } else if isNewest {
            return WireStatus(.invalidRequest, refusal)
        }
        return WireStatus(
            .notYet,
            "The request goes by a collection '\(context.name)' that this coordinator has not heard of yet; send it "
                + "again, or to another coordinator.",
            retryAfterMilliseconds: 200
        )
    }

    /// Between two looks for a map that a token tells of.
    private static let newerMapPause = Duration.milliseconds(200)

    /// Embeddings must be of the collection's model and dimension before any of them is looked at.
    func check(
        model: String,
        dimension: Int,
        of context: Context
    ) throws(WireStatus) {
        let configuration = context.collection.configuration
        guard model == configuration.embeddingModel else {
            throw WireStatus(
                .modelMismatch,
                "Collection '\(context.name)' holds embeddings of model '\(configuration.embeddingModel)', and these "
                    + "are of '\(model.prefix(128))'; embeddings of different models cannot be compared."
            )
        }
        guard dimension == configuration.dimension else {
            throw WireStatus(
                .dimensionMismatch,
                "Collection '\(context.name)' holds embeddings of \(configuration.dimension) components, and these "
                    + "have \(dimension)."
            )
        }
    }
}
