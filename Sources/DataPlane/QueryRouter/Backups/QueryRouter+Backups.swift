import ClusterModel
import FaceModel
package import NIOCore
package import WireProtocol
package import WireTransport

extension QueryRouter {
    /// Longest that writes of a shard wait for the cut of all; mostly it takes some milliseconds.
    private static let holdTime = Duration.milliseconds(1000)
    /// Cuts that are tried: one fails when a primary changes, or a message takes longer than writes are held.
    private static let cutAttempts = 3
    private static let cutPause = Duration.milliseconds(500)
    /// Between two looks whether writes that wait for other shards go on.
    private static let freezePause = Duration.milliseconds(50)

    /// Takes a snapshot of every shard as of one moment.
    ///
    /// First every primary holds its writes, then every one is cut, behind a write of nothing that all of its replicas
    /// in sync have. At the moment between the two all hold: what was acknowledged before it is in the snapshots, and
    /// what is in them was sent before it.
    ///
    /// A shard whose place others are about to take holds no writes and is not cut: that is waited for.
    /// - Throws: also when no attempt succeeded in the time there is; snapshots that were taken are released.
    package func beginBackup(
        _ request: BeginBackup,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async throws(WireStatus) -> BackupBegun {
        if let collection = source.current.collection(named: request.collection),
            source.current.restoring.contains(collection.id)
        {
            throw WireStatus(
                .invalidRequest,
                "Collection '\(collection.name)' is being restored from a backup: it is not whole, and that backup is "
                    + "its backup."
            )
        }
        let deadline = deadline.isNone ? WireDeadline.after(options.defaultDeadline) : deadline
        var attempt = 1
        while true {
            let context = try await unfrozenContext(of: request.collection, deadline: deadline, on: eventLoop)
            do throws(WireStatus) {
                return try await cut(context, request.snapshot)
            } catch {
                // A lost or late message, or another primary: what a second attempt cures.
                let mayPass = error.code.retry != .doNotRetry || error.code == .deadlineExceeded
                // Shards that were frozen, replaced or handed over meanwhile: the deadline alone ends that.
                let isByOlderMap = source.current.placements[context.collection.id] != context.placements
                guard mayPass, isByOlderMap || attempt < Self.cutAttempts, Self.cutPause < context.deadline.remaining,
                    !Task.isCancelled
                else { throw Self.told(error, with: context.deadline.remaining) }
                if !isByOlderMap { attempt += 1 }
            }
            try? await Task.sleep(for: Self.cutPause)
        }
    }

    /// What a client is told of the last attempt. Where the time that ended is the cut's, the client's may have long to
    /// go.
    private static func told(_ error: WireStatus, with rest: Duration) -> WireStatus {
        guard error.code == .deadlineExceeded, cutPause < rest else { return error }
        return WireStatus(
            .unavailable,
            "\(error.message) Another backup of the collection may have begun at the same moment.",
            retryAfterMilliseconds: 1000
        )
    }

    /// The circumstances of a request once the writes of no shard wait for others that are to take its place.
    private func unfrozenContext(
        of name: String,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async throws(WireStatus) -> Context {
        while true {
            let context = try context(of: name, deadline: deadline, on: eventLoop)
            guard let frozen = context.placements.first(where: { $0.group.isFrozen }) else { return context }
            guard Self.freezePause < context.deadline.remaining, !Task.isCancelled else {
                throw WireStatus(
                    .unavailable,
                    "Collection '\(context.name)': other shards are about to take the place of shard "
                        + "\(frozen.shard.index), as 'mien operations' tells; begin the backup again after that.",
                    retryAfterMilliseconds: 1000
                )
            }
            try? await Task.sleep(for: Self.freezePause)
        }
    }

    private func cut(_ context: Context, _ snapshot: SnapshotID) async throws(WireStatus) -> BackupBegun {
        let limit = Int(Self.holdTime.components.seconds * 1000)
        let cuts: [ShardCut]
        do throws(WireStatus) {
            let began = ContinuousClock.now
            _ = try await askAll(context) { HoldWrites(route: $0, snapshot: snapshot, limit: limit) }
            // Beyond it the first hold may have ended; the cut would be refused there, and be taken elsewhere for
            // nothing.
            guard ContinuousClock.now - began < Self.holdTime else {
                throw WireStatus(
                    .deadlineExceeded,
                    "Collection '\(context.name)': not every shard's writes could be held at one moment; begin again."
                )
            }
            var cutContext = context
            cutContext.deadline = min(context.deadline, .after(Self.holdTime * 4))
            cuts = try await askAll(cutContext) { CutShard(route: $0, snapshot: snapshot) }
        } catch {
            // Nor is any write to wait for a cut that does not come.
            await release(context, snapshot)
            throw error
        }
        let epochs = zip(context.placements, cuts).map { placement, cut in (shard: placement.shard, epoch: cut.epoch) }
        return BackupBegun(
            collection: context.collection,
            shards: zip(context.placements, cuts).map { placement, cut in
                BackupBegun.Shard(index: placement.shard.index, range: placement.range, cut: cut)
            },
            loss: latestLoss(epochs, context)
        )
    }

    /// Asks the primary of every shard; answers in order of range, once all have answered. One without room is not
    /// waited for: the others hold their writes meanwhile.
    private func askAll<R: WireRequest>(
        _ context: Context,
        _ request: @escaping @Sendable (ShardRoute) -> R
    ) async throws(WireStatus) -> [R.Reply] {
        let results = await fanOut(context.placements.count, context) { number -> Result<R.Reply, ShardFailure> in
            do throws(ShardFailure) {
                return .success(
                    try await self.ask(context.placements[number], waitsForRoom: false, context, request)
                )
            } catch {
                return .failure(error)
            }
        }
        var replies: [R.Reply] = []
        for result in results {
            switch result {
            case .success(let reply): replies.append(reply)
            case .failure(let failure):
                throw WireStatus(
                    failure.status.code,
                    "Collection '\(context.name)': shard \(failure.placement.shard.index) could not be cut for a "
                        + "backup (\(failure.explanation)).",
                    retryAfterMilliseconds: failure.status.retryAfterMilliseconds
                )
            }
        }
        return replies
    }

    /// Lets workers forget snapshots that nobody will read, and go on with writes that are held. One that is not
    /// reached does both by itself.
    private func release(_ context: Context, _ snapshot: SnapshotID) async {
        _ = await fanOut(context.placements.count, context) { number in
            let placement = context.placements[number]
            let route = SnapshotRoute(worker: placement.primary, snapshot: snapshot, shard: placement.shard)
            _ = try? await context.turns.withTurn(
                at: route.worker,
                until: .after(Self.holdTime),
                on: context.eventLoop
            ) { () async throws(WireStatus) in
                try await self.forward(
                    ReleaseSnapshot(route: route),
                    to: route.worker,
                    deadline: .after(Self.holdTime),
                    on: context.eventLoop
                )
            }
        }
    }

    /// Passes a request on to the worker that it names.
    func forward<R: WireRequest>(
        _ request: R,
        to worker: NodeID,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async throws(WireStatus) -> R.Reply {
        guard let address = source.current.addresses[worker] else {
            throw WireStatus(.notFound, "No worker \(worker) is known that could have the snapshot; begin again.")
        }
        let end = deadline.isNone ? WireDeadline.after(options.defaultDeadline) : deadline
        return try await clients.client(for: worker, at: address, on: eventLoop).call(request, deadline: end)
    }

    /// A part of one shard's ledger of erasures.
    package func erasures(
        _ request: ReadErasures,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async throws(WireStatus) -> ErasureList {
        let context = try context(of: request.collection, deadline: deadline, on: eventLoop)
        guard let placement = context.placements.first(where: { $0.shard.index == request.shardIndex }) else {
            throw WireStatus(
                .invalidRequest,
                "Collection '\(context.name)' has no shard \(request.shardIndex)."
            )
        }
        do throws(ShardFailure) {
            return try await read(placement, context) { route in
                ShardErasures(route: route, after: request.after, limit: request.limit)
            }
        } catch {
            throw readStatus([error], context)
        }
    }

    /// Puts faces of a backup back; answers when all shards concerned have them durably.
    package func restore(
        _ request: RestoreFaces,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async throws(WireStatus) -> FacesEnrolled {
        let context = try context(of: request.collection, isRestore: true, deadline: deadline, on: eventLoop)
        let faces = request.faces
        guard faces.count > 0 else { throw WireStatus(.invalidRequest, "The batch is empty: send at least one face.") }
        let configuration = context.collection.configuration
        guard faces.dimension == configuration.dimension, faces.precision == configuration.storedPrecision else {
            throw WireStatus(
                .dimensionMismatch,
                "Collection '\(context.name)' stores \(configuration.dimension) components of "
                    + "\(configuration.storedPrecision.name), and these are \(faces.dimension) of "
                    + "\(faces.precision.name)."
            )
        }
        let (replies, token) = try await write(
            context.divide(faces.count) { faces.rows[$0].id },
            context,
            WriteUnderWay(WriteStateMachine(age: .zero, options: options)),
            rowCount: faces.count,
            request: { part, route, _ in
                let isWhole = part.positions.count == faces.count
                return ShardRestore(
                    route: route,
                    faces: isWhole ? faces : faces.rows(part.positions),
                    isLast: false
                )
            },
            outcome: { ($0.outcomes, $0.sequence) }
        )
        var outcomes = [EnrolOutcome](repeating: .superseded, count: faces.count)
        for (position, outcome) in replies { outcomes[position] = outcome }
        return FacesEnrolled(outcomes: outcomes, token: token)
    }
}
