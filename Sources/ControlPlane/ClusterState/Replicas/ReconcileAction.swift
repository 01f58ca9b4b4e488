package import ClusterModel
package import FaceModel

/// One step that brings a worker nearer to what the metadata says. Every step is idempotent.
package enum ReconcileAction: Hashable, Sendable {
    /// Host the placement's replica on a member of its group, or tell the member of the group as it is now.
    case host(ShardPlacement, worker: NodeID)
    /// Remove a replica of a deleted collection, or one whose worker is not a member of the group any more.
    case drop(ShardID, epoch: Epoch, worker: NodeID)
    /// Put other groups in place of shards', each if it is still of the version that the new one was made from, and the
    /// step that it follows from is still under way.
    case regroup(CollectionID, [Regrouping])
    /// Make a shard on a worker that is to take the place of others it holds replicas of.
    case prepare(Succession.Preparation, worker: NodeID)
    /// Remove what a worker made of a shard that is not to take the place of others any more.
    case abandon(ShardID, worker: NodeID)
    /// Put shards in the place of others, if these are still of the versions that the new ones were made from. With it
    /// where the others' logs have ended.
    case succeed(Succession, ends: [ShardID: UInt64])
    /// Record that every shard of the collection has been hosted.
    case establish(CollectionID)
    /// Record that every replica has been made of a shard that began in the place of one that was given up.
    case begin(ShardID)
    /// Put another record of an operation in place of the one it was made from.
    case advance(OperationPlanner.Update)
    /// Begin an operation that divides replicas and primaries evenly.
    case balance([Operation.Step])
    /// Begin to split shards that have outgrown what one should hold.
    case divide(OperationRequest)
    /// Begin the rollout of a codebook that the collection needs.
    case rollOut(CodebookRollout)
    case train(TrainingOrder)
    /// Have a worker give up a training whose rollout was cancelled, or forget what came of it.
    case abandonTraining(CollectionID, generation: UInt32, worker: NodeID)
    /// Bring a trained codebook to the coordinator and record it, with where it comes from.
    case fetch(CollectionID, generation: UInt32, origin: CodebookOrigin, worker: NodeID)
    /// Install the collection's recorded codebook in a replica.
    case install(ShardPlacement, generation: UInt32, worker: NodeID)

    /// Another group for a shard.
    package struct Regrouping: Hashable, Sendable {
        /// The step that a group follows from, as it was.
        package struct Cause: Hashable, Sendable {
            package var operation: OperationID
            package var step: Operation.Step

            package init(operation: OperationID, step: Operation.Step) {
                self.operation = operation
                self.step = step
            }
        }

        package var shard: ShardID
        /// Version that it is made from.
        package var version: UInt64
        package var group: ReplicaGroup
        /// Nil where no operation wants it.
        package var cause: Cause?

        package init(shard: ShardID, version: UInt64, group: ReplicaGroup, cause: Cause? = nil) {
            self.shard = shard
            self.version = version
            self.group = group
            self.cause = cause
        }

        /// Workers that get a replica by it.
        package func newcomers(in metadata: ClusterMetadata) -> [NodeID] {
            let members = metadata.placement(of: shard)?.group.members ?? []
            return group.members.filter { !members.contains($0) }
        }

        /// Whether it is wanted still: somebody may have paused the operation, or taken the step back, or a worker that
        /// was to get a replica out of use.
        package func isWanted(in metadata: ClusterMetadata) -> Bool {
            guard newcomers(in: metadata).allSatisfy({ metadata.standing(of: $0) == .active }) else { return false }
            guard let cause else { return true }
            guard let operation = metadata.operations[cause.operation], !operation.state.hasEnded,
                operation.state != .paused
            else { return false }
            return operation.steps.contains(cause.step)
        }
    }

    /// What an action is about: two actions of one subject are never under way at once.
    package enum Subject: Hashable, Sendable {
        case replica(ShardID, NodeID)
        case groups(CollectionID)
        case operation(OperationID)
        case balance
        case establishment(CollectionID)
        case training(CollectionID)
    }

    package var subject: Subject {
        switch self {
        case .host(let placement, let worker), .install(let placement, _, let worker):
            .replica(placement.shard, worker)
        case .drop(let shard, _, let worker): .replica(shard, worker)
        case .regroup(let collection, _): .groups(collection)
        case .prepare(let preparation, let worker): .replica(preparation.shard, worker)
        case .abandon(let shard, let worker): .replica(shard, worker)
        case .succeed(let succession, _): .groups(succession.collection)
        case .establish(let collection): .establishment(collection)
        case .begin(let shard): .establishment(shard.collection)
        case .advance(let update): .operation(update.old.id)
        case .balance, .divide: .balance
        case .train(let order): .training(order.collection)
        case .fetch(let collection, _, _, _), .abandonTraining(let collection, _, _): .training(collection)
        case .rollOut(let rollout): .training(rollout.collection)
        }
    }

    /// Worker that has to do it; nil for a step of the coordinator alone.
    package var worker: NodeID? {
        switch self {
        case .host(_, let worker), .drop(_, _, let worker), .fetch(_, _, _, let worker), .install(_, _, let worker),
            .prepare(_, let worker), .abandon(_, let worker), .abandonTraining(_, _, let worker):
            worker
        case .train(let order): order.worker
        case .regroup, .succeed, .establish, .begin, .advance, .balance, .divide, .rollOut: nil
        }
    }
}

