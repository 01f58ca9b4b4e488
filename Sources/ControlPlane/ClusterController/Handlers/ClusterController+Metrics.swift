import ClusterModel
import ClusterState
import FaceModel
package import Observability
import Synchronization
import WireProtocol

extension ClusterController {
    /// Tells of the cluster as this coordinator sees it. Reads memory only.
    package func collect(into samples: inout MetricSamples) {
        let now = now
        let (view, membership, silences, ledger, rivals, repairCount) = state.withLock {
            ($0.view(now: now), $0.membership, $0.silences, $0.operations, $0.rivals, $0.repairCount)
        }
        samples.add(MetricCatalogue.replicasRepaired, value: Double(repairCount))
        samples.add(MetricCatalogue.refusingWorkers, value: Double(rivals.addresses.count))
        samples.add(MetricCatalogue.controller, value: isController ? 1 : 0)
        samples.add(MetricCatalogue.metadataProblem, value: storeProblem == nil ? 0 : 1)
        samples.add(MetricCatalogue.shardMapEpoch, value: Double(view.metadata.epoch.number))
        var counts = [LabelValue.live: 0, LabelValue.silent: 0, LabelValue.unheard: 0]
        samples.raise(MetricCatalogue.workerSilence, to: 0)
        // Who is decommissioned is missed by nobody.
        for worker in view.metadata.workers.keys where view.metadata.standing(of: worker) != .decommissioned {
            let liveness = membership.liveness(of: worker, now: now)
            let state =
                switch liveness {
                case .live: LabelValue.live
                case .silent: LabelValue.silent
                case .neverHeard: LabelValue.unheard
                }
            counts[state, default: 0] += 1
            if let silence = liveness.silence {
                samples.raise(MetricCatalogue.workerSilence, to: Double(silence.wholeNanoseconds) / 1e9)
            }
        }
        for (state, count) in counts { samples.add(MetricCatalogue.workers, state, value: Double(count)) }
        let away = view.metadata.workers.keys.filter {
            !view.liveWorkers.contains($0) && view.metadata.standing(of: $0) != .decommissioned
        }
        for cause in SilenceCause.allCases {
            let count = away.count { silences.cause(of: $0) == cause }
            samples.add(MetricCatalogue.silentWorkers, "\(cause)", value: Double(count))
        }
        samples.raise(MetricCatalogue.erasureUnreachable, to: 0)
        for worker in away {
            // One that held nothing when it was last heard of holds nothing now.
            if let last = view.observations[worker], last.replicas.isEmpty, last.successors.isEmpty { continue }
            let absence = membership.liveness(of: worker, now: now).silence ?? now
            samples.raise(MetricCatalogue.erasureUnreachable, to: Double(absence.wholeNanoseconds) / 1e9)
        }
        let operations = view.metadata.openOperations
        for (state, label) in [
            (OperationState.running, LabelValue.running), (.paused, LabelValue.paused),
            (.cancelling, LabelValue.cancelling),
        ] {
            samples.add(MetricCatalogue.operations, label, value: Double(operations.count { $0.state == state }))
        }
        let silence = ledger.longestSilence(now: now)
        samples.raise(MetricCatalogue.operationSilence, to: Double(silence.wholeNanoseconds) / 1e9)
        collectCollections(view, &samples)
    }

    private func collectCollections(_ view: ClusterView, _ samples: inout MetricSamples) {
        let labels = CollectionLabels(view.metadata.collections.values.map(\.collection.name))
        let withoutRoom = ReconcilePlanner.shardsWithoutRoom(in: view)
        var trainingCount = 0
        for record in view.metadata.collections.values {
            let label = labels.label(of: record.collection.name)
            for state in CollectionDescription.ShardState.allCases {
                let count = record.placements.count { Self.state(of: $0, in: view) == state }
                samples.add(MetricCatalogue.shards, label, "\(state)", value: Double(count))
            }
            collectReplicas(record, view, label, &samples)
            let roomlessCount = record.placements.count { withoutRoom.contains($0.shard) }
            samples.add(MetricCatalogue.shardsWithoutRoom, label, value: Double(roomlessCount))
            let faceCount = view.faceCount(of: record)
            samples.add(MetricCatalogue.collectionFaces, label, value: Double(faceCount))
            if training(of: record, in: view) != nil { trainingCount += 1 }
        }
        samples.add(MetricCatalogue.trainings, value: Double(trainingCount))
    }

    private func collectReplicas(
        _ record: CollectionRecord,
        _ view: ClusterView,
        _ label: String,
        _ samples: inout MetricSamples
    ) {
        let configuration = record.collection.configuration
        let presentCounts = record.placements.map { placement in
            placement.group.inSync.count { view.takesWrites(placement.shard, on: $0) }
        }
        let copyCount = presentCounts.count { $0 < configuration.replicationFactor }
        let minimumCount = presentCounts.count { $0 < configuration.minimumInSync }
        samples.add(MetricCatalogue.shardsBelowCopies, label, value: Double(copyCount))
        samples.add(MetricCatalogue.shardsBelowMinimum, label, value: Double(minimumCount))
        let differentCount = record.placements.count(where: view.isDifferent)
        samples.add(MetricCatalogue.shardsDifferent, label, value: Double(differentCount))
        let olderCount = record.placements.count { view.olderShards.contains($0.shard) }
        samples.add(MetricCatalogue.shardsOfOlderRecords, label, value: Double(olderCount))
        samples.raise(MetricCatalogue.replicaLag, label, to: Double(record.placements.map(view.lag).max() ?? 0))
    }

    /// Why requests should not be sent to this coordinator now, as a sentence; nil when nothing is missing.
    ///
    /// A worker that is away is no reason once it is known to be: what the others hold is answered. After a start that
    /// is not known before the workers had time to be heard of.
    package var readinessProblem: String? {
        let now = now
        let (view, membership) = state.withLock { ($0.view(now: now), $0.membership) }
        let known = view.metadata.workers.keys
        if view.metadata.collections.isEmpty { return nil }
        if view.liveWorkers.isEmpty { return "No worker is live, and there are collections to be served." }
        let unheardCount = known.count { membership.liveness(of: $0, now: now) == .neverHeard }
        if unheardCount > 0, now < options.silenceLimit {
            return "\(unheardCount) of \(known.count) workers have not been heard of since the start."
        }
        return nil
    }
}
