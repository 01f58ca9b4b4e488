import ClusterModel
import FaceModel
package import NIOCore
import Observability
package import WireProtocol
package import WireTransport

extension QueryRouter {
    /// Searches all shards for the probes.
    ///
    /// - Throws: `notFound`, `modelMismatch`, `dimensionMismatch`, `invalidRequest`; `incompleteCoverage` with the
    ///   missing shards; `notYet` when a shard has not reached the token inside the deadline.
    package func search(
        _ request: SearchFaces,
        deadline: WireDeadline,
        on eventLoop: any EventLoop,
        counting bytes: CallBytes? = nil
    ) async throws(WireStatus) -> SearchAnswer {
        try await onNewestMap(
            of: request.collection,
            for: request,
            deadline: deadline,
            on: eventLoop,
            counting: bytes
        ) {
            (context) async throws(WireStatus) -> SearchAnswer in
            try check(request.parameters, request.coverage)
            // The collection that the token is of may have another model than the one that is known here.
            let sequences = try await minimumSequences(request.token, context)
            try check(model: request.embeddingModel, dimension: request.probes.dimension, of: context)
            guard request.probes.rowCount > 0 else {
                throw WireStatus(.invalidRequest, "A search needs at least one probe.")
            }
            var probes = request.probes
            let rejections = probes.normalise()
            let accepted = rejections.indices.filter { rejections[$0] == nil }
            if accepted.count < probes.rowCount { probes = probes.rows(accepted) }
            return try await search(
                probes,
                outcomesOf: rejections,
                parameters: request.parameters,
                coverage: request.coverage,
                minimumSequences: sequences,
                excluding: nil,
                context
            )
        }
    }

    /// Searches with a stored face's embedding; the face itself is not among the matches.
    package func search(
        _ request: SearchByFace,
        deadline: WireDeadline,
        on eventLoop: any EventLoop,
        counting bytes: CallBytes? = nil
    ) async throws(WireStatus) -> SearchAnswer {
        try await onNewestMap(
            of: request.collection,
            for: request,
            deadline: deadline,
            on: eventLoop,
            counting: bytes
        ) {
            (context) async throws(WireStatus) -> SearchAnswer in
            try check(request.parameters, request.coverage)
            let sequences = try await minimumSequences(request.token, context)
            let list = try await faces(
                [request.faceID],
                includesEmbeddings: true,
                minimumSequences: sequences,
                context
            )
            guard let embedding = list.faces.first?.embedding else {
                let loss = list.hasLoss ? "; faces of it were given up, and that may have been one of them" : ""
                throw WireStatus(.notFound, "Collection '\(context.name)' holds no face of that id\(loss).")
            }
            guard embedding.count == context.collection.configuration.dimension else {
                throw WireStatus(.internalError, "A shard of '\(context.name)' sent an embedding of another dimension.")
            }
            var probes = EmbeddingMatrix(dimension: embedding.count, values: embedding)
            let rejections = probes.normalise()
            guard rejections == [nil] else {
                throw WireStatus(
                    .corruptPartition,
                    "The stored embedding of that face in '\(context.name)' has no direction."
                )
            }
            return try await search(
                probes,
                outcomesOf: rejections,
                parameters: request.parameters,
                coverage: request.coverage,
                minimumSequences: sequences,
                excluding: request.faceID,
                context
            )
        }
    }

    /// - Parameters:
    ///   - probes: unit vectors of the accepted probes.
    ///   - rejections: one entry per probe sent; the accepted ones, nil here, are in `probes` in the same order.
    private func search(
        _ probes: EmbeddingMatrix,
        outcomesOf rejections: [RowRejection?],
        parameters: SearchParameters,
        coverage requirement: CoverageRequirement,
        minimumSequences: [UInt32: UInt64],
        excluding excluded: FaceID?,
        _ context: Context
    ) async throws(WireStatus) -> SearchAnswer {
        let age = Duration.nanoseconds((NIODeadline.now() - context.began).nanoseconds)
        let span = SearchSpan.start(.search, age: age)
        if span.isRecording {
            span.set(.collection, context.name)
            span.set(.effort, "\(parameters.effort)")
            span.set(.matchLimit, parameters.matchLimit)
            span.set(.probeCount, probes.rowCount)
            span.set(.shardCount, context.placements.count)
        }
        do throws(WireStatus) {
            let answer = try await search(
                probes,
                outcomesOf: rejections,
                parameters: parameters,
                coverage: requirement,
                minimumSequences: minimumSequences,
                excluding: excluded,
                span,
                context
            )
            span.end()
            return answer
        } catch {
            span.fail("\(error.code)")
            throw error
        }
    }

