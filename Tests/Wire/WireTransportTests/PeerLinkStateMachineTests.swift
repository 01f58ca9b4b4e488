import NIOCore
import Testing
import WireProtocol
import WireTransport

/// The machine as a script: event, expected decision.
struct PeerLinkStateMachineTests {
    private typealias Machine = PeerLinkStateMachine<String, Int>
    private let refused = WireStatus(.unavailable, "refused")

    private func at(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(1) + .milliseconds(milliseconds) }

    private func name(_ decision: Machine.Decision) -> String {
        switch decision {
        case .use(let connection): "use \(connection)"
        case .wait(let startsAttempt): startsAttempt ? "start" : "wait"
        case .fail(let status): "fail \(status.message) \(status.retryAfterMilliseconds)"
        }
    }

    @Test func oneAttemptServesAllWhoWait() {
        var machine = Machine()
        #expect(name(machine.connectionWanted(now: at(0)) { _ in true }) == "start")
        #expect(machine.add(1, id: 1, now: at(0)) == nil)
        #expect(name(machine.connectionWanted(now: at(1)) { _ in true }) == "wait")
        #expect(machine.add(2, id: 2, now: at(1)) == nil)
        let ended = machine.attemptEnded(.success("a"), now: at(2))
        #expect(Set(ended.waiters) == [1, 2] && !ended.discardsConnection)
        #expect(name(machine.connectionWanted(now: at(3)) { _ in true }) == "use a")
        #expect(name(machine.connectionWanted(now: at(4)) { _ in false }) == "start")
    }

    @Test func failuresRestForTwiceAsLongEachTimeUpToTwoSeconds() {
        var machine = Machine()
        var now: Int64 = 0
        for rest in [50, 100, 200, 400, 500, 500] as [Int64] {
            #expect(name(machine.connectionWanted(now: at(now)) { _ in true }) == "start")
            _ = machine.attemptEnded(.failure(refused), now: at(now))
            #expect(
                name(machine.connectionWanted(now: at(now + rest - 1)) { _ in true }) == "fail refused 2"
            )
            now += rest
        }
        #expect(name(machine.connectionWanted(now: at(now)) { _ in true }) == "start")
        _ = machine.attemptEnded(.success("a"), now: at(now))
        #expect(name(machine.connectionWanted(now: at(now)) { _ in false }) == "start")
        _ = machine.attemptEnded(.failure(refused), now: at(now))
        #expect(name(machine.connectionWanted(now: at(now + 50)) { _ in true }) == "start")
    }

    /// Whoever has others to ask goes by it.
    @Test func aFailureIsKnownForHalfAMinuteOrUntilAConnectionStands() {
        var machine = Machine()
        let isConnectedAtFirst = machine.isConnected { _ in true }
        #expect(!isConnectedAtFirst && !machine.hasFailed(now: at(0)))
        _ = machine.connectionWanted(now: at(0)) { _ in true }
        #expect(!machine.hasFailed(now: at(0)))
        _ = machine.attemptEnded(.failure(refused), now: at(0))
        _ = machine.connectionWanted(now: at(50)) { _ in true }
        let isConnectedMeanwhile = machine.isConnected { _ in true }
        #expect(!isConnectedMeanwhile && machine.hasFailed(now: at(50)))
        #expect(machine.hasFailed(now: at(29_999)) && !machine.hasFailed(now: at(30_000)))
        _ = machine.attemptEnded(.success("a"), now: at(51))
        let (isConnected, isOpen) = (machine.isConnected { _ in true }, machine.isConnected { _ in false })
        #expect(isConnected && !isOpen && !machine.hasFailed(now: at(51)))
    }

    @Test func whoWaitsTooLateLearnsTheEndAtOnce() {
        var machine = Machine()
        _ = machine.connectionWanted(now: at(0)) { _ in true }
        _ = machine.attemptEnded(.failure(refused), now: at(1))
        #expect(machine.add(1, id: 1, now: at(1)) == .failure(refused))
    }

    @Test func whoGivesUpIsNotToldAgain() {
        var machine = Machine()
        _ = machine.connectionWanted(now: at(0)) { _ in true }
        _ = machine.add(1, id: 7, now: at(0))
        #expect(machine.removeWaiter(7) == 1)
        #expect(machine.removeWaiter(7) == nil)
        #expect(machine.attemptEnded(.success("a"), now: at(1)).waiters.isEmpty)
    }

    @Test func closingDiscardsWhatComesLater() {
        var machine = Machine()
        _ = machine.connectionWanted(now: at(0)) { _ in true }
        _ = machine.add(1, id: 1, now: at(0))
        let closed = machine.close()
        #expect(closed.connection == nil && closed.waiters == [1])
        let ended = machine.attemptEnded(.success("a"), now: at(1))
        #expect(ended.discardsConnection && ended.waiters.isEmpty)
        #expect(name(machine.connectionWanted(now: at(2)) { _ in true }).hasPrefix("fail"))
    }
}
