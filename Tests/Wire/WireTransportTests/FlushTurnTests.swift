import Testing
import WireTransport

struct FlushTurnTests {
    @Test func aFrameThatIsAloneWaitsForNothing() {
        var turn = FlushTurn()
        for _ in 0..<3 {
            let isFlushed = turn.written()
            #expect(isFlushed)
            let isFlushedAgain = turn.end()
            #expect(!isFlushedAgain, "nothing came behind it")
        }
    }

    @Test func framesOfOneTurnGoOutTogetherBehindTheFirst() {
        var turn = FlushTurn()
        for _ in 0..<3 {
            let flushed = (0..<32).map { _ in turn.written() }
            #expect(flushed == [true] + [Bool](repeating: false, count: 31))
            let isFlushedAtTheEnd = turn.end()
            #expect(isFlushedAtTheEnd)
        }
    }
}
