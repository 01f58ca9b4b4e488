import ClusterModel
import FaceModel
package import NIOCore
package import WireProtocol
package import WireTransport

extension QueryRouter {
    package static let listLimitRange = 1...10_000

    /// Embedding and metadata bytes of a page from which on no shard is read for it any more.
    ///
    /// What a shard answers has 8 MiB of them at most, or one face, and up to 26 bytes more of each face on the wire.
    /// With what was there before, counted to 2 bytes a face, all of a page takes less than 13 MiB, and every frame has
    /// room for 16.
    private static let pageByteLimit = 4 << 20

    /// The faces found among those asked for, in the order asked. All shards concerned have to answer.
    package func faces(
        _ request: GetFaces,
        deadline: WireDeadline,
        on eventLoop: any EventLoop,
        counting bytes: CallBytes? = nil
    ) async throws(WireStatus) -> FaceList {
        try await onNewestMap(
            of: request.collection,
            for: request,
            deadline: deadline,
            on: eventLoop,
            counting: bytes
        ) {
            (context) async throws(WireStatus) -> FaceList in
            guard !request.ids.isEmpty else {
                throw WireStatus(.invalidRequest, "The batch is empty: name at least one face.")
            }
            return try await faces(
                request.ids,
                includesEmbeddings: request.includesEmbeddings,
                minimumSequences: try await minimumSequences(request.token, context),
                context
            )
        }
    }

    func faces(
        _ ids: [FaceID],
        includesEmbeddings: Bool,
        minimumSequences: [UInt32: UInt64],
        _ context: Context
    ) async throws(WireStatus) -> FaceList {
        let parts = context.divide(ids.count) { ids[$0] }
        let results = await fanOut(parts.count, context) { number -> Result<FaceList, ShardFailure> in
            let part = parts[number]
            let asked = part.positions.map { ids[$0] }
            let minimumSequence = minimumSequences[part.placement.shard.index] ?? 0
            do throws(ShardFailure) {
                return .success(
                    try await self.read(part.placement, context) { route in
                        ShardGet(
                            route: route,
                            ids: asked,
                            includesEmbeddings: includesEmbeddings,
                            minimumSequence: minimumSequence
                        )
                    }
                )
            } catch {
                return .failure(error)
            }
        }
        var found: [FaceID: StoredFace] = [:]
        var epochs: [(shard: ShardID, epoch: Epoch)] = []
        var failures: [ShardFailure] = []
        for (part, result) in zip(parts, results) {
            switch result {
            case .success(let list):
                for face in list.faces { found[face.id] = face }
                epochs.append((part.placement.shard, list.epoch))
            case .failure(let failure): failures.append(failure)
            }
        }
        guard failures.isEmpty else { throw readStatus(failures, context) }
        return FaceList(faces: ids.compactMap { found[$0] }, hasLoss: hasLoss(epochs, context))
    }

