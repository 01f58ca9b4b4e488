import FaceModel
import Foundation
import InvertedFileIndex
import PartitionEngine
import Synchronization
import Testing
import Threads
import VectorMath

/// Searches whose parts are done by several threads.
struct DividedSearchTests {
    /// Threads with nothing else to do, and how often one of them was asked for.
    private final class Helpers: Sendable {
        let executor: BoundedExecutor
        let jobCount = Atomic(0)

        init(threadCount: Int) {
            executor = BoundedExecutor(name: "helper", threadCount: threadCount, queueLimit: 100)
        }

        deinit { executor.stop() }

        var team: SearchTeam {
            SearchTeam(memberLimit: executor.threadCount + 1) { job in
                self.jobCount.add(1, ordering: .relaxed)
                return self.executor.runIfIdle(job)
            }
        }
    }

    private final class Flag: Sendable {
        let isSet = Atomic(false)
    }

    /// 1100 faces: runs, 40 dead ones, faces outside of runs and a partly filled chunk.
    private func settled(candidateFloor: Int = 1200) throws -> (PartitionFixture, [[Float]]) {
        var options = PartitionOptions.small
        options.candidateFloor = candidateFloor
        options.leastPartWork = 1
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<1100).map { _ in source.embedding() }
        try fixture.enrol((0..<1000).map { FaceID($0) }, Array(embeddings[..<1000])) { id in
            FaceMetadata(personID: "person \(id.low % 3)")
        }
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        try fixture.delete((100..<140).map { FaceID($0) })
        try fixture.enrol((1000..<1100).map { FaceID($0) }, Array(embeddings[1000...]))
        return (fixture, embeddings)
    }

    /// Few probes are divided by lists and rows, many among the threads: the answer is that of one thread.
    @Test(arguments: [1, 3, 40], [SearchEffort.exact, .full, .lists(5)])
    func theAnswerIsThatOfOneThread(probeCount: Int, effort: SearchEffort) throws {
        let (fixture, embeddings) = try settled()
        let helpers = Helpers(threadCount: 3)
        let probes = Array(embeddings.shuffled().prefix(probeCount))
        for (limit, threshold, filter) in [
            (5, nil, nil), (1, 0.2, nil), (1000, nil, nil), (20, nil, FaceFilter(personIDs: ["person 1"])),
        ] as [(Int, Float?, FaceFilter?)] {
            let alone = try fixture.search(probes, limit: limit, threshold: threshold, effort: effort, filter: filter)
            for _ in 0..<10 {
                let divided = try fixture.search(
                    probes,
                    limit: limit,
                    threshold: threshold,
                    effort: effort,
                    filter: filter,
                    team: helpers.team
                )
                #expect(divided.found == alone.found, "\(limit) matches, seed \(testSeed)")
                #expect(divided.rowsVisited == alone.rowsVisited && divided.listsVisited == alone.listsVisited)
                #expect(divided.facesAnswered == 1060 && divided.faceCount == 1060)
                #expect(divided.generation == alone.generation)
            }
        }
        #expect(helpers.jobCount.load(ordering: .relaxed) > 0)
    }

    /// `recall` gives rows up by what all threads have found: the best match of a face's own embedding is never lost.
    @Test(arguments: [1, 40])
    func ownFacesAreFoundByRecall(probeCount: Int) throws {
        let (fixture, embeddings) = try settled(candidateFloor: 20)
        let helpers = Helpers(threadCount: 3)
        for round in 0..<20 {
            let numbers = (0..<probeCount).map { 140 + (round * 47 + $0 * 13) % 960 }
            let answer = try fixture.search(
                numbers.map { embeddings[$0] },
                limit: 1,
                effort: .recall(0.99),
                team: helpers.team
            )
            #expect(answer.matches.map { $0.map(\.faceID) } == numbers.map { [FaceID($0)] })
        }
    }

    /// Helpers find another commit than the caller's now and then, and leave their part to it.
    @Test(arguments: [1, 40])
    func aWriterAtWorkChangesNothing(probeCount: Int) throws {
        let (fixture, embeddings) = try settled()
        let helpers = Helpers(threadCount: 3)
        let probes = Array(embeddings[200..<200 + probeCount])
        let expected = try fixture.search(probes, limit: 1).found
        let (partition, flag) = (fixture.partition, Flag())
        let writer = BoundedExecutor(name: "writer", threadCount: 1, queueLimit: 1)
        defer { writer.stop() }
        // One face again and again: far from every probe, and of a person of its own.
        let stranger = (0..<64).map { $0 == 63 ? Float(1) : 0 }
        let batches = (0..<2000).map { _ in fixture.enrolment([FaceID(5000)], [stranger]) }
        let finished = Monitor(false)
        let isWriting = writer.submit(
            BoundedExecutor.Job(
                run: {
                    for batch in batches where !flag.isSet.load(ordering: .relaxed) {
                        _ = try? partition.write([batch], epoch: 1)
                    }
                    finished.withLock(waking: .all) { $0 = true }
                },
                abandon: {}
            )
        )
        #expect(isWriting)
        for _ in 0..<200 {
            for effort in [SearchEffort.exact, .full] {
                let answer = try fixture.search(probes, limit: 1, effort: effort, team: helpers.team)
                #expect(answer.found == expected)
                #expect(answer.facesAnswered == answer.faceCount)
            }
        }
        flag.isSet.store(true, ordering: .relaxed)
        _ = finished.wait { $0 ? true : nil }
    }

    @Test(arguments: [1, 40], [SearchEffort.exact, .full, .recall(0.9)])
    func aStopReachesEveryThread(probeCount: Int, effort: SearchEffort) throws {
        let (fixture, embeddings) = try settled()
        let helpers = Helpers(threadCount: 3)
        let probes = Array(embeddings[..<probeCount])
        for limit in 0..<20 {
            var asked = 0
            let answer = try fixture.search(probes, effort: effort, team: helpers.team) {
                asked += 1
                return asked > limit
            }
            #expect(answer.facesAnswered <= answer.faceCount)
        }
        // With nobody to help, the caller is the one that stops; helpers may have done it all before it asks.
        let nobody = SearchTeam(memberLimit: 4) { _ in false }
        let stopped = try fixture.search(probes, effort: effort, team: nobody) { true }
        #expect(stopped.facesAnswered < stopped.faceCount)
        // Another search is not stopped by it.
        #expect(try fixture.search(probes, effort: effort, team: helpers.team).facesAnswered == 1060)
    }

    /// One list is to be visited, and a stop comes before it is, also when the first slice has been ranked and the
    /// second has not: a thread in whose slice there is no list has done all of nothing, which is no half of it.
    @Test func aThreadWithoutListsAnswersForNone() throws {
        let codebook = try Codebook(bytes: FaceSource.codebook(dimension: 64))
        let (fixture, embeddings) = try coded(codebook)
        let nobody = SearchTeam(memberLimit: 2) { _ in false }
        let second = WorkSlice(index: 1, count: 2)
        var secondCount = 0
        for number in 0..<60 {
            let probe = [embeddings[number]]
            var walk = PreparedProbes(probes: probe[0], codebook: codebook).walkCountingLists(ofProbe: 0)
            let list = walk.next(until: 1)[0]
            if second.holds(list: list, of: codebook.listCount) { secondCount += 1 }
            for limit in 0..<2 {
                var asked = 0
                let stopped = try fixture.search(probe, effort: .lists(1), team: nobody) {
                    asked += 1
                    return asked > limit
                }
                #expect(stopped.facesAnswered == 0 && stopped.listsVisited == 0, "\(number), seed \(testSeed)")
                #expect((stopped.stages.rank == 0) == (limit == 0))
            }
            let whole = try fixture.search(probe, effort: .lists(1), team: nobody)
            #expect(whole.facesAnswered == 1024 && whole.listsVisited == 1)
        }
        #expect(secondCount > 0 && secondCount < 60, "seed \(testSeed)")
    }

    /// A recall visits a list of each probe at least, however little its curve asks for: what a stop leaves out counts
    /// by probes, and not by the lists that the curve lets expect.
    @Test func probesLeftOutByAStopCountAsMuchAsTheOthers() throws {
        let curve = RecallCalibration.Curve(
            leastSimilarity: RecallCalibration.leastSimilarities[0],
            points: [.init(recall: 0.9, visitedShare: 0.01), .init(recall: 1, visitedShare: 1)],
            probeCount: 100
        )
        let trained = try Codebook(bytes: FaceSource.codebook(dimension: 64))
        let (fixture, embeddings) = try coded(trained.with(RecallCalibration(curves: [curve])))
        let nobody = SearchTeam(memberLimit: 2) { _ in false }
        let probes = Array(embeddings.prefix(16))
        var count = 0
        let first = try fixture.search(Array(probes.prefix(8)), effort: .recall(0.5)) {
            count += 1
            return false
        }
        #expect(first.listsVisited >= 8 && first.facesAnswered == 1024)
        var asked = 0
        let stopped = try fixture.search(probes, effort: .recall(0.5), team: nobody) {
            asked += 1
            return asked > count
        }
        #expect(stopped.found == first.found + [[Found]](repeating: [], count: 8))
        #expect(stopped.listsVisited == first.listsVisited && stopped.facesAnswered == 512)
    }

    /// 1024 faces, all of them in runs.
    private func coded(_ codebook: Codebook) throws -> (PartitionFixture, [[Float]]) {
        var options = PartitionOptions.small
        options.leastPartWork = 1
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<1024).map { _ in source.embedding() }
        try fixture.enrol((0..<1024).map { FaceID($0) }, embeddings)
        try fixture.partition.install(codebook: codebook.encoded())
        try fixture.settle()
        try #require(fixture.partition.statistics().freshCount == 0)
        return (fixture, embeddings)
    }

    /// A chunk that a helper or the caller finds broken fails the search, whoever reads it.
    @Test func brokenRowsFailTheSearch() throws {
        let (fixture, embeddings) = try settled()
        let helpers = Helpers(threadCount: 3)
        fixture.partition.close()
        let path = "\(fixture.directory)/data.mdb"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let row = embeddings[500].prefix(16).flatMap { value in
            withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { Array($0) }
        }
        let place = try #require(bytes.range(of: Data(row)))
        bytes[place.lowerBound] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        try fixture.reopen()
        for _ in 0..<20 {
            #expect(throws: PartitionError.self) {
                try fixture.search([embeddings[0]], effort: .exact, team: helpers.team)
            }
            try fixture.reopen()
        }
    }

    @Test func withoutIdleThreadsTheCallerDoesItAll() throws {
        let (fixture, embeddings) = try settled()
        let nobody = SearchTeam(memberLimit: 8) { _ in false }
        let alone = try fixture.search([embeddings[7]])
        #expect(try fixture.search([embeddings[7]], team: nobody).found == alone.found)
        // Threads that come when all is done find nothing to do, even after the partition was closed.
        let late = Mutex<[@Sendable () -> Void]>([])
        let lateTeam = SearchTeam(memberLimit: 8) { job in
            late.withLock { $0.append(job) }
            return true
        }
        #expect(try fixture.search([embeddings[7]], team: lateTeam).found == alone.found)
        fixture.partition.close()
        let jobs = late.withLock { $0 }
        #expect(jobs.count == 7)
        for job in jobs { job() }
    }
}
