import ClusterController
import ClusterModel
import FaceModel
import Testing
import WireProtocol

/// A coordinator whose store holds a record that it cannot read.
struct UnreadableRecordsTests {
    private let shared = TemporaryFolder()
    private let own = TemporaryFolder()
    private let newer = MetadataError.newerRecord(key: "a", reason: "r")

    @Test func theLaterOfTwoReadingsTellsWhatThereIs() {
        var records = UnreadableRecords()
        records.readingEnded(newer, began: .seconds(2))
        #expect(records.areThere && records.problem == newer)
        records.readingEnded(nil, began: .seconds(1))
        #expect(records.areThere, "that one may have been before the record was written")
        records.readingEnded(.unavailable(reason: "r"), began: .seconds(3))
        #expect(records.problem == newer, "nothing was shown")
        records.readingEnded(nil, began: .seconds(3))
        #expect(!records.areThere)
        records.readingEnded(.corrupt(key: "a", reason: "r"), began: .seconds(2))
        #expect(!records.areThere)
    }

    @Test func eachReasonIsToldOnceAndThenEveryMinute() {
        var records = UnreadableRecords()
        func isTold(_ error: MetadataError, _ second: Int) -> Bool {
            records.isToBeTold(error, now: .seconds(second))
        }
        #expect(isTold(newer, 1))
        #expect(!isTold(newer, 2))
        #expect(isTold(.unavailable(reason: "r"), 3))
        #expect(isTold(newer, 4))
        #expect(!isTold(newer, 63))
        #expect(isTold(newer, 64))
    }

    /// There is nobody to leave the lease to: it says why it does nothing, until it can read what there is.
    @Test func aCoordinatorThatCannotReadARecordSteersNobodyAndSaysWhy() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, workers in
            try await cluster.create("people", shards: 1)
            let key = "operation/\(OperationID.random())"
            _ = try await store.store.commit([], [.put(key: key, value: [9, 0])])
            try await eventually("it is noticed") { cluster.controller.storeProblem != nil }
            #expect(!cluster.controller.isController)
            let status = try await cluster.status()
            let problem = try #require(status.storeProblem)
            #expect(problem.contains("'\(key)' was written by a newer mien") && problem.contains("steers no worker"))
            #expect(status.workers.allSatisfy { $0.isLive }, "it is heard all the same")
            let failure = await #expect(throws: WireStatus.self) { try await cluster.create("others", shards: 1) }
            #expect(failure?.code == .unavailable && failure?.message.contains(key) == true)
            let listing = try await store.store.list(prefix: "name/")
            #expect(listing.records.map(\.key) == ["name/people"])

            _ = try await store.store.commit([], [.remove(key: key)])
            try await eventually("it goes on") { cluster.controller.isController }
            #expect(cluster.controller.storeProblem == nil)
            try await cluster.create("others", shards: 1)
            try await eventually("the worker has both") { workers[0].shards.count == 2 }
        }
    }

    /// What was committed before nobody could read it may have been made.
    @Test func aCommitThatIsFollowedByWhatCannotBeReadHasAnUnknownEnd() async throws {
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, _ in
            let key = "operation/\(OperationID.random())"
            store.set { faults in
                faults.holds = { changes in
                    changes.contains { $0.key == "name/people" }
                }
            }
            let creation = Task { await Result { try await cluster.create("people", shards: 1, deadline: nil) } }
            try await eventually("the commit waits") { store.hasHeldCommit }
            _ = try await store.store.commit([], [.put(key: key, value: [9, 0])])
            store.set { $0.holds = nil }
            let outcome = await creation.value
            let failure = #expect(throws: WireStatus.self) { try outcome.get() }
            #expect(failure?.code == .unavailable && failure?.hasNoEffect == false)
            #expect(failure?.message.hasPrefix("It is not known whether") == true)
            let name = try await store.store.read("name/people")
            #expect(name != nil)
        }
    }
}
