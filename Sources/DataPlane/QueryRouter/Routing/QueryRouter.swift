import ClusterModel
import FaceModel
import NIOCore
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
    private let unreachable = UnreachableWorkers()

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

        var name: String { collection.name }
    }

    func context(
        of name: String,
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
        let remaining = deadline.isNone ? options.defaultDeadline : deadline.remaining
        let kept = min(remaining * options.answerShare, options.longestAnswerTime)
        return Context(
            map: map,
            collection: collection,
            placements: placements,
            deadline: .after(remaining - kept),
            eventLoop: eventLoop,
            began: .now()
        )
    }

    /// Runs one task per number below `count` at once; results in order of number.
    func fanOut<T: Sendable>(_ count: Int, _ body: @escaping @Sendable (Int) async -> T) async -> [T] {
        if count == 1 { return [await body(0)] }
        return await withTaskGroup(of: (Int, T).self) { group in
            for number in 0..<count { group.addTask { (number, await body(number)) } }
            var results = [T?](repeating: nil, count: count)
            for await (number, result) in group { results[number] = result }
            return results.map { $0! }
        }
    }

    /// Asks one shard, again and again where that can help.
    ///
    /// - Parameters:
    ///   - canBeMissing: the answer may do without the shard: a worker that nobody has reached for the grace is not
    ///     waited for.
    ///   - request: makes the request for the epoch that the shard is then placed under.
    func ask<R: WireRequest>(
        _ first: ShardPlacement,
        canBeMissing: Bool = false,
        _ context: Context,
        _ request: @Sendable (ShardRoute) -> R
    ) async throws(ShardFailure) -> R.Reply {
        let graceEnd = WireDeadline.after(options.absenceGrace)
        var placement = first
        var map = context.map
        var pause = options.firstPause
        var lastRefusal: WireStatus?
        var mayHaveBeenDone = false
        while true {
            let worker = placement.primary
            let address = map.addresses[worker]
            let presence = source.presence(of: worker)
            var status: WireStatus
            if let address {
                let isKnownAbsent = presence.isKnownAbsent
                let client = clients.client(for: worker, at: address, on: context.eventLoop)
                do throws(WireStatus) {
                    // A connection attempt to a host that is gone would take all the time there is.
                    let reply = try await client.call(
                        request(ShardRoute(shard: placement.shard, epoch: placement.epoch)),
                        deadline: isKnownAbsent ? min(context.deadline, graceEnd) : context.deadline
                    )
                    unreachable.noteAnswer(of: worker)
                    return reply
                } catch {
                    status = error
                }
                switch status.code {
                case .unavailable: unreachable.noteFailure(of: worker, at: .now())
                case .deadlineExceeded, .cancelled: break
                default: unreachable.noteAnswer(of: worker)
                }
                if isKnownAbsent, status.code == .deadlineExceeded, !context.deadline.hasPassed {
                    status.code = .unavailable
                }
                // What the worker said before tells more than that the time then ran out.
                if status.code == .deadlineExceeded, let lastRefusal { status = lastRefusal }
            } else {
                status = WireStatus(.unavailable, "No worker is known that holds the shard.")
            }

            let failure = ShardFailure(
                placement: placement,
                address: address,
                presence: presence,
                status: status,
                mayHaveBeenDone: mayHaveBeenDone
            )
            let retryEnd: WireDeadline
            switch status.code {
            case .overloaded, .notYet: retryEnd = context.deadline
            case .unavailable:
                if address == nil || presence.isKnownAbsent { throw failure }
                var end = min(context.deadline, graceEnd)
                if canBeMissing, let since = unreachable.firstFailure(of: worker) {
                    end = min(end, WireDeadline(since + TimeAmount(options.absenceGrace)))
                }
                retryEnd = end
            case .staleEpoch, .unknownReplica: retryEnd = min(context.deadline, graceEnd)
            default: throw failure
            }
            let wait = max(pause, .milliseconds(Int64(status.retryAfterMilliseconds)))
            guard wait < retryEnd.remaining, !Task.isCancelled else { throw failure }
            pause = min(pause * 2, options.longestPause)
            lastRefusal = status
            mayHaveBeenDone = mayHaveBeenDone || status.code == .unavailable

            metrics.retried(after: status.code)
            if status.code.retry == .refreshAndRetry { await source.refresh() }
            let newest = source.current
            let moved = newest.placements[context.collection.id]?.first { $0.shard == placement.shard }
            guard let moved else { throw failure }
            // A newer placement is tried at once; the same one after a pause.
            if moved.epoch == placement.epoch { try? await Task.sleep(for: wait) }
            placement = moved
            map = newest
        }
    }

    /// Checks a consistency token and gives the sequence each shard has to have reached.
    func minimumSequences(
        _ token: ConsistencyToken?,
        _ context: Context
    ) throws(WireStatus) -> [UInt32: UInt64] {
        guard let token else { return [:] }
        guard token.collection == context.collection.id else {
            throw WireStatus(
                .invalidRequest,
                "The consistency token is of another collection than '\(context.name)', or of one of this name that "
                    + "was deleted; leave it out."
            )
        }
        return token.sequences
    }

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
