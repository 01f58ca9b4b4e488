import ClusterController
import ClusterModel
import FaceModel
import Observability
import Synchronization
import Testing
import WireProtocol

/// A coordinator beside another that has a copy of its store.
struct RivalCoordinatorTests {
    private let elsewhere = NodeAddress(host: "10.0.0.9", port: 7400)

    private func run(heardBy worker: FakeControlWorker) async throws -> NodeID {
        try await eventually("it is answered") { worker.state.withLock { $0.reply != nil } }
        return try #require(worker.state.withLock { $0.reply?.run })
    }

    @Test func aCoordinatorThatAWorkerRefusesSteersNobody() async throws {
        try await withCluster(workers: 2) { _, cluster, workers in
            try await cluster.create("people", shards: 2)
            let run = try await run(heardBy: workers[0])
            let registry = MetricRegistry()
            registry.collect { cluster.controller.collect(into: &$0) }
            #expect(cluster.controller.isController && cluster.controller.storeProblem == nil)
            #expect(registry.rendered().contains("mien_refusing_workers 0\n"))
            let hosted = workers.map { $0.state.withLock(\.hostCount) }

            workers[0].state.withLock { $0.standing = .refuses(run: run, follows: elsewhere) }
            try await eventually("it is noticed") { cluster.controller.storeProblem != nil }
            #expect(!cluster.controller.isController)
            #expect(cluster.controller.storeProblem?.contains("the one at \(elsewhere) and refuse this one") == true)
            #expect(registry.rendered().contains("mien_refusing_workers 1\n"))
            #expect(try await cluster.status().storeProblem == cluster.controller.storeProblem)
            for name in ["people", "others"] {
                let failure = await #expect(throws: WireStatus.self) {
                    if name == "people" {
                        _ = try await cluster.delete(name)
                    } else {
                        try await cluster.create(name, shards: 1)
                    }
                }
                #expect(failure?.code == .unavailable && failure?.message == cluster.controller.storeProblem)
            }
            // The other worker goes by nothing that this one knows, and a replica that it lost is not made again.
            try await eventually("nobody is told of groups") {
                workers.allSatisfy { $0.state.withLock { $0.reply?.groups.isEmpty ?? false } }
            }
            workers[1].state.withLock { $0.replicas = [:] }
            try await Task.sleep(for: ControlCluster.options.silenceLimit)
            #expect(workers.map { $0.state.withLock(\.hostCount) } == hosted)
            #expect(try await cluster.describe("people").shards.count == 2)

            // The other coordinator was stopped.
            workers[0].state.withLock { $0.standing = .follows(run: run) }
            try await eventually("it goes on") { cluster.controller.isController }
            #expect(cluster.controller.storeProblem == nil)
            try await cluster.create("others", shards: 1)
        }
    }

    @Test func aWorkerThatRefusedAndIsGoneIsWaitedForNoMore() async throws {
        var options = ControlCluster.options
        // As long as any worker is waited for.
        options.rivalPatience = .zero
        try await withCluster(workers: 2, options: options) { _, cluster, workers in
            let run = try await run(heardBy: workers[0])
            workers[0].state.withLock { $0.standing = .refuses(run: run, follows: elsewhere) }
            try await eventually("it is noticed") { !cluster.controller.isController }
            await workers[0].stop()
            try await eventually("it goes on without that worker") { cluster.controller.isController }
            #expect(cluster.controller.storeProblem == nil)
            try await cluster.create("people", shards: 1)
            #expect(workers[1].shards.count == 1)
        }
    }

    @Test func aWorkerThatGoesByAnotherRunIsNotSteeredBeforeItKnowsOfThisOne() async throws {
        try await withCluster(workers: 1) { _, cluster, workers in
            let run = try await run(heardBy: workers[0])
            for standing in [CoordinatorStanding.none, .follows(run: workers[0].id)] {
                workers[0].state.withLock { $0.standing = standing }
                try await eventually("it is not live") {
                    try await cluster.status().workers.allSatisfy { !$0.isLive }
                }
                // It is told which run this is all the same.
                #expect(workers[0].state.withLock { $0.reply?.run } == run)
                #expect(cluster.controller.isController)
                workers[0].state.withLock { $0.standing = .follows(run: run) }
                try await eventually("it is live") { try await cluster.status().workers.allSatisfy(\.isLive) }
            }
        }
    }

    @Test func everyStartIsARunOfItsOwn() async throws {
        try await withCluster(workers: 1) { folder, cluster, workers in
            let first = try await run(heardBy: workers[0])
            let again = try await cluster.restart(at: folder.path)
            let outcome = await Result {
                try await eventually("another run answers") {
                    workers[0].state.withLock { $0.reply?.run.map { $0 != first } ?? false }
                }
            }
            await again.stop()
            try outcome.get()
        }
    }

    private func hears(
        _ rivals: inout Rivals,
        _ standing: CoordinatorStanding,
        from worker: NodeID,
        run: NodeID?,
        now: Duration = .zero
    ) -> Bool {
        rivals.heard(standing, from: worker, run: run, now: now)
    }

    private func forgotten(_ rivals: inout Rivals, now: Duration) -> [NodeID] { rivals.forget(now: now) }

    @Test func whoeverRefusedIsForgottenOnceItWasNotHeardForLong() {
        let (run, other) = (NodeID(high: 1, low: 1), NodeID(high: 1, low: 2))
        let (first, second) = (NodeID(high: 2, low: 1), NodeID(high: 2, low: 2))
        var rivals = Rivals(patience: .seconds(60))
        for worker in [first, second] {
            #expect(!hears(&rivals, .refuses(run: run, follows: elsewhere), from: worker, run: run, now: .seconds(5)))
        }
        // Whatever it says: it is there.
        #expect(!hears(&rivals, .follows(run: other), from: second, run: run, now: .seconds(30)))
        #expect(forgotten(&rivals, now: .seconds(65)).isEmpty)
        #expect(rivals.addresses.count == 2)
        #expect(forgotten(&rivals, now: .seconds(66)) == [first])
        #expect(rivals.addresses == [second: elsewhere] && rivals.areThere)
        #expect(forgotten(&rivals, now: .seconds(91)) == [second])
        #expect(!rivals.areThere)
        // It was not gone, and refuses still.
        #expect(!hears(&rivals, .refuses(run: run, follows: elsewhere), from: first, run: run, now: .seconds(99)))
        #expect(rivals.areThere)
    }

    @Test func aWorkerThatRefusedIsWaitedForUntilItGoesByThisOne() {
        let (run, other) = (NodeID(high: 1, low: 1), NodeID(high: 1, low: 2))
        let (first, second) = (NodeID(high: 2, low: 1), NodeID(high: 2, low: 2))
        var rivals = Rivals()
        #expect(hears(&rivals, .follows(run: run), from: first, run: run))
        #expect(!rivals.areThere)
        // What was said to one that was here before.
        #expect(!hears(&rivals, .refuses(run: other, follows: elsewhere), from: first, run: run))
        #expect(!rivals.areThere)
        #expect(!hears(&rivals, .refuses(run: run, follows: elsewhere), from: first, run: run))
        #expect(rivals.areThere)
        #expect(hears(&rivals, .follows(run: run), from: second, run: run))
        #expect(rivals.areThere)
        #expect(!hears(&rivals, .follows(run: other), from: first, run: run))
        #expect(rivals.areThere)
        #expect(hears(&rivals, .follows(run: run), from: first, run: run))
        #expect(!rivals.areThere)
        #expect(hears(&rivals, .refuses(run: run, follows: elsewhere), from: first, run: nil))
        #expect(!rivals.areThere)
    }
}
