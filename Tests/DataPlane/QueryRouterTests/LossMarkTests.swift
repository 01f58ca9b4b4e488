import ClusterModel
import FaceModel
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Whether answers say that faces were given up, whatever map the request began with.
struct LossMarkTests {
    /// The map after an operator gave up what all but the second worker have of the only shard.
    private func decreed(_ cluster: FakeCluster, isLossy: Bool = true) -> ShardMap {
        let map = cluster.source.current
        let placements = map.placements[cluster.collection.id]!.map { placement in
            ShardPlacement(
                shard: placement.shard,
                range: placement.range,
                group: ReplicaGroup(
                    epoch: Epoch(placement.epoch.number + Epoch.leap),
                    version: placement.group.version + 1,
                    primary: cluster.workers[1].id,
                    inSync: [cluster.workers[1].id],
                    minimumInSync: 2
                )
            )
        }
        return ShardMap(
            epoch: map.epoch,
            collections: [cluster.collection],
            placements: [cluster.collection.id: placements],
            addresses: map.addresses,
            lossy: isLossy ? [cluster.collection.id: Timestamp(milliseconds: 7)] : [:]
        )
    }

    /// Has all workers answer with nothing, by an epoch.
    private func answer(by epoch: Epoch, _ cluster: FakeCluster) {
        for worker in cluster.workers {
            worker.setScript { request, call in
                switch request {
                case .shardSearch:
                    call.reply(
                        ShardSearchAnswer(
                            matches: [[]],
                            faceCount: 0,
                            facesAnswered: 0,
                            rowsVisited: 0,
                            listsVisited: 0,
                            generation: 0,
                            epoch: epoch
                        )
                    )
                case .shardGet, .shardList: call.reply(FaceList(faces: [], epoch: epoch))
                case .shardDelete(let request):
                    call.reply(ShardDeleted(outcomes: request.ids.map { _ in .absent }, sequence: 1))
                default: return false
                }
                return true
            }
        }
    }

    /// Whether a search, a page, and a get of faces are; all or none. So is the word that a face is not there.
    private func isMarked(_ cluster: FakeCluster) async throws -> Bool {
        let (router, absent) = (cluster.router, FakeCluster.face(99))
        let search = try await cluster.search([FakeCluster.embedding(0)]).coverage.hasLoss
        let page = try await router.list(
            ListFaces(collection: "people", after: nil, limit: 10, includesEmbeddings: false),
            deadline: .after(.seconds(30)),
            on: cluster.eventLoop
        )
        let list = try await router.faces(
            GetFaces(collection: "people", ids: [absent], includesEmbeddings: false),
            deadline: .after(.seconds(30)),
            on: cluster.eventLoop
        )
        #expect(page.hasLoss == search && list.hasLoss == search)
        let status = await #expect(throws: WireStatus.self) {
            try await router.search(
                SearchByFace(
                    collection: "people",
                    faceID: absent,
                    parameters: SearchParameters(matchLimit: 3),
                    coverage: .full,
                    token: nil
                ),
                deadline: .after(.seconds(30)),
                on: cluster.eventLoop
            )
        }
        #expect(status?.code == .notFound && status?.message.contains("given up") == search)
        return search
    }

    @Test func aSearchThatGoesOnWithAGroupThatWasDecreedMeanwhileIsMarked() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2, options: FakeCluster.unhedged) { cluster in
            try await cluster.enrolNumbered(5)
            let (source, map) = (cluster.source, decreed(cluster))
            let searchCount = Mutex(0)
            for worker in cluster.workers {
                worker.setScript { request, call in
                    guard case .shardSearch = request else { return false }
                    let number = searchCount.withLock { count in
                        count += 1
                        return count
                    }
                    guard number <= 2 else { return false }
                    // Both have failed, and an operator decides before they are asked again.
                    if number == 2 { source.state.withLock { $0.map = map } }
                    call.fail(WireStatus(.unavailable, "Not confirmed.", retryAfterMilliseconds: 20))
                    return true
                }
            }
            let answer = try await cluster.search([FakeCluster.embedding(0)])
            #expect(answer.coverage.isFull && answer.coverage.hasLoss)
            #expect(answer.outcomes[0].ids?.first == FakeCluster.face(0))
            let count = searchCount.withLock(\.self)
            #expect(count == 3)
        }
    }

    /// Without the metadata store a coordinator goes on by the map that it has, and replicas answer it.
    @Test func aCoordinatorThatHasNotHeardOfADecreeMarksItsAnswersAllTheSame() async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2, options: FakeCluster.unhedged) { cluster in
            let known = cluster.source.current.placements[cluster.collection.id]![0].epoch
            // A primary that was replaced again and again has given up nothing.
            answer(by: Epoch(known.number + 1000), cluster)
            let afterFailovers = try await isMarked(cluster)
            #expect(!afterFailovers)
            answer(by: Epoch(known.number + Epoch.leap), cluster)
            let afterDecree = try await isMarked(cluster)
            #expect(afterDecree)
            // And another one after the decree.
            answer(by: Epoch(known.number + Epoch.leap + 3), cluster)
            let afterFailoverSince = try await isMarked(cluster)
            #expect(afterFailoverSince)
            // One that does not say.
            answer(by: Epoch(0), cluster)
            let withoutEpoch = try await isMarked(cluster)
            #expect(!withoutEpoch)
        }
    }

    /// Where the map tells of the decree it also tells whether the faces are back.
    @Test(arguments: [true, false])
    func aCoordinatorThatHasHeardOfADecreeGoesByItsMap(isLossy: Bool) async throws {
        try await FakeCluster.run(shardCount: 1, copies: 2, options: FakeCluster.unhedged) { cluster in
            let map = decreed(cluster, isLossy: isLossy)
            cluster.source.state.withLock { $0.map = map }
            answer(by: map.placements[cluster.collection.id]![0].epoch, cluster)
            let marked = try await isMarked(cluster)
            #expect(marked == isLossy)
            // A face that a deletion does not find may be one of those that were given up.
            let deleted = try await cluster.router.delete(
                DeleteFaces(collection: "people", key: .random(), ids: [FakeCluster.face(99)]),
                deadline: .after(.seconds(30)),
                on: cluster.eventLoop
            )
            #expect(deleted.outcomes == [.absent] && deleted.hasLoss == isLossy)
        }
    }
}
