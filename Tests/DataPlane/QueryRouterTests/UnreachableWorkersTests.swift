import ClusterModel
import NIOCore
import QueryRouter
import Testing

struct UnreachableWorkersTests {
    private let first = NodeID(high: 1, low: 1)
    private let second = NodeID(high: 1, low: 2)

    private func time(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(1_000_000_000 * UInt64(seconds)) }

    @Test func theFirstFailureSinceAnAnswerCounts() {
        let workers = UnreachableWorkers()
        #expect(workers.firstFailure(of: first) == nil)
        workers.noteFailure(of: first, at: time(5))
        workers.noteFailure(of: first, at: time(7))
        #expect(workers.firstFailure(of: first) == time(5))
        #expect(workers.firstFailure(of: second) == nil)
        workers.noteAnswer(of: second)
        #expect(workers.firstFailure(of: first) == time(5))
        workers.noteAnswer(of: first)
        #expect(workers.firstFailure(of: first) == nil)
        workers.noteFailure(of: first, at: time(9))
        #expect(workers.firstFailure(of: first) == time(9))
    }
}