/// Something that no action may mend: people have to know.
package enum ReconcileProblem: Hashable, Sendable {
    /// The worker is live but does not know a replica that it held.
    case lostReplica(ShardID, worker: NodeID)
    /// A replica that neither a collection nor a deletion names; it is left alone.
    case unnamedReplica(ShardID, worker: NodeID)
    /// A replica on a worker that is to have none, of a shard of which none of those that count as in sync is known to
    /// have as much: it is left alone.
    case leftReplica(ShardID, worker: NodeID)
    /// Replicas of the shard that should be equal are not.
    case differentReplicas(ShardID)
    /// The replica is out of service on its worker.
    case failedReplica(ShardID, worker: NodeID)
    /// As many damaged replicas of the worker were made anew as are without being asked, and another one is out of
    /// service.
    case repeatedDamage(worker: NodeID)
    /// The metadata store holds an older record of the shard's group than its workers go by.
    case olderRecord(ShardID)
    /// The shard lacks a replica, and no worker that may have one has so much room on its disk.
    case noRoom(ShardID, byteCount: UInt64)
    /// The shard lacks a replica, and neither its primary, which would send it, nor another that could take its place
    /// has the disk for the copy that is made first.
    case noRoomToSend(ShardID, primary: NodeID, byteCount: UInt64)
    /// The shard has outgrown what one should hold, and is not split for lack of room; with what is missing, as a
    /// sentence.
    case unsplitShard(ShardID, reason: String)
    /// A step of an operation has not got on for too long; with what it waits for, as sentences.
    case stalledStep(OperationID, ShardID, reason: String)
    /// A replica that no operation brings has not got on for too long; with what it waits for, as sentences.
    case stalledNewcomer(ShardID, worker: NodeID, reason: String)
    /// No step of an operation has been under way for too long; with what it waits for, as sentences.
    case stalledOperation(OperationID, reason: String)
    /// Nothing about the rollout of a codebook has changed for too long; with what it waits for, as sentences.
    case stalledRollout(OperationID, reason: String)

    /// The problem without the figures in it, which change all the time: what is logged once is not logged again.
    package var topic: ReconcileProblem {
        switch self {
        case .noRoom(let shard, _): .noRoom(shard, byteCount: 0)
        case .noRoomToSend(let shard, let primary, _): .noRoomToSend(shard, primary: primary, byteCount: 0)
        case .unsplitShard(let shard, _): .unsplitShard(shard, reason: "")
        case .stalledStep(let operation, let shard, _): .stalledStep(operation, shard, reason: "")
        case .stalledNewcomer(let shard, let worker, _): .stalledNewcomer(shard, worker: worker, reason: "")
        case .stalledOperation(let operation, _): .stalledOperation(operation, reason: "")
        case .stalledRollout(let operation, _): .stalledRollout(operation, reason: "")
        case .lostReplica, .unnamedReplica, .leftReplica, .differentReplicas, .failedReplica, .repeatedDamage,
            .olderRecord:
            self
        }
    }
}

