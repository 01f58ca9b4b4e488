package import ClusterModel
package import WireProtocol

/// Workers that refuse this coordinator, since they go by another whose store is a copy of this one's, or this one's a
/// copy of its. Pure.
///
/// One that is refused by any worker steers none: another may be doing it. It goes on once every worker that refused it
/// goes by it, or has not been heard for long: one that is gone goes by nobody.
///
/// Times are durations since any fixed moment of a monotonic clock, given by the caller.
package struct Rivals: Sendable {
    private struct Refusal: Sendable {
        /// Where the coordinator is that the worker goes by.
        var address: NodeAddress
        /// When the worker was last heard, whatever it said.
        var heard: Duration
    }

    private let patience: Duration
    private var refusals: [NodeID: Refusal] = [:]

    /// - Parameter patience: a worker that has not been heard for longer is gone.
    package init(patience: Duration = .seconds(60)) {
        self.patience = patience
    }

    /// By worker: where the coordinator is that it goes by.
    package var addresses: [NodeID: NodeAddress] { refusals.mapValues(\.address) }

    package var areThere: Bool { !refusals.isEmpty }

    /// A worker says by whom it goes.
    ///
    /// - Parameter run: of this coordinator; nil where several share a store.
    /// - Returns: whether the worker goes by this coordinator, so that it may be steered.
    package mutating func heard(
        _ standing: CoordinatorStanding,
        from worker: NodeID,
        run: NodeID?,
        now: Duration
    ) -> Bool {
        guard let run else { return true }
        refusals[worker]?.heard = now
        switch standing {
        case .untold: return true
        // It hears of this run by the reply.
        case .none: return false
        case .follows(let followed):
            guard followed == run else { return false }
            refusals[worker] = nil
            return true
        case .refuses(let refused, let address):
            if refused == run { refusals[worker] = Refusal(address: address, heard: now) }
            return false
        }
    }

    /// Forgets the workers that are gone. To be called while this coordinator would hear those that are not.
    ///
    /// - Returns: who was forgotten.
    package mutating func forget(now: Duration) -> [NodeID] {
        let gone = refusals.filter { now - $0.value.heard > patience }.keys.sorted()
        for worker in gone { refusals[worker] = nil }
        return gone
    }
}