    /// A token of everything that was acknowledged before the request came, by whichever coordinator: every shard's
    /// primary makes sure that it still is, and says how far it is. All shards have to answer.
    package func latestToken(
        _ request: GetLatestToken,
        deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async throws(WireStatus) -> LatestToken {
        try await onNewestMap(of: request.collection, for: request, deadline: deadline, on: eventLoop) {
            (context) async throws(WireStatus) -> LatestToken in
            let placements = context.placements
            let results = await fanOut(placements.count, context) { number -> Result<ShardConfirmed, ShardFailure> in
                do throws(ShardFailure) {
                    return .success(try await self.ask(placements[number], context) { ConfirmShard(route: $0) })
                } catch {
                    return .failure(error)
                }
            }
            var token = ConsistencyToken(collection: context.collection.id, sequences: [:])
            var failures: [ShardFailure] = []
            for (placement, result) in zip(placements, results) {
                switch result {
                case .success(let confirmed): token.sequences[placement.shard.index] = confirmed.sequence
                case .failure(let failure): failures.append(failure)
                }
            }
            guard failures.isEmpty else { throw readStatus(failures, context) }
            return LatestToken(token: token)
        }
    }

    /// One page of the collection, along the ring; of one shard's faces those with smaller ids come first.
    ///
    /// Shards may be split and merged while a collection is listed: positions are of the ring, not of shards.
    package func list(
        _ request: ListFaces,
        deadline: WireDeadline,
        on eventLoop: any EventLoop,
        counting bytes: CallBytes? = nil
    ) async throws(WireStatus) -> FacePage {
        guard Self.listLimitRange.contains(request.limit) else {
            throw WireStatus(.invalidRequest, "A page holds from 1 to 10000 faces, not \(request.limit).")
        }
        return try await onNewestMap(
            of: request.collection,
            for: request,
            deadline: deadline,
            on: eventLoop,
            counting: bytes
        ) {
            (context) async throws(WireStatus) -> FacePage in
            guard request.collectionID == nil || request.collectionID == context.collection.id else {
                throw await foreignStatus(
                    context,
                    "The collection '\(context.name)' that was being listed was deleted, and another has its name: "
                        + "begin again with the first page."
                )
            }
            var answer = try await page(request, context)
            answer.collectionID = context.collection.id
            return answer
        }
    }

    private func page(_ request: ListFaces, _ context: Context) async throws(WireStatus) -> FacePage {
        var position = request.after ?? ListPosition()
        var page: [StoredFace] = []
        var epochs: [(shard: ShardID, epoch: Epoch)] = []
        var byteCount = 0
        while page.count < request.limit, byteCount < Self.pageByteLimit {
            let first = position.first
            guard let placement = context.placements.last(where: { $0.range.first <= first }) else {
                throw WireStatus(.internalError, "No shard of '\(context.name)' has the beginning of the ring.")
            }
            let piece = position.piece(in: placement.range)
            let after = position.face
            let wanted = UInt32(request.limit - page.count)
            let list: FaceList
            do throws(ShardFailure) {
                list = try await read(placement, context) { route in
                    ShardList(
                        route: route,
                        after: after,
                        range: piece,
                        limit: wanted,
                        includesEmbeddings: request.includesEmbeddings
                    )
                }
            } catch {
                throw readStatus([error], context)
            }
            page += list.faces
            epochs.append((placement.shard, list.epoch))
            byteCount += list.faces.reduce(0) { $0 + $1.approximateByteCount }
            if let last = list.faces.last {
                position.listed(last.id, of: piece)
            } else if !position.pass(piece) {
                return FacePage(faces: page, next: nil, hasLoss: hasLoss(epochs, context))
            }
        }
        return FacePage(faces: page, next: position, hasLoss: hasLoss(epochs, context))
    }

    /// A read that cannot be whole is no read: the first fault of the request itself, else what is missing.
    func readStatus(_ failures: [ShardFailure], _ context: Context) -> WireStatus {
        if let fault = failures.first(where: { $0.missingReason == nil }) { return fault.status }
        return WireStatus(
            StatusCode.ofAll(failures.map(\.status.code)),
            "Collection '\(context.name)': \(ShardFailureText.missing(failures)). Try again when every shard is there.",
            retryAfterMilliseconds: failures.map(\.status.retryAfterMilliseconds).max() ?? 0
        )
    }
}

extension StatusCode {
    /// What the failures of several shards are together, for a caller that knows nothing of shards: what no retry helps
    /// against comes first.
    static func ofAll(_ codes: [StatusCode]) -> StatusCode {
        if let permanent = codes.first(where: { $0.retry == .doNotRetry }) { return permanent }
        if codes.contains(.deadlineExceeded) { return .deadlineExceeded }
        return codes.allSatisfy { $0 == .overloaded } ? .overloaded : .unavailable
    }
}

extension StoredFace {
    fileprivate var approximateByteCount: Int {
        let texts = [metadata.personID, metadata.externalImageID, metadata.imageID]
        let attributes = metadata.attributes.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 4 }
        return 96 + texts.reduce(0) { $0 + ($1?.utf8.count ?? 0) } + attributes + (embedding?.count ?? 0) * 4
    }
}
