package import ClusterModel
package import WireProtocol

/// By which run of a coordinator this worker goes, where there can be only one: one whose store is its own.
///
/// Every start of such a coordinator is a run with a name of its own. A new run at the address where the one before was
/// is a restart, and takes its place; at another address it does once the one before has been silent for a while. Until
/// then, and for ever once another took its place, a run is refused: it works on a copy of the store. Pure.
package struct CoordinatorRuns: Sendable {
    /// Silence after which a coordinator may be found elsewhere: it does not steer a worker that it has not heard for
    /// less.
    package static let patience = Duration.seconds(5)
    private static let formerLimit = 64

    private struct Current: Sendable {
        var run: NodeID
        /// Where it was reached.
        var addresses: Set<NodeAddress>
        var lastHeard: ContinuousClock.Instant
    }

    private var current: Current?
    /// Runs whose place another took, the last one last.
    private var former: [NodeID] = []
    /// The run that was refused last, by the address that it was reached at.
    private var refused: [NodeAddress: NodeID] = [:]

    package init() {}

    /// A coordinator answered.
    ///
    /// - Parameter run: nil of one that shares its store with others: they settle it there.
    /// - Returns: whether this worker goes by what it says.
    package mutating func heard(_ run: NodeID?, at address: NodeAddress, now: ContinuousClock.Instant) -> Bool {
        guard let run, run != current?.run else {
            if run != nil {
                current?.addresses.insert(address)
                current?.lastHeard = now
            }
            refused[address] = nil
            return true
        }
        let mayTakePlace = current.map { $0.addresses.contains(address) || now - $0.lastHeard >= Self.patience } ?? true
        guard mayTakePlace, !former.contains(run) else {
            refused[address] = run
            return false
        }
        if let current { former = (former + [current.run]).suffix(Self.formerLimit) }
        current = Current(run: run, addresses: [address], lastHeard: now)
        refused[address] = nil
        return true
    }

    /// What to say to the coordinator at an address.
    package func standing(at address: NodeAddress) -> CoordinatorStanding {
        guard let current else { return .none }
        guard let run = refused[address], let place = current.addresses.min(by: { "\($0)" < "\($1)" }) else {
            return .follows(run: current.run)
        }
        return .refuses(run: run, follows: place)
    }
}
