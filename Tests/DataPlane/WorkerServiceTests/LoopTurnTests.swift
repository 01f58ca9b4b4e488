import Testing
import WorkerService

@Suite struct LoopTurnTests {
    private let start = ContinuousClock.now

    @Test func thereIsOneTurnAtATime() {
        var turn = LoopTurnStateMachine()
        let taken = [Duration.zero, .zero, .seconds(1)].map { turn.take(now: start + $0) }
        #expect(taken == [true, false, false])
    }

    @Test func theLoopRestsAsLongAsItsTurnTook() {
        var turn = LoopTurnStateMachine()
        let isFirstTaken = turn.take(now: start)
        let end = start + .microseconds(90)
        turn.finish(took: .microseconds(90), now: end)
        let taken = [89, 90].map { turn.take(now: end + .microseconds($0)) }
        #expect(isFirstTaken)
        #expect(taken == [false, true])
    }
}
