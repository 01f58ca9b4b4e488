import ClusterModel
import FaceModel
package import NIOCore
import Threads
package import WireProtocol
package import WireTransport

extension QueryRouter {
    /// Stores a batch of faces: normalises, divides it over the shards, and answers when all of them have it durably.
    ///
    /// Bad rows are refused one by one. Of rows with one id the last acceptable one counts.
    /// - Throws: also when some shards did not acknowledge; the batch may then be sent again under its key.
    package func enrol(
        _ request: EnrolFaces,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async throws(WireStatus) -> FacesEnrolled {
        let write = WriteUnderWay(WriteStateMachine(age: request.age, options: options))
        return try await onNewestMap(
            of: request.collection,
            for: request,
            write: write,
            deadline: deadline,
            on: eventLoop
        ) {
            (context) async throws(WireStatus) -> FacesEnrolled in
            guard !request.rows.isEmpty else {
                throw WireStatus(.invalidRequest, "The batch is empty: send at least one face.")
            }
            try check(model: request.embeddingModel, dimension: request.embeddings.dimension, of: context)
            guard request.rows.count == request.embeddings.rowCount else {
                throw WireStatus(
                    .invalidRequest,
                    "The batch has \(request.rows.count) faces and \(request.embeddings.rowCount) embeddings; each "
                        + "face "
                        + "needs its own."
                )
            }
            let rows = request.rows
            var embeddings = request.embeddings
            var outcomes = embeddings.normalise().map { $0.map(EnrolOutcome.rejected) }
            var seen: Set<FaceID> = []
            for position in rows.indices.reversed() where outcomes[position] == nil {
                if rows[position].metadata.problem != nil {
                    outcomes[position] = .rejected(.invalidMetadata)
                } else if !seen.insert(rows[position].id).inserted {
                    outcomes[position] = .superseded
                }
            }

            let parts = context.divide(rows.count) { outcomes[$0] == nil ? rows[$0].id : nil }
            let matrix = embeddings
            let (replies, token) = try await self.write(
                parts,
                context,
                write,
                rowCount: rows.count,
                request: { part, route, age in
                    let isWhole = part.positions.count == rows.count
                    return ShardEnrol(
                        route: route,
                        key: request.key,
                        age: age,
                        rows: isWhole ? rows : part.positions.map { rows[$0] },
                        embeddings: isWhole ? matrix : matrix.rows(part.positions)
                    )
                },
                outcome: { ($0.outcomes, $0.sequence) }
            )
            for (position, outcome) in replies { outcomes[position] = outcome }
            return FacesEnrolled(outcomes: outcomes.map { $0! }, token: token)
        }
    }

    /// Deletes faces; answers when all shards concerned have done it durably. Absent ones are no error.
    package func delete(
        _ request: DeleteFaces,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async throws(WireStatus) -> FacesDeleted {
        let write = WriteUnderWay(WriteStateMachine(age: request.age, options: options))
        return try await onNewestMap(
            of: request.collection,
            for: request,
            write: write,
            deadline: deadline,
            on: eventLoop
        ) {
            (context) async throws(WireStatus) -> FacesDeleted in
            let ids = request.ids
            guard !ids.isEmpty else { throw WireStatus(.invalidRequest, "The batch is empty: name at least one face.") }
            let (replies, token) = try await self.write(
                context.divide(ids.count) { ids[$0] },
                context,
                write,
                rowCount: ids.count,
                request: { part, route, age in
                    ShardDelete(
                        route: route,
                        key: request.key,
                        age: age,
                        ids: part.positions.map { ids[$0] }
                    )
                },
                outcome: { ($0.outcomes, $0.sequence) }
            )
            var outcomes = [DeleteOutcome](repeating: .absent, count: ids.count)
            for (position, outcome) in replies { outcomes[position] = outcome }
            return FacesDeleted(outcomes: outcomes, token: token, hasLoss: hasLoss([], context))
        }
    }

    /// Sends each part to its shard; positions with their outcomes, and the token, once all have acknowledged. Notes in
    /// the context when all of it is to begin anew.
    func write<R: WireRequest, Outcome: Sendable>(
        _ parts: [BatchPart],
        _ context: Context,
        _ write: WriteUnderWay,
        rowCount: Int,
        request: @escaping @Sendable (BatchPart, ShardRoute, _ age: Duration) -> R,
        outcome: @escaping @Sendable (R.Reply) -> (outcomes: [Outcome], sequence: UInt64)
    ) async throws(WireStatus) -> (replies: [(Int, Outcome)], token: ConsistencyToken) {
        let end = context.end
        write.withLock { $0.beginRound(parts, rowCount: rowCount, collection: context.name, end: end) }
        let answers = await fanOut(parts.count, context) { number -> [Outcome] in
            let part = parts[number]
            do throws(ShardFailure) {
                let reply = try await self.admit(part.placement, context) { () async throws(ShardFailure) in
                    try await self.ask(part, number, of: write, context) { request(part, $0, $1) }
                }
                let (outcomes, sequence) = outcome(reply)
                write.withLock { $0.acknowledged(part: number, rowCount: outcomes.count, sequence: sequence) }
                return outcomes
            } catch {
                write.withLock { $0.refused(part: number, error) }
                return []
            }
        }
        switch write.withLock({ $0.endRound(now: context.elapsed, isCancelled: Task.isCancelled) }) {
        case .acknowledged(let sequences):
            let replies = zip(parts, answers).flatMap { zip($0.positions, $1) }
            return (replies, ConsistencyToken(collection: context.collection.id, sequences: sequences))
        case .failed(let status, let beginsAnew):
            if beginsAnew { context.replacement.set() }
            throw status
        }
    }

    /// Asks the primary of a part's shard, as the write says.
    private func ask<R: WireRequest>(
        _ part: BatchPart,
        _ number: Int,
        of write: WriteUnderWay,
        _ context: Context,
        _ request: @escaping @Sendable (ShardRoute, _ age: Duration) -> R
    ) async throws(ShardFailure) -> R.Reply {
        try await attempt(
            part.placement,
            context,
            decide: { event, mayRetry in
                write.event(event, ofPart: number, now: context.elapsed, mayRetry: mayRetry) {
                    metrics.gaveUp(context.name, $0)
                }
            },
            isOvertaken: { newest in write.withLock { $0.isOvertaken(part: number, by: newest) } },
            request: { route in request(route, write.withLock { $0.age(ofPart: number, now: context.elapsed) }) }
        )
    }

    /// Does a shard's part of a write unless as many are under way there as can be expected to be done in time.
    private func admit<R: Sendable>(
        _ placement: ShardPlacement,
        _ context: Context,
        _ body: () async throws(ShardFailure) -> R
    ) async throws(ShardFailure) -> R {
        let shard = placement.shard
        let admission = writes.enter(shard) { shard in
            source.current.placements[shard.collection]?.contains { $0.shard == shard } ?? false
        }
        guard let admission else {
            let reason = "as many are under way as can be expected to be done in time"
            metrics.refusedOverload(.writes, of: context.name, reason)
            throw place(of: placement, in: context.map)
                .failure(Refusal.overloaded("writes of shard \(shard.index)", reason))
        }
        let (began, given) = (NIODeadline.now(), context.deadline.remaining)
        func leave(_ status: StatusCode?) {
            let elapsed = Duration.nanoseconds((.now() - began).nanoseconds)
            writes.leave(shard, admission, .init(status, after: elapsed, of: given, .writes), took: elapsed)
        }
        do throws(ShardFailure) {
            let answer = try await body()
            leave(nil)
            return answer
        } catch {
            leave(error.status.code)
            throw error
        }
    }
}
