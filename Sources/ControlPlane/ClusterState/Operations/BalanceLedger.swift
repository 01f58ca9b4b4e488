import ClusterModel
import FaceModel

/// How long workers have been uneven, and whether that is long enough to level them without being asked.
package struct BalanceLedger: Sendable {
    /// Time between two looks: planning moves goes through all shards.
    private static let lookInterval = Duration.seconds(5)

    /// Time that workers must have been uneven; zero for never.
    package let patience: Duration
    private var unevenSince: Duration?
    private var nextLook = Duration.zero

    package init(patience: Duration) {
        self.patience = patience
    }

    /// The steps of an operation to begin now; none most of the time.
    ///
    /// Nothing is begun beside another operation, nor while a worker is away or a shard lacks a replica: what is
    /// missing comes first, and who is restarted comes back to what it had. Shards whose replicas people moved by name
    /// stay where they were put, and those that a rebalance was to move and did not, since somebody cancelled it, stay
    /// where they are, as long as the records of those operations are kept. One of which steps came to nothing by
    /// themselves is done, and what they were to move is looked at anew; but what had begun to be copied stays as well,
    /// since a worker that comes and goes would have it copied each time.
    package mutating func steps(in view: ClusterView, now: Duration) -> [Operation.Step] {
        guard patience > .zero, now >= nextLook else { return [] }
        nextLook = now + min(Self.lookInterval, patience)
        let steps =
            Self.isCalm(view)
            ? RebalancePlanner.steps(in: view, leaving: Self.restingShards(view), goesBySettledRates: true) : []
        guard !steps.isEmpty else {
            unevenSince = nil
            return []
        }
        let since = unevenSince ?? now
        unevenSince = since
        guard now - since >= patience else { return [] }
        unevenSince = nil
        return steps
    }

    private static func isCalm(_ view: ClusterView) -> Bool {
        let active = view.metadata.workers.keys.filter { view.metadata.standing(of: $0) == .active }
        return view.isSettled && !view.metadata.hasOpenMoves
            && active.allSatisfy { view.liveWorkers.contains($0) && !view.isStopping($0) }
            && view.metadata.placements.allSatisfy { placement in
                let copies = view.metadata.collections[placement.shard.collection]?.collection.configuration
                    .replicationFactor
                return view.isWhole(placement) && placement.group.learners.isEmpty
                    && placement.group.inSync.count >= copies ?? 1
            }
    }

    private static func restingShards(_ view: ClusterView) -> Set<ShardID> {
        var shards: Set<ShardID> = []
        for operation in view.metadata.operations.values {
            switch (operation.kind, operation.state) {
            case (.change, .done): shards.formUnion(operation.steps.map(\.shard))
            case (.rebalance, .cancelled), (.rebalance, .done):
                // Where nothing may come any more it could not have gone, whoever took it back.
                let undone = operation.steps.filter { step in
                    step.state == .undone && (operation.state == .cancelled || step.hasBegunCopy)
                        && step.change.beneficiary.map { view.metadata.standing(of: $0) == .active } ?? true
                }
                shards.formUnion(undone.map(\.shard))
            default: break
            }
        }
        return shards
    }
}

extension Operation.Step {
    /// Whether it had a replica made somewhere.
    fileprivate var hasBegunCopy: Bool { formerPrimary != nil && change.newcomer != nil }
}
