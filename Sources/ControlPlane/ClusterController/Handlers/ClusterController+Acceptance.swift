import ClusterModel
import ClusterState
import FaceModel
import Logging
import WireProtocol

/// Going on from a metadata store that was put back to an earlier state.
extension ClusterController {
    /// Gives up what was agreed on of a shard after the record that the store holds, or tells what would come of it.
    func accept(_ request: AcceptRecord) async throws(WireStatus) -> RecordAccepted {
        let view = currentView
        let shard = try Self.shard(request.collection, request.shardIndex, in: view)
        let acceptance = try Self.acceptance(of: shard, in: view)
        guard let group = acceptance.group, !request.isPlan else { return Self.description(of: acceptance) }
        var isDone = false
        try await change(shard.collection, asController: false) { record in
            // A commit whose end was not heard of may have made it.
            if acceptance.apply(to: &record, now: Self.wallClock()) { isDone = true }
        }
        guard isDone else {
            throw WireStatus(.unavailable, "The record of the shard was changed meanwhile; ask again what there is.")
        }
        logger.critical(
            "an operator gave up what workers knew of a shard's group",
            metadata: [
                "shard": "\(shard)", "stored": "\(acceptance.storedVersion)", "known": "\(acceptance.knownVersion)",
                "primary": "\(group.primary)", "sequence": "\(acceptance.sequences[group.primary] ?? 0)",
                "is_loss_recorded": "\(!acceptance.isWhole)",
            ]
        )
        changes.raise()
        return Self.description(of: acceptance)
    }

    private static func acceptance(of shard: ShardID, in view: ClusterView) throws(WireStatus) -> RecordAcceptance {
        guard let placement = view.metadata.placement(of: shard) else {
            throw WireStatus(.notFound, "There is no shard \(shard).")
        }
        guard let acceptance = RecordAcceptance(of: placement, in: view) else {
            throw WireStatus(
                .unavailable,
                "No replica of shard \(shard) is there that could lead it; start a worker that has one."
            )
        }
        return acceptance
    }

    private static func description(of acceptance: RecordAcceptance) -> RecordAccepted {
        RecordAccepted(
            storedVersion: acceptance.storedVersion,
            knownVersion: acceptance.knownVersion,
            primary: acceptance.group?.primary,
            replicas: (acceptance.group?.members ?? []).map {
                .init(worker: $0, sequence: acceptance.sequences[$0])
            }
        )
    }
}
