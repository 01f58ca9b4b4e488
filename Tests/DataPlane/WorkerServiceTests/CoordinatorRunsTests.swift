import ClusterModel
import Testing
import WireProtocol
import WorkerService

/// Which coordinator a worker goes by when a copy of the store has another.
struct CoordinatorRunsTests {
    private let home = NodeAddress(host: "10.0.0.1", port: 7400)
    private let away = NodeAddress(host: "10.0.0.2", port: 7400)
    private let first = NodeID(high: 1, low: 1)
    private let second = NodeID(high: 1, low: 2)
    private let third = NodeID(high: 1, low: 3)
    private let start = ContinuousClock.now

    private func hears(
        _ runs: inout CoordinatorRuns,
        _ run: NodeID?,
        at address: NodeAddress,
        _ now: ContinuousClock.Instant
    ) -> Bool {
        runs.heard(run, at: address, now: now)
    }

    @Test func theFirstIsGoneByUntilItIsSilent() {
        var runs = CoordinatorRuns()
        #expect(runs.standing(at: home) == .none)
        #expect(hears(&runs, first, at: home, start))
        #expect(runs.standing(at: home) == .follows(run: first))
        #expect(runs.standing(at: away) == .follows(run: first))
        #expect(!hears(&runs, second, at: away, start + .seconds(1)))
        #expect(runs.standing(at: away) == .refuses(run: second, follows: home))
        #expect(runs.standing(at: home) == .follows(run: first))
        // As long as the first is heard.
        runs.failed(at: home, now: start + .seconds(2))
        #expect(hears(&runs, first, at: home, start + .seconds(6)))
        #expect(!hears(&runs, second, at: away, start + .seconds(8)))
        for second in 8...12 { runs.failed(at: home, now: start + .seconds(second)) }
        runs.failed(at: away, now: start + .seconds(7))
        #expect(!hears(&runs, second, at: away, start + .milliseconds(12_999)))
        #expect(hears(&runs, second, at: away, start + .seconds(13)))
        #expect(runs.standing(at: away) == .follows(run: second))
        // The first does not come back, however long the second is silent.
        for second in 20...22 { runs.failed(at: away, now: start + .seconds(second)) }
        #expect(!hears(&runs, first, at: home, start + .seconds(100)))
        #expect(runs.standing(at: home) == .refuses(run: first, follows: away))
        #expect(hears(&runs, third, at: home, start + .seconds(101)))
    }

    /// The second may be heard first when it goes on, however long that was.
    @Test func aWorkerThatStoodStillStaysWithTheFirst() {
        var runs = CoordinatorRuns()
        #expect(hears(&runs, first, at: home, start))
        #expect(!hears(&runs, second, at: away, start + .seconds(8)))
        // What was under way to the first meanwhile has failed.
        runs.failed(at: home, now: start + .seconds(8))
        #expect(!hears(&runs, second, at: away, start + .seconds(9)))
        #expect(hears(&runs, first, at: home, start + .seconds(9)))
        #expect(!hears(&runs, second, at: away, start + .seconds(60)))
        // As of a machine whose network goes before it sleeps.
        runs.failed(at: home, now: start + .seconds(61))
        runs.failed(at: home, now: start + .seconds(3661))
        #expect(!hears(&runs, second, at: away, start + .seconds(3661)))
    }

    @Test func aRestartTakesThePlaceAtOnce() {
        var runs = CoordinatorRuns()
        #expect(hears(&runs, first, at: home, start))
        #expect(hears(&runs, second, at: home, start))
        #expect(runs.standing(at: home) == .follows(run: second))
        // Two behind one address: the one that was there before is found out.
        #expect(!hears(&runs, first, at: home, start))
        #expect(runs.standing(at: home) == .refuses(run: first, follows: home))
        #expect(hears(&runs, second, at: home, start))
        #expect(runs.standing(at: home) == .follows(run: second))
    }

    @Test func oneThatIsReachedAtTwoAddressesIsRestartedAtEither() {
        var runs = CoordinatorRuns()
        #expect(hears(&runs, first, at: home, start))
        #expect(hears(&runs, first, at: away, start))
        #expect(hears(&runs, second, at: home, start))
        #expect(hears(&runs, second, at: away, start))
    }

    @Test func coordinatorsThatShareAStoreAreAllGoneBy() {
        var runs = CoordinatorRuns()
        #expect(hears(&runs, nil, at: home, start))
        #expect(hears(&runs, nil, at: away, start))
        #expect(runs.standing(at: home) == .none)
        // The records moved to a store of many.
        #expect(hears(&runs, first, at: home, start))
        #expect(hears(&runs, nil, at: home, start))
        #expect(hears(&runs, nil, at: away, start))
    }
}
