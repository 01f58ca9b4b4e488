import ClusterModel
import ClusterState
import FaceModel
import Testing

struct ActionLedgerTests {
    /// Writes wait for it.
    @Test func aRegroupingIsTriedAgainSoon() {
        var ledger = ActionLedger(limits: .init(firstPause: .milliseconds(250), longestPause: .seconds(30)))
        let action = ReconcileAction.regroup(CollectionID(high: 0, low: 1), [])
        for round in 0..<10 {
            let now = Duration.seconds(round)
            let admitted = ledger.admit([action], now: now)
            #expect(admitted == [action])
            ledger.finished(action, failure: "The store is away.", now: now)
        }
    }

    let limits = ActionLedger.Limits(actionsPerWorker: 2, firstPause: .seconds(1), longestPause: .seconds(5))
    let record = ClusterScript.record(1, shards: 4, on: [ClusterScript.worker(1)], isEstablished: false)

    var hosting: [ReconcileAction] {
        record.placements.map { .host($0, worker: $0.primary) }
    }

    @Test func aWorkerIsGivenNoMoreThanItsRoom() {
        var ledger = ActionLedger(limits: limits)
        #expect(ledger.admit(hosting, now: .zero) == Array(hosting[0..<2]))
        #expect(ledger.admit(hosting, now: .zero) == [])
        ledger.finished(hosting[0], failure: nil, now: .zero)
        #expect(ledger.admit(Array(hosting[1...]), now: .zero) == [hosting[2]])
    }

    @Test func pausesDoubleUpToTheLongest() {
        var ledger = ActionLedger(limits: limits)
        let action = [hosting[0]]
        var now = Duration.zero
        for pause: Int64 in [1, 2, 4, 5, 5] {
            #expect(ledger.admit(action, now: now) == action)
            ledger.finished(action[0], failure: "Busy.", now: now)
            #expect(ledger.admit(action, now: now + .seconds(pause) - .milliseconds(1)) == [])
            now += .seconds(pause)
        }
        #expect(ledger.admit(action, now: now) == action)
        #expect(ledger.lastFailure(of: action[0].subject) == "Busy.")
        ledger.finished(action[0], failure: nil, now: now)
        #expect(ledger.lastFailure(of: action[0].subject) == nil)
        #expect(ledger.admit(action, now: now) == action)
    }

    @Test func aPauseEndsWithItsNeed() {
        var ledger = ActionLedger(limits: limits)
        #expect(ledger.admit([hosting[0]], now: .zero) == [hosting[0]])
        ledger.finished(hosting[0], failure: "Busy.", now: .zero)
        // The worker went away, so that the plan did not name it; now it is back.
        #expect(ledger.admit([], now: .milliseconds(10)) == [])
        #expect(ledger.admit([hosting[0]], now: .milliseconds(20)) == [hosting[0]])
    }

    @Test func twoActionsOfOneReplicaAreNeverUnderWayAtOnce() {
        var ledger = ActionLedger(limits: limits)
        let placement = record.placements[0]
        let install = ReconcileAction.install(placement, generation: 1, worker: placement.primary)
        #expect(ledger.admit([hosting[0], install], now: .zero) == [hosting[0]])
    }
}
