package import ClusterModel
package import WireProtocol

/// By which run of a coordinator this worker goes, where there can be only one: one whose store is its own.
///
/// Every start of such a coordinator is a run with a name of its own. A new run at the address where the one before was
/// is a restart, and takes its place; at another address it does once heartbeats to the one before have failed for a
/// while. Until then, and for ever once another took its place, a run is refused: it works on a copy of the store.
/// Pure.
package struct CoordinatorRuns: Sendable {
    /// How long heartbeats have to have failed until a coordinator may be found elsewhere. Counted from the first one
    /// that failed: a worker that stood still has heard nothing for as long of one that is there.
    package static let patience = Duration.seconds(5)
    /// And how many: one may have failed before this worker stood still, and one that was under way meanwhile.
    private static let leastFailureCount = 3
    private static let formerLimit = 64

    private struct Current: Sendable {
        var run: NodeID
        /// Where it was reached.
        var addresses: Set<NodeAddress>
        /// When a heartbeat to it failed first since it last answered.
        var failingSince: ContinuousClock.Instant?
        /// How many have failed since it last answered.
        var failureCount = 0

        func isAway(now: ContinuousClock.Instant) -> Bool {
            guard let failingSince, failureCount >= leastFailureCount else { return false }
            return now - failingSince >= patience
        }
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
                current?.failingSince = nil
                current?.failureCount = 0
            }
            refused[address] = nil
            return true
        }
        let mayTakePlace =
            current.map { $0.addresses.contains(address) || $0.isAway(now: now) } ?? true
        guard mayTakePlace, !former.contains(run) else {
            refused[address] = run
            return false
        }
        if let current { former = (former + [current.run]).suffix(Self.formerLimit) }
        current = Current(run: run, addresses: [address])
        refused[address] = nil
        return true
    }

    /// A heartbeat was not answered, or none is sent there any more.
    package mutating func failed(at address: NodeAddress, now: ContinuousClock.Instant) {
        guard let current, current.addresses.contains(address) else { return }
        self.current?.failureCount += 1
        if current.failingSince == nil { self.current?.failingSince = now }
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
