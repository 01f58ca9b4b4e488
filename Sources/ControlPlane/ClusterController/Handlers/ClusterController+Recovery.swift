import ClusterModel
import ClusterState
import FaceModel
import Logging
import WireProtocol

/// Going on without what was lost with every replica of a shard.
extension ClusterController {
    /// Gives up what only lost replicas of a shard had, or tells what would come of it.
    func recover(_ request: RecoverShard) async throws(WireStatus) -> ShardRecovered {
        // Another coordinator may have made it already.
        try await catchUp()
        let now = Timestamp.wallClock
        var recovery: ShardRecovery?
        var made: ShardRecovered?
        try await commit(isFirst: true) { records throws(WireStatus) in
            // A commit whose end was not heard of may have made it.
            if let recovery, let record = records.metadata.collections[recovery.old.shard.collection],
                recovery.wasApplied(to: record, now: now)
            {
                return nil
            }
            var view = self.currentView
            view.metadata = records.metadata
            made = Self.made(request, in: view)
            guard made == nil else { return nil }
            let shard = try Self.shard(request.collection, request.shardIndex, in: view)
            let planned = try Self.recovery(of: shard, in: view)
            recovery = planned
            guard !request.isPlan, var record = records.metadata.collections[shard.collection] else { return nil }
            if let confirmed = request.confirmed { try Self.check(planned, against: confirmed) }
            guard planned.apply(to: &record, now: now) else { return nil }
            // A pin and an operation would be about the shard that another takes the place of, which comes to a worker
            // that may be given replicas.
            let keys = [
                ClusterRecords.collectionKey(shard.collection), ClusterRecords.pinKey(shard.collection),
                ClusterRecords.epochKey,
            ]
            return (keys.map { records.unchanged($0) }, [ClusterRecords.put(record)])
        }
        guard let recovered = made ?? recovery.map({ Self.description(of: $0) }) else {
            throw WireStatus(.internalError, "Nothing was planned.")
        }
        guard !request.isPlan else { return recovered }
        let sequence = recovered.replicas.first { $0.worker == recovered.primary }?.sequence
        logger.critical(
            "an operator gave up what lost replicas of a shard had",
            metadata: [
                "collection": "\(request.collection)", "shard": "\(request.shardIndex)",
                "lost": "\(recovered.lost.map(\.description).joined(separator: " "))",
                "away": "\(recovered.away.map(\.description).joined(separator: " "))",
                "goes_on_as": "\(recovered.shardIndex)", "primary": "\(recovered.primary)",
                "sequence": "\(sequence ?? 0)", "was_made_before": "\(made != nil)",
            ]
        )
        changes.raise()
        return recovered
    }

    /// A loss that is younger may not have been seen by who says that all are back.
    private static let unseenTime = Duration.seconds(600)

    /// Faces of a collection that were given up; forgets those that are said to be back.
    ///
    /// - Throws: `invalidRequest` when all are said to be back by who does not say which, and one came a moment ago;
    ///   `unavailable` when the records cannot be read: a ledger of erasures is not to count as whole over a loss that
    ///   another coordinator has recorded.
    func losses(_ request: ReadLosses) async throws(WireStatus) -> LossList {
        try await catchUp()
        let view = currentView
        guard let record = view.metadata.collection(named: request.collection) else {
            throw Self.notFound(request.collection)
        }
        guard request.isSettling else { return Self.list(record) }
        let settled: [LossList.Loss]
        if let named = request.settled {
            settled = named
        } else {
            settled = try Self.allLosses(of: record, now: .wallClock)
        }
        try await change(record.collection.id, asController: false) { record in
            record.settleLosses { loss in settled.contains { $0.range == loss.range && $0.time == loss.time } }
        }
        logger.notice(
            "faces that were given up are said to be back",
            metadata: ["collection": "\(request.collection)"]
        )
        changes.raise()
        return currentView.metadata.collections[record.collection.id].map(Self.list) ?? LossList(losses: [])
    }

    private static func allLosses(of record: CollectionRecord, now: Timestamp) throws(WireStatus) -> [LossList.Loss] {
        let seen = Timestamp(milliseconds: now.milliseconds - unseenTime.components.seconds * 1000)
        guard record.losses.allSatisfy({ $0.beginning != nil || $0.time <= seen }) else {
            throw WireStatus(
                .invalidRequest,
                "Faces of '\(record.collection.name)' were given up in the last ten minutes, and the request does not "
                    + "say which are back. Nothing was changed; say it with the 'mien' of this version."
            )
        }
        return list(record).losses
    }

    /// What was confirmed is what comes of it now, or less that is given up.
    private static func check(
        _ recovery: ShardRecovery,
        against confirmed: RecoverShard.Confirmation
    ) throws(WireStatus) {
        // Whatever leads in the place of an empty shard has more.
        let isAsTold = confirmed.primary.map { recovery.isLed(by: $0, through: confirmed.sequence) } ?? true
        guard isAsTold, recovery.old.epoch == confirmed.epoch else {
            throw WireStatus(
                .unavailable,
                "What would come of it is not what was confirmed: the shard or the workers are not as they were. "
                    + "Nothing was changed; ask again what would come of it."
            )
        }
    }

    /// The answer to who has confirmed what is done: of an earlier sending of the request only its answer was lost, and
    /// maybe what the coordinator's log had to tell.
    private static func made(_ request: RecoverShard, in view: ClusterView) -> ShardRecovered? {
        guard !request.isPlan, let confirmed = request.confirmed,
            let record = view.metadata.collection(named: request.collection)
        else { return nil }
        let shard = ShardID(collection: record.collection.id, index: request.shardIndex)
        guard let placement = ShardRecovery.successor(of: shard, since: confirmed.epoch, in: record) else { return nil }
        return ShardRecovered(
            lost: [],
            shardIndex: placement.shard.index,
            primary: placement.primary,
            replicas: placement.group.members.map {
                .init(worker: $0, sequence: view.replica(of: placement.shard, on: $0)?.sequence)
            },
            epoch: confirmed.epoch
        )
    }

    private static func recovery(of shard: ShardID, in view: ClusterView) throws(WireStatus) -> ShardRecovery {
        do throws(OperationRefusal) {
            return try ShardRecovery(of: shard, in: view)
        } catch {
            throw WireStatus(.invalidRequest, error.description)
        }
    }

    private static func list(_ record: CollectionRecord) -> LossList {
        LossList(losses: record.losses.map { .init(range: $0.range, time: $0.time) }, latest: record.latestLoss)
    }

    private static func description(of recovery: ShardRecovery) -> ShardRecovered {
        let (shard, group) =
            switch recovery.outcome {
            case .group(let group): (recovery.old.shard, group)
            case .emptyShard(let placement): (placement.shard, placement.group)
            }
        return ShardRecovered(
            lost: recovery.lost + recovery.away,
            shardIndex: shard.index,
            primary: group.primary,
            replicas: group.members.map { .init(worker: $0, sequence: recovery.sequences[$0]) },
            epoch: recovery.old.epoch,
            away: recovery.away
        )
    }
}
