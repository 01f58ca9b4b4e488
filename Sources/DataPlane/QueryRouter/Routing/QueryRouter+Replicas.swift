import ClusterModel
import FaceModel
import NIOCore
import Synchronization
import Threads
import WireProtocol
import WireTransport

/// Reads of a shard that has several replicas: any of those in sync may answer.
extension QueryRouter {
    /// Asks a replica of a shard, and others at once when it fails or takes long; the first answer counts.
    ///
    /// - Parameters:
    ///   - canBeMissing: as for ``ask(_:canBeMissing:_:_:)``.
    ///   - request: makes the request for the epoch that the shard is then placed under.
    func read<R: WireRequest>(
        _ first: ShardPlacement,
        canBeMissing: Bool = false,
        _ context: Context,
        _ request: @escaping @Sendable (ShardRoute) -> R
    ) async throws(ShardFailure) -> R.Reply {
        if first.group.members.count == 1 {
            return try await ask(first, canBeMissing: canBeMissing, context, request)
        }
        noteRequest()
        let graceEnd = context.elapsed + options.absenceGrace
        var placement = first
        var map = context.map
        var retry = ReadRetry(options: options)
        while true {
            let failures: [ShardFailure]
            switch await askReplicas(of: placement, map, context, graceEnd: graceEnd, request) {
            case .answered(let reply): return reply
            case .failed(let all): failures = all
            }
            if let refusal = context.refusal {
                var failure = ShardFailure.ofAll(failures)
                failure.status = refusal.withoutEffect
                throw failure
            }
            let decision = retry.next(
                after: failures,
                deadline: context.deadline.remaining,
                now: context.elapsed,
                absence: canBeMissing ? absence(of: failures.map(\.worker)) : nil
            )
            let wait: Duration
            let failure = ShardFailure.ofAll(failures)
            switch decision {
            case .again(let pause, let needsNewerMap) where !Task.isCancelled && mayRetry(after: failure.status.code):
                metrics.retried(after: failure.status.code)
                if needsNewerMap { await source.refresh() }
                wait = pause
            case .again, .fail: throw failure
            }
            if source.current.placement(of: placement.shard)?.group.version == placement.group.version {
                try? await Task.sleep(for: wait)
            }
            map = source.current
            guard let moved = map.placement(of: placement.shard) else {
                context.replacement.set()
                throw failure
            }
            placement = moved
        }
    }

    /// For how long none of the workers has been reached, whoever asked; nil when one has.
    func absence(of workers: [NodeID]) -> Duration? {
        let since = workers.map(unreachable.firstFailure)
        guard !since.contains(nil), let last = since.compactMap(\.self).max() else { return nil }
        return .nanoseconds((NIODeadline.now() - last).nanoseconds)
    }

    private enum ReadEnd<Reply: Sendable>: Sendable {
        case answered(Reply)
        /// Of every replica asked, at least one.
        case failed([ShardFailure])
    }

    private enum ReadEvent<Reply: Sendable>: Sendable {
        case answered(Reply, number: Int, took: Duration)
        case failed(ShardFailure, number: Int)
        /// The replica asked last has had its time.
        case waited
    }

    /// When the replicas of a round were asked, by their places; those that wait for their turns have no time yet.
    private final class Askings: Sendable {
        private let times = Mutex<[Int: NIODeadline]>([:])

        func note(_ number: Int) { times.withLock { $0[number] = .now() } }

        subscript(_ number: Int) -> NIODeadline? { times.withLock { $0[number] } }
    }

