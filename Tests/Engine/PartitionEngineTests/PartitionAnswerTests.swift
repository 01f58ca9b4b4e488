import FaceModel
import PartitionEngine
import Testing
import VectorMath

/// From rows to matches: how long it takes, and how much room.
struct PartitionAnswerTests {
    private func filled(_ count: Int) throws -> (PartitionFixture, FaceSource) {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<count).map { FaceID($0) }, (0..<count).map { _ in source.embedding() }) { id in
            FaceMetadata(personID: "person \(id.low % 7)")
        }
        return (fixture, source)
    }

    /// What one probe may find is told whatever the time; the look-ups of the others end with the stop.
    @Test func aStopEndsTheLookUpsOfMatches() throws {
        let (fixture, start) = try filled(1200)
        var source = start
        let probes = (0..<16).map { _ in source.embedding() }
        var searching = 0
        _ = try fixture.search(probes, limit: 1) {
            searching += 1
            return false
        }
        var all = 0
        let whole = try fixture.search(probes, limit: 1000) {
            all += 1
            return false
        }
        #expect(whole.facesAnswered == 1200 && whole.matches.allSatisfy { $0.count == 1000 })
        // Of nine full chunks one before each; the rest lie between the look-ups of 16 000 faces and records each.
        #expect(searching == 9 && all > searching + 900 && all <= searching + 1000)
        var asked = 0
        let stopped = try fixture.search(probes, limit: 1000) {
            asked += 1
            return asked > searching
        }
        #expect(asked == searching + 1 && stopped.rowsKept <= 1000 + 16)
        #expect(stopped.found == [whole.found[0]] + [[Found]](repeating: [], count: 15))
        #expect(stopped.facesAnswered == 1200 / 16 && stopped.faceCount == 1200)
    }

    /// What was compared before a stop is told of as many probes as there is time for, and both shares count.
    @Test func aStopInTheSearchLeavesTimeForWhatWasFound() throws {
        let (fixture, start) = try filled(1200)
        var source = start
        let probes = (0..<16).map { _ in source.embedding() }
        for (limit, count) in [(1000, 1), (5, 16)] {
            var asked = 0
            let stopped = try fixture.search(probes, limit: limit) {
                asked += 1
                return asked > 8
            }
            #expect(stopped.matches.prefix(count).allSatisfy { $0.count == limit })
            #expect(stopped.matches.dropFirst(count).allSatisfy { $0.isEmpty })
            #expect(stopped.facesAnswered == UInt64(1024 * count / 16))
        }
    }

    /// An answer with room for so many bytes, of which a match takes a hundred, and its person's name.
    private func search(
        _ probes: [[Float]],
        limit: Int,
        threshold: Float? = nil,
        effort: SearchEffort = .exact,
        excluding: FaceID? = nil,
        byteLimit: Int
    ) -> PartitionSearch {
        var search = PartitionSearch(
            parameters: SearchParameters(matchLimit: limit, threshold: threshold, effort: effort),
            excludedFace: excluding,
            probes: EmbeddingMatrix(dimension: 64, values: probes.flatMap { $0 }),
            now: Timestamp(milliseconds: 0)
        )
        search.answerBound = AnswerBound(byteLimit: byteLimit) { 100 + ($0.personID?.utf8.count ?? 0) }
        return search
    }

    private func tooLarge(_ search: PartitionSearch, in fixture: PartitionFixture, asked: inout Int) -> Int? {
        var count = 0
        defer { asked = count }
        do {
            _ = try fixture.partition.search(search) {
                count += 1
                return false
            }
            return nil
        } catch PartitionError.answerTooLarge(let byteCount, _) {
            return byteCount
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    /// Where every face is a match it is known beforehand how many there are.
    @Test(arguments: [nil, -1] as [Float?], [SearchEffort.exact, .full])
    func anAnswerThatCannotFitIsRefusedBeforeTheSearch(threshold: Float?, effort: SearchEffort) throws {
        let (fixture, start) = try filled(300)
        var source = start
        let probes = [source.embedding(), source.embedding()]
        var asked = 0
        let large = search(probes, limit: 30, threshold: threshold, effort: effort, byteLimit: 5999)
        #expect(tooLarge(large, in: fixture, asked: &asked) == 6000)
        #expect(asked == 0)
        try fixture.delete((20..<300).map { FaceID($0) })
        let few = search(probes, limit: 30, threshold: threshold, effort: effort, byteLimit: 3999)
        #expect(tooLarge(few, in: fixture, asked: &asked) == 4000)
        #expect(asked == 0)
        // The probe's own face is none.
        let fewer = search(probes, limit: 30, threshold: threshold, excluding: FaceID(3), byteLimit: 19 * 2 * 108)
        #expect(tooLarge(fewer, in: fixture, asked: &asked) == nil)
        #expect(asked > 0)
    }

    /// Elsewhere the look-ups end as soon as the matches take more than there is room for.
    @Test func anAnswerThatDoesNotFitIsGivenUp() throws {
        let (fixture, start) = try filled(300)
        var source = start
        let probes = [source.embedding(), source.embedding()]
        var asked = 0
        for effort in [SearchEffort.exact, .recall(0.9)] {
            let threshold: Float? = effort == .exact ? -0.99 : nil
            let large = search(probes, limit: 30, threshold: threshold, effort: effort, byteLimit: 60 * 108 - 1)
            #expect(tooLarge(large, in: fixture, asked: &asked) == 60 * 108)
            let small = search(probes, limit: 30, threshold: threshold, effort: effort, byteLimit: 20 * 108)
            #expect(tooLarge(small, in: fixture, asked: &asked) == 21 * 108)
            let fitting = search(probes, limit: 30, threshold: threshold, effort: effort, byteLimit: 60 * 108)
            #expect(tooLarge(fitting, in: fixture, asked: &asked) == nil)
        }
    }
}
