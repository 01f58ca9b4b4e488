import ClusterModel
import FaceModel
import Glibc
import Observability
import PartitionEngine
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// A worker as its peers see it: real sockets, real partitions.
@Suite struct WorkerTests {
    private let test = TestCollection()

    @Test func enrolledFacesAreFoundReadBackAndListed() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(50)
            let enrolled = try await harness.call(test.enrol(ids))
            #expect(enrolled.outcomes == ids.map { _ in .accepted })

            let answer = try await harness.call(test.search(ids, k: 3, minimumSequence: enrolled.sequence))
            #expect(answer.matches.map { $0.first?.faceID } == ids)
            #expect(answer.matches.allSatisfy { $0.count == 3 && abs($0[0].similarity - 1) < 1e-2 })
            #expect(answer.faceCount == 50 && answer.facesAnswered == 50)

            let got = try await harness.call(test.get([ids[7], FaceID(high: 9, low: 9), ids[3]], embeddings: true))
                .faces
            #expect(got.map(\.id) == [ids[7], ids[3]])
            #expect(got[0].metadata.personID == "p\(ids[7].low)")
            #expect(got[0].embedding?.count == WorkerHarness.dimension)

            var listed: [FaceID] = []
            while true {
                let page = try await harness.call(
                    ShardList(route: test.route(), after: listed.last, limit: 20, includesEmbeddings: false)
                ).faces
                listed += page.map(\.id)
                if page.count < 20 { break }
            }
            #expect(listed == ids.sorted())

