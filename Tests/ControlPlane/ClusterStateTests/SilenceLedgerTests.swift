import ClusterModel
import ClusterState
import Testing

struct SilenceLedgerTests {
    private let first = ClusterScript.worker(1)
    private let second = ClusterScript.worker(2)

    @Test func whoFallsSilentIsCalledAtOnceAndOneCallAtATime() throws {
        var ledger = SilenceLedger()
        let calls = ledger.callsToBegin(silent: [second, first], now: .seconds(1))
        #expect(calls.map(\.worker) == [first, second])
        #expect(ledger.callsToBegin(silent: [second, first], now: .seconds(100)) == [])
        #expect(ledger.cause(of: first) == .unknown)
        let call = try #require(calls.first)
        #expect(ledger.ended(call, .notRunning, now: .seconds(100)) == true)
        #expect(ledger.cause(of: first) == .notRunning)
        #expect(ledger.cause(of: second) == .unknown)
    }

    @Test func callsComeAfterLongerAndLongerPauses() throws {
        var ledger = SilenceLedger(firstPause: .seconds(2), longestPause: .seconds(7))
        var now = Duration.zero
        for pause in [2, 4, 7, 7] {
            let calls = ledger.callsToBegin(silent: [first], now: now)
            #expect(calls.map(\.worker) == [first])
            let call = try #require(calls.first)
            #expect(ledger.ended(call, .hanging, now: now) == (now == .zero), "only the first tells something new")
            #expect(ledger.callsToBegin(silent: [first], now: now + .seconds(pause) - .milliseconds(1)) == [])
            now += .seconds(pause)
        }
    }

    @Test func whoIsHeardAgainIsForgotten() throws {
        var ledger = SilenceLedger()
        let begun = ledger.callsToBegin(silent: [first], now: .zero)
        let call = try #require(begun.first)
        #expect(ledger.ended(call, .unreachable, now: .zero) == true)
        #expect(ledger.callsToBegin(silent: [], now: .seconds(1)) == [])
        #expect(ledger.cause(of: first) == .unknown)
        // It is called at once when it falls silent again, and what an earlier call came to is no news by then.
        #expect(ledger.ended(call, .hanging, now: .seconds(1)) == false)
        #expect(ledger.callsToBegin(silent: [first], now: .seconds(1)).map(\.worker) == [first])
    }

    @Test func aCallOfAnEarlierSilenceTellsNothingOfThePresentOne() throws {
        var ledger = SilenceLedger()
        let earlier = ledger.callsToBegin(silent: [first], now: .zero)
        _ = ledger.callsToBegin(silent: [], now: .seconds(1))
        let later = ledger.callsToBegin(silent: [first], now: .seconds(2))
        let (before, present) = (try #require(earlier.first), try #require(later.first))
        #expect(ledger.ended(before, .answering, now: .seconds(2)) == false)
        #expect(ledger.cause(of: first) == .unknown)
        #expect(ledger.callsToBegin(silent: [first], now: .seconds(100)) == [], "the present one is under way")
        #expect(ledger.ended(present, .notRunning, now: .seconds(100)) == true)
        #expect(ledger.cause(of: first) == .notRunning)
    }
}
