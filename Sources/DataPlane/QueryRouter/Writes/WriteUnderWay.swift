import ClusterModel
import Synchronization
import WireProtocol

/// The write of a request whose shards are asked by several tasks.
final class WriteUnderWay: Sendable {
    private let machine: Mutex<WriteStateMachine>

    init(_ machine: WriteStateMachine) {
        self.machine = Mutex(machine)
    }

    func withLock<R: Sendable>(_ body: (inout WriteStateMachine) -> R) -> R { machine.withLock { body(&$0) } }

    /// What to do next for a part.
    ///
    /// - Parameter didGiveUp: called when the write is sent to nobody any more from now on.
    func event(
        _ event: PrimaryAttempts.Event,
        ofPart number: Int,
        now: Duration,
        mayRetry: (StatusCode) -> Bool,
        didGiveUp: (LostWorkers) -> Void
    ) -> PrimaryAttempts.Action {
        let (action, given) = machine.withLock { machine -> (PrimaryAttempts.Action, LostWorkers?) in
            let before = machine.lost
            let action = machine.event(event, ofPart: number, now: now, mayRetry: mayRetry)
            return (action, machine.lost.givenUp(since: before))
        }
        if let given { didGiveUp(given) }
        return action
    }
}
