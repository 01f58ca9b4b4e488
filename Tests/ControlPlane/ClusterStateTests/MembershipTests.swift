import ClusterModel
import ClusterState
import Testing

struct MembershipTests {
    let worker = ClusterScript.worker(1)

    @Test func workersAreLiveUntilTheSilenceLimit() {
        var membership = Membership(silenceLimit: .seconds(3))
        #expect(membership.liveness(of: worker, now: .seconds(1)) == .neverHeard)
        #expect(membership.heard(from: worker, now: .seconds(1)) == true)
        #expect(membership.liveness(of: worker, now: .seconds(4)) == .live(silence: .seconds(3)))
        #expect(membership.liveness(of: worker, now: .seconds(5)) == .silent(.seconds(4)))
    }

    @Test func aHeartbeatTellsWhetherTheWorkerHadBeenAway() {
        var membership = Membership(silenceLimit: .seconds(3))
        #expect(membership.heard(from: worker, now: .seconds(0)) == true)
        #expect(membership.heard(from: worker, now: .seconds(2)) == false)
        #expect(membership.heard(from: worker, now: .seconds(9)) == true)
    }

    @Test func liveWorkersAreInOrderOfID() {
        var membership = Membership(silenceLimit: .seconds(3))
        for number: UInt64 in [3, 1, 2] {
            _ = membership.heard(from: ClusterScript.worker(number), now: .seconds(Int64(number)))
        }
        #expect(membership.liveWorkers(now: .seconds(3)) == [1, 2, 3].map(ClusterScript.worker))
        #expect(membership.liveWorkers(now: .seconds(5)) == [2, 3].map(ClusterScript.worker))
    }

    @Test func heartbeatsThatArriveOutOfOrderDoNotMakeAWorkerOlder() {
        var membership = Membership(silenceLimit: .seconds(3))
        _ = membership.heard(from: worker, now: .seconds(5))
        _ = membership.heard(from: worker, now: .seconds(4))
        #expect(membership.liveness(of: worker, now: .seconds(8)).isLive)
    }

    @Test func whoWasNeverHeardIsSilentSinceTheWatchBegan() {
        var membership = Membership(silenceLimit: .seconds(3))
        let (heard, unheard) = (NodeID(high: 0, low: 1), NodeID(high: 0, low: 2))
        _ = membership.heard(from: heard, now: .seconds(4))
        func silent(now: Duration, since start: Duration = .zero) -> Set<NodeID> {
            membership.workers(among: [heard, unheard], silentFor: .seconds(10), since: start, now: now)
        }
        #expect(silent(now: .seconds(10)) == [])
        #expect(silent(now: .seconds(11)) == [unheard])
        #expect(silent(now: .seconds(15)) == [heard, unheard])
        #expect(silent(now: .seconds(15), since: .seconds(6)) == [])
    }
}
