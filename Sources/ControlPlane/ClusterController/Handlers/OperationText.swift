import ClusterModel
package import ClusterState
import FaceModel

/// What operations wait for, and why replicas are where they are, as sentences for people.
package enum OperationText {
    package static func sentence(_ hindrance: OperationPlanner.Hindrance, in view: ClusterView) -> String {
        switch hindrance {
        case .paused: "The operation is paused."
        case .shardIsBusy: "Another step is under way for the shard."
        case .earlierStep: "An earlier step of the operation for the shard comes first."
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
            "The \(name(worker, view)) has \(free >> 20) MiB of memory beside what its searches read, and "
                + "\(needed >> 20) MiB are needed with what is reserved."
        case .tooLittleMemoryInPlace(let worker, let needed, let free):
            "The \(name(worker, view)) has \(free >> 20) MiB of memory, what its searches read now among it, and "
                + "what takes the shard's place needs \(needed >> 20) MiB with what is reserved."
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
        case .tooFewThere(let worker, let away):
            "The \(name(away, view)) is not heard of, and without the replica on the \(name(worker, view)) too few "
                + "would be there: bring it back, or, if it does not come back, 'mien decommission' it."
        case .noSuccessor(let worker):
            "No other live replica in sync can be the primary instead of that on the \(name(worker, view))."
        case .former(let worker):
            "The \(name(worker, view)) removes the replica that it has from before first."
        case .unaware(let worker):
            "The \(name(worker, view)) has not said yet that it knows that its replica leaves."
        case .preparing(let worker): "What takes the shard's place is being made on the \(name(worker, view))."
        case .archiving:
            "The archive has not yet the end of the log of what is replaced: that is waited for, an hour at most."
                + (view.archive?.longTurn.map { " " + Self.sentence(onTurnOf: $0) } ?? "")
        case .draining: "Writes wait for a moment: what was begun is being finished."
        case .resting: "Writes had waited too long for the shards that take this one's place; it is tried again soon."
        case .notReady(let worker):
            "The replica on the \(name(worker, view)) is not in sync, or not served, or waits for its disk."
        }
    }

    /// What keeps the archive from the logs of a step's shards, where writes have just waited for that in vain; nil
    /// when nothing does.
    static func hitch(ofArchiving step: Operation.Step, in view: ClusterView) -> String? {
        guard let archive = view.archive, view.metadata.collections[step.shard.collection]?.restoration == nil,
            !step.shards.allSatisfy(archive.isNear)
        else { return nil }
        return archive.longTurn.map { sentence(onTurnOf: $0) }
            ?? "The archive lacks the end of the log: where that stays so its place is away, as the controller's log "
            + "tells."
    }

    private static func sentence(onTurnOf time: Duration) -> String {
        let seconds = Double(Int(time / .milliseconds(100))) / 10
        let limit = ArchiveLedger.turnLimit.components.seconds
        return "A turn of the archive took \(seconds) s, and writes wait for one of \(limit) s at most: its place is "
            + "slow, or much is written."
    }

    /// Why a replica that is meant for a worker does not come there; nil when nothing is known to be in the way.
    static func hitch(of shard: ShardID, on worker: NodeID, in view: ClusterView) -> String? {
        guard let placement = view.metadata.placement(of: shard), !placement.group.isInSync(worker) else { return nil }
        let copy = view.replica(of: placement)?.copies.first { $0.worker == worker }
        if let reason = copy?.refusal { return "It was not given a copy: \(reason)." }
        if let replica = view.replica(of: shard, on: worker), replica.state != .serving {
            return replica.state == .failed
                ? "It has failed there, as the worker's log tells." : "It is being opened there."
        }
        return shortage(of: shard, on: worker, in: view)
    }

    /// Why a shard that a worker makes to take others' place is not made; nil when nothing is known to be in the way.
    ///
    /// - Parameter failure: why the worker did not begin when it was last asked to; nil when it did.
    static func hitch(
        of step: Operation.Step,
        on worker: NodeID,
        in view: ClusterView,
        failure: (ShardID) -> String?
    ) -> String? {
        for index in step.change.successors {
            let shard = ShardID(collection: step.shard.collection, index: index)
            switch view.successor(shard, on: worker)?.state {
            case .failed(let reason): return "Shard \(index) begins anew there: \(reason)"
            case .copying, .following, .sealed: break
            case nil:
                if let reason = failure(shard) { return "Shard \(index) is not begun there: \(reason)" }
            }
        }
        return nil
    }

    /// What there is to say of the disk of a worker that a copy is on its way to; nil when there is room for it.
    private static func shortage(of shard: ShardID, on worker: NodeID, in view: ClusterView) -> String? {
        guard let placement = view.metadata.placement(of: shard), let observation = view.observations[worker] else {
            return nil
        }
        let source = view.replica(of: placement)
        let copy = source?.copies.first { $0.worker == worker }
        let present = max(copy?.sentByteCount ?? 0, observation.replicas[shard]?.diskByteCount ?? 0)
        let total = max(copy?.totalByteCount ?? 0, source?.diskByteCount ?? 0)
        guard total > present, observation.freeDiskByteCount < total - present else { return nil }
        return
            "Its disk has \(observation.freeDiskByteCount >> 20) MiB free, and \((total - present) >> 20) MiB are to "
            + "come."
    }

    static func sentence(_ remainder: OperationRemainder, in view: ClusterView) -> String {
        switch remainder {
        case .replica(let shard, let worker):
            "The \(name(worker, view)) still has a replica of \(name(shard, view)), and no other worker can have one: "
                + "'mien explain' tells why."
        case .copyTakenBack(let shard, let worker):
            "The copy of \(name(shard, view)) that was on its way to the \(name(worker, view)) is being taken back."
        case .expecting(let worker): "Another operation may bring the \(name(worker, view)) a replica."
        case .copies(let shard, let inSyncCount, let wantedCount):
            "Of \(name(shard, view)), a replica of which left, \(inSyncCount) of \(wantedCount) are in sync."
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

    /// Workers that have too little room for all that is to come there.
    static func remarks(on room: OperationRoom, in view: ClusterView) -> [String] {
        func mebibytes(_ byteCount: UInt64) -> UInt64 { (byteCount + 1 << 20 - 1) >> 20 }
        return room.lacks.sorted { $0.key < $1.key }.map { worker, lack in
            let parts = [(lack.diskByteCount, "disk"), (lack.memoryByteCount, "memory")].filter { $0.0 > 0 }
                .map { "\(mebibytes($0.0)) MiB of \($0.1)" }
            return "Room is missing on the \(name(worker, view)): \(parts.joined(separator: " and ")) for "
                + "\(lack.stepCount == 1 ? "a step" : "\(lack.stepCount) steps") that would wait for it."
        }
    }

    /// Where the rates come from that an estimate goes by.
    static func remarks(on estimate: OperationEstimate, _ ledger: OperationLedger) -> [String] {
        var remarks: [String] = []
        if let rate = estimate.sendingRate {
            remarks.append(
                source(ledger.sendingPace, of: "copies", verb: "came")
                    ?? "No copy \(unseen), so that the rate is assumed."
            )
            if rate < estimate.rates.sending {
                remarks.append("Workers make a copy first, and send it no faster than worker.copy_rate.")
            }
        }
        if estimate.isMade {
            remarks.append(
                source(ledger.makingPace, of: "splits and merges", verb: "were made")
                    ?? "No split or merge \(unseen), so that their rate is assumed."
            )
        }
        if estimate.sendingRate != nil || estimate.isMade {
            let count = estimate.limits.copiesPerWorker
            remarks.append(
                "Each worker has part in \(count == 1 ? "one copy" : "\(count) copies") at a time: "
                    + "coordinator.copies_per_worker."
            )
        }
        return remarks
    }

    private static let unseen =
        "large enough to tell (\(CopyPace.leastByteCount >> 20) MiB) was seen since this coordinator started"

    private static func source(_ pace: CopyPace, of what: String, verb: String) -> String? {
        guard let rate = pace.bytesPerSecond else { return nil }
        let seconds = Double(Int(pace.time / .milliseconds(100))) / 10
        let mebibytes = Int((rate / 1_048_576).rounded())
        return "The last \(pace.count) \(what) \(verb) at \(mebibytes) MiB/s: \(pace.byteCount >> 20) MiB in "
            + "\(seconds) s, waiting and catching up included."
    }

    /// What a drain of a worker that is away waits for, perhaps for ever.
    static func remarks(onDrainOf worker: NodeID, in view: ClusterView) -> [String] {
        guard !view.liveWorkers.contains(worker) else { return [] }
        let alone = view.metadata.placements.filter { placement in
            placement.group.isInSync(worker) && !placement.group.inSync.contains(where: view.liveWorkers.contains)
        }
        guard let first = alone.first?.shard else { return [] }
        let name = view.metadata.collections[first.collection]?.collection.name ?? "?"
        let others = alone.count > 1 ? ", and \(alone.count - 1) more" : ""
        return [
            "No worker that is heard of has a replica in sync of shard \(first.index) of collection '\(name)'\(others)"
                + ": what is there waits until one is back; 'mien shard recover' gives up what it has."
        ]
    }

    /// What becomes of shards that would be split by themselves, had nobody asked for them.
    static func remarks(on merges: [GrowthPlanner.LargeMerge], above faceLimit: UInt64) -> [String] {
        guard let first = merges.first else { return [] }
        let shards = first.shards.map { String($0.index) }.joined(separator: " and ")
        let others =
            switch merges.count {
            case 1: ""
            case 2: ", and so is another pair"
            default: ", and so are \(merges.count - 1) other pairs"
            }
        return [
            "Shards \(shards) have \(first.faceCount) faces together, above coordinator.split_above (\(faceLimit))"
                + "\(others): what they become is not split by itself as long as 'mien operations --all' lists this."
        ]
    }

    /// What rolling a codebook out would take.
    static func remarks(on order: TrainingOrder, of record: CollectionRecord, in view: ClusterView) -> [String] {
        let rowCount = order.sources.reduce(UInt64(0)) { $0 + UInt64($1.sampleCount) }
        let byteCount = TrainingMemory.byteCount(
            rowCount: rowCount,
            dimension: record.collection.configuration.dimension,
            listCount: order.listCount
        )
        var remarks = [
            "The \(name(order.worker, view)) trains codebook \(order.generation), of \(order.listCount) lists, from "
                + "\(rowCount) rows, with \(byteCount >> 20) MiB of memory."
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
        case .tooLittleMemory(let needed, let free):
            "It has \(free >> 20) MiB of memory beside what its searches read, and a replica needs \(needed >> 20) MiB "
                + "with what is reserved."
        case .shortOfMemory(let held, let limit):
            "It holds \(held >> 20) MiB of the \(limit >> 20) MiB of memory that there may be, and gets no replicas."
        case .holdingFormer: "It removes what it has of the shard from before first."
        case .cameToNothing:
            "A copy came to nothing here a short time ago: for now another comes only if no other worker can have it."
        case .notNeeded(let count, let turn):
            "It could have one; the shard has its \(count) \(count == 1 ? "replica" : "replicas") elsewhere. "
                + (turn == 1
                    ? "Another would come here first, by the number of replicas."
                    : "Of those that could have another it is number \(turn), by the number of replicas.")
        }
    }

    /// What there is to say of a worker that has a replica, or is to have one, and is silent.
    static func silence(of worker: NodeID, _ explanation: PlacementExplanation, in view: ClusterView) -> String? {
        guard !view.liveWorkers.contains(worker) else { return nil }
        switch explanation {
        case .primary, .inSync, .learner, .leaving, .coming: return "The worker is not heard of."
        case .decommissioned, .draining, .notLive, .stopping, .tooLittleDisk, .tooLittleMemory, .shortOfMemory,
            .holdingFormer, .cameToNothing, .notNeeded:
            return nil
        }
    }

    /// What there is to say of a member's replica that is out of service.
    static func failure(of placement: ShardPlacement, on worker: NodeID, in view: ClusterView) -> String? {
        guard placement.group.members.contains(worker), view.liveWorkers.contains(worker),
            view.replica(of: placement.shard, on: worker)?.state == .failed
        else { return nil }
        return "It is out of service: the worker's log says why."
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

    /// How every refusal to take back begins what has gone too far for it: programs may go by these words.
    package static let pastCommitPoint = "Past its commit point: "

    /// Why nothing of an operation can be taken back.
    package static func refusalToCancel(_ operation: Operation, in metadata: ClusterMetadata) -> String {
        let doneCount = operation.steps.count { $0.state == .done }
        let open = operation.steps.filter { $0.state == .running }
        var reasons: [String] = []
        if doneCount > 0 { reasons.append("\(doneCount) of its \(operation.steps.count) steps are done") }
        let replaced = open.filter { !$0.change.successors.isEmpty }
        if !replaced.isEmpty { reasons.append(list(replaced.map { succession($0, metadata) })) }
        let left = open.filter(\.change.successors.isEmpty)
        if !left.isEmpty {
            let shards = list(left.map { name($0.shard, metadata) })
            reasons.append("the replica that leaves does not count any more in \(shards)")
        }
        return "\(pastCommitPoint)nothing of operation \(operation.id) can be taken back any more: "
            + "\(reasons.joined(separator: ", and ")). It ends by itself."
    }

    private static func list(_ items: [String]) -> String {
        items.prefix(5).joined(separator: ", ") + (items.count > 5 ? " and \(items.count - 5) more" : "")
    }

    /// What has become of the shards of a step that is past its commit point.
    private static func succession(_ step: Operation.Step, _ metadata: ClusterMetadata) -> String {
        func numbers(_ indices: [UInt32]) -> String {
            (indices.count == 1 ? "shard " : "shards ") + indices.map(String.init).joined(separator: " and ")
        }
        let collection = metadata.collections[step.shard.collection]?.collection.name
        let former = numbers(step.shards.map(\.index))
        guard let collection else { return "the collection of \(former) is deleted" }
        let successors = step.change.successors
        return "\(numbers(successors)) \(successors.count == 1 ? "has" : "have") taken the place of \(former) of "
            + "collection '\(collection)'"
    }

    private static func name(_ shard: ShardID, _ view: ClusterView) -> String { name(shard, view.metadata) }

    private static func name(_ shard: ShardID, _ metadata: ClusterMetadata) -> String {
        "shard \(shard.index) of collection "
            + (metadata.collections[shard.collection].map { "'\($0.collection.name)'" } ?? "\(shard.collection)")
    }

    private static func name(_ worker: NodeID, _ view: ClusterView) -> String {
        view.metadata.name(of: worker)
    }
}
