import ClusterModel
import FaceModel
import NIOCore
import Synchronization
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
    ///   - waitsForRoom: whether one that is overloaded is asked again.
    ///   - request: makes the request for the epoch that the shard is then placed under.
    func ask<R: WireRequest>(
        _ first: ShardPlacement,
        canBeMissing: Bool = false,
        waitsForRoom: Bool = true,
        _ context: Context,
        _ request: @escaping @Sendable (ShardRoute) -> R
    ) async throws(ShardFailure) -> R.Reply {
        let attempts = Mutex(PrimaryAttempts(first, end: context.end, options: options))
        return try await attempt(
            first,
            canBeMissing: canBeMissing,
            context,
            decide: { event, mayRetry in
                let action = context.lost.withLock { lost in
                    attempts.withLock { attempts in
                        attempts.event(event, now: context.elapsed, lost: &lost) { status in
                            (waitsForRoom || status != .overloaded) && mayRetry(status)
                        }
                    }
                } didGiveUp: {
                    metrics.gaveUp(context.name, $0)
                }
                if case .end(_, isReplaced: true) = action { context.replacement.set() }
                return action
            },
            isOvertaken: { newest in attempts.withLock { $0.isOvertaken(by: newest) } },
            request: request
        )
    }

    /// Does what is decided about one shard until that ends.
    ///
    /// - Parameters:
    ///   - decide: what to do after an event; asks by its parameter whether the shard may be asked again.
    ///   - isOvertaken: whether whoever is asked need not be waited for, by the newest placement.
    func attempt<R: WireRequest>(
        _ first: ShardPlacement,
        canBeMissing: Bool = false,
        _ context: Context,
        decide: (PrimaryAttempts.Event, (StatusCode) -> Bool) -> PrimaryAttempts.Action,
        isOvertaken: @escaping @Sendable (ShardPlacement?) -> Bool,
        request: @escaping @Sendable (ShardRoute) -> R
    ) async throws(ShardFailure) -> R.Reply {
        noteRequest()
        let mayFailOver = first.group.members.count > 1
        var event = PrimaryAttempts.Event.begun(place(of: first, in: context.map))
        while true {
            switch decide(event, { !Task.isCancelled && mayRetry(after: $0) }) {
            case .ask(let target):
                let end =
                    await
                    (mayFailOver
                    ? call(target, context, until: isOvertaken, request) : call(target, context, request))
                switch end {
                case .success(let reply)?: return reply
                case .failure(let status)?:
                    // It is not the worker's, and no other answer would be taken.
                    if context.bytes?.refusal != nil { throw target.place.failure(status) }
                    event = .failed(status, absence: canBeMissing ? absence(of: [target.worker]) : nil)
                case nil: event = .overtaken
                }
            case .look(let status):
                metrics.retried(after: status)
                if status.retry == .refreshAndRetry { await source.refresh() }
                event = .looked(newest(first))
            case .wait(let pause):
                try? await Task.sleep(for: pause)
                event = .looked(newest(first))
            case .end(let failure, _): throw failure
            }
        }
    }

    /// Where a shard's primary is by the newest map; nil when the shard is nowhere.
    func newest(_ placement: ShardPlacement) -> ShardPlace? {
        let map = source.current
        return map.placement(of: placement.shard).map { place(of: $0, in: map) }
    }

    /// Where a shard's primary is by a map.
    func place(of placement: ShardPlacement, in map: ShardMap) -> ShardPlace {
        ShardPlace(
            placement,
            address: map.addresses[placement.primary],
            presence: source.presence(of: placement.primary)
        )
    }

    /// Asks once, when its turn at the worker has come. The request is made then.
    ///
    /// - Parameter refusal: why it is sent to nobody any more, asked then.
    func call<R: WireRequest>(
        _ target: ShardTarget,
        _ context: Context,
        unless refusal: () -> WireStatus? = { nil },
        _ request: @Sendable (ShardRoute) -> R
    ) async -> Result<R.Reply, WireStatus> {
        guard let address = target.place.address else { preconditionFailure("nobody is asked without an address") }
        let client = clients.client(for: target.worker, at: address, on: context.eventLoop)
        do throws(WireStatus) {
            let reply = try await context.turns.withTurn(
                at: target.worker,
                until: .after(target.deadline - context.elapsed),
                on: context.eventLoop
            ) { () async throws(WireStatus) -> R.Reply in
                if let status = refusal() { throw status.withoutEffect }
                return try await client.call(
                    request(ShardRoute(shard: target.placement.shard, epoch: target.placement.epoch)),
                    deadline: .after(target.deadline - context.elapsed),
                    admittedBy: context.bytes
                )
            }
            unreachable.noteAnswer(of: target.worker)
            return .success(reply)
        } catch {
            switch error.code {
            case .unavailable: unreachable.noteFailure(of: target.worker, at: .now())
            case .deadlineExceeded, .cancelled: break
            default: unreachable.noteAnswer(of: target.worker)
            }
            return .failure(error)
        }
    }

    /// Asks once, and no longer once the shard has another primary: one that hangs answers nobody.
    ///
    /// - Returns: nil when it was not waited for.
    private func call<R: WireRequest>(
        _ target: ShardTarget,
        _ context: Context,
        until isOvertaken: @escaping @Sendable (ShardPlacement?) -> Bool,
        _ request: @escaping @Sendable (ShardRoute) -> R
    ) async -> Result<R.Reply, WireStatus>? {
        await withTaskGroup(of: Result<R.Reply, WireStatus>?.self) { group in
            group.addTask { await self.call(target, context, request) }
            group.addTask {
                repeat {
                    await context.eventLoop.pause(for: self.options.moveCheckInterval)
                } while !Task.isCancelled && !isOvertaken(self.newest(target.placement)?.placement)
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
            return nil
        }
    }
}
