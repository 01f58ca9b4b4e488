package import ClusterModel
package import NIOCore
import Synchronization
package import WireProtocol
package import WireTransport

/// The calls of one request that are under way, by worker: at each only so many, so that its connection takes them
/// all. The others wait for their turns, in the order in which they came.
///
/// A turn is held over one call and not over all that is tried at a shard: shards of a worker that are not open yet
/// hold up none that are.
package final class CallTurns: Sendable {
    /// Told that it is its turn by nil, or why it waits no longer.
    private struct Waiter: Sendable {
        let number: UInt64
        let turn: CheckedContinuation<WireStatus?, Never>
    }

    private struct Line: Sendable {
        var underWay = 0
        var waiters: [Waiter] = []
    }

    private struct State: Sendable {
        var lines: [NodeID: Line] = [:]
        var waiterCount: UInt64 = 0
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Precondition: the limit is positive.
    package init(limit: Int) {
        precondition(limit > 0)
        self.limit = limit
    }

    /// Waits for a turn at a worker, and holds it while the body runs.
    ///
    /// - Parameter deadline: until when it waits.
    /// - Throws: what the body throws; `deadlineExceeded` or `cancelled` when the turn did not come, without effect.
    package func withTurn<R: Sendable>(
        at worker: NodeID,
        until deadline: WireDeadline,
        on eventLoop: any EventLoop,
        _ body: () async throws(WireStatus) -> R
    ) async throws(WireStatus) -> R {
        if !begin(at: worker), let status = await turn(at: worker, until: deadline, on: eventLoop) {
            throw status.withoutEffect
        }
        defer { end(at: worker) }
        return try await body()
    }

    /// Whether it is one's turn at once. Where others wait there is none left: they are given those that end.
    private func begin(at worker: NodeID) -> Bool { state.withLock { begin(at: worker, &$0) } }

    private func begin(at worker: NodeID, _ state: inout State) -> Bool {
        guard state.lines[worker, default: Line()].underWay < limit else { return false }
        state.lines[worker, default: Line()].underWay += 1
        return true
    }

    /// Passes the turn on to who has waited longest.
    private func end(at worker: NodeID) {
        let next = state.withLock { state -> Waiter? in
            guard let waiters = state.lines[worker]?.waiters else { preconditionFailure("no turn had begun") }
            if waiters.isEmpty {
                state.lines[worker]?.underWay -= 1
                return nil
            }
            return state.lines[worker]?.waiters.removeFirst()
        }
        next?.turn.resume(returning: nil)
    }

    private func turn(
        at worker: NodeID,
        until deadline: WireDeadline,
        on eventLoop: any EventLoop
    ) async -> WireStatus? {
        let number = state.withLock { state in
            state.waiterCount += 1
            return state.waiterCount
        }
        let late = WireStatus(.deadlineExceeded, "the deadline passed before the worker's other shards had answered")
        let cancelled = WireStatus(.cancelled, "the caller cancelled the call")
        let timer =
            deadline.isNone
            ? nil : eventLoop.scheduleTask(deadline: deadline.instant) { self.giveUp(number, at: worker, late) }
        defer { timer?.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { turn in
                let isOwn = state.withLock { state -> Bool in
                    if begin(at: worker, &state) { return true }
                    state.lines[worker, default: Line()].waiters.append(Waiter(number: number, turn: turn))
                    return false
                }
                if isOwn { return turn.resume(returning: nil) }
                // Both may have come before it was put down.
                if Task.isCancelled { giveUp(number, at: worker, cancelled) }
                if deadline.hasPassed { giveUp(number, at: worker, late) }
            }
        } onCancel: {
            giveUp(number, at: worker, cancelled)
        }
    }

    /// Ends the wait of one that still waits.
    private func giveUp(_ number: UInt64, at worker: NodeID, _ status: WireStatus) {
        let waiter = state.withLock { state -> Waiter? in
            guard let place = state.lines[worker]?.waiters.firstIndex(where: { $0.number == number }) else {
                return nil
            }
            return state.lines[worker]?.waiters.remove(at: place)
        }
        waiter?.turn.resume(returning: status)
    }
}
