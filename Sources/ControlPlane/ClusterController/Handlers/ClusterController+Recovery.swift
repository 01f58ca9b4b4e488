import ClusterModel
import ClusterState
import FaceModel
import Logging
import WireProtocol

/// Going on without what was lost with every replica of a shard.
extension ClusterController {
    /// Gives up what only lost replicas of a shard had, or tells what would come of it.
    func recover(_ request: RecoverShard) async throws(WireStatus) -> ShardRecovered {
        let now = Self.wallClock()
        var recovery: ShardRecovery?
        try await commit { records throws(WireStatus) in
            // A commit whose end was not heard of may have made it.
            if let recovery, let record = records.metadata.collections[recovery.old.shard.collection],
                recovery.wasApplied(to: record, now: now)
            {
                return nil
            }
            var view = self.currentView
            view.metadata = records.metadata
            let shard = try Self.shard(request.collection, request.shardIndex, in: view)
            let planned = try Self.recovery(of: shard, in: view)
            recovery = planned
            guard !request.isPlan, var record = records.metadata.collections[shard.collection] else { return nil }
            if let least = request.leastSequence, planned.leaderSequence.map({ $0 < least }) ?? true {
                throw WireStatus(
                    .unavailable,
                    "No replica of shard \(shard) is there now that has its writes through \(least). Nothing was "
                        + "changed; ask again what would come of it."
                )
            }
            guard planned.apply(to: &record, now: now) else { return nil }
            // A pin and an operation would be about the shard that another takes the place of.
            let keys = [ClusterRecords.collectionKey(shard.collection), ClusterRecords.pinKey(shard.collection)]
            return (keys.map { records.unchanged($0) }, [ClusterRecords.put(record)])
        }
        guard let recovery else { throw WireStatus(.internalError, "Nothing was planned.") }
        let description = Self.description(of: recovery)
        guard !request.isPlan else { return description }
        logger.critical(
            "an operator gave up what lost replicas of a shard had",
            metadata: [
                "shard": "\(recovery.old.shard)",
                "lost": "\(description.lost.map(\.description).joined(separator: " "))",
                "goes_on_as": "\(description.shardIndex)", "primary": "\(description.primary)",
                "sequence": "\(recovery.sequences[description.primary] ?? 0)",
            ]
        )
        changes.raise()
        return description
    }

    /// Faces of a collection that were given up; forgets them when they are said to be back.
    func losses(_ request: ReadLosses) async throws(WireStatus) -> LossList {
        let view = currentView
        guard let record = view.metadata.collection(named: request.collection) else {
            throw Self.notFound(request.collection)
        }
        guard request.isSettling else { return Self.list(record) }
        try await change(record.collection.id, asController: false) { $0.settleLosses() }
        logger.notice(
            "faces that were given up are said to be back",
            metadata: ["collection": "\(request.collection)"]
        )
        changes.raise()
        return currentView.metadata.collections[record.collection.id].map(Self.list) ?? LossList(losses: [])
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
            lost: recovery.old.group.inSync,
            shardIndex: shard.index,
            primary: group.primary,
            replicas: group.members.map { .init(worker: $0, sequence: recovery.sequences[$0]) }
        )
    }
}
