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
        let graceEnd = WireDeadline.after(options.absenceGrace)
        var placement = first
        var map = context.map
        var pause = options.firstPause
        while true {
            let failures: [ShardFailure]
            switch await askReplicas(of: placement, map, context, graceEnd: graceEnd, request) {
            case .answered(let reply): return reply
            case .failed(let all): failures = all
            }
            let failure = ShardFailure.ofAll(failures)
            let status = failure.status
            let retryEnd: WireDeadline
            switch status.code {
            case .overloaded, .notYet: retryEnd = context.deadline
            case .unavailable, .staleEpoch, .unknownReplica:
                if failures.allSatisfy({ $0.address == nil || $0.presence?.isKnownAbsent == true }) { throw failure }
                var end = min(context.deadline, graceEnd)
                let since = failures.map { unreachable.firstFailure(of: $0.worker) }
                if canBeMissing, !since.contains(nil), let last = since.compactMap(\.self).max() {
                    end = min(end, WireDeadline(last + TimeAmount(options.absenceGrace)))
                }
                retryEnd = end
            default: throw failure
            }
            let wait = max(pause, .milliseconds(Int64(status.retryAfterMilliseconds)))
            guard wait < retryEnd.remaining, !Task.isCancelled else { throw failure }
            pause = min(pause * 2, longestPause(after: status))
            metrics.retried(after: status.code)
            if failures.contains(where: { $0.status.code.retry == .refreshAndRetry }) { await source.refresh() }
            if newest(placement)?.placement.group.version == placement.group.version {
                try? await Task.sleep(for: wait)
            }
            guard let moved = newest(placement) else {
                context.replacement.set()
                throw failure
            }
            (placement, map) = moved
        }
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

    /// Asks the replicas one after the other, each at most once, and two at a time when one takes long.
    private func askReplicas<R: WireRequest>(
        of placement: ShardPlacement,
        _ map: ShardMap,
        _ context: Context,
        graceEnd: WireDeadline,
        _ request: @escaping @Sendable (ShardRoute) -> R
    ) async -> ReadEnd<R.Reply> {
        let presences = Dictionary(
            uniqueKeysWithValues: placement.group.inSync.map { ($0, source.presence(of: $0)) }
        )
        let warmths = Dictionary(
            uniqueKeysWithValues: placement.group.inSync.map { ($0, source.warmth(of: placement.shard, on: $0)) }
        )
        let (workers, delay) = choice.withLock { choice in
            (
                choice.order(placement.group, now: .now(), warmth: { warmths[$0] ?? 1 }) {
                    presences[$0]!.isKnownAbsent
                },
                choice.hedgeDelay(placement.shard)
            )
        }
        let targets = workers.map { Target(placement, $0, map, presences[$0]!, graceEnd: graceEnd) }
        return await withTaskGroup(of: ReadEvent<R.Reply>.self) { group in
            var askedCount = 0
            var underWay: Set<Int> = []
            var hedges: Set<Int> = []
            var failures: [ShardFailure] = []
            func askNext() {
                let number = askedCount
                askedCount += 1
                underWay.insert(number)
                group.addTask {
                    let began = NIODeadline.now()
                    switch await self.attempt(targets[number], context, request) {
                    case .success(let reply):
                        let took = Duration.nanoseconds((NIODeadline.now() - began).nanoseconds)
                        return .answered(reply, number: number, took: took)
                    case .failure(let failure): return .failed(failure, number: number)
                    }
                }
            }
            func waitAWhile() {
                guard askedCount < targets.count else { return }
                group.addTask {
                    try? await Task.sleep(for: delay)
                    return .waited
                }
            }
            askNext()
            waitAWhile()
            while let event = await group.next() {
                switch event {
                case .answered(let reply, let number, let took):
                    group.cancelAll()
                    finish(targets, answered: number, took: took, underWay, hedges)
                    return .answered(reply)
                case .failed(let failure, let number):
                    underWay.remove(number)
                    failures.append(failure)
                    guard failure.othersMayAnswer, !Task.isCancelled else {
                        group.cancelAll()
                        return .failed([failure])
                    }
                    choice.withLock { $0.avoid(failure.worker, now: .now()) }
                    if askedCount < targets.count {
                        metrics.switched(after: failure.status.code)
                        askNext()
                    } else if underWay.isEmpty {
                        group.cancelAll()
                        return .failed(failures)
                    }
                case .waited:
                    guard !Task.isCancelled, let slow = underWay.max(), askedCount < targets.count else { continue }
                    let mayHedge = choice.withLock {
                        $0.mayHedge(from: targets[slow].worker, to: targets[askedCount].worker, now: .now())
                    }
                    if mayHedge {
                        hedges.insert(askedCount)
                        askNext()
                    }
                    waitAWhile()
                }
            }
            return .failed(failures)
        }
    }

    /// Takes note of what an answer tells of the replicas: those asked before it and silent still are slow.
    private func finish(
        _ targets: [Target],
        answered number: Int,
        took time: Duration,
        _ underWay: Set<Int>,
        _ hedges: Set<Int>
    ) {
        let target = targets[number]
        choice.withLock { choice in
            let now = NIODeadline.now()
            choice.answered(target.placement.shard, by: target.worker, took: time, now: now)
            for slow in underWay where slow < number { choice.avoid(targets[slow].worker, now: now) }
        }
        for hedge in hedges { metrics.hedged(won: hedge == number) }
    }
}
