import FaceModel
import Testing
import WorkerService

@Suite struct SearchPaceTests {
    private let start = ContinuousClock.now
    private let exact = SearchParameters(matchLimit: 10, effort: .exact)

    /// A pace after one search over `rows` faces that took `time`.
    private func pace(rows: UInt64 = 2000, took time: Duration) -> SearchPace {
        var pace = SearchPace()
        pace.searched(exact, probeCount: 1, rowsVisited: rows, took: time, now: start)
        return pace
    }

    private func microseconds(_ pace: SearchPace, _ parameters: SearchParameters, probeCount: Int = 1) throws -> Double
    {
        try #require(pace.estimate(parameters, probeCount: probeCount, now: start)) / .microseconds(1)
    }

    @Test func thereIsNoEstimateBeforeTheFirstSearch() {
        #expect(SearchPace().estimate(exact, probeCount: 1, now: start) == nil)
    }

    @Test func theSameSearchIsEstimatedAsItWas() throws {
        let pace = pace(took: .microseconds(80))
        #expect(abs(try microseconds(pace, exact) - 80) < 0.01)
    }

    @Test func moreProbesAndMoreMatchesTakeLonger() throws {
        let pace = pace(took: .microseconds(80))
        let eight = try microseconds(pace, exact, probeCount: 8)
        #expect(eight > 500 && eight < 640, "the fixed part is there once")
        #expect(try microseconds(pace, SearchParameters(matchLimit: 1000, effort: .exact)) > 300)
    }

    @Test func anEmptyPartitionHasItsFixedPart() throws {
        #expect(abs(try microseconds(pace(rows: 0, took: .microseconds(15)), exact) - 15) < 0.01)
    }

    @Test func aSlowerSearchCountsAtOnceAtMostTwofold() throws {
        var pace = pace(took: .microseconds(80))
        pace.searched(exact, probeCount: 1, rowsVisited: 2000, took: .microseconds(100), now: start)
        #expect(abs(try microseconds(pace, exact) - 100) < 0.01)
        pace.searched(exact, probeCount: 1, rowsVisited: 2000, took: .milliseconds(50), now: start)
        #expect(abs(try microseconds(pace, exact) - 200) < 0.01)
    }

    @Test func aFasterSearchCountsByAnEighth() throws {
        var pace = pace(took: .microseconds(80))
        pace.searched(exact, probeCount: 1, rowsVisited: 2000, took: .microseconds(40), now: start)
        #expect(abs(try microseconds(pace, exact) - 75) < 0.01)
    }

    @Test func aGrownPartitionIsEstimatedByItsNewRows() throws {
        var pace = pace(took: .microseconds(80))
        pace.searched(exact, probeCount: 1, rowsVisited: 200_000, took: .milliseconds(7), now: start)
        #expect(try microseconds(pace, exact) > 6000)
    }

    @Test func anotherEffortHasNoEstimate() {
        let pace = pace(took: .microseconds(80))
        #expect(pace.estimate(SearchParameters(matchLimit: 10, effort: .full), probeCount: 1, now: start) == nil)
    }

    @Test func searchesWithAFilterAreNoMeasureAndHaveNone() throws {
        var pace = pace(took: .microseconds(80))
        let filtered = SearchParameters(matchLimit: 10, effort: .exact, filter: FaceFilter(personIDs: ["a"]))
        pace.searched(filtered, probeCount: 1, rowsVisited: 1, took: .milliseconds(40), now: start + .seconds(5))
        #expect(pace.estimate(filtered, probeCount: 1, now: start) == nil)
        #expect(abs(try microseconds(pace, exact) - 80) < 0.01)
        #expect(pace.estimate(exact, probeCount: 1, now: start + .seconds(10)) == nil)
    }

    @Test func anOldMeasurementIsForgotten() {
        let pace = pace(took: .microseconds(80))
        #expect(pace.estimate(exact, probeCount: 1, now: start + .seconds(9)) != nil)
        #expect(pace.estimate(exact, probeCount: 1, now: start + .seconds(10)) == nil)
    }
}
