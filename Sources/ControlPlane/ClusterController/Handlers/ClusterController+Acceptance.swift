import ClusterModel
import ClusterState
import FaceModel
import Logging
import WireProtocol

/// Going on from a metadata store that was put back to an earlier state.
extension ClusterController {
    /// Gives up what was agreed on of a shard after the record that the store holds, or tells what would come of it.
    func accept(_ request: AcceptRecord) async throws(WireStatus) -> RecordAccepted {
        // Workers may go by a record that this coordinator has yet to read.
        try await catchUp()
        let view = currentView
        let shard = try Self.shard(request.collection, request.shardIndex, in: view)
        let acceptance = try Self.acceptance(of: shard, in: view)
        if let confirmed = request.confirmed, !request.isPlan {
            if let made = Self.made(confirmed, beside: acceptance, in: view) {
                log(made, of: shard, ["was_made_before": "true"])
                return made
            }
            try Self.check(acceptance, against: confirmed)
        }
        let accepted = Self.description(of: acceptance)
        guard acceptance.group != nil, !request.isPlan else { return accepted }
        let now = Timestamp.wallClock
        var isDone = false
        try await change(shard.collection, asController: false) { record in
            // Of the last attempt: it may have been made before by a commit whose end was not heard of.
            isDone = acceptance.apply(to: &record, now: now) || acceptance.wasApplied(to: record)
        }
        guard isDone else {
            throw WireStatus(.unavailable, "The record of the shard was changed meanwhile; ask again what there is.")
        }
        log(accepted, of: shard, ["is_loss_recorded": "\(!acceptance.isWhole)"])
        changes.raise()
        return accepted
    }

    private func log(_ accepted: RecordAccepted, of shard: ShardID, _ facts: Logger.Metadata) {
        let leader = accepted.replicas.first { $0.worker == accepted.primary }
        let metadata: Logger.Metadata = [
            "shard": "\(shard)", "stored": "\(accepted.storedVersion)", "known": "\(accepted.knownVersion)",
            "primary": "\(leader?.worker.description ?? "none")", "sequence": "\(leader?.sequence ?? 0)",
        ]
        logger.critical(
            "an operator gave up what workers knew of a shard's group",
            metadata: metadata.merging(facts) { first, _ in first }
        )
    }

    /// What was confirmed is what comes of it now, or less than that is given up.
    private static func check(
        _ acceptance: RecordAcceptance,
        against confirmed: AcceptRecord.Confirmation
    ) throws(WireStatus) {
        guard let primary = acceptance.group?.primary, primary == confirmed.primary,
            acceptance.storedVersion == confirmed.storedVersion,
            acceptance.sequences[primary] ?? 0 >= confirmed.sequence
        else {
            throw WireStatus(
                .unavailable,
                "What would come of it is not what was confirmed: the record or the workers are not as they were. "
                    + "Nothing was changed; ask again what there is."
            )
        }
    }

    /// The answer to who has confirmed what is done: of an earlier sending of the request only its answer was lost, and
    /// maybe what the coordinator's log had to tell. Another may lead by now.
    private static func made(
        _ confirmed: AcceptRecord.Confirmation,
        beside acceptance: RecordAcceptance,
        in view: ClusterView
    ) -> RecordAccepted? {
        guard acceptance.group == nil, let group = view.metadata.placement(of: acceptance.shard)?.group,
            group.version >= RecordAcceptance.leap,
            group.version - RecordAcceptance.leap >= confirmed.storedVersion
        else { return nil }
        return RecordAccepted(
            storedVersion: confirmed.storedVersion,
            knownVersion: group.version - RecordAcceptance.leap,
            primary: group.primary,
            replicas: group.members.map { .init(worker: $0, sequence: acceptance.sequences[$0]) }
        )
    }

    private static func acceptance(of shard: ShardID, in view: ClusterView) throws(WireStatus) -> RecordAcceptance {
        guard view.isSettled else { throw WireStatus(.unavailable, ShardRecovery.unsettledReason) }
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
