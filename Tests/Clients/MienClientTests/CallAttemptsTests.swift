import MienClient
import Testing
import WireProtocol

struct CallAttemptsTests {
    private func status(_ code: StatusCode = .unavailable, effect: Bool = true, retryAfter: UInt32 = 0) -> WireStatus {
        let status = WireStatus(code, "not now", retryAfterMilliseconds: retryAfter)
        return effect ? status : status.withoutEffect
    }

    /// Pauses of a call that fails at once each time, in milliseconds, until it is not sent again.
    private func pauses(
        peers: Int = 1,
        timeout: Duration = .seconds(60),
        retryDuration: Duration = .seconds(60),
        _ failure: WireStatus,
        spread: Double = 1
    ) -> [Int64] {
        var attempts = CallAttempts(peerCount: peers, timeout: timeout, retryDuration: retryDuration)
        var elapsed = Duration.zero
        var pauses: [Int64] = []
        while case .again(let pause) = attempts.next(after: failure, elapsed: elapsed, spread: spread) {
            elapsed += pause
            pauses.append(pause.components.seconds * 1000 + pause.components.attoseconds / 1_000_000_000_000_000)
            #expect(attempts.sendCount == pauses.count + 1)
            if pauses.count > 200 { break }
        }
        return pauses
    }

    @Test func pausesDoubleUpToTwoSecondsWhileThereIsTime() {
        #expect(pauses(timeout: .seconds(9), status()) == [50, 100, 200, 400, 800, 1600, 2000, 2000])
        #expect(pauses(timeout: .seconds(1), status(), spread: 0.75) == [37, 75, 150, 300])
    }

    @Test func everyCoordinatorIsTriedBeforeAPause() {
        #expect(pauses(peers: 3, timeout: .milliseconds(500), status()) == [0, 0, 50, 0, 0, 100, 0, 0, 200, 0, 0])
        // Without time for retries each of them is tried once all the same.
        #expect(pauses(peers: 3, retryDuration: .zero, status()) == [0, 0])
        #expect(pauses(retryDuration: .zero, status()) == [])
    }

    /// So that one to which none comes about does not take the time of the others.
    @Test func aConnectionIsWaitedForInAShareOfTheTime() {
        var attempts = CallAttempts(peerCount: 3, timeout: .seconds(6), retryDuration: .seconds(60))
        let unreached = status(effect: false).ofConnection
        var times: [Duration?] = []
        for elapsed in [0, 2, 4, 5] {
            times.append(attempts.connectTime(elapsed: .seconds(elapsed)))
            _ = attempts.next(after: unreached, elapsed: .seconds(elapsed), spread: 1)
        }
        let (two, half) = (Duration.seconds(2), Duration.milliseconds(500))
        #expect(times == [two, two, nil, half], "a third of a second would be too little")
        let alone = CallAttempts(peerCount: 1, timeout: .seconds(6), retryDuration: .zero)
        #expect(alone.connectTime(elapsed: .zero) == nil)
        let late = CallAttempts(peerCount: 2, timeout: .seconds(1), retryDuration: .zero)
        #expect(late.connectTime(elapsed: .milliseconds(700)) == Duration.milliseconds(300))
        #expect(late.connectTime(elapsed: two) == Duration.zero)
    }

    @Test func aNodeIsGivenTheTimeItAsksFor() {
        #expect(pauses(timeout: .seconds(2), status(.overloaded, retryAfter: 700)) == [700, 700])
    }

    @Test func callsOnlyRetryWhatMayPass() {
        for code in [StatusCode.invalidRequest, .notFound, .storageFull, .deadlineExceeded, .internalError] {
            #expect(pauses(status(code)) == [], "\(code)")
        }
    }

    private let refused = WireStatus(.unauthenticated, "the token is not this cluster's").withoutEffect.ofConnection

    /// What comes of failures one after the other, at once each; nil while it is sent again.
    private func end(peers: Int, retryDuration: Duration = .seconds(9), _ failures: [WireStatus]) -> WireStatus? {
        var attempts = CallAttempts(peerCount: peers, timeout: .seconds(60), retryDuration: retryDuration)
        var elapsed = Duration.zero
        for failure in failures {
            switch attempts.next(after: failure, elapsed: elapsed, spread: 1) {
            case .again(let pause): elapsed += pause
            case .fail(let status): return status
            }
        }
        return nil
    }

    /// The token, certificate, version or port of one of them is wrong.
    @Test func aCoordinatorThatRefusesTheConnectionLeavesTheOthers() {
        #expect(end(peers: 1, [refused]) == refused)
        #expect(end(peers: 3, [refused, refused]) == nil)
        #expect(end(peers: 3, retryDuration: .zero, [refused, refused]) == nil)
        let other = WireStatus(.incompatibleVersion, "no version is common").withoutEffect.ofConnection
        #expect(end(peers: 3, [refused, other, refused]) == refused, "the first one's word")
        // What the other says passes: it is asked again, and the one that refuses is passed by.
        #expect(end(peers: 2, [refused, status(), refused, status(), refused, status()]) == nil)
        let unreached = status(effect: false).ofConnection
        #expect(end(peers: 2, [unreached, refused, unreached, refused]) == nil)
        // What one says of the call itself is what is told.
        #expect(end(peers: 2, [refused, status(.notFound)]) == status(.notFound))
        #expect(end(peers: 2, retryDuration: .zero, [status(.overloaded), refused]) == status(.overloaded))
        #expect(end(peers: 2, retryDuration: .zero, [refused, unreached]) == refused)
        #expect(pauses(peers: 3, refused) == [0, 0])
    }

    /// Nothing was done where every attempt says so of itself.
    @Test func whatIsToldIsOfAllAttempts() {
        for effects in [[false, false, false], [true, false, false], [false, true, false], [false, false, true]] {
            var attempts = CallAttempts(peerCount: 1, timeout: .seconds(9), retryDuration: .seconds(9))
            for effect in effects.dropLast() {
                _ = attempts.next(after: status(effect: effect), elapsed: .zero, spread: 1)
            }
            let last = status(.storageFull, effect: effects.last!)
            guard case .fail(let end) = attempts.next(after: last, elapsed: .seconds(1), spread: 1) else {
                Issue.record("a full disk does not pass")
                continue
            }
            #expect(end.hasNoEffect == !effects.contains(true))
            #expect(attempts.ended(by: last).hasNoEffect == end.hasNoEffect)
        }
    }
}
