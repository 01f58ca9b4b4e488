import ClusterModel
import FaceModel
import NIOCore
import Threads
import WireProtocol
import WireTransport

/// One shard asked at its primary, again and again where that can help.
extension QueryRouter {
    /// Asks the primary of a shard.
    ///
    /// - Parameters:
    ///   - canBeMissing: the answer may do without the shard: a worker that nobody has reached for the grace is not
    ///     waited for.
    ///   - request: makes the request for the epoch that the shard is then placed under.
    func ask<R: WireRequest>(
        _ first: ShardPlacement,
        canBeMissing: Bool = false,
        _ context: Context,
        _ request: @escaping @Sendable (ShardRoute) -> R
    ) async throws(ShardFailure) -> R.Reply {
        noteRequest()
        // While another replica may take over, its doing so is waited for.
        let mayFailOver = first.group.members.count > 1
        let grace = mayFailOver ? max(options.absenceGrace, options.failoverGrace) : options.absenceGrace
        let graceEnd = WireDeadline.after(grace)
        var placement = first
        var map = context.map
        var pause = options.firstPause
        var lastRefusal: WireStatus?
        var mayHaveBeenDone = false
        while true {
            let worker = placement.primary
            let target = Target(placement, worker, map, source.presence(of: worker), graceEnd: graceEnd)
            let end =
                await (mayFailOver ? attemptUntilMoved(target, context, request) : attempt(target, context, request))
            var failure: ShardFailure
            switch end {
            case .success(let reply): return reply
            case .failure(let this): failure = this
            }
            mayHaveBeenDone = mayHaveBeenDone || !failure.hasNoEffect
            failure.mayHaveBeenDone = mayHaveBeenDone
            // What the worker said before tells more than that the time then ran out.
            if failure.status.code == .deadlineExceeded, let lastRefusal { failure.status = lastRefusal }

            let status = failure.status
            let retryEnd: WireDeadline
            switch status.code {
            case .overloaded, .notYet: retryEnd = context.deadline
            case .unavailable where mayFailOver: retryEnd = min(context.deadline, graceEnd)
            case .unavailable:
                if target.address == nil || target.presence.isKnownAbsent { throw failure }
                var end = min(context.deadline, graceEnd)
                if canBeMissing, let since = unreachable.firstFailure(of: worker) {
                    end = min(end, WireDeadline(since + TimeAmount(options.absenceGrace)))
                }
                retryEnd = end
            case .staleEpoch, .unknownReplica: retryEnd = min(context.deadline, graceEnd)
            default: throw failure
            }
            let wait = max(pause, .milliseconds(Int64(status.retryAfterMilliseconds)))
            guard wait < retryEnd.remaining, !Task.isCancelled, mayRetry(after: status.code) else { throw failure }
            pause = min(pause * 2, ReadRetry.longestPause(after: status, options))
            lastRefusal = status

            metrics.retried(after: status.code)
            if status.code.retry == .refreshAndRetry { await source.refresh() }
            guard let moved = newest(placement) else {
                context.replacement.set()
                throw failure
            }
            // A newer placement is tried at once; the same one after a pause.
            if moved.placement.epoch == placement.epoch {
                try? await Task.sleep(for: wait)
                guard let moved = newest(placement) else {
                    context.replacement.set()
                    throw failure
                }
                (placement, map) = moved
            } else {
                (placement, map) = moved
            }
        }
    }

    /// Where a shard is by the newest map; nil when it is nowhere.
    func newest(_ placement: ShardPlacement) -> (placement: ShardPlacement, map: ShardMap)? {
        let map = source.current
        let moved = map.placements[placement.shard.collection]?.first { $0.shard == placement.shard }
        return moved.map { ($0, map) }
    }

    /// Who is asked for a shard, as far as is known.
    struct Target: Sendable {
        var placement: ShardPlacement
        var worker: NodeID
        var address: NodeAddress?
        var presence: WorkerPresence
        /// Until when one that is known to be away is asked.
        var graceEnd: WireDeadline

        init(
            _ placement: ShardPlacement,
            _ worker: NodeID,
            _ map: ShardMap,
            _ presence: WorkerPresence,
            graceEnd: WireDeadline
        ) {
            self.placement = placement
            self.worker = worker
            self.presence = presence
            self.graceEnd = graceEnd
            address = map.addresses[worker]
        }

        func failure(_ status: WireStatus) -> ShardFailure {
            ShardFailure(placement: placement, worker: worker, address: address, presence: presence, status: status)
        }
    }

    /// Asks once.
    func attempt<R: WireRequest>(
        _ target: Target,
        _ context: Context,
        _ request: @Sendable (ShardRoute) -> R
    ) async -> Result<R.Reply, ShardFailure> {
        guard let address = target.address else {
            let status = WireStatus(.unavailable, "No worker is known that holds the shard.")
            return .failure(target.failure(status.withoutEffect))
        }
        if let refusal = context.lost.refusal { return .failure(target.failure(refusal.withoutEffect)) }
        let isKnownAbsent = target.presence.isKnownAbsent
        let client = clients.client(for: target.worker, at: address, on: context.eventLoop)
        var status: WireStatus
        do throws(WireStatus) {
            // A connection attempt to a host that is gone would take all the time there is.
            let reply = try await client.call(
                request(ShardRoute(shard: target.placement.shard, epoch: target.placement.epoch)),
                deadline: isKnownAbsent ? min(context.deadline, target.graceEnd) : context.deadline
            )
            unreachable.noteAnswer(of: target.worker)
            return .success(reply)
        } catch {
            status = error
        }
        if status.isLoss, context.lost.note(target.worker) { metrics.gaveUp(context.name) }
        switch status.code {
        case .unavailable: unreachable.noteFailure(of: target.worker, at: .now())
        case .deadlineExceeded, .cancelled: break
        default: unreachable.noteAnswer(of: target.worker)
        }
        if isKnownAbsent, status.code == .deadlineExceeded, !context.deadline.hasPassed {
            status.code = .unavailable
        }
        return .failure(target.failure(status))
    }

    /// Asks once, and no longer once the shard has another primary: one that hangs answers nobody.
    private func attemptUntilMoved<R: WireRequest>(
        _ target: Target,
        _ context: Context,
        _ request: @escaping @Sendable (ShardRoute) -> R
    ) async -> Result<R.Reply, ShardFailure> {
        await withTaskGroup(of: Result<R.Reply, ShardFailure>?.self) { group in
            group.addTask { await self.attempt(target, context, request) }
            group.addTask {
                await self.waitForOtherPrimary(of: target.placement)
                return nil
            }
            var hasMoved = false
            while let end = await group.next() {
                guard let end else {
                    hasMoved = !Task.isCancelled
                    group.cancelAll()
                    continue
                }
                group.cancelAll()
                if hasMoved, case .failure = end { break }
                return end
            }
            return .failure(
                target.failure(WireStatus(.unavailable, "another worker orders the shard's writes by now"))
            )
        }
    }

    /// Returns when the newest map has the shard under another epoch, or when cancelled.
    private func waitForOtherPrimary(of placement: ShardPlacement) async {
        repeat {
            try? await Task.sleep(for: options.moveCheckInterval)
        } while !Task.isCancelled && newest(placement)?.placement.epoch == placement.epoch
    }
}
