import ClusterModel
import ClusterState
import Testing

struct RepairLedgerTests {
    private let first = ClusterScript.worker(1)
    private let second = ClusterScript.worker(2)
    private let record = ClusterScript.replicated(1, on: [ClusterScript.worker(1), ClusterScript.worker(2)])
    private var shard: ShardID { record.placements[0].shard }

    /// What is known when the replicas on some workers do not serve.
    private func view(
        _ states: [NodeID: ReplicaObservation.State],
        of records: [CollectionRecord]? = nil,
        live: Set<NodeID>? = nil,
        isSettled: Bool = true
    ) -> ClusterView {
        var reports: [NodeID: WorkerObservation] = [:]
        for record in records ?? [record] {
            for (worker, report) in ClusterScript.serving(record) {
                for (shard, replica) in report.replicas {
                    reports[worker, default: WorkerObservation()].replicas[shard] = replica
                    reports[worker]?.replicas[shard]?.state = states[worker] ?? .serving
                }
            }
        }
        return ClusterScript.view(records ?? [record], reports: reports, live: live, isSettled: isSettled)
    }

    @Test func aReplicaIsMendedOnceItHasBeenOutOfServiceForSoLong() {
        var ledger = RepairLedger(patience: .seconds(10))
        let damaged = view([second: .failed])
        ledger.observe(damaged, now: .seconds(5))
        #expect(ledger.due(in: damaged, now: .seconds(5)) == nil)
        ledger.observe(damaged, now: .milliseconds(14_999))
        #expect(ledger.due(in: damaged, now: .milliseconds(14_999)) == nil)
        let repair = ledger.due(in: damaged, now: .seconds(15))
        #expect(repair?.shard == shard && repair?.workers == [second])
    }

    @Test func timeDuringWhichItIsOpenedAgainCounts() {
        var ledger = RepairLedger(patience: .seconds(10))
        ledger.observe(view([second: .failed]), now: .zero)
        ledger.observe(view([second: .opening]), now: .seconds(5))
        #expect(ledger.due(in: view([second: .opening]), now: .seconds(11)) == nil, "it may serve in a moment")
        ledger.observe(view([second: .failed]), now: .seconds(12))
        #expect(ledger.due(in: view([second: .failed]), now: .seconds(12)) != nil)
    }

    @Test func whoServesAgainBeginsAnew() {
        var ledger = RepairLedger(patience: .seconds(10))
        let damaged = view([second: .failed])
        ledger.observe(damaged, now: .zero)
        ledger.observe(view([:]), now: .seconds(9))
        ledger.observe(damaged, now: .seconds(12))
        #expect(ledger.due(in: damaged, now: .seconds(12)) == nil)
        // One that has been opening from the start has failed nothing.
        var other = RepairLedger(patience: .seconds(10))
        other.observe(view([second: .opening]), now: .zero)
        other.observe(damaged, now: .seconds(20))
        #expect(other.due(in: damaged, now: .seconds(20)) == nil)
    }

    @Test func nothingIsMendedWithoutAnotherThatServes() {
        var ledger = RepairLedger(patience: .seconds(10))
        for states: [NodeID: ReplicaObservation.State] in [
            [first: .failed, second: .failed], [first: .opening, second: .failed],
        ] {
            let damaged = view(states)
            ledger.observe(damaged, now: .zero)
            #expect(ledger.due(in: damaged, now: .seconds(60)) == nil)
        }
        let alone = view([second: .failed], live: [second])
        ledger.observe(alone, now: .zero)
        #expect(ledger.due(in: alone, now: .seconds(60)) == nil)
        let learning = ClusterScript.replicated(1, on: [first], learners: [second], copies: 2)
        let only = view([first: .failed], of: [learning])
        ledger.observe(only, now: .zero)
        #expect(ledger.due(in: only, now: .seconds(60)) == nil, "one that learns has not everything")
    }

    @Test func nothingIsMendedBeforeEverybodyWasHeardOrWhenItIsOff() {
        var ledger = RepairLedger(patience: .seconds(10))
        let early = view([second: .failed], isSettled: false)
        ledger.observe(early, now: .zero)
        #expect(ledger.due(in: early, now: .seconds(60)) == nil)
        var older = view([second: .failed])
        older.olderShards = [shard]
        #expect(ledger.due(in: older, now: .seconds(60)) == nil)
        #expect(ledger.due(in: view([second: .failed]), now: .seconds(60)) != nil)
        var off = RepairLedger(patience: .zero)
        off.observe(view([second: .failed]), now: .zero)
        #expect(off.due(in: view([second: .failed]), now: .seconds(60)) == nil)
    }

    @Test func attemptsInVainComeAfterLongerAndLongerPauses() throws {
        var ledger = RepairLedger(patience: .seconds(10))
        let damaged = view([second: .failed])
        ledger.observe(damaged, now: .zero)
        var now = Duration.seconds(10)
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let repair = try #require(ledger.due(in: damaged, now: now))
            ledger.ended(repair, replaced: [], now: now)
            now += .seconds(60 * minutes)
            #expect(ledger.due(in: damaged, now: now - .milliseconds(1)) == nil)
        }
        // Whoever was mended meanwhile, by people, is not waited for when it fails again.
        ledger.observe(view([:]), now: now)
        ledger.observe(damaged, now: now)
        #expect(ledger.due(in: damaged, now: now + .seconds(10)) != nil)
    }

    @Test func theLongestWaitingComesFirst() throws {
        let other = ClusterScript.replicated(2, on: [first, second])
        var ledger = RepairLedger(patience: .seconds(10))
        ledger.observe(view([second: .failed], of: [other]), now: .zero)
        let both = view([second: .failed], of: [record, other])
        ledger.observe(both, now: .seconds(1))
        let repair = try #require(ledger.due(in: both, now: .seconds(30)))
        #expect(repair.shard == other.placements[0].shard)
        ledger.ended(repair, replaced: [], now: .seconds(30))
        #expect(ledger.due(in: both, now: .seconds(30))?.shard == shard)
    }

    @Test func aWorkerWhoseReplicasAreDamagedAgainAndAgainIsLeftToPeople() throws {
        var ledger = RepairLedger(patience: .seconds(10))
        let damaged = view([second: .failed])
        var now = Duration.zero
        for _ in 0..<RepairLedger.limit {
            #expect(ledger.exhaustedWorkers == [])
            ledger.observe(damaged, now: now)
            now += .seconds(3600)
            let repair = try #require(ledger.due(in: damaged, now: now))
            ledger.ended(repair, replaced: [second], now: now)
            ledger.observe(view([:]), now: now)
        }
        #expect(ledger.exhaustedWorkers == [], "nothing of it is out of service now")
        ledger.observe(damaged, now: now)
        #expect(ledger.due(in: damaged, now: now + .seconds(60)) == nil)
        #expect(ledger.exhaustedWorkers == [second])
        let elsewhere = view([first: .failed])
        ledger.observe(elsewhere, now: now)
        #expect(ledger.due(in: elsewhere, now: now + .seconds(60))?.workers == [first])
        // A day after the first.
        now = .seconds(3600) + RepairLedger.window
        ledger.observe(damaged, now: now)
        #expect(ledger.due(in: damaged, now: now + .seconds(10)) != nil)
        #expect(ledger.exhaustedWorkers == [])
    }
}
