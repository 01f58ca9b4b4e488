import ClusterModel
import FaceModel
import Observability
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct SearchRoutingTests {
    static let impatient = RouterOptions(absenceGrace: .milliseconds(150))

    /// A worker takes so many calls on one connection, and has more shards than that.
    @Test func allShardsOfAWorkerAreAskedAFewAtATime() async throws {
        let (options, limits) = (RouterOptions(shardsUnderWay: 8), WireLimits(streamCount: 8))
        try await FakeCluster.run(shardCount: 1, options: options, limits: limits) { cluster in
            cluster.divide((1...64).map { UInt64($0) << 58 &- 1 })
            try await cluster.enrolNumbered(200)
            let answer = try await cluster.search([FakeCluster.embedding(1)])
            #expect(answer.coverage.shardsAnswered == 64 && answer.coverage.isFull)
            #expect(answer.coverage.facesTotal == 200)
            #expect(answer.outcomes[0].ids?.count == 3)
            let token = try await cluster.router.latestToken(
                GetLatestToken(collection: "people"),
                deadline: .after(.seconds(30)),
                on: cluster.eventLoop
            )
            #expect(token.token.sequences.count == 64)
            let retries = cluster.metrics.rendered().split(separator: "\n")
                .filter { $0.hasPrefix("mien_shard_retries_total{status=\"overloaded\"}") && !$0.hasSuffix(" 0") }
            #expect(retries == [])
        }
    }

    @Test func aWorkerThatHangsHoldsUpOnlyItsOwnShards() async throws {
        try await FakeCluster.run(shardCount: 2, options: RouterOptions(absenceGrace: .seconds(60), shardsUnderWay: 2))
        { cluster in
            let placements = (0..<8).map { number in
                ShardPlacement(
                    shard: ShardID(collection: cluster.collection.id, index: UInt32(number)),
                    range: HashRange.divisions(8)[number],
                    primary: cluster.workers[number % 2].id,
                    epoch: Epoch(1)
                )
            }
            for (number, placement) in placements.enumerated() {
                cluster.workers[number % 2].host(placement.shard, epoch: 1)
            }
            cluster.source.state.withLock { state in
                state.map = ShardMap(
                    epoch: Epoch(2),
                    collections: [cluster.collection],
                    placements: [cluster.collection.id: placements],
                    addresses: state.map.addresses
                )
            }
            // One says nothing until the other one has been asked for all of its shards.
            let held = Mutex<(calls: [ServerCall], count: Int)>((calls: [], count: 0))
            let status = WireStatus(.internalError, "Broken.")
            cluster.workers[0].setScript { _, _ in
                let calls = held.withLock { held -> [ServerCall] in
                    held.count += 1
                    return held.count == 4 ? held.calls : []
                }
                for call in calls { call.fail(status) }
                return false
            }
            cluster.workers[1].setScript { _, call in
                let isHeld = held.withLock { held -> Bool in
                    if held.count < 4 { held.calls.append(call) }
                    return held.count < 4
                }
                if !isHeld { call.fail(status) }
                return true
            }
            let answer = try await cluster.search([FakeCluster.embedding(1)], coverage: .minimum(0))
            #expect(answer.coverage.shardsAnswered == 4)
            #expect(answer.coverage.missing.map(\.shardIndex) == [1, 3, 5, 7])
            #expect(answer.coverage.missing.allSatisfy { $0.reason == .failed })
        }
    }

    /// A worker that has just started opens its shards one by one.
    @Test func shardsThatAreTriedAgainHoldUpNoOthersOfTheirWorker() async throws {
        let options = RouterOptions(absenceGrace: .seconds(60), shardsUnderWay: 2)
        try await FakeCluster.run(shardCount: 1, options: options) { cluster in
            cluster.divide([1 << 62, 1 << 63, .max])
            let opening = Set(cluster.shards.prefix(2))
            let isAnswered = Atomic<Bool>(false)
            cluster.workers[0].setScript { request, call in
                guard case .shardSearch(let search) = request else { return false }
                guard opening.contains(search.route.shard) else {
                    isAnswered.store(true, ordering: .releasing)
                    return false
                }
                // Opening until the last one has been asked, and of no use from then on, so that the test ends.
                call.fail(
                    isAnswered.load(ordering: .acquiring)
                        ? WireStatus(.internalError, "Broken.") : WireStatus(.unavailable, "The shard is opening.")
                )
                return true
            }
            let answer = try await cluster.search([FakeCluster.embedding(1)], coverage: .minimum(0))
            #expect(answer.coverage.shardsAnswered == 1)
            #expect(answer.coverage.missing.map(\.shardIndex) == opening.map(\.index).sorted())
            #expect(answer.coverage.missing.allSatisfy { $0.reason == .failed })
        }
    }

    @Test func whatWaitsForItsTurnAtAWorkerEndsAtTheDeadline() async throws {
        try await FakeCluster.run(shardCount: 1, options: RouterOptions(absenceGrace: .seconds(60), shardsUnderWay: 1))
        { cluster in
            cluster.divide([1 << 62, 1 << 63, .max])
            let kept = Mutex<[ServerCall]>([])
            cluster.workers[0].setScript { _, call in
                kept.withLock { $0.append(call) }
                return true
            }
            let answer = try await cluster.search(
                [FakeCluster.embedding(1)],
                coverage: .minimum(0),
                deadline: .seconds(2)
            )
            #expect(answer.coverage.shardsAnswered == 0)
            #expect(answer.coverage.missing.map(\.reason) == [.deadlineExceeded, .deadlineExceeded, .deadlineExceeded])
        }
    }

    @Test func matchesOfAllShardsAreMergedBestFirst() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            // Ever less like the probe, and spread over the shards by their ids.
            let faces = (0..<40).map {
                (FakeCluster.face(UInt64($0)), FakeCluster.embedding(0, lean: Float($0) * 0.05))
            }
            _ = try await cluster.enrol(faces)
            let shardsUsed = cluster.workers.count { worker in
                worker.state.withLock { $0.faces.values.contains { !$0.isEmpty } }
            }
            #expect(shardsUsed == 3)
            let answer = try await cluster.search([FakeCluster.embedding(0)], k: 15)
            #expect(answer.outcomes[0].ids == (0..<15).map { FakeCluster.face($0) })
            #expect(answer.coverage.shardsAsked == 3)
            #expect(answer.coverage.facesTotal == 40)
            #expect(answer.coverage.isFull)
        }
    }

    @Test func tiesAreBrokenByFaceIDWhateverTheShard() async throws {
        try await FakeCluster.run(shardCount: 4) { cluster in
            let numbers = Array(0..<30 as Range<UInt64>).reversed()
            _ = try await cluster.enrol(numbers.map { (FakeCluster.face($0), FakeCluster.embedding(3)) })
            let answer = try await cluster.search([FakeCluster.embedding(3)], k: 30)
            #expect(answer.outcomes[0].ids == (0..<30).map { FakeCluster.face($0) })
        }
    }

    @Test func probesOfAnyLengthAreNormalisedAndBadOnesRejectedAlone() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(20)
            var notANumber = FakeCluster.embedding(2)
            notANumber[5] = .nan
            let answer = try await cluster.search(
                [
                    FakeCluster.embedding(4).map { $0 * 250 }, notANumber,
                    [Float](repeating: 0, count: FakeCluster.dimension), FakeCluster.embedding(7),
                ],
                k: 1
            )
            #expect(answer.outcomes[0].ids == [FakeCluster.face(4)])
            guard case .matches(let matches) = answer.outcomes[0] else { return }
            #expect(abs(matches[0].similarity - 1) < 1e-6)
            #expect(answer.outcomes[3].ids == [FakeCluster.face(7)])
            guard case .rejected(.notFinite) = answer.outcomes[1], case .rejected(.zeroNorm) = answer.outcomes[2] else {
                Issue.record("bad probes were not rejected")
                return
            }
        }
    }

    @Test func aSearchOfBadProbesOnlyAsksNobody() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let answer = try await cluster.search([[Float](repeating: 0, count: FakeCluster.dimension)])
            #expect(answer.outcomes.count == 1)
            #expect(cluster.workers.allSatisfy { $0.requestCount == 0 })
        }
    }

    @Test func requestsThatCannotBeAnsweredAreRefusedBeforeAnyShardIsAsked() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            let matrix = EmbeddingMatrix(dimension: 64, values: FakeCluster.embedding(0))
            func refusal(
                collection: String = "people",
                model: String = FakeCluster.model,
                k: Int = 1,
                filter: FaceFilter? = nil,
                coverage: CoverageRequirement = .full,
                token: ConsistencyToken? = nil,
                probes: EmbeddingMatrix = matrix
            ) async -> StatusCode? {
                do throws(WireStatus) {
                    _ = try await cluster.router.search(
                        SearchFaces(
                            collection: collection,
                            embeddingModel: model,
                            parameters: SearchParameters(matchLimit: k, filter: filter),
                            coverage: coverage,
                            token: token,
                            probes: probes
                        ),
                        deadline: .none,
                        on: cluster.eventLoop
                    )
                    return nil
                } catch {
                    #expect(error.message.hasSuffix("."), "\(error.message)")
                    return error.code
                }
            }
            #expect(await refusal(collection: "nobody") == .notFound)
            #expect(await refusal(model: "model-b") == .modelMismatch)
            #expect(await refusal(k: 0) == .invalidRequest)
            #expect(await refusal(k: 1_000_000_000) == .invalidRequest)
            #expect(await refusal(filter: FaceFilter(personIDs: [])) == .invalidRequest)
            #expect(await refusal(coverage: .minimum(.nan)) == .invalidRequest)
            #expect(await refusal(probes: EmbeddingMatrix(dimension: 64, values: [])) == .invalidRequest)
            #expect(
                await refusal(probes: EmbeddingMatrix(dimension: 72, values: [Float](repeating: 1, count: 72)))
                    == .dimensionMismatch
            )
            let foreign = ConsistencyToken(collection: CollectionID(high: 5, low: 5), sequences: [:])
            #expect(await refusal(token: foreign) == .invalidRequest)
            #expect(cluster.workers.allSatisfy { $0.requestCount == 0 })
            #expect(await refusal() == nil)
        }
    }

    @Test func aDeadWorkerIsNamedInOneSentence() async throws {
        try await FakeCluster.run(shardCount: 3, options: Self.impatient) { cluster in
            try await cluster.enrolNumbered(30)
            await cluster.stop(1)
            let dead = cluster.workers[1].id
            cluster.source.state.withLock { $0.presences[dead] = WorkerPresence(isLive: false, silence: .seconds(12)) }
            let began = ContinuousClock.now
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.search([FakeCluster.embedding(0)], deadline: .seconds(60))
            }
            #expect(ContinuousClock.now - began < .seconds(30))
            #expect(status?.code == .incompleteCoverage)
            let message = status?.message ?? ""
            #expect(message.contains("Collection 'people': 2 of 3 shards answered"), "\(message)")
            #expect(
                message.contains(
                    "shard 1 is missing (no live worker: worker \(dead) at \(cluster.servers[1].address) "
                        + "was last heard of 12 s ago)"
                ),
                "\(message)"
            )
            #expect(message.hasSuffix("Start that worker, or pass a minimum coverage."), "\(message)")
        }
    }

    @Test func aMinimumCoverageAcceptsAFlaggedPartOfTheCollection() async throws {
        try await FakeCluster.run(shardCount: 3, options: Self.impatient) { cluster in
            try await cluster.enrolNumbered(60)
            let counts = cluster.workers.map { worker in
                worker.state.withLock { $0.faces.values.reduce(0) { $0 + $1.count } }
            }
            await cluster.stop(2)
            let missing = cluster.shards[2]
            cluster.source.state.withLock { $0.faceCounts[missing] = UInt64(counts[2]) }
            let answer = try await cluster.search([FakeCluster.embedding(0)], coverage: .minimum(0.2))
            #expect(answer.coverage.shardsAnswered == 2)
            let expected = Int((Double(counts[0] + counts[1]) / 2).rounded())
            #expect(answer.coverage.facesTotal == UInt64(counts[0] + counts[1] + max(counts[2], expected)))
            #expect(answer.coverage.facesAnswered == UInt64(counts[0] + counts[1]))
            #expect(answer.coverage.missing == [.init(shardIndex: 2, reason: .unavailable)])
            #expect(!answer.coverage.isFull)
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.search([FakeCluster.embedding(0)], coverage: .minimum(0.99))
            }
            #expect(status?.code == .incompleteCoverage)
            #expect(status?.message.contains("99 % of the faces are required") == true)
        }
    }

    @Test func facesOfAMissingShardThatNobodyCountedAreEstimated() async throws {
        try await FakeCluster.run(shardCount: 4, options: Self.impatient) { cluster in
            try await cluster.enrolNumbered(60)
            let missing = cluster.workers[3].state.withLock { $0.faces.values.reduce(0) { $0 + $1.count } }
            await cluster.stop(3)
            let answer = try await cluster.search([FakeCluster.embedding(0)], coverage: .minimum(0))
            let present = Double(60 - missing)
            #expect(answer.coverage.facesAnswered == UInt64(present))
            #expect(answer.coverage.facesTotal == UInt64(present) + UInt64((present / 3).rounded()))
        }
    }

    /// A report may be older than the last writes, or come from a replica that could not be opened.
    @Test func facesOfAMissingShardAreNotTakenToBeFewerThanIsToBeExpected() async throws {
        try await FakeCluster.run(shardCount: 4, options: Self.impatient) { cluster in
            try await cluster.enrolNumbered(60)
            let missing = cluster.workers[3].state.withLock { $0.faces.values.reduce(0) { $0 + $1.count } }
            let shard = cluster.shards[3]
            await cluster.stop(3)
            let present = UInt64(60 - missing)
            let expected = UInt64((Double(present) / 3).rounded())
            for (reported, counted) in [(UInt64(0), expected), (1, expected), (expected + 9, expected + 9)] {
                cluster.source.state.withLock { $0.faceCounts[shard] = reported }
                let answer = try await cluster.search([FakeCluster.embedding(0)], coverage: .minimum(0))
                #expect(answer.coverage.facesAnswered == present)
                #expect(answer.coverage.facesTotal == present + counted, "\(reported) reported")
                await #expect(throws: WireStatus.self) {
                    try await cluster.search([FakeCluster.embedding(0)], coverage: .minimum(1))
                }
            }
        }
    }

    @Test func aShardThatItsWorkerCannotServeIsMissingWithThatReason() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(10)
            cluster.workers[0].setScript { request, call in
                guard case .shardSearch = request else { return false }
                call.fail(WireStatus(.internalError, "the partition has format 9"))
                return true
            }
            let answer = try await cluster.search([FakeCluster.embedding(0)], coverage: .minimum(0))
            #expect(answer.coverage.missing == [.init(shardIndex: 0, reason: .failed)])
            let status = await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(0)]) }
            #expect(status?.message.hasSuffix("See the worker's log, or pass a minimum coverage.") == true)
        }
    }

    @Test func aShardThatStoppedAtItsDeadlineIsNotFullCoverage() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(10)
            cluster.workers[0].setScript { request, call in
                guard case .shardSearch = request else { return false }
                call.reply(
                    ShardSearchAnswer(
                        matches: [[]],
                        faceCount: 1000,
                        facesAnswered: 400,
                        rowsVisited: 400,
                        listsVisited: 3,
                        generation: 2
                    )
                )
                return true
            }
            let status = await #expect(throws: WireStatus.self) { try await cluster.search([FakeCluster.embedding(0)]) }
            #expect(status?.code == .incompleteCoverage)
            #expect(status?.message.contains("longer deadline") == true)
            let answer = try await cluster.search([FakeCluster.embedding(0)], coverage: .minimum(0.3))
            #expect(!answer.coverage.isFull)
            #expect(answer.coverage.missing.isEmpty)
            #expect(answer.coverage.generation == 2)
        }
    }

    /// The rollout of a codebook reaches shards one after another, and a shard may compare every embedding.
    @Test(arguments: [([3, 2], 2), ([2, 3], 2), ([3, 0], 3), ([0, 0], 0)] as [([UInt32], UInt32)])
    func theOldestGenerationCounts(generations: [UInt32], oldest: UInt32) async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            for (worker, generation) in zip(cluster.workers, generations) {
                worker.setScript { request, call in
                    guard case .shardSearch = request else { return false }
                    call.reply(
                        ShardSearchAnswer(
                            matches: [[]],
                            faceCount: 10,
                            facesAnswered: 10,
                            rowsVisited: 10,
                            listsVisited: 1,
                            generation: generation
                        )
                    )
                    return true
                }
            }
            let answer = try await cluster.search([FakeCluster.embedding(0)])
            #expect(answer.coverage.generation == oldest)
        }
    }

    @Test func aCorruptReplicaIsAMissingShard() async throws {
        try await FakeCluster.run(shardCount: 2) { cluster in
            try await cluster.enrolNumbered(10)
            cluster.workers[1].setScript { _, call in
                call.fail(WireStatus(.corruptPartition, "A block failed its checksum."))
                return true
            }
            let answer = try await cluster.search([FakeCluster.embedding(0)], coverage: .minimum(0.1))
            #expect(answer.coverage.missing == [.init(shardIndex: 1, reason: .corrupt)])
            #expect(cluster.workers[1].requestCount == 2)
        }
    }

    @Test func searchByFaceLeavesTheFaceItselfOut() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            let faces = (0..<20).map { (FakeCluster.face(UInt64($0)), FakeCluster.embedding(0, lean: Float($0) * 0.1)) }
            _ = try await cluster.enrol(faces)
            func search(_ face: UInt64) async throws -> SearchAnswer {
                try await cluster.router.search(
                    SearchByFace(
                        collection: "people",
                        faceID: FakeCluster.face(face),
                        parameters: SearchParameters(matchLimit: 2),
                        coverage: .full
                    ),
                    deadline: .none,
                    on: cluster.eventLoop
                )
            }
            #expect(try await search(0).outcomes[0].ids == [FakeCluster.face(1), FakeCluster.face(2)])
            let status = await #expect(throws: WireStatus.self) { try await search(77) }
            #expect(status?.code == .notFound)
        }
    }
}