    /// Asks the replicas one after the other, each at most once, and two at a time when one takes long.
    private func askReplicas<R: WireRequest>(
        of placement: ShardPlacement,
        _ map: ShardMap,
        _ context: Context,
        graceEnd: Duration,
        _ request: @escaping @Sendable (ShardRoute) -> R
    ) async -> ReadEnd<R.Reply> {
        // Two or three: looking through them costs less than a dictionary.
        let copies = placement.group.inSync.map { worker in
            (
                worker: worker, presence: source.presence(of: worker),
                warmth: source.warmth(of: placement.shard, on: worker)
            )
        }
        func standing(of worker: NodeID) -> (worker: NodeID, presence: WorkerPresence, warmth: Double) {
            copies.first { $0.worker == worker }!
        }
        let (workers, delay) = choice.withLock { choice in
            (
                choice.order(placement.group, now: .now(), warmth: { standing(of: $0).warmth }) {
                    standing(of: $0).presence.isKnownAbsent
                },
                choice.hedgeDelay(placement.shard)
            )
        }
        let end = context.end
        let targets = workers.map { worker in
            let place = ShardPlace(
                placement,
                worker: worker,
                address: map.addresses[worker],
                presence: standing(of: worker).presence
            )
            return ShardTarget(place, end: end, graceEnd: graceEnd)
        }
        return await withTaskGroup(of: ReadEvent<R.Reply>.self) { group in
            var round = ReplicaRound(replicaCount: targets.count)
            var failures: [ShardFailure] = []
            let askings = Askings()
            func ask(_ number: Int) {
                group.addTask {
                    let asked = { @Sendable (route: ShardRoute) -> R in
                        askings.note(number)
                        return request(route)
                    }
                    switch await self.attempt(targets[number], context, asked) {
                    case .success(let reply):
                        let now = NIODeadline.now()
                        let took = Duration.nanoseconds((now - (askings[number] ?? now)).nanoseconds)
                        return .answered(reply, number: number, took: took)
                    case .failure(let failure): return .failed(failure, number: number)
                    }
                }
            }
            func waitAWhile() {
                guard round.hasMore, !context.isInTurn else { return }
                group.addTask { [eventLoop = context.eventLoop] in
                    await eventLoop.pause(for: delay)
                    return .waited
                }
            }
            ask(round.begin())
            waitAWhile()
            while let event = await group.next() {
                switch event {
                case .answered(let reply, let number, let took):
                    group.cancelAll()
                    finish(targets, answered: number, took: took, round, askings)
                    return .answered(reply)
                case .failed(let failure, let number):
                    failures.append(failure)
                    let mayGoOn = failure.othersMayAnswer && !Task.isCancelled && context.bytes?.refusal == nil
                    if mayGoOn { choice.withLock { $0.avoid(failure.worker, now: .now()) } }
                    switch round.failed(number, othersMayAnswer: mayGoOn) {
                    case .ask(let next):
                        metrics.switched(after: failure.status.code)
                        ask(next)
                    case .wait: break
                    case .end:
                        group.cancelAll()
                        return .failed(mayGoOn ? failures : [failure])
                    }
                case .waited:
                    guard !Task.isCancelled else { continue }
                    let other = choice.withLock { choice in
                        round.overdue { slow, other in
                            let now = NIODeadline.now()
                            // One that waits for its turn is not slow, unless the worker is by what others tell.
                            guard askings[slow] != nil || choice.isAvoided(targets[slow].worker, now: now) else {
                                return false
                            }
                            return choice.mayHedge(from: targets[slow].worker, to: targets[other].worker, now: now)
                        }
                    }
                    if let other { ask(other) }
                    waitAWhile()
                }
            }
            return .failed(failures)
        }
    }

    /// Asks once, if the worker is asked at all.
    private func attempt<R: WireRequest>(
        _ target: ShardTarget,
        _ context: Context,
        _ request: @Sendable (ShardRoute) -> R
    ) async -> Result<R.Reply, ShardFailure> {
        let lost = context.lost.current
        if let obstacle = target.obstacle(lost) { return .failure(target.place.failure(obstacle)) }
        switch await call(target, context, unless: { context.refusal }, request) {
        case .success(let reply): return .success(reply)
        case .failure(let status):
            if status.isLoss {
                context.lost.withLock {
                    $0.note(target.worker, isSentOn: !lost.isEmpty)
                } didGiveUp: {
                    metrics.gaveUp(context.name, $0)
                }
            }
            return .failure(target.failure(status, now: context.elapsed))
        }
    }

    /// Takes note of what an answer tells of the replicas: those asked before it and silent still are slow, unless
    /// they wait for their turns.
    private func finish(
        _ targets: [ShardTarget],
        answered number: Int,
        took time: Duration,
        _ round: ReplicaRound,
        _ askings: Askings
    ) {
        let target = targets[number]
        choice.withLock { choice in
            let now = NIODeadline.now()
            choice.answered(target.placement.shard, by: target.worker, took: time, now: now)
            for slow in round.overtaken(by: number) where askings[slow] != nil {
                choice.avoid(targets[slow].worker, now: now)
            }
        }
        for hedge in round.hedges { metrics.hedged(won: hedge == number) }
    }
}
