import ClusterModel
import FaceModel
import QueryRouter
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

    @Test func positionsAndLimitsAreChecked() async throws {
        try await FakeCluster.run(shardCount: 1) { cluster in
            func refusal(limit: Int, shard: UInt32) async -> StatusCode? {
                do throws(WireStatus) {
                    _ = try await cluster.router.list(
                        ListFaces(
                            collection: "people",
                            after: ListPosition(shardIndex: shard, face: nil),
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
            #expect(await refusal(limit: 0, shard: 0) == .invalidRequest)
            #expect(await refusal(limit: 10_001, shard: 0) == .invalidRequest)
            #expect(await refusal(limit: 10, shard: 4) == .invalidRequest)
            #expect(await refusal(limit: 10, shard: 0) == nil)
        }
    }
}
