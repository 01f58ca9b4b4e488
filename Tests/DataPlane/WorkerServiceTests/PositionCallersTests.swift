import Testing
import WorkerService

/// Strong reads that wait for a primary to be sure.
struct PositionCallersTests {
    private func callers(askedAt seconds: [Int]) -> PositionCallers {
        var callers = PositionCallers()
        for time in seconds {
            let isWaiting = callers.wait(PositionCallers.Caller(asked: .seconds(time), answer: { _ in }))
            #expect(isWaiting)
        }
        return callers
    }

    @Test func whoHasWaitedForTooLongIsTakenInWhateverOrderTheyCame() {
        var callers = callers(askedAt: [101, 100])
        let late = callers.take(askedBefore: .milliseconds(100_500))
        #expect(late.map(\.asked) == [.seconds(100)])
        let rest = callers.take()
        #expect(rest.map(\.asked) == [.seconds(101)])
        #expect(callers.isEmpty)
    }

    @Test func thoseThatCameBeforeOneThatIsConfirmedAre() {
        var callers = callers(askedAt: [1, 2, 3])
        let (confirmed, position) = callers.takeConfirmed { asked in asked <= .seconds(2) ? 7 : nil }
        #expect(confirmed.map(\.asked) == [.seconds(1), .seconds(2)] && position == 7)
        let (none, _) = callers.takeConfirmed { _ in nil }
        #expect(none.isEmpty && !callers.isEmpty)
    }

    @Test func noMoreThanSoManyWait() {
        var callers = callers(askedAt: Array(repeating: 1, count: PositionCallers.limit))
        let isWaiting = callers.wait(PositionCallers.Caller(asked: .seconds(2), answer: { _ in }))
        #expect(!isWaiting)
    }
}
