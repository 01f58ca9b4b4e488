import ClusterModel
import ClusterState
import FaceModel

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

    /// - Parameter failure: why the last attempt at a training, or at something about it, failed; nil without one.
    static func sentence(_ reason: RolloutPlanner.Reason, failure: String?, in view: ClusterView) -> String {
        switch reason {
        case .olderCodes:
            return "Replicas still have codes of the codebook before, which are made again first."
        case .shardNotServing(let shard): return "Shard \(shard.index) is not served."
        case .resting:
            return "The last training failed, and another is ordered after a pause"
                + (failure.map { ": \($0)" } ?? ".")
        case .ordering:
            return "A worker is asked to train" + (failure.map { "; the last attempt failed: \($0)" } ?? ".")
        case .queued(let worker): return "The \(name(worker, view)) trains another collection's codebook first."
        case .training(let worker, let progress):
            return "The \(name(worker, view)) trains: \(progress.stage.name)."
        case .fetching(let worker):
            return "The \(name(worker, view)) has trained it; it is brought into the collection's record"
                + (failure.map { ", and the last attempt failed: \($0)" } ?? ".")
        case .installing(let shard, let worker):
            return "The \(name(worker, view)) is given the codebook for shard \(shard.index)."
        case .recoding(let shard, let worker, let rowCount):
            return "The \(name(worker, view)) codes \(rowCount) rows of shard \(shard.index) again, when it has "
                + "nothing else to do, with worker.background_percent of a processor."
        }
    }

    /// What rolling a codebook out would take.
    static func remarks(on order: TrainingOrder, of record: CollectionRecord, in view: ClusterView) -> [String] {
        let rowCount = order.sources.reduce(UInt64(0)) { $0 + UInt64($1.sampleCount) }
        let sampleByteCount = rowCount * UInt64(record.collection.configuration.dimension) * 4
        var remarks = [
            "The \(name(order.worker, view)) trains codebook \(order.generation), of \(order.listCount) lists, from "
                + "\(rowCount) rows: \(sampleByteCount >> 20) MiB of memory for the sample."
        ]
        let replicas = record.placements.flatMap { placement in
            placement.group.members.compactMap { view.replica(of: placement.shard, on: $0) }
        }
        let faceCount = replicas.reduce(UInt64(0)) { $0 + $1.faceCount }
        remarks.append(
            "Then \(replicas.count) \(replicas.count == 1 ? "replica installs" : "replicas install") it"
                + (record.codebook == nil
                    ? "." : ", and code \(faceCount) rows again with worker.background_percent of a processor each.")
        )
        if let codebook = record.codebook, replicas.contains(where: { $0.olderGeneration != 0 }) {
            remarks.append(
                "It waits until no replica has codes from before codebook \(codebook.generation) any more."
            )
        }
        return remarks
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
