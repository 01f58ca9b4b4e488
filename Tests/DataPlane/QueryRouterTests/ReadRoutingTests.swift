import ClusterModel
import FaceModel
import NIOCore
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct ReadRoutingTests {
    @Test func facesComeInTheOrderAskedAndAbsentOnesAreLeftOut() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            try await cluster.enrolNumbered(20)
            let asked: [UInt64] = [17, 3, 99, 0, 8, 3]
            let list = try await cluster.router.faces(
                GetFaces(collection: "people", ids: asked.map(FakeCluster.face), includesEmbeddings: false),
                deadline: .none,
                on: cluster.eventLoop
            )
            #expect(list.faces.map(\.id) == [17, 3, 0, 8, 3].map(FakeCluster.face))
            #expect(list.faces.allSatisfy { $0.embedding == nil })
        }
    }

    @Test func aReadFromAnAbsentShardFailsWithTheReason() async throws {
        try await FakeCluster.run(shardCount: 2, options: RouterOptions(absenceGrace: .milliseconds(100))) { cluster in
            try await cluster.enrolNumbered(20)
            await cluster.stop(0)
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.router.faces(
                    GetFaces(
                        collection: "people",
                        ids: (0..<20).map { FakeCluster.face($0) },
                        includesEmbeddings: false
                    ),
                    deadline: .none,
                    on: cluster.eventLoop
                )
            }
            #expect(status?.code == .unavailable)
            #expect(status?.message.contains("shard 0 is missing") == true)
        }
    }

    @Test func theLatestTokenIsOfEveryShardsPrimary() async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            let request = GetLatestToken(collection: "people")
            let empty = try await cluster.router.latestToken(request, deadline: .none, on: cluster.eventLoop)
            #expect(empty.token.sequences == [0: 0, 1: 0, 2: 0])
            try await cluster.enrolNumbered(20)
            let token = try await cluster.router.latestToken(request, deadline: .none, on: cluster.eventLoop).token
            #expect(token.sequences.count == 3 && token.sequences.values.allSatisfy { $0 > 0 })
            let list = try await cluster.router.faces(
                GetFaces(
                    collection: "people",
                    ids: (0..<20).map { FakeCluster.face($0) },
                    includesEmbeddings: false,
                    token: token
                ),
                deadline: .none,
                on: cluster.eventLoop
            )
            #expect(list.faces.count == 20)
        }
    }

    @Test func withoutOneShardThereIsNoLatestToken() async throws {
        try await FakeCluster.run(shardCount: 2, options: RouterOptions(absenceGrace: .milliseconds(100))) { cluster in
            await cluster.stop(0)
            let status = await #expect(throws: WireStatus.self) {
                try await cluster.router.latestToken(
                    GetLatestToken(collection: "people"),
                    deadline: .none,
                    on: cluster.eventLoop
                )
            }
            #expect(status?.code == .unavailable)
            #expect(status?.message.contains("shard 0 is missing") == true)
        }
    }

    @Test(arguments: [1, 7, 19, 20, 100]) func pagesGoThroughTheWholeCollectionOnce(limit: Int) async throws {
        try await FakeCluster.run(shardCount: 3) { cluster in
            try await cluster.enrolNumbered(20)
            var listed: [FaceID] = []
            var position: ListPosition?
            repeat {
                let page = try await cluster.router.list(
                    ListFaces(collection: "people", after: position, limit: limit, includesEmbeddings: false),
                    deadline: .none,
                    on: cluster.eventLoop
                )
                #expect(page.faces.count <= limit)
                listed += page.faces.map(\.id)
                position = page.next
            } while position != nil && listed.count < 100
            #expect(listed.count == 20)
            #expect(Set(listed) == Set((0..<20).map { FakeCluster.face($0) }))
        }
    }

    @Test func limitsAreChecked() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            func refusal(limit: Int) async -> StatusCode? {
                do throws(WireStatus) {
                    _ = try await cluster.router.list(
                        ListFaces(
                            collection: "people",
                            after: nil,
                            limit: limit,
                            includesEmbeddings: false
                        ),
                        deadline: .none,
                        on: cluster.eventLoop
                    )
                    return nil
                } catch {
                    return error.code
                }
            }
            #expect(await refusal(limit: 0) == .invalidRequest)
            #expect(await refusal(limit: 10_001) == .invalidRequest)
            #expect(await refusal(limit: 10) == nil)
        }
    }

    /// Shards are split and merged between the pages of one listing, in every order: every face comes once.
    @Test(arguments: [1, 3, 10]) func aListingGoesOnWhenShardsAreSplitAndMerged(limit: Int) async throws {
        let quarter = UInt64(1) << 62
        let divisions: [[UInt64]] = [
            [2 * quarter - 1, .max], [quarter - 1, 2 * quarter - 1, .max],
            [quarter / 2, quarter - 1, 3 * quarter, .max],
            [.max], [quarter * 3 - 1, .max], [quarter - 1, quarter, 2 * quarter - 1, 3 * quarter - 1, .max],
        ]
        for start in divisions.indices {
            try await FakeCluster.run(shardCount: 1) { cluster in
                cluster.divide(divisions[start])
                try await cluster.enrolNumbered(60)
                var listed: [FaceID] = []
                var position: ListPosition?
                var number = start
                repeat {
                    let page = try await cluster.router.list(
                        ListFaces(collection: "people", after: position, limit: limit, includesEmbeddings: false),
                        deadline: .none,
                        on: cluster.eventLoop
                    )
                    listed += page.faces.map(\.id)
                    position = page.next
                    number += 1
                    cluster.divide(divisions[number % divisions.count])
                } while position != nil && listed.count < 200
                #expect(listed.count == 60 && Set(listed) == Set((0..<60).map { FakeCluster.face($0) }))
            }
        }
    }

    /// The collection is deleted between two pages, and another gets its name: the same faces have other places there.
    @Test func aListingGoesOnInNoOtherCollectionOfTheName() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            func page(after: ListPosition?, of id: CollectionID?) async throws(WireStatus) -> FacePage {
                try await cluster.router.list(
                    ListFaces(
                        collection: "people",
                        after: after,
                        limit: 10,
                        includesEmbeddings: false,
                        collectionID: id
                    ),
                    deadline: .none,
                    on: cluster.eventLoop
                )
            }
            try await cluster.enrolNumbered(60)
            let first = try await page(after: nil, of: nil)
            #expect(first.faces.count == 10 && first.collectionID == cluster.collection.id)
            let second = try await page(after: first.next, of: first.collectionID)
            #expect(second.faces.count == 10 && second.collectionID == cluster.collection.id)

            let newer = cluster.namesake(faceCount: 60)
            let id = try #require(newer.collection(named: "people")).id
            // Another coordinator has begun a listing of it, and this one has not heard of it yet.
            cluster.source.state.withLock { $0.isReadable = false }
            let unknown = await #expect(throws: WireStatus.self) { try await page(after: nil, of: id) }
            #expect(unknown?.code == .notYet)
            cluster.source.state.withLock { state in
                state.isReadable = true
                state.afterRefresh = newer
            }
            #expect(try await page(after: nil, of: id).collectionID == id)

            let refused = await #expect(throws: WireStatus.self) {
                try await page(after: second.next, of: second.collectionID)
            }
            #expect(refused?.code == .invalidRequest)
            #expect(refused?.message.contains("another has its name") == true)
            // Who does not say which collection it goes on in is told.
            #expect(try await page(after: second.next, of: nil).collectionID == id)
        }
    }

    /// Two shards answer more than a frame has room for, by what faces take on the wire.
    @Test func aPageOfSeveralShardsFitsAFrame() async throws {
        let counts = [3800, 3840]
        // With every field, so that a face takes on the wire what it counts for.
        let metadata = FaceMetadata(
            personID: "p",
            externalImageID: "e",
            imageID: "i",
            boundingBox: BoundingBox(left: 0.1, top: 0.2, width: 0.3, height: 0.4),
            quality: 50,
            confidence: 99,
            created: Timestamp(milliseconds: 5),
            expires: Timestamp(milliseconds: 6)
        )
        let embedding = [Float](repeating: 0.5, count: 526)
        try await FakeCluster.run(shardCount: 2) { cluster in
            for (worker, count) in zip(cluster.workers, counts) {
                worker.setScript { request, call in
                    guard case .shardList(let list) = request else { return false }
                    let ids = (0..<UInt64(count)).map { FakeCluster.face($0) }
                    let left = ids.filter { id in list.after.map { $0 < id } ?? true }
                    let faces = left.prefix(Int(list.limit)).map { id in
                        StoredFace(
                            id: id,
                            metadata: metadata,
                            version: FaceVersion(epoch: 1, sequence: 1),
                            embedding: embedding
                        )
                    }
                    call.reply(FaceList(faces: faces))
                    return true
                }
            }
            var listed = 0
            var position: ListPosition?
            repeat {
                let page = try await cluster.router.list(
                    ListFaces(collection: "people", after: position, limit: 10_000, includesEmbeddings: true),
                    deadline: .none,
                    on: cluster.eventLoop
                )
                let frame = try Frame.encode(
                    page,
                    stream: 1,
                    deadlineMicroseconds: 0,
                    payloadLimit: UInt32(RouterOptions().frameByteLimit)
                )
                #expect(frame.readableBytes > 0)
                listed += page.faces.count
                position = page.next
            } while position != nil && listed < 20_000
            #expect(listed == counts.reduce(0, +))
        }
    }

    /// The shard that is asked has just been split: the page comes from those that took its place.
    @Test func aPageIsReadFromTheShardsThatTookAnothersPlace() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            try await cluster.enrolNumbered(20)
            let before = cluster.source.current
            cluster.divide([1 << 63, .max])
            cluster.source.state.withLock { state in
                (state.map, state.afterRefresh) = (before, state.map)
            }
            let page = try await cluster.router.list(
                ListFaces(collection: "people", after: nil, limit: 100, includesEmbeddings: false),
                deadline: .none,
                on: cluster.eventLoop
            )
            #expect(Set(page.faces.map(\.id)) == Set((0..<20).map { FakeCluster.face($0) }))
            #expect(page.faces.count == 20 && page.next == nil)
        }
    }
}