    private func search(
        _ probes: EmbeddingMatrix,
        outcomesOf rejections: [RowRejection?],
        parameters: SearchParameters,
        coverage requirement: CoverageRequirement,
        minimumSequences: [UInt32: UInt64],
        excluding excluded: FaceID?,
        _ span: SearchSpan,
        _ context: Context
    ) async throws(WireStatus) -> SearchAnswer {
        // Without an acceptable probe there is nothing to ask.
        let placements = probes.rowCount == 0 ? [] : context.placements
        let asked = NIODeadline.now()
        let results = await fanOut(placements.count, context) { number -> ShardResult in
            let minimumSequence = minimumSequences[placements[number].shard.index] ?? 0
            let call = SearchSpan.start(.shardCall, below: span)
            call.set(.shard, Int(placements[number].shard.index))
            return await call.asCurrent { () async -> ShardResult in
                do throws(ShardFailure) {
                    let answer = try await self.read(
                        placements[number],
                        canBeMissing: requirement != .full,
                        context
                    ) { route in
                        ShardSearch(
                            route: route,
                            parameters: parameters,
                            minimumSequence: minimumSequence,
                            excludedFace: excluded,
                            probes: probes
                        )
                    }
                    call.end()
                    return .answered(answer, at: .now())
                } catch {
                    call.fail("\(error.status.code)")
                    return .failed(error, at: .now())
                }
            }
        }
        let answered = NIODeadline.now()
        let merge = SearchSpan.start(.merge, below: span)
        defer { merge.end() }
        var epochs: [(shard: ShardID, epoch: Epoch)] = []
        for case (let placement, .answered(let answer, _)) in zip(placements, results) {
            epochs.append((placement.shard, answer.epoch))
        }
        var assembly = CoverageAssembly(shardCount: placements.count, hasLoss: hasLoss(epochs, context))
        var answers: [[[Match]]] = []
        for (placement, result) in zip(placements, results) {
            switch result {
            case .answered(let answer, let end):
                metrics.shardAnswered(took: .nanoseconds((end - asked).nanoseconds))
                guard answer.matches.count == probes.rowCount else {
                    throw WireStatus(
                        .internalError,
                        "Shard \(placement.shard.index) of '\(context.name)' answered \(answer.matches.count) probes "
                            + "of \(probes.rowCount)."
                    )
                }
                assembly.add(answer, of: placement)
                answers.append(answer.matches)
            case .failed(let failure, _):
                guard let reason = failure.missingReason else { throw failure.status }
                assembly.add(failure, reason: reason)
            }
        }
        assembly.countMissingFaces(source.faceCount)
        let isDoneAgain = context.isDoneAgain()
        if !isDoneAgain { metrics.missed(assembly.coverage) }
        if let shortfall = assembly.shortfall(of: requirement, collection: context.name) { throw shortfall }

        var next = 0
        let outcomes = rejections.map { rejection -> ProbeOutcome in
            if let rejection { return .rejected(rejection) }
            defer { next += 1 }
            return .matches(MatchMerger.merge(answers.map { $0[next] }, limit: parameters.matchLimit))
        }
        let end = NIODeadline.now()
        if !isDoneAgain {
            let slowest = zip(placements, results).max { $0.1.end < $1.1.end }
            metrics.searched(
                RouterMetrics.SearchTimes(
                    prepare: .nanoseconds((asked - context.began).nanoseconds),
                    shards: .nanoseconds((answered - asked).nanoseconds),
                    merge: .nanoseconds((end - answered).nanoseconds),
                    slowestShard: slowest?.0.shard.index
                ),
                collection: context.name,
                parameters: parameters,
                probeCount: probes.rowCount,
                coverage: assembly.coverage
            )
        }
        return SearchAnswer(
            outcomes: outcomes,
            coverage: assembly.coverage,
            elapsedMicroseconds: UInt64((end - context.began).nanoseconds / 1000)
        )
    }

    /// What came of one shard, and when.
    private enum ShardResult: Sendable {
        case answered(ShardSearchAnswer, at: NIODeadline)
        case failed(ShardFailure, at: NIODeadline)

        var end: NIODeadline {
            switch self {
            case .answered(_, let end), .failed(_, let end): end
            }
        }
    }

    private func check(_ parameters: SearchParameters, _ coverage: CoverageRequirement) throws(WireStatus) {
        if let problem = parameters.problem {
            throw WireStatus(.invalidRequest, "The search is not valid: \(problem).")
        }
        if case .minimum(let share) = coverage, !(share >= 0 && share <= 1) {
            throw WireStatus(.invalidRequest, "A minimum coverage is a share from 0 to 1.")
        }
    }
}
