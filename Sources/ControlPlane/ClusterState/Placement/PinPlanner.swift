package import ClusterModel
import FaceModel

/// What operators may pin, and what may not be done on account of it.
package enum PinPlanner {
    /// - Parameters:
    ///   - workers: whose replicas are to stay; nil for all that have one.
    ///   - primary: that is to have the primary; nil for any.
    /// - Throws: when it breaks a rule; nothing is to be recorded then.
    package static func pin(
        _ shard: ShardID,
        workers: [NodeID]?,
        primary: NodeID?,
        in view: ClusterView
    ) throws(OperationRefusal) -> ShardPin {
        guard let group = view.metadata.placement(of: shard)?.group else {
            throw OperationRefusal("There is no shard \(shard.index).")
        }
        let pin = ShardPin(workers: workers ?? group.members, primary: primary)
        guard !pin.workers.isEmpty else { throw OperationRefusal("A pin names at least one worker.") }
        for worker in pin.workers {
            guard group.members.contains(worker) else {
                throw OperationRefusal(
                    "The \(view.metadata.name(of: worker)) has no replica of shard \(shard.index) that could stay "
                        + "there: move one to it first, with 'mien shard move'."
                )
            }
            guard view.metadata.standing(of: worker) == .active else {
                throw OperationRefusal(
                    "The \(view.metadata.name(of: worker)) is to have no replicas: 'mien recommission' it first."
                )
            }
        }
        if let primary, !pin.workers.contains(primary) {
            throw OperationRefusal(
                "The \(view.metadata.name(of: primary)) is to have the primary, and is not among those pinned."
            )
        }
        for operation in view.metadata.openOperations {
            let isInTheWay = operation.steps.contains { step in
                guard step.shards.contains(shard) else { return false }
                // What came with it goes again when it is cancelled.
                let mayLeave = step.change.newcomer.map(pin.workers.contains) ?? false
                return mayLeave || !step.state.hasEnded && pin.forbids(step.change)
            }
            if isInTheWay {
                throw OperationRefusal(
                    "Operation \(operation.id) takes or may take away what is to be pinned: wait for its end, or "
                        + "cancel it."
                )
            }
        }
        return pin
    }

    /// Whether pins forbid a step that is about to begin: somebody pinned what it changes after it was planned.
    package static func forbids(_ steps: [Operation.Step], in metadata: ClusterMetadata) -> Bool {
        steps.contains { metadata.pin(forbidding: $0) != nil }
    }

    /// - Throws: when pins keep replicas on a worker that is to have none.
    static func checkDrain(of worker: NodeID, in view: ClusterView) throws(OperationRefusal) {
        let pinned = DrainPlanner.replicas(on: worker, in: view).map(\.shard).filter { shard in
            view.metadata.isPinned(shard, on: worker)
        }
        guard let first = pinned.first else { return }
        let others = pinned.count > 1 ? ", and \(pinned.count - 1) more with it" : ""
        let name = view.metadata.collections[first.collection]?.collection.name ?? "?"
        throw OperationRefusal(
            "Shard \(first.index) of collection '\(name)' is pinned to the \(view.metadata.name(of: worker))\(others): "
                + "'mien shard unpin \(name) \(first.index)' lets it go."
        )
    }

    /// - Throws: when a pin forbids the change.
    static func check(
        _ change: ReplicaChange,
        of shard: ShardID,
        in view: ClusterView
    ) throws(OperationRefusal) {
        guard let pin = view.metadata.pins[shard], pin.forbids(change) else { return }
        let name = view.metadata.collections[shard.collection]?.collection.name ?? "?"
        let place =
            change.leaver.map { " to the \(view.metadata.name(of: $0))" }
            ?? pin.primary.map { " to the \(view.metadata.name(of: $0)) with its primary" } ?? ""
        throw OperationRefusal(
            "Shard \(shard.index) is pinned\(place): 'mien shard unpin \(name) \(shard.index)' lets it go."
        )
    }
}

extension ShardPin {
    /// Whether a change that nobody is forced to make would undo it.
    package func forbids(_ change: ReplicaChange) -> Bool {
        switch change {
        case .move(let worker, _), .remove(let worker): workers.contains(worker)
        case .lead(let worker): primary.map { $0 != worker } ?? false
        case .add: false
        // The pin is of a shard that would be gone.
        case .split, .merge: true
        }
    }
}

extension ClusterView {
    /// Workers at which the shard is pinned that have no replica and may be given one; what they have of it from before
    /// leaves first. None at which that does not come about.
    func pinnedPlaces(of placement: ShardPlacement, besides gone: Set<NodeID>) -> [NodeID] {
        let shunned = shunnedWorkers[placement.shard] ?? []
        return (metadata.pins[placement.shard]?.workers ?? []).filter { worker in
            placementWorkers.contains(worker) && !placement.group.members.contains(worker) && !gone.contains(worker)
                && !shunned.contains(worker)
        }
    }
}

extension ClusterMetadata {
    /// A pin of one of the step's shards that the step would undo.
    func pin(forbidding step: Operation.Step) -> ShardPin? {
        step.shards.compactMap { pins[$0] }.first { $0.forbids(step.change) }
    }

    /// Whether an operator wants the shard's replica to stay on the worker.
    package func isPinned(_ shard: ShardID, on worker: NodeID) -> Bool {
        pins[shard]?.workers.contains(worker) ?? false
    }
}