extension ReconcileProblem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .lostReplica(let shard, let worker):
            "Worker \(worker) does not hold shard \(shard) any more. No empty replica is put in its place as long as "
                + "it counts as one that has every face: restore the worker's data folder."
        case .unnamedReplica(let shard, let worker):
            "Worker \(worker) holds shard \(shard), which this cluster has no record of. It is left alone; "
                + "was the coordinator's data folder restored from an old copy?"
        case .leftReplica(let shard, let worker):
            "Worker \(worker) holds shard \(shard), which is to be on other workers, of which none has as much. It is "
                + "left alone; was the metadata store put back to an earlier state? See 'Records that went back' in "
                + "docs/operations/high-availability.md."
        case .differentReplicas(let shard):
            "The replicas of shard \(shard) do not hold the same. 'mien verify' tells which of them is good, and with "
                + "--repair makes the others anew."
        case .failedReplica(let shard, let worker):
            "Shard \(shard) is out of service on worker \(worker): the worker's log says why. If it is damaged and "
                + "another copy is sound, it is made anew after coordinator.repair_after, or at once by 'mien verify "
                + "--repair'."
        case .repeatedDamage(let worker):
            "Worker \(worker) has replicas out of service again, after \(RepairLedger.limit) that were damaged were "
                + "made anew within a day: its disk or memory may be failing, and no more are made anew by themselves. "
                + "'mien decommission' moves what is good elsewhere; 'mien verify --repair' makes anew what is damaged."
        case .olderRecord(let shard):
            "Workers go by a newer record of shard \(shard) than the metadata store holds; was the store put back to "
                + "an earlier state? The shard is left as it is: nothing moves, and no other replica takes over. Put "
                + "back newer records, or see 'Records that went back' in docs/operations/high-availability.md."
        case .noRoom(let shard, let byteCount):
            "Shard \(shard) lacks a copy of \(byteCount >> 20) MiB, and no worker that may have it has room on its "
                + "disk beside what is on its way and coordinator.spare_disk: free some, or add a worker. "
                + "'mien explain' tells how much is missing where."
        case .noRoomToSend(let shard, let primary, let byteCount):
            "Shard \(shard) lacks a copy of \(byteCount >> 20) MiB. Its primary on worker \(primary), which makes it "
                + "on its own disk before it sends it, has no room for that beside what is on its way and "
                + "coordinator.spare_disk, and no other replica in sync that has takes its place: free some disk there."
        case .unsplitShard(let shard, let reason):
            "Shard \(shard) holds more faces than coordinator.split_above, and is not split, since its workers lack "
                + "the room for two beside it. \(reason)"
        case .stalledStep(let operation, let shard, let reason):
            "Operation \(operation) has not got on with shard \(shard) for a minute. \(reason)"
        case .stalledNewcomer(let shard, let worker, let reason):
            "Shard \(shard) lacks a copy, and the one on worker \(worker), which is to be that, has not got on for a "
                + "minute. \(reason)"
        case .stalledOperation(let operation, let reason):
            "No step of operation \(operation) has been under way for a minute. \(reason)"
        case .stalledRollout(let operation, let reason):
            "Operation \(operation), the rollout of a codebook, has not got on for a minute. \(reason)"
        }
    }
}
