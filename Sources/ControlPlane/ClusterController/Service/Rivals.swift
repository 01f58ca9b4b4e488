package import ClusterModel
package import WireProtocol

/// Workers that refuse this coordinator, since they go by another whose store is a copy of this one's, or this one's a
/// copy of its. Pure.
///
/// One that is refused by any worker steers none: another may be doing it. It goes on once every worker that refused it
/// goes by it.
package struct Rivals: Sendable {
    /// By worker: where the coordinator is that it goes by.
    package private(set) var addresses: [NodeID: NodeAddress] = [:]

    package init() {}

    package var areThere: Bool { !addresses.isEmpty }

    /// A worker says by whom it goes.
    ///
    /// - Parameter run: of this coordinator; nil where several share a store.
    /// - Returns: whether the worker goes by this coordinator, so that it may be steered.
    package mutating func heard(_ standing: CoordinatorStanding, from worker: NodeID, run: NodeID?) -> Bool {
        guard let run else { return true }
        switch standing {
        case .untold: return true
        // It hears of this run by the reply.
        case .none: return false
        case .follows(let followed):
            guard followed == run else { return false }
            addresses[worker] = nil
            return true
        case .refuses(let refused, let address):
            if refused == run { addresses[worker] = address }
            return false
        }
    }
}
