import FaceModel
import PartitionEngine
import Testing
import VectorMath

/// Searches whose shortlists would take too much memory are made for some of the probes at a time.
struct SearchGroupTests {
    @Test func groupsAreEvenAndStayWithinTheLimit() {
        for (probeCount, byteCount, limit, groupCount) in [
            (100, 5000, 64 << 20, 1), (1024, 290_000, 64 << 20, 5), (1024, 65_536, 64 << 20, 1),
            (1024, 65_537, 64 << 20, 2), (7, 100, 10, 7), (0, 100, 10, 1), (3, 0, 0, 3),
        ] as [(Int, Int, Int, Int)] {
            let groups = SearchDivision.groups(probeCount: probeCount, probeByteCount: byteCount, byteLimit: limit)
            #expect(groups.count == groupCount && groups.flatMap { Array($0) } == Array(0..<probeCount))
            #expect(groups.allSatisfy { $0.count <= 1 || $0.count * byteCount <= limit })
            let counts = groups.map(\.count)
            #expect(counts.max()! - counts.min()! <= 1)
        }
    }

    /// 896 faces, all of them in runs.
    private func settled(shortlistByteLimit: Int) throws -> (PartitionFixture, [[Float]]) {
        var options = PartitionOptions.small
        options.leastPartWork = 1
        options.shortlistByteLimit = shortlistByteLimit
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<896).map { FaceID($0) }, (0..<896).map { _ in source.embedding() })
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        try #require(fixture.partition.statistics().freshCount == 0)
        return (fixture, (0..<64).map { _ in source.embedding() })
    }

    /// All rows of the visited lists are kept and compared, so that nothing depends on the order of the scan.
    @Test(arguments: [SearchEffort.full, .lists(3), .recall(0.9)], [1, 3])
    func groupsFindWhatAllProbesAtOnceDo(effort: SearchEffort, threadCount: Int) throws {
        let (fixture, allProbes) = try settled(shortlistByteLimit: 64 << 20)
        let probes = Array(allProbes.prefix(24))
        let busy = SearchTeam(memberLimit: threadCount) { _ in false }
        var (asked, askedInGroups) = (0, 0)
        let whole = try fixture.search(probes, limit: 1000, effort: effort, team: busy) {
            asked += 1
            return false
        }
        // Nine probes with a shortlist of 896 candidates each, or three in three slices.
        fixture.options.shortlistByteLimit = 100_000
        try fixture.reopen()
        let grouped = try fixture.search(probes, limit: 1000, effort: effort, team: busy) {
            askedInGroups += 1
            return false
        }
        #expect(grouped.found == whole.found && grouped.facesAnswered == 896)
        #expect(grouped.rowsVisited == whole.rowsVisited && grouped.rowsReranked == whole.rowsReranked)
        #expect(grouped.listsVisited == whole.listsVisited && grouped.generation == whole.generation)
        if effort == .full { #expect(askedInGroups > asked) }
        for (probe, found) in zip(probes, grouped.found).prefix(3) {
            #expect(try fixture.search([probe], limit: 1000, effort: effort).found == [found])
        }
    }

    /// A stop between two groups: those before are answered, and what the others would have visited is left out.
    @Test func aStopLeavesTheOtherGroupsOut() throws {
        // Seven probes with a shortlist of 432 candidates each: groups of six and seven.
        let (fixture, probes) = try settled(shortlistByteLimit: 40_000)
        var count = 0
        let first = try fixture.search(Array(probes.prefix(6)), limit: 10, effort: .full) {
            count += 1
            return false
        }
        var asked = 0
        let stopped = try fixture.search(probes, limit: 10, effort: .full) {
            asked += 1
            return asked > count
        }
        #expect(stopped.found == first.found + [[Found]](repeating: [], count: 58))
        #expect(first.facesAnswered == 896 && stopped.facesAnswered == 896 * 6 / 64)
        #expect(stopped.listsVisited == first.listsVisited)
    }

    /// Once a search was told to stop it asks no more, and makes no probes ready for codes that it will not scan:
    /// neither those of the next generation nor those of the next group.
    @Test(arguments: [SearchEffort.full, .lists(3)], [1, 3])
    func afterAStopNoProbeIsMadeReady(effort: SearchEffort, threadCount: Int) throws {
        let (fixture, probes) = try settled(shortlistByteLimit: 40_000)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64, generation: 2, listCount: 23))
        var source = FaceSource(dimension: 64, seed: testSeed &+ 1)
        try fixture.enrol((896..<1152).map { FaceID($0) }, (0..<256).map { _ in source.embedding() })
        try fixture.settle()
        let statistics = try fixture.partition.statistics()
        try #require(statistics.generation == 2 && statistics.olderGeneration == 1)
        let busy = SearchTeam(memberLimit: threadCount) { _ in false }
        for limit in 0..<3 {
            var asked = 0
            let stopped = try fixture.search(probes, limit: 10, effort: effort, team: busy) {
                asked += 1
                return asked > limit
            }
            #expect(asked == limit + 1 && stopped.facesAnswered < stopped.faceCount)
            #expect((stopped.stages.rank == 0) == (limit == 0))
        }
        // Of few probes there is one group, which asks once for each generation.
        let few = try fixture.search(Array(probes.prefix(2)), limit: 10, effort: effort, team: busy) { true }
        #expect(few.stages.rank == 0 && few.listsVisited == 0 && few.facesAnswered < few.faceCount)
    }

    /// Lists are ranked for 64 probes at a time, with a question between: of a group that is stopped at one nothing is
    /// scanned, and many ranked at once visit what each would alone.
    @Test func aGroupIsRankedWithQuestionsBetween() throws {
        let (fixture, some) = try settled(shortlistByteLimit: 64 << 20)
        var source = FaceSource(dimension: 64, seed: testSeed &+ 2)
        let probes = some + (0..<66).map { _ in source.embedding() }
        for effort in [SearchEffort.full, .lists(3), .recall(0.9)] {
            var asked = 0
            let stopped = try fixture.search(probes, limit: 1, effort: effort) {
                asked += 1
                return asked > 1
            }
            #expect(asked == 2 && stopped.stages.rank > 0)
            #expect(stopped.listsVisited == 0 && stopped.facesAnswered == 0)
        }
        let whole = try fixture.search(probes, limit: 1000, effort: .lists(3))
        #expect(whole.listsVisited == 3 * 130 && whole.facesAnswered == 896)
        for number in [0, 63, 64, 127, 128, 129] {
            let alone = try fixture.search([probes[number]], limit: 1000, effort: .lists(3))
            #expect(alone.found == [whole.found[number]], "\(number), seed \(testSeed)")
        }
    }
}
