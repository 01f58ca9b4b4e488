import FaceModel
import PartitionEngine
import Testing
import VectorMath

/// Searches of a partition most of whose chunks are gone, the earliest: what counts is what lives.
struct GoneChunkTests {
    private static let goneCount = 16 * 128

    /// 20 full chunks of which the first 16 are gone, without codes unless there is a codebook.
    private func filled(hasCodebook: Bool = false) throws -> (PartitionFixture, [[Float]], FaceSource) {
        var options = PartitionOptions.small
        options.leastPartWork = 1
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<20 * 128).map { _ in source.embedding() }
        try fixture.enrol((0..<20 * 128).map { FaceID($0) }, embeddings) { id in
            FaceMetadata(attributes: ["group": "\((id.low & 0xffff) % 5)"])
        }
        if hasCodebook {
            try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
            try fixture.settle()
        }
        try fixture.delete((0..<Self.goneCount).map { FaceID($0) })
        try fixture.settle()
        return (fixture, embeddings, source)
    }

    /// The same, and 50 rows of an unfinished chunk.
    private func grown() throws -> (fixture: PartitionFixture, probe: [Float], living: Set<FaceID>) {
        let (fixture, embeddings, start) = try filled()
        var source = start
        try fixture.enrol((5000..<5050).map { FaceID($0) }, (0..<50).map { _ in source.embedding() })
        let living = Set((Self.goneCount..<embeddings.count).map { FaceID($0) } + (5000..<5050).map { FaceID($0) })
        return (fixture, source.embedding(), living)
    }

    /// Threads that have something else to do: the caller's does every part.
    private func busy(_ count: Int) -> SearchTeam { SearchTeam(memberLimit: count) { _ in false } }

    @Test(arguments: [SearchEffort.exact, .full, .recall(0.9)], [1, 2, 3, 8])
    func whatLivesIsFoundAndNothingElseGoneThrough(effort: SearchEffort, threadCount: Int) throws {
        let (fixture, probe, living) = try grown()
        for _ in 0..<2 {
            let answer = try fixture.search([probe], limit: 1000, effort: effort, team: busy(threadCount))
            #expect(Set(answer.matches[0].map(\.faceID)) == living && answer.matches[0].count == living.count)
            #expect(answer.rowsVisited == 4 * 128 + 50)
            #expect(answer.faceCount == 562 && answer.facesAnswered == 562)
            try fixture.reopen()
        }
    }

    /// Each question whether to stop comes before a chunk that has live rows.
    @Test func aStoppedSearchTellsTheShareOfLiveFaces() throws {
        let (fixture, probe, _) = try grown()
        for limit in 0..<7 {
            var asked = 0
            let answer = try fixture.search([probe], limit: 1000) {
                asked += 1
                return asked > limit
            }
            let count = limit < 4 ? 128 * limit : 562
            #expect(answer.facesAnswered == UInt64(count) && answer.matches[0].count == count, "\(limit)")
        }
    }

    /// Of two slices each has two of the four chunks, and the first the unfinished one.
    @Test func aStoppedSlicePlansWhatLives() throws {
        let (fixture, probe, _) = try grown()
        for (limit, count) in [0, 128, 256 + 50, 384 + 50, 562, 562].enumerated() {
            var asked = 0
            let answer = try fixture.search([probe], limit: 1000, team: busy(2)) {
                asked += 1
                return asked > limit
            }
            #expect(answer.facesAnswered == UInt64(count) && answer.matches[0].count == count, "\(limit)")
        }
    }

    /// What a filter lets through, and has not expired, is what there is.
    @Test func chunksWithoutARowThatPassesAreLeftOut() throws {
        var options = PartitionOptions.small
        options.scatteredRowCost = .infinity
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<10 * 128).map { FaceID($0) }, (0..<10 * 128).map { _ in source.embedding() }) { id in
            let chunk = Int(id.low & 0xffff) / 128
            return FaceMetadata(
                expires: chunk == 3 ? Timestamp(milliseconds: 5) : nil,
                attributes: ["third": "\(chunk % 3 == 0)"]
            )
        }
        let third = FaceFilter(attributes: ["third": "true"])
        for (now, count) in [(4, 4), (5, 3)] {
            let moment = Timestamp(milliseconds: Int64(now))
            let answer = try fixture.search([source.embedding()], limit: 1000, filter: third, now: moment)
            #expect(answer.matches[0].count == 128 * count && answer.rowsVisited == UInt64(128 * count))
            #expect(answer.facesAnswered == 1280)
        }
    }

    /// Lists weigh as much as has codes and lives.
    @Test func listsWeighWhatLives() throws {
        let (fixture, _, start) = try filled(hasCodebook: true)
        var source = start
        try #require(fixture.partition.statistics().freshCount == 0)
        try fixture.enrol((5000..<5200).map { FaceID($0) }, (0..<200).map { _ in source.embedding() })
        let probe = source.embedding()
        var count = 0
        let whole = try fixture.search([probe], effort: .full) {
            count += 1
            return false
        }
        #expect(whole.facesAnswered == 512 + 200)
        // The last question is that of the one full chunk without codes.
        var asked = 0
        let stopped = try fixture.search([probe], effort: .full) {
            asked += 1
            return asked >= count
        }
        #expect(stopped.facesAnswered == 512)
    }

    /// A fifth of the faces, compared one by one, is more work than scanning the codes there are, and less than
    /// scanning those there ever were.
    @Test func aScanCostsWhatThereIsToScan() throws {
        let (fixture, embeddings, _) = try filled(hasCodebook: true)
        let filter = FaceFilter(attributes: ["group": "3"])
        let answer = try fixture.search([embeddings.last!], limit: 1000, effort: .full, filter: filter)
        #expect(answer.listsVisited == 16 && answer.generation == 1)
        #expect(answer.matches[0].count == (Self.goneCount..<embeddings.count).count { $0 % 5 == 3 })
    }
}
