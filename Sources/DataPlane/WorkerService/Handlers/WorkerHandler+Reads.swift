import ClusterModel
import FaceModel
import NIOCore
import PartitionEngine
import Threads
import WireProtocol
import WireTransport

extension WorkerHandler {
    /// Time kept of a deadline for the answer's way back: a scan stops that much earlier and says what it covered.
    private static let answerMargin = Duration.milliseconds(2)
    /// Largest page of a listing, in bytes.
    private static let pageByteLimit = 8 << 20
    private static let pageRowRange: ClosedRange<UInt32> = 1...10_000
    private static let sampleRowRange: ClosedRange<UInt32> = 1...4096

    func search(_ request: ShardSearch, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let (replica, terms) = try admit(request.route)
            if let problem = request.parameters.problem { throw Refusal.invalid(problem) }
            try check(request.probes.dimension, against: terms, request.route.shard)
            guard request.probes.rowCount > 0 else { throw Refusal.invalid("a search needs at least one probe") }
            let estimate = replica.estimate(of: request)
            if let estimate, estimate <= limits.loopSearchTime, loopTurns.take(on: call.eventLoop) {
                // After all that has been read: the searches that came with this one are then with their threads.
                call.eventLoop.execute { searchOnLoop(request, in: replica, call) }
            } else {
                searchOnThread(request, in: replica, call)
            }
        }
    }

    private func searchOnThread(_ request: ShardSearch, in replica: Replica, _ call: ServerCall) {
        onSearchThread(call, byteCount: request.probes.values.count * 4) { () throws(WireStatus) in
            // Only a search that has a time of its own to end at can come to nothing.
            try search(request, in: replica, call, atMostUntil: nil)!
        }
    }

    /// Answers a search that should be short; when it turns out not to be, or would have to wait, it begins again on a
    /// search thread.
    private func searchOnLoop(_ request: ShardSearch, in replica: Replica, _ call: ServerCall) {
        let start = ContinuousClock.now
        defer { loopTurns.finish(on: call.eventLoop, took: .now - start) }
        answer(call) { () throws(WireStatus) in
            let answer = try search(request, in: replica, call, atMostUntil: start + limits.longestLoopSearch)
            if answer == nil { searchOnThread(request, in: replica, call) }
            return answer
        }
    }

    /// - Returns: nil when the search had not ended by `end`, or would have had to wait before it began. Without an end
    ///   it waits.
    private func search(
        _ request: ShardSearch,
        in replica: Replica,
        _ call: ServerCall,
        atMostUntil end: ContinuousClock.Instant?
    ) throws(WireStatus) -> ShardSearchAnswer? {
        var search = PartitionSearch(
            parameters: request.parameters,
            excludedFace: request.excludedFace,
            probes: request.probes,
            now: .wallClock
        )
        search.collectionShare = replica.record.range.share
        search.answerBound = AnswerBound(byteLimit: answerByteLimit) { $0.wireByteCount + 32 }
        let start = ContinuousClock.now
        let begin = NIODeadline.now()
        let outcome = try replica.read(.reading(request.route.epoch)) {
            (partition, isFenced) throws(PartitionError) -> Result<PartitionSearchAnswer?, WireStatus> in
            if let refusal = Self.refusal(of: request, by: partition) { return .failure(refusal) }
            var isOverdue = false
            func mustEnd() -> Bool {
                if let end, end <= .now { isOverdue = true }
                return isOverdue || isFenced() || call.isCancelled || call.deadline.remaining < Self.answerMargin
            }
            let answer: PartitionSearchAnswer?
            if end == nil {
                // Idle search threads help one that takes long; a search on a loop is short.
                answer = try partition.search(search, team: searchTeam, shouldStop: mustEnd)
            } else {
                answer = try partition.searchWithoutWaiting(search, shouldStop: mustEnd)
            }
            // A scan cut short by the replica's leaving is no answer; another try finds it open again, or elsewhere.
            return isFenced() ? .failure(Refusal.opening(request.route.shard)) : .success(isOverdue ? nil : answer)
        }
        guard let answer = try outcome.get() else {
            replica.forgetPace()
            return nil
        }
        if answer.facesAnswered == answer.faceCount {
            replica.searched(request, rowsVisited: answer.rowsVisited, took: .now - start)
        }
        metrics.searched(
            request,
            collection: replica.collectionName ?? "",
            answer,
            at: end == nil ? .thread : .loop,
            continuing: call.traceparent,
            arrival: call.arrival,
            begin: begin
        )
        recall.consider(request, in: replica)
        return ShardSearchAnswer(
            matches: answer.matches,
            faceCount: answer.faceCount,
            facesAnswered: answer.facesAnswered,
            rowsVisited: answer.rowsVisited,
            listsVisited: answer.listsVisited,
            generation: answer.generation,
            epoch: replica.epoch
        )
    }

    private var searchTeam: SearchTeam {
        SearchTeam(memberLimit: searches.threadCount) { [searches] in searches.runIfIdle($0) }
    }

    private static func refusal(of request: ShardSearch, by partition: Partition) -> WireStatus? {
        if !request.probes.values.allSatisfy(\.isFinite) {
            return Refusal.invalid("a probe holds NaN or infinity")
        }
        return refusal(minimumSequence: request.minimumSequence, shard: request.route.shard, by: partition)
    }

    private static func refusal(minimumSequence: UInt64, shard: ShardID, by partition: Partition) -> WireStatus? {
        let committed = partition.committedSequence
        return committed < minimumSequence ? Refusal.notYet(shard, wanted: minimumSequence, committed: committed) : nil
    }

    func get(_ request: ShardGet, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let (replica, terms) = try admit(request.route)
            try checkAnswer(byteCount: request.ids.count * (request.includesEmbeddings ? terms.dimension * 4 : 32))
            onSearchThread(call, byteCount: request.ids.count * 16) { () throws(WireStatus) in
                let shard = request.route.shard
                let outcome = try replica.read(.reading(request.route.epoch)) {
                    (partition, isFenced) throws(PartitionError) -> Result<[StoredFace], WireStatus> in
                    if let refusal = Self.refusal(minimumSequence: request.minimumSequence, shard: shard, by: partition)
                    {
                        return .failure(refusal)
                    }
                    do throws(PartitionError) {
                        return .success(
                            try partition.faces(request.ids, includesEmbeddings: request.includesEmbeddings) {
                                isFenced() || Self.isOver(call)
                            }
                        )
                    } catch {
                        return .failure(try Self.refusal(ofReadThatEndedBy: error, shard, isFenced: isFenced(), call))
                    }
                }
                let faces = try outcome.get()
                try checkAnswer(byteCount: faces.reduce(0) { $0 + $1.wireByteCount })
                return FaceList(faces: faces, epoch: replica.epoch)
            }
        }
    }

    func list(_ request: ShardList, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let (replica, _) = try admit(request.route)
            guard Self.pageRowRange.contains(request.limit) else {
                throw Refusal.invalid("a page may have from 1 to 10000 faces, not \(request.limit)")
            }
            onSearchThread(call, byteCount: 16) { () throws(WireStatus) in
                let outcome = try replica.read(.reading(request.route.epoch)) {
                    (partition, isFenced) throws(PartitionError) -> Result<[StoredFace], WireStatus> in
                    do throws(PartitionError) {
                        return .success(
                            try partition.page(
                                after: request.after,
                                places: request.range.first...request.range.last,
                                limit: Int(request.limit),
                                byteLimit: Self.pageByteLimit,
                                includesEmbeddings: request.includesEmbeddings,
                                shouldStop: { isFenced() || Self.isOver(call) }
                            )
                        )
                    } catch {
                        let shard = request.route.shard
                        return .failure(try Self.refusal(ofReadThatEndedBy: error, shard, isFenced: isFenced(), call))
                    }
                }
                return FaceList(faces: try outcome.get(), epoch: replica.epoch)
            }
        }
    }

    /// Whether nobody waits for a call's answer any more.
    private static func isOver(_ call: ServerCall) -> Bool { call.isCancelled || call.deadline.hasPassed }

    /// A read of faces that was told to stop is no answer, since nothing in it would say that it is not whole.
    ///
    /// - Throws: the error when it is another one.
    private static func refusal(
        ofReadThatEndedBy error: PartitionError,
        _ shard: ShardID,
        isFenced: Bool,
        _ call: ServerCall
    ) throws(PartitionError) -> WireStatus {
        guard case .stopped = error else { throw error }
        // A call is also cancelled once its deadline has passed.
        return Refusal.readEnded(shard, isFenced: isFenced, isCancelled: call.isCancelled && !call.deadline.hasPassed)
    }

    func sample(_ request: SampleEmbeddings, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let (replica, _) = try admit(request.route)
            guard Self.sampleRowRange.contains(request.count) else {
                throw Refusal.invalid("a sample may have from 1 to 4096 rows, not \(request.count)")
            }
            onSearchThread(call, byteCount: 16) { () throws(WireStatus) in
                try replica.read(.reading(request.route.epoch)) { (partition, _) throws(PartitionError) in
                    guard request.totalCount > 0 else {
                        return EmbeddingSample(
                            embeddings: try partition.sample(count: Int(request.count), seed: request.seed)
                        )
                    }
                    let page = try partition.samplePage(
                        count: Int(request.count),
                        of: Int(request.totalCount),
                        seed: request.seed,
                        from: request.firstRow
                    )
                    return EmbeddingSample(
                        embeddings: page.embeddings,
                        continuation: page.next.map { .from(row: $0) } ?? .end
                    )
                }
            }
        }
    }

    /// Runs the part of a request that happens on the event loop; what it throws is the answer.
    func refusing(_ call: ServerCall, _ body: () throws(WireStatus) -> Void) {
        do throws(WireStatus) {
            try body()
        } catch {
            call.fail(error)
        }
    }

    private func checkAnswer(byteCount: Int) throws(WireStatus) {
        guard byteCount <= answerByteLimit else {
            throw Refusal.answerTooLarge(byteCount: byteCount, byteLimit: answerByteLimit)
        }
    }
}

extension StoredFace {
    /// About the bytes the face takes in an answer.
    fileprivate var wireByteCount: Int { 40 + metadata.wireByteCount + (embedding?.count ?? 0) * 4 }
}

extension FaceMetadata {
    /// About the bytes the metadata takes on the wire.
    var wireByteCount: Int {
        let names = [personID, externalImageID, imageID].reduce(0) { $0 + ($1?.utf8.count ?? 0) }
        return names + 64 + attributes.reduce(0) { $0 + 4 + $1.key.utf8.count + $1.value.utf8.count }
    }
}