            let sample = try await harness.call(SampleEmbeddings(route: test.route(), count: 20, seed: 5)).embeddings
            #expect(sample.rowCount == 20 && sample.dimension == WorkerHarness.dimension)
            // Page by page: every face once, since all together are to be as many as there are.
            var (pages, first): ([[Float]], UInt32?) = ([], 0)
            while let row = first {
                let page = try await harness.call(
                    SampleEmbeddings(route: test.route(), count: 16, seed: 5, totalCount: 1000, firstRow: row)
                )
                pages += (0..<page.embeddings.rowCount).map { Array(page.embeddings.row($0)) }
                switch page.continuation {
                case .untold:
                    Issue.record("it does not tell where the next page begins")
                    first = nil
                case .from(let next): first = next
                case .end: first = nil
                }
            }
            #expect(pages.count == ids.count && Set(pages).count == ids.count)
        }
    }

    /// Known beforehand of an exact search, and found out while the answer is made of another.
    @Test(arguments: [SearchEffort.exact, .recall(0.9)])
    func anAnswerLargerThanAFrameIsRefused(effort: SearchEffort) async throws {
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        options.wireLimits = WireLimits(payloadByteCount: 64 << 10)
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(100)
            _ = try await harness.call(test.enrol(ids))
            let probes = Array(ids.prefix(10))
            let status = try await harness.refusal(test.search(probes, k: 100, effort: effort))
            #expect(status.code == .limitExceeded && status.message.contains("fewer faces or probes"))
            let answer = try await harness.call(test.search(probes, k: 50, effort: effort))
            #expect(answer.matches.allSatisfy { $0.count == 50 } && answer.facesAnswered == 100)
        }
    }

    @Test func deletedFacesAreGoneWithTheAnswer() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(10)
            _ = try await harness.call(test.enrol(ids))
            let deleted = try await harness.call(test.delete([ids[4], FaceID(high: 0, low: 1 << 40)]))
            #expect(deleted.outcomes == [.deleted, .absent])
            let answer = try await harness.call(test.search([ids[4]], k: 10))
            #expect(!answer.matches[0].contains { $0.faceID == ids[4] })
            #expect(answer.matches[0].count == 9)
            #expect(try await harness.call(test.get([ids[4]])).faces.isEmpty)
        }
    }

    @Test func aRestartKeepsFacesIdentityAndEpoch() async throws {
        let folder = TemporaryFolder()
        let ids = test.ids(20)
        let node = try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host(epoch: 4))
            _ = try await harness.call(test.enrol(ids, epoch: 4))
            return harness.worker.node
        }
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            #expect(harness.worker.node == node)
            let answer = try await harness.call(test.search(ids, epoch: 4))
            #expect(answer.matches.map { $0.first?.faceID } == ids && answer.epoch == Epoch(4))
            #expect(try await harness.refusal(test.search(ids, epoch: 3)).code == .staleEpoch)
        }
    }

    @Test func theSameWriteSentAgainChangesNothing() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host())
            let write = test.enrol(test.ids(3))
            let first = try await harness.call(write)
            _ = try await harness.call(test.delete([test.ids(1)[0]]))
            #expect(try await harness.call(write) == first)
            #expect(try await harness.call(test.get(test.ids(3))).faces.count == 2)
            var other = test.enrol(test.ids(2).reversed())
            other.key = write.key
            for misused in [
                try await harness.refusal(test.delete(test.ids(1), key: write.key)),
                try await harness.refusal(other),
            ] {
                #expect(misused.code == .keyReused && misused.code.retry == .doNotRetry)
                #expect(misused.message.contains("give each write a key of its own"))
            }
            #expect(try await harness.call(test.get(test.ids(3))).faces.count == 2)
        }
    }

    /// What was sent to the lost one may have been done there, and its faces deleted since.
    @Test func anEmptyShardInPlaceOfALostOneDoesNoWriteFromBeforeIt() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            // One of the shards that the collection began with, and one of a later number.
            for (index, isRefused) in [(0, false), (5, true)] {
                var host = test.host()
                host.shard = test.shard(index)
                _ = try await harness.call(host)
                var old = test.enrol(test.ids(1), in: index)
                old.age = .seconds(3600)
                if isRefused {
                    #expect(try await harness.refusal(old).code == .keyTooOld)
                    #expect(try await harness.call(test.enrol(test.ids(1), in: index)).outcomes == [.accepted])
                } else {
                    #expect(try await harness.call(old).outcomes == [.accepted])
                }
            }
        }
    }

    @Test func aWriteThatNobodyRemembersIsRefusedWhenItIsSentAgain() async throws {
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        options.partition.receiptLimit = 3
        options.partition.earlierReceipts = .none
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            var old = test.enrol(test.ids(1))
            _ = try await harness.call(old)
            _ = try await harness.call(test.delete(test.ids(1)))
            for _ in 0..<5 { _ = try await harness.call(test.delete(test.ids(2))) }
            old.age = .seconds(60)
            var deletion = test.delete(test.ids(2))
            deletion.age = .seconds(60)
            for refusal in [try await harness.refusal(old), try await harness.refusal(deletion)] {
                #expect(refusal.code == .keyTooOld && refusal.code.retry == .doNotRetry)
                #expect(refusal.message.contains("nobody remembers"))
            }
            #expect(try await harness.call(test.get(test.ids(1))).faces.isEmpty, "it was deleted since")
            // What is known is answered, however old it is.
            let last = test.delete(test.ids(3))
            let answer = try await harness.call(last)
            var again = last
            again.age = .seconds(60)
            #expect(try await harness.call(again) == answer)
            // A first attempt is done.
            #expect(try await harness.call(test.enrol(test.ids(1))).outcomes == [.accepted])
        }
    }

    @Test func concurrentWritesShareCommitsAndAreAllKept() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(200)
            let outcomes = try await withThrowingTaskGroup(of: [EnrolOutcome].self) { group in
                for id in ids { group.addTask { try await harness.call(test.enrol([id])).outcomes } }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(outcomes == ids.map { _ in .accepted })
            #expect(try await harness.call(test.get(ids)).faces.map(\.id) == ids)
        }
    }

    // MARK: Routing

    @Test func requestsOfAnotherEpochAreRefused() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host(epoch: 5))
            #expect(try await harness.refusal(test.search(test.ids(1), epoch: 4)).code == .staleEpoch)
            #expect(try await harness.refusal(test.enrol(test.ids(1), epoch: 4)).code == .staleEpoch)
            let newer = try await harness.refusal(test.search(test.ids(1), epoch: 6))
            #expect(newer.code == .unavailable && newer.retryAfterMilliseconds > 0)
            let unknown = TestCollection(shardCount: 2).search(test.ids(1), in: 1)
            #expect(try await harness.refusal(unknown).code == .unknownReplica)
        }
    }

    @Test func readsWaitForTheSequenceTheyNeed() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host())
            let sequence = try await harness.call(test.enrol(test.ids(1))).sequence
            _ = try await harness.call(test.search(test.ids(1), minimumSequence: sequence))
            let status = try await harness.refusal(test.search(test.ids(1), minimumSequence: sequence + 1))
            #expect(status.code == .notYet && status.code.retry == .retryThisCall)
            var get = test.get(test.ids(1))
            get.minimumSequence = sequence + 1
            #expect(try await harness.refusal(get).code == .notYet)
        }
    }

    @Test func hostingAgainRaisesTheEpochAndNeverLowersIt() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host(epoch: 2))
            _ = try await harness.call(test.host(epoch: 2))
            _ = try await harness.call(test.host(epoch: 7))
            #expect(try await harness.refusal(test.host(epoch: 6)).code == .staleEpoch)
            _ = try await harness.call(test.search(test.ids(1), epoch: 7))
            var other = test.host(epoch: 8)
            other.range = HashRange(first: 0, last: 10)
            #expect(try await harness.refusal(other).code == .invalidRequest)
        }
    }

    /// Hosts the shard with so many faces, tens of thousands.
    private func hosted(_ count: Int, _ harness: WorkerHarness) async throws -> [FaceID] {
        _ = try await harness.call(test.host())
        let ids = test.ids(count)
        for first in stride(from: 0, to: ids.count, by: 10_000) {
            _ = try await harness.call(test.enrol(Array(ids[first..<first + 10_000])))
        }
        return ids
    }

    /// The only face of a narrow part of the ring comes last of all: an empty page would say that there is none.
    @Test func aListingThatIsCutShortIsRefusedAndNeverEmpty() async throws {
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        options.searchThreadCount = 1
        try await WorkerHarness.with(options) { [options] harness in
            let ids = try await hosted(20_000, harness)
            let place = FaceIDHash.hash(ids.last!, in: test.collection.id)
            let list = ShardList(
                route: test.route(),
                after: nil,
                range: HashRange(first: place, last: place),
                limit: 10,
                includesEmbeddings: false
            )
            /// Nil when it was refused.
            @Sendable func listed(within time: Duration) async -> (ids: [FaceID]?, status: StatusCode?) {
                do throws(WireStatus) {
                    return (try await harness.peer.call(list, deadline: .after(time)).faces.map(\.id), nil)
                } catch {
                    return (nil, error.code)
                }
            }
            for number in 1...100 {
                let (found, status) = await listed(within: .microseconds(number * 100))
                #expect(found == nil ? status == .deadlineExceeded : found == [ids.last!])
            }
            // Nobody waits for it after half of its time: the worker does not read on to the end.
            var times: [Duration] = []
            for _ in 0..<5 { times.append(await ContinuousClock().measure { _ = await listed(within: .seconds(60)) }) }
            let turn = ShardGet(route: test.route(), ids: [ids[0]], includesEmbeddings: false, minimumSequence: 0)
            // The only thread takes it when what came before has ended.
            _ = try await harness.call(turn)
            let series = "mien_requests_total{role=\"worker\",request=\"shardList\",status=\"ok\"}"
            let before = metric(series, of: options)
            var (limit, inTime, late) = (times.min()! / 2, 0, 0)
            for _ in 0..<200 where late < 20 {
                let (found, _) = await listed(within: limit)
                _ = try await harness.call(turn)
                if found == nil { late += 1 } else { inTime += 1 }
                // However fast the machine is at this moment.
                if found != nil { limit /= 2 }
            }
            let unread = metric(series, of: options) - before - Double(inTime)
            #expect(late == 20 && unread < 10, "listings were read to their ends for nobody")
            // And while the replica goes.
            await withTaskGroup(of: (ids: [FaceID]?, status: StatusCode?).self) { group in
                for _ in 0..<100 { group.addTask { await listed(within: .seconds(20)) } }
                _ = try? await harness.call(DropReplica(shard: test.shard(), epoch: Epoch(1)))
                for await (found, status) in group {
                    #expect(found == nil || found == [ids.last!], "\(String(describing: status))")
                }
            }
        }
    }

    @Test func aDroppedReplicaIsGoneFilesAndAll() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host(epoch: 3))
            _ = try await harness.call(test.enrol(test.ids(5), epoch: 3))
            let path = "\(folder.path)/replicas/\(test.collection.id)/0"
            #expect(access("\(path)/record", F_OK) == 0)
            let drop = DropReplica(shard: test.shard(), epoch: Epoch(3))
            #expect(try await harness.refusal(DropReplica(shard: test.shard(), epoch: Epoch(2))).code == .staleEpoch)
            _ = try await harness.call(drop)
            #expect(access(path, F_OK) != 0)
            #expect(try await harness.refusal(test.search(test.ids(1), epoch: 3)).code == .unknownReplica)
            _ = try await harness.call(drop)
            _ = try await harness.call(test.host(epoch: 4))
            #expect(try await harness.call(test.search(test.ids(1), epoch: 4)).matches.map(\.count) == [0])
        }
    }

    // MARK: Bad requests

    @Test func requestsThatDoNotFitAreRefused() async throws {
        let folder = TemporaryFolder()
        let two = TestCollection(shardCount: 2)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(two.host(0))
            let wide = TestCollection(shardCount: 2, dimension: 128)
            #expect(try await harness.refusal(wide.enrol(two.ids(1))).code == .dimensionMismatch)
            #expect(try await harness.refusal(wide.search(two.ids(1))).code == .dimensionMismatch)
            #expect(try await harness.refusal(two.enrol(two.ids(1, in: 1), in: 0)).code == .invalidRequest)
            #expect(try await harness.refusal(two.delete(two.ids(1, in: 1), in: 0)).code == .invalidRequest)
            #expect(try await harness.refusal(ListCollections()).code == .invalidRequest)
            let client = WorkerHarness.peer(of: harness.worker.address, role: .client)
            await #expect(throws: WireStatus.self) {
                try await client.call(two.search(two.ids(1)), deadline: .after(.seconds(5)))
            }
            await client.close()
        }
    }

    // MARK: Bounds

    @Test func aFullWriteQueueIsSaidAndLosesNothing() async throws {
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        options.limits.writeQueueRowCount = 1
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(200)
            var accepted: [FaceID] = []
            var refusals: [WireStatus] = []
            await withTaskGroup(of: Result<FaceID, WireStatus>.self) { group in
                for id in ids {
                    group.addTask {
                        do throws(WireStatus) {
                            _ = try await harness.peer.call(test.enrol([id]), deadline: .after(.seconds(20)))
                            return .success(id)
                        } catch {
                            return .failure(error)
                        }
                    }
                }
                for await result in group {
                    switch result {
                    case .success(let id): accepted.append(id)
                    case .failure(let status): refusals.append(status)
                    }
                }
            }
            #expect(!refusals.isEmpty && !accepted.isEmpty)
            #expect(refusals.allSatisfy { $0.code == .overloaded && $0.retryAfterMilliseconds > 0 })
            let stored = try await harness.call(test.get(ids)).faces.map(\.id)
            #expect(Set(stored) == Set(accepted))
        }
    }

    @Test func aFullSearchQueueIsSaid() async throws {
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        options.searchThreadCount = 1
        options.limits.searchQueueCount = 1
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(2000)
            _ = try await harness.call(test.enrol(ids))
            let search = test.search(Array(ids.prefix(200)))
            let codes = await withTaskGroup(of: StatusCode?.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        do throws(WireStatus) {
                            _ = try await harness.peer.call(search, deadline: .after(.seconds(20)))
                            return nil
                        } catch {
                            return error.code
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(codes.contains(.overloaded) && codes.contains(nil))
            #expect(codes.allSatisfy { $0 == nil || $0 == .overloaded })
        }
    }

    /// Probes whose exact search takes far longer than the tests wait for it.
    private func longSearch(_ ids: [FaceID]) -> ShardSearch { test.search(Array(ids.prefix(1024)), k: 100) }

    private func metric(_ series: String, of options: WorkerOptions) -> Double {
        options.metrics.rendered().split(separator: "\n").first { $0.hasPrefix(series + " ") }
            .flatMap { Double($0.dropFirst(series.count + 1)) } ?? 0
    }

    /// How much of it all searches have done that have come to an end.
    private func rowsVisited(_ options: WorkerOptions) -> Double { metric("mien_rows_visited_total", of: options) }

    /// What a search takes: the least time of three, and the rows that it visits.
    private func cost(
        of search: ShardSearch,
        _ harness: WorkerHarness,
        _ options: WorkerOptions
    ) async throws -> (time: Duration, rowCount: Double) {
        let before = rowsVisited(options)
        var times: [Duration] = []
        for _ in 0..<3 {
            let time = try await ContinuousClock().measure { _ = try await harness.call(search) }
            times.append(time)
        }
        return (times.min()!, (rowsVisited(options) - before) / 3)
    }

    @Test func aDeadlineEndsASearchThatIsUnderWay() async throws {
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        options.searchThreadCount = 1
        try await WorkerHarness.with(options) { [options] harness in
            let ids = try await hosted(30_000, harness)
            let search = longSearch(ids)
            let whole = try await cost(of: search, harness, options)
            let turn = test.search(Array(ids.prefix(64)))
            var before = rowsVisited(options)
            _ = try await harness.call(turn)
            let turnRowCount = rowsVisited(options) - before
            // However fast the machine is at this moment, one of them begins in time and does not come to its end.
            var limit = whole.time / 4
            var isCutShort = false
            for _ in 0..<60 where !isCutShort {
                before = rowsVisited(options)
                do throws(WireStatus) {
                    let answer = try await harness.peer.call(search, deadline: .after(limit))
                    #expect(answer.facesAnswered <= answer.faceCount, "an answer in time covers a part, and says so")
                } catch {
                    #expect(error.code == .deadlineExceeded)
                }
                // The only thread takes this one when that one has ended.
                _ = try await harness.call(turn)
                let rowCount = rowsVisited(options) - before - turnRowCount
                isCutShort = rowCount > 0 && rowCount < whole.rowCount
                limit = rowCount > 0 ? limit / 2 : limit * 3 / 2
            }
            #expect(isCutShort, "none that had begun ended before it had looked at all")
        }
    }

    @Test func aCancelledSearchFreesItsThread() async throws {
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        options.searchThreadCount = 1
        try await WorkerHarness.with(options) { [options] harness in
            let ids = try await hosted(20_000, harness)
            let search = longSearch(ids)
            let whole = try await cost(of: search, harness, options)
            let before = rowsVisited(options)
            // They take the only thread for long, unless cancelling ends the one under way and skips the rest.
            let searches = (0..<64).map { _ in Task { try await harness.call(search) } }
            for _ in 0..<200 where metric("mien_queue_length{queue=\"search\"}", of: options) < 48 {
                // They may have come, and some been answered, between two looks.
                if rowsVisited(options) - before >= 4 * whole.rowCount { break }
                try await Task.sleep(for: .milliseconds(5))
            }
            for search in searches { search.cancel() }
            // Its turn comes after all of theirs.
            _ = try await harness.call(test.search(Array(ids.prefix(64))))
            let half = searches.count / 2
            #expect(rowsVisited(options) - before < whole.rowCount * Double(half), "the rest was not searched for")
            // The first may have ended before; on a machine that stands still for a while a few more.
            var failureCount = 0
            for search in searches where await search.result.isFailure { failureCount += 1 }
            #expect(failureCount > half)
        }
    }

    @Test func aFullDiskRefusesFacesAndServesSearches() async throws {
        let folder = TemporaryFolder()
        let ids = test.ids(5)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(ids))
        }
        var options = WorkerHarness.options(folder)
        options.partition.minimumFreeByteCount = .max
        try await WorkerHarness.with(options) { harness in
            let status = try await harness.refusal(test.enrol(test.ids(6)))
            #expect(status.code == .storageFull && status.code.retry == .doNotRetry)
            #expect(try await harness.call(test.search(ids)).matches.map { $0.first?.faceID } == ids)
        }
    }
}

extension Result {
    fileprivate var isFailure: Bool {
        if case .failure = self { true } else { false }
    }
}
