import ClusterModel
import ClusterState
import FaceModel
import Logging
import WireProtocol

/// Pins: replicas that stay where operators want them.
extension ClusterController {
    /// Pins replicas of a shard, in place of what was pinned of it, or lets them go.
    func pin(_ request: PinShard) async throws(WireStatus) -> ShardExplanation {
        var (pinned, former): (ShardPin?, ShardPin?)
        // What commits of this request may have put, be their end heard of or not.
        var attempted: [ShardPin] = []
        var pinnedShard: ShardID?
        do throws(WireStatus) {
            try await commit(isFirst: true) { records throws(WireStatus) in
                var view = self.currentView
                view.metadata = records.metadata
                let shard = try Self.shard(request.collection, request.shardIndex, in: view)
                pinned = try Self.pin(request.pin, shard, in: view)
                let current = view.metadata.pins[shard]
                if !attempted.contains(where: { $0 == current }) { former = current }
                guard current != pinned else { return nil }
                pinnedShard = shard
                if let pinned { attempted.append(pinned) }
                // A drain changes the worker's record, a move the collection's.
                let keys =
                    [ClusterRecords.pinKey(shard.collection), ClusterRecords.collectionKey(shard.collection)]
                    + (pinned?.workers.map(ClusterRecords.workerKey) ?? [])
                return (
                    keys.map { records.unchanged($0) }, [Self.change(pinned, of: shard, in: records)]
                )
            }
        } catch {
            // What is refused at last, after a commit whose end was not heard of, is not to be in force.
            if error.code == .invalidRequest, let pinnedShard, !attempted.isEmpty {
                try await takeBack(attempted, of: pinnedShard, former)
            }
            throw error
        }
        try await takeBackUnlessFree(request, pinned, former)
        logger.notice(
            pinned == nil ? "replicas of a shard are not pinned any more" : "replicas of a shard pinned",
            metadata: [
                "collection": "\(request.collection)", "shard": "\(request.shardIndex)",
                "workers": "\((pinned?.workers ?? []).map { "\($0)" }.joined(separator: " "))",
            ]
        )
        changes.raise()
        return try explain(ExplainShard(collection: request.collection, shardIndex: request.shardIndex))
    }

    /// Another coordinator may have recorded an operation that is in the way, of which this one had not heard: a step
    /// that begins is conditional on the pins, so that it has begun before, and is known now.
    private func takeBackUnlessFree(
        _ request: PinShard,
        _ pinned: ShardPin?,
        _ former: ShardPin?
    ) async throws(WireStatus) {
        guard let pinned, pinned != former else { return }
        let view = currentView
        let shard = try Self.shard(request.collection, request.shardIndex, in: view)
        do throws(WireStatus) {
            _ = try Self.pin(request.pin, shard, in: view)
        } catch {
            try await takeBack([pinned], of: shard, former)
            throw error
        }
    }

    /// - Parameter pins: those of which one may be in force.
    private func takeBack(_ pins: [ShardPin], of shard: ShardID, _ former: ShardPin?) async throws(WireStatus) {
        try await commit { records throws(WireStatus) in
            guard let current = records.metadata.pins[shard], pins.contains(current) else { return nil }
            return (
                [records.unchanged(ClusterRecords.pinKey(shard.collection))],
                [Self.change(former, of: shard, in: records)]
            )
        }
    }

    private static func change(_ pin: ShardPin?, of shard: ShardID, in records: ClusterRecords) -> MetadataChange {
        var pins = records.metadata.pins(of: shard.collection)
        pins[shard.index] = pin
        return ClusterRecords.put(pins: pins, of: shard.collection)
    }

    private static func pin(
        _ request: PinShard.Pin?,
        _ shard: ShardID,
        in view: ClusterView
    ) throws(WireStatus) -> ShardPin? {
        guard let request else { return nil }
        do throws(OperationRefusal) {
            return try PinPlanner.pin(
                shard,
                workers: request.workers.isEmpty ? nil : request.workers,
                primary: request.primary,
                in: view
            )
        } catch {
            throw WireStatus(.invalidRequest, error.description)
        }
    }

    /// What pins keep from moving, a sentence for each shard; the first of them where there are many.
    static func pinRemarks(in view: ClusterView) -> [String] {
        view.metadata.pins.sorted { $0.key < $1.key }.prefix(OperationPlan.remarkLimit).map { shard, pin in
            let name = view.metadata.collections[shard.collection]?.collection.name ?? "?"
            return OperationText.sentence(pin, ofShard: shard.index, of: name, in: view)
        }
    }
}
