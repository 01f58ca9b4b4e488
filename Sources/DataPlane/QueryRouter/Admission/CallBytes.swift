import FaceModel
import Synchronization
package import WireProtocol
import WireTransport

/// The bytes of one call that was let in; they are given back with its end.
///
/// What its shards answer may be far more than was expected: faces' metadata may be long. What goes beyond that is
/// counted as it comes, and where there is no room for it the call ends. May be used from any thread.
package final class CallBytes: CallByteShare, AnswerAdmission {
    private struct State {
        /// All that the gate counts for the call.
        var byteCount: Int
        /// Of shards' answers, since they were asked last.
        var receivedByteCount = 0
        /// Of these, what the gate counts beside what was expected.
        var excessByteCount = 0
        var refusal: WireStatus?
    }

    private let gate: AdmissionGate
    private let collection: CollectionID
    private let name: String
    private let expectedByteCount: Int
    private let state: Mutex<State>

    /// - Parameters:
    ///   - byteCount: that the gate counts for it.
    ///   - expectedByteCount: of them, what its answers should take.
    init(_ gate: AdmissionGate, _ collection: CollectionID, _ name: String, byteCount: Int, expectedByteCount: Int) {
        self.gate = gate
        self.collection = collection
        self.name = name
        self.expectedByteCount = expectedByteCount
        state = Mutex(State(byteCount: byteCount))
    }

    deinit { settle(answerByteCount: 0) }

    package func settle(answerByteCount: Int) {
        let change = state.withLock { state in
            defer { state.byteCount = answerByteCount }
            return answerByteCount - state.byteCount
        }
        gate.change(by: change, collection)
    }

    /// Why the call ends; nil while there is room for what its shards answer.
    var refusal: WireStatus? { state.withLock(\.refusal) }

    package func received(_ byteCount: Int) throws(WireStatus) {
        let refusal = state.withLock { state -> WireStatus? in
            if let refusal = state.refusal { return refusal }
            state.receivedByteCount += byteCount
            let more = state.receivedByteCount - expectedByteCount - state.excessByteCount
            guard more > 0 else { return nil }
            guard gate.grow(by: more, of: state.byteCount, collection) else {
                state.refusal = gate.refusal(of: name)
                return state.refusal
            }
            state.excessByteCount += more
            state.byteCount += more
            return nil
        }
        if let refusal { throw refusal }
    }

    /// All shards are asked once more, and what they answered before is let go.
    func beginAnew() {
        let excess = state.withLock { state in
            let excess = state.excessByteCount
            state.byteCount -= excess
            (state.receivedByteCount, state.excessByteCount) = (0, 0)
            return excess
        }
        if excess > 0 { gate.change(by: -excess, collection) }
    }
}
