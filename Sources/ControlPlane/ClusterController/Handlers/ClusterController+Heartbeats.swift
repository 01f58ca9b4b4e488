import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol

extension ClusterController {
    /// Takes a worker's report.
    ///
    /// - Returns: the reply; nil when the worker is new or has moved, so that ``join(_:)`` has to record it first; or
    ///   why the worker is refused.
    func hear(_ heartbeat: Heartbeat) -> Result<HeartbeatReply?, WireStatus> {
        let observation = WorkerObservation(heartbeat.report)
        let worker = heartbeat.worker
        let now = now
        var returns = false
        var (hadRivals, hasRivals) = (false, false)
        var failures: [(collection: CollectionID, reason: String)] = []
        let result = state.withLock { state -> Result<HeartbeatReply?, WireStatus> in
            let metadata = state.records.metadata
            if let status = Self.refusal(of: heartbeat, by: metadata.clusterID) { return .failure(status) }
            hadRivals = state.rivals.areThere
            let follows = state.rivals.heard(heartbeat.standing, from: worker, run: run, now: now)
            hasRivals = state.rivals.areThere
            if follows {
                guard metadata.workers[worker] == heartbeat.address else { return .success(nil) }
                returns = state.membership.heard(from: worker, now: now)
                failures = state.trainings.observe(worker, observation, policy: options.training, now: now)
                state.reports.report(observation, by: worker, now: now)
            }
            // What another may be changing is told nobody.
            let membership = hasRivals ? nil : state.records.memberships[worker]
            // What the records say of these is history: a worker that began anew must not go by it. This report may be
            // the first that tells of one.
            let older = state.olderRecords.suspects.union(Self.newerShards(in: heartbeat.report, than: metadata))
            let groups = (membership?.groups ?? []).filter { older.isEmpty || !older.contains($0.shard) }
            // Nor may it take what it is not told for what it is no member of.
            let omitsGroups =
                groups.count < membership?.groups.count ?? 0
                || !older.isEmpty && heartbeat.report.replicas.contains { older.contains($0.shard) }
            return .success(
                HeartbeatReply(
                    clusterID: metadata.clusterID,
                    epoch: metadata.epoch,
                    coordinator: node,
                    revision: state.records.revision.number,
                    coordinators: state.records.coordinators.sorted { $0.key < $1.key }.map {
                        .init(id: $0.key, address: $0.value)
                    },
                    groups: groups,
                    workers: membership?.workers ?? [],
                    // Without groups there is nothing that it could say.
                    recordAge: hasRivals ? .max : Self.microsecondsRoundedUp(state.currency.age(now: now)),
                    heldCollections: state.records.heldCollections,
                    run: run,
                    heldCopies: state.records.heldCopies,
                    omitsGroups: omitsGroups
                )
            )
        }
        if hasRivals != hadRivals {
            if let rivalProblem {
                logger.critical("\(rivalProblem)", metadata: ["worker": "\(worker)"])
            } else {
                logger.notice("every worker goes by this coordinator again")
            }
        }
        if returns {
            logger.info(
                "worker is live",
                metadata: ["worker": "\(worker)", "address": "\(heartbeat.address)"]
            )
        }
        for failure in failures {
            logger.warning(
                "codebook training failed",
                metadata: [
                    "collection": "\(failure.collection)", "worker": "\(worker)", "reason": "\(failure.reason)",
                ]
            )
        }
        changes.raise()
        return result
    }

    /// Records a new worker, or the new address of a known one, then takes its report.
    func join(_ heartbeat: Heartbeat) async throws(WireStatus) -> HeartbeatReply {
        try await commit { records throws(WireStatus) in
            if let status = Self.refusal(of: heartbeat, by: records.metadata.clusterID) { throw status }
            guard records.metadata.workers[heartbeat.worker] != heartbeat.address else { return nil }
            return (
                [records.unchanged(ClusterRecords.workerKey(heartbeat.worker))],
                [
                    ClusterRecords.put(
                        heartbeat.worker,
                        heartbeat.address,
                        records.metadata.standing(of: heartbeat.worker)
                    )
                ]
            )
        }
        logger.info(
            "worker address recorded",
            metadata: ["worker": "\(heartbeat.worker)", "address": "\(heartbeat.address)"]
        )
        guard let reply = try hear(heartbeat).get() else {
            throw WireStatus(
                .unavailable,
                "Worker \(heartbeat.worker) is reported from two addresses at once; do two workers use copies of one "
                    + "data folder?"
            )
        }
        return reply
    }

    /// Shards of which a worker goes by a newer record than these are.
    private static func newerShards(in report: WorkerReport, than metadata: ClusterMetadata) -> Set<ShardID> {
        var shards: Set<ShardID> = []
        for replica in report.replicas {
            guard let group = metadata.placement(of: replica.shard)?.group, replica.groupVersion > group.version else {
                continue
            }
            shards.insert(replica.shard)
        }
        return shards
    }

    private static func microsecondsRoundedUp(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        let whole = UInt64(max(seconds, 0)) * 1_000_000 + UInt64(max(attoseconds, 0) / 1_000_000_000_000)
        return duration > .zero ? whole + 1 : 0
    }

    private static func refusal(of heartbeat: Heartbeat, by cluster: NodeID) -> WireStatus? {
        if let theirs = heartbeat.clusterID, theirs != cluster {
            return WireStatus(
                .invalidRequest,
                "Worker \(heartbeat.worker) at \(heartbeat.address) holds data of cluster \(theirs), and this is "
                    + "cluster \(cluster); point it to its own coordinator, or give it an empty data folder."
            )
        }
        if !(1...65535).contains(heartbeat.address.port) || heartbeat.address.host.isEmpty
            || heartbeat.address.host.utf8.count > 255
        {
            return WireStatus(
                .invalidRequest,
                "Worker \(heartbeat.worker) must advertise an address that can be called, not \(heartbeat.address)."
            )
        }
        return nil
    }
}
