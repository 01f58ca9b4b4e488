import ClusterModel
import ClusterState
import WireProtocol

/// Replicas that come in the place of lost ones, or come back: no operation brings them, and people see them beside
/// those that operations do.
extension ClusterController {
    /// Those on their way, then those that wait for their turn, each in order of their shards.
    func replacements(
        in view: ClusterView,
        _ ledger: OperationLedger,
        now: Duration
    ) -> [OperationDescription.Step] {
        let occupancy = Occupancy(view, limits: options.operations)
        let coming = view.newcomers.map { newcomer in
            var description = Self.description(of: newcomer.step, in: view)
            description.waitsFor = waitsFor(newcomer, in: view)
            return Self.adding(ledger.progress(of: .init(newcomer)), to: description, now: now)
        }
        let waiting = ReconcilePlanner.plan(view, limits: options.operations).waiting.map { step in
            var description = Self.description(of: step, in: view)
            description.waitsFor = occupancy.hindrance(step, in: view).map { OperationText.sentence($0, in: view) }
            return description
        }
        return coming + waiting
    }

    /// What a replica that no operation brings waits for, as sentences.
    func waitsFor(_ newcomer: Newcomer, in view: ClusterView) -> String {
        let isHosted = view.metadata.placement(of: newcomer.shard).map { view.isHosted($0) } ?? false
        let sentence =
            isHosted
            ? OperationText.sentence(.catchingUp(newcomer.worker), in: view)
            : OperationText.sentence(.shardNotServing, in: view)
        return hitch(of: newcomer.shard, on: newcomer.worker, in: view).map { "\(sentence) \($0)" } ?? sentence
    }

    /// With how far it has come.
    static func adding(
        _ progress: OperationLedger.Progress?,
        to description: OperationDescription.Step,
        now: Duration
    ) -> OperationDescription.Step {
        guard let progress else { return description }
        var description = description
        if progress.totalByteCount > 0 { description.totalByteCount = progress.totalByteCount }
        description.sentByteCount = progress.sentByteCount
        description.bytesPerSecond = progress.bytesPerSecond
        description.silentMilliseconds = Self.milliseconds(now - progress.changed)
        description.restartCount = UInt32(clamping: progress.restartCount)
        return description
    }
}
