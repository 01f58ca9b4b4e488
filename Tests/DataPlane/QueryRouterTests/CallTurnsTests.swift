import ClusterModel
import NIOCore
import NIOPosix
import QueryRouter
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct CallTurnsTests {
    private let worker = NodeID(high: 1, low: 1)
    private let eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// Ends calls when the test says so.
    private final class Gate: Sendable {
        private struct State: Sendable {
            var isOpen = false
            var count = 0
        }

        private let state = Mutex(State())

        var count: Int { state.withLock(\.count) }

        func open() { state.withLock { $0.isOpen = true } }

        func pass() async {
            state.withLock { $0.count += 1 }
            while !state.withLock(\.isOpen) { try? await Task.sleep(for: .milliseconds(5)) }
        }

        /// Waits until so many have come.
        func arrive(_ count: Int) async {
            while self.count < count { try? await Task.sleep(for: .milliseconds(5)) }
        }
    }

    /// How many calls were under way at most.
    private final class Peak: Sendable {
        private let counts = Mutex((now: 0, most: 0))

        var most: Int { counts.withLock { $0.most } }

        func begin() { counts.withLock { $0 = (now: $0.now + 1, most: max($0.most, $0.now + 1)) } }

        func end() { counts.withLock { $0.now -= 1 } }
    }

    private func take(
        _ turns: CallTurns,
        at worker: NodeID,
        within time: Duration = .seconds(60),
        _ gate: Gate
    ) async throws(WireStatus) {
        try await turns.withTurn(at: worker, until: .after(time), on: eventLoop) { () async throws(WireStatus) in
            await gate.pass()
        }
    }

    @Test func onlySoManyCallsOfAWorkerAreUnderWay() async throws {
        let turns = CallTurns(limit: 2)
        let (gate, other) = (Gate(), Gate())
        let peak = Peak()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    try await turns.withTurn(at: worker, until: .after(.seconds(60)), on: eventLoop) {
                        () async throws(WireStatus) in
                        peak.begin()
                        await gate.pass()
                        peak.end()
                    }
                }
            }
            await gate.arrive(2)
            other.open()
            // Another worker's calls do not wait for those.
            try await take(turns, at: NodeID(high: 1, low: 2), other)
            #expect(gate.count == 2)
            gate.open()
            try await group.waitForAll()
        }
        #expect(gate.count == 20)
        #expect(peak.most == 2)
    }

    @Test func whoeverWaitsEndsAtTheDeadlineAndWhenCancelled() async throws {
        let turns = CallTurns(limit: 1)
        let (held, later) = (Gate(), Gate())
        let first = Task { try await take(turns, at: worker, held) }
        await held.arrive(1)
        let late = await #expect(throws: WireStatus.self) {
            try await take(turns, at: worker, within: .milliseconds(50), later)
        }
        #expect(late?.code == .deadlineExceeded && late?.hasNoEffect == true)
        let passed = await #expect(throws: WireStatus.self) {
            try await take(turns, at: worker, within: .zero, later)
        }
        #expect(passed?.code == .deadlineExceeded)
        let task = Task { try await take(turns, at: worker, later) }
        task.cancel()
        let cancelled = await #expect(throws: WireStatus.self) { try await task.value }
        #expect(cancelled?.code == .cancelled && cancelled?.hasNoEffect == true)
        #expect(later.count == 0)
        held.open()
        try await first.value
        // None of those that gave up has taken a turn along.
        later.open()
        try await take(turns, at: worker, later)
        #expect(later.count == 1)
    }
}
