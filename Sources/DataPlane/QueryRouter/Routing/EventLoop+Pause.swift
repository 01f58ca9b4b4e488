package import NIOCore
import Synchronization

extension EventLoop {
    /// Waits for so long, or until the task is cancelled.
    ///
    /// For short waits that nearly always end early: one of `Task.sleep` that is cancelled leaves its timer behind,
    /// which goes off on a thread of the system's when its time has come. One of these goes off on the loop, and does
    /// nothing: to take it back would be to look for it among all of the loop's.
    package func pause(for duration: Duration) async {
        let wait = PauseUnderWay()
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                guard wait.begin(continuation) else { return continuation.resume() }
                _ = scheduleTask(in: TimeAmount(duration)) { wait.end() }
            }
        } onCancel: {
            wait.end()
        }
    }
}

/// One wait, which its timer or a cancellation ends, whichever is first.
private final class PauseUnderWay: Sendable {
    private struct State {
        var continuation: CheckedContinuation<Void, Never>?
        var hasEnded = false
    }

    private let state = Mutex(State())

    /// Whether there is anything to wait for.
    func begin(_ continuation: CheckedContinuation<Void, Never>) -> Bool {
        state.withLock { state in
            guard !state.hasEnded else { return false }
            state.continuation = continuation
            return true
        }
    }

    func end() {
        let continuation = state.withLock { state in
            defer { (state.continuation, state.hasEnded) = (nil, true) }
            return state.continuation
        }
        continuation?.resume()
    }
}
