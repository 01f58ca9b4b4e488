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
        let attempts = WriteAttempts(age: request.age)
        return try await onNewestMap(of: request.collection, for: request, deadline: deadline, on: eventLoop) {
            (context) async throws(WireStatus) -> FacesEnrolled in
            attempts.beginRound()
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
            let (replies, token) = try await write(
                parts,
                context,
                rowCount: rows.count,
                request: { part, route in
                    let isWhole = part.positions.count == rows.count
                    return ShardEnrol(
                        route: route,
                        key: request.key,
                        age: attempts.age(of: route.shard),
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
        let attempts = WriteAttempts(age: request.age)
        return try await onNewestMap(of: request.collection, for: request, deadline: deadline, on: eventLoop) {
            (context) async throws(WireStatus) -> FacesDeleted in
            attempts.beginRound()
            let ids = request.ids
            guard !ids.isEmpty else { throw WireStatus(.invalidRequest, "The batch is empty: name at least one face.") }
            let (replies, token) = try await write(
                context.divide(ids.count) { ids[$0] },
                context,
                rowCount: ids.count,
                request: { part, route in
                    ShardDelete(
                        route: route,
                        key: request.key,
                        age: attempts.age(of: route.shard),
                        ids: part.positions.map { ids[$0] }
                    )
                },
                outcome: { ($0.outcomes, $0.sequence) }
            )
            var outcomes = [DeleteOutcome](repeating: .absent, count: ids.count)
            for (position, outcome) in replies { outcomes[position] = outcome }
            return FacesDeleted(outcomes: outcomes, token: token)
        }
    }

    /// Sends each part to its shard; positions with their outcomes, and the token, once all have acknowledged. Notes in
    /// the context when something may have been done.
    func write<R: WireRequest, Outcome: Sendable>(
        _ parts: [BatchPart],
        _ context: Context,
        rowCount: Int,
        request: @escaping @Sendable (BatchPart, ShardRoute) -> R,
        outcome: (R.Reply) -> (outcomes: [Outcome], sequence: UInt64)
    ) async throws(WireStatus) -> (replies: [(Int, Outcome)], token: ConsistencyToken) {
        let results = await fanOut(parts.count) { number -> Result<R.Reply, ShardFailure> in
            do throws(ShardFailure) {
                return .success(
                    try await self.admit(parts[number].placement, context) { () async throws(ShardFailure) in
                        try await self.ask(parts[number].placement, context) { request(parts[number], $0) }
                    }
                )
            } catch {
                return .failure(error)
            }
        }
        var replies: [(Int, Outcome)] = []
        replies.reserveCapacity(rowCount)
        var token = ConsistencyToken(collection: context.collection.id, sequences: [:])
        var failures: [(part: BatchPart, failure: ShardFailure)] = []
        for (part, result) in zip(parts, results) {
            switch result {
            case .success(let reply):
                context.effect.set()
                let (outcomes, sequence) = outcome(reply)
                guard outcomes.count == part.positions.count else {
                    throw WireStatus(
                        .internalError,
                        "Shard \(part.placement.shard.index) of '\(context.name)' answered \(outcomes.count) rows of "
                            + "\(part.positions.count)."
                    )
                }
                replies += zip(part.positions, outcomes)
                token.sequences[part.placement.shard.index] = sequence
            case .failure(let failure):
                if failure.mayHaveBeenDone { context.effect.set() }
                failures.append((part, failure))
            }
        }
        guard failures.isEmpty else {
            throw Self.writeStatus(failures, shardCount: parts.count, rowCount: rowCount, context)
        }
        return (replies, token)
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
            let presence = source.presence(of: placement.primary)
            throw Target(placement, placement.primary, context.map, presence, graceEnd: context.deadline)
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

    private static func writeStatus(
        _ failures: [(part: BatchPart, failure: ShardFailure)],
        shardCount: Int,
        rowCount: Int,
        _ context: Context
    ) -> WireStatus {
        let refused = failures.filter(\.failure.isRefusal)
        if let first = refused.first {
            let status = first.failure.status
            let rowText = "\(refused.reduce(0) { $0 + $1.part.positions.count }) of \(rowCount) rows"
            let outcome =
                refused.contains(where: { $0.failure.mayHaveBeenDone || $0.failure.status.code == .keyTooOld })
                ? "It is not known whether an earlier attempt did anything for" : "Nothing was done for"
            let rest =
                if refused.count < failures.count {
                    "; other shards may have done their part."
                } else {
                    shardCount > refused.count ? "; the other shards have done theirs." : "."
                }
            return WireStatus(
                status.code,
                "Collection '\(context.name)': shard \(first.failure.placement.shard.index) refused the write "
                    + "(\(first.failure.explanation)). \(outcome) \(rowText)\(rest)",
                retryAfterMilliseconds: status.retryAfterMilliseconds
            )
        }
        let positions = failures.flatMap(\.part.positions).sorted()
        let listed = positions.prefix(8).map(String.init).joined(separator: ", ")
        let rest = positions.count - min(positions.count, 8)
        let outcome =
            failures.contains(where: \.failure.mayHaveBeenDone)
            ? "It is not known whether \(positions.count) of \(rowCount) rows were written"
            : "Nothing was done for \(positions.count) of \(rowCount) rows"
        return WireStatus(
            StatusCode.ofAll(failures.map(\.failure.status.code)),
            "Collection '\(context.name)': \(shardCount - failures.count) of \(shardCount) shards have acknowledged; "
                + "\(ShardFailureText.missing(failures.map(\.failure))). \(outcome) (counted from 0: "
                + "\(listed)\(rest > 0 ? " and \(rest) more" : "")); send the same batch again under the same "
                + "idempotency key, which writes nothing twice.",
            retryAfterMilliseconds: failures.map(\.failure.status.retryAfterMilliseconds).max() ?? 0
        )
    }
}
