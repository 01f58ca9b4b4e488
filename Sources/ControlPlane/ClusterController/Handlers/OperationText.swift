import ClusterModel
import ClusterState

/// What operations wait for, and why replicas are where they are, as sentences for people.
enum OperationText {
    static func sentence(_ hindrance: OperationPlanner.Hindrance, in view: ClusterView) -> String {
        switch hindrance {
        case .paused: "The operation is paused."
        case .shardIsBusy: "Another step is under way for the shard."
        case .workerIsBusy(let worker): "The \(name(worker, view)) has part in as many copies as it may."
        case .workerNotLive(let worker): "The \(name(worker, view)) is not heard of."
        case .workerIsDrained(let worker): "The \(name(worker, view)) is not to be given any replicas."
        case .leftover(let worker):
            "The \(name(worker, view)) has still to remove an earlier replica of the shard."
        case .shardNotServing: "The shard's primary is not served."
        case .tooLittleDisk(let worker, let needed, let free):
            "The \(name(worker, view)) has \(free >> 20) MiB of free disk, and \(needed >> 20) MiB are needed "
                + "with what is reserved."
        case .notTogether: "The shards' replicas are not on the same workers yet, or not in sync."
        case .tooLittleMemory(let worker, let needed, let free):
            "The \(name(worker, view)) has \(free >> 20) MiB of memory available, and \(needed >> 20) MiB are needed."
        case .shortOfMemory(let worker):
            "The \(name(worker, view)) holds as much memory as it may; 'mien status' tells what for."
        case .pinned(let pin):
            "The shard is pinned to the \(pin.workers.map { name($0, view) }.joined(separator: ", ")): "
                + "'mien shard unpin' lets it go."
        }
    }

    static func sentence(_ reason: ReplicaChange.Reason, in view: ClusterView) -> String {
        switch reason {
        case .catchingUp(let worker): "The replica on the \(name(worker, view)) is catching up."
        case .tooFewInSync(let worker):
            "Without the replica on the \(name(worker, view)) too few would be in sync."
        case .noSuccessor(let worker):
            "No other live replica in sync can be the primary instead of that on the \(name(worker, view))."
        case .unaware(let worker):
            "The \(name(worker, view)) has not said yet that it knows that its replica leaves."
        case .preparing(let worker): "What takes the shard's place is being made on the \(name(worker, view))."
        case .draining: "Writes wait for a moment: what was begun is being finished."
        case .resting: "Writes had waited too long for the shards that take this one's place; it is tried again soon."
        case .notReady(let worker): "The replica on the \(name(worker, view)) is not in sync, or not served."
        }
    }

    static func sentence(_ explanation: PlacementExplanation) -> String {
        switch explanation {
        case .primary(let epoch): "It has the primary, since epoch \(epoch.number)."
        case .inSync: "It has a replica in sync."
        case .learner: "It has a replica that is catching up."
        case .leaving(let id): "It has a replica that operation \(id) takes away."
        case .coming(let id): "Operation \(id) brings a replica here."
        case .decommissioned: "It is decommissioned."
        case .draining: "It is being drained, or has been: it gets no replicas."
        case .notLive: "It is not heard of."
        case .stopping: "It is about to stop."
        case .tooLittleDisk(let needed, let free):
            "It has \(free >> 20) MiB of free disk, and a replica needs \(needed >> 20) MiB with what stays free."
        case .shortOfMemory(let held, let limit):
            "It holds \(held >> 20) MiB of the \(limit >> 20) MiB of memory that there may be, and gets no replicas."
        case .notNeeded(let count):
            "It could have one; the shard has its \(count) \(count == 1 ? "replica" : "replicas") elsewhere."
        }
    }

    /// What there is to say of a replica that serves and is not warm.
    static func warmth(of shard: ShardID, on worker: NodeID, in view: ClusterView) -> String? {
        guard view.isServing(shard, on: worker), let warmth = view.replica(of: shard, on: worker)?.warmth,
            warmth < MappedMemory.leastWarmth
        else { return nil }
        return "It is cold: \(Int(warmth * 100)) % of what searches read is in memory, and warm ones are asked more."
    }

    /// What a worker's pin means where the worker stands so.
    static func sentence(_ pin: ShardPin, on worker: NodeID, _ explanation: PlacementExplanation) -> String {
        if explanation.hasReplica {
            return pin.primary == worker ? "It is pinned here, as the primary." : "It is pinned here."
        }
        return "It was pinned here, and made anew elsewhere when the worker had been away for too long: "
            + "'mien shard move' brings it back, 'mien shard unpin' lets it go."
    }

    static func sentence(
        _ pin: ShardPin,
        ofShard index: UInt32,
        of collection: String,
        in view: ClusterView
    ) -> String {
        let workers = pin.workers.map { name($0, view) }.joined(separator: ", ")
        let primary = pin.primary.map { ", its primary to the \(name($0, view))" } ?? ""
        return "Shard \(index) of collection '\(collection)' is pinned to the \(workers)\(primary): it stays."
    }

    private static func name(_ worker: NodeID, _ view: ClusterView) -> String {
        view.metadata.workers[worker].map { "worker at \($0)" } ?? "worker \(worker)"
    }
}
