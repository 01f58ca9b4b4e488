import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol
import WireTransport

extension ClusterController {
    /// Longest time that the reading of one replica may take when the caller names none.
    static let readingTimeout = Duration.seconds(3600)
    /// Longest wait for an entry at which replicas that were read while they were written to can be compared. A primary
    /// orders one when it has been read.
    private static let meetingTimeout = Duration.seconds(90)

    /// Has every replica of a shard read all of itself, compares them, and, when told to, replaces those that are not
    /// good.
    func verify(_ request: VerifyShard, deadline: WireDeadline) async throws(WireStatus) -> ShardVerified {
        let replicas = try await verify(
            Self.shard(request.collection, request.shardIndex, in: currentView),
            repairing: request.repairs ? Repairing(findings: [.damaged, .different], asController: false) : nil,
            timeout: deadline.isNone ? Self.readingTimeout : deadline.remaining * 0.95
        )
        return ShardVerified(replicas: replicas)
    }

    /// Which replicas make way for copies of good ones.
    struct Repairing {
        /// What was found of them.
        var findings: Set<ShardVerified.Finding>
        /// On these workers only; nil for all.
        var workers: Set<NodeID>?
        /// Whether only the coordinator with the lease may do it.
        var asController: Bool
    }

    /// - Parameters:
    ///   - readers: workers whose replicas are read; nil for all members.
    ///   - timeout: longest time that the reading of one replica may take.
    /// - Returns: what was found of each replica, and whether it has left the group.
    func verify(
        _ shard: ShardID,
        among readers: Set<NodeID>? = nil,
        repairing: Repairing?,
        timeout: Duration
    ) async throws(WireStatus) -> [ShardVerified.Replica] {
        let view = currentView
        guard let placement = view.metadata.placement(of: shard) else { throw Self.deletedMeanwhile }
        let group = placement.group
        let members = group.members.filter { readers?.contains($0) ?? true }
        if let full = self.readings.take(at: members) { throw Self.readsEnough(full) }
        let readings = await withTaskGroup(of: Reading.self) { tasks in
            defer { self.readings.giveBack(at: members) }
            for member in members {
                tasks.addTask {
                    Reading(
                        member: member,
                        result: await self.reading(of: placement.shard, on: member, timeout: timeout)
                    )
                }
            }
            var readings: [NodeID: Result<ReplicaVerified, WireStatus>] = [:]
            for await reading in tasks { readings[reading.member] = reading.result }
            return readings
        }
        let found = readings.mapValues(ReplicaComparison.Reading.init)
        // One that has joined the others meanwhile is one of them, and one that has left them is waited for no more.
        let present = currentView.metadata.placement(of: shard)?.group ?? group
        let learners = Set(members.filter { !present.isInSync($0) })
        let limit = min(timeout, Self.meetingTimeout)
        let verdicts = ReplicaComparison.verdicts(
            found,
            checkpoints: await checkpoints(of: placement.shard, found, learners: learners, atMost: limit),
            learners: learners,
            primary: group.primary
        )
        var replicas: [ShardVerified.Replica] = []
        for member in members {
            guard let reading = readings[member], let verdict = verdicts[member] else { continue }
            var replica = Self.replica(member, of: group, reading, verdict)
            if verdict == .notCompared, learners.contains(member) {
                replica.detail = "It is catching up: 'mien operations' tells how far, verify it again when it has."
            }
            if let repairing, repairing.findings.contains(replica.finding),
                repairing.workers?.contains(member) ?? true
            {
                let good = group.inSync.filter { verdicts[$0] == .sound && $0 != member }
                do throws(WireStatus) {
                    try await replaceReplica(
                        of: placement.shard,
                        on: member,
                        good: good,
                        asController: repairing.asController
                    )
                    replica.isReplaced = true
                } catch {
                    replica.detail = [replica.detail, "It was not replaced: \(error.message)"]
                        .compactMap(\.self).joined(separator: " ")
                }
            }
            replicas.append(replica)
        }
        return replicas
    }

    private struct Reading {
        var member: NodeID
        var result: Result<ReplicaVerified, WireStatus>
    }

    private static let deletedMeanwhile = WireStatus(.notFound, "The collection was deleted meanwhile.")

    private static func readsEnough(_ worker: NodeID) -> WireStatus {
        WireStatus(
            .overloaded,
            "Worker \(worker) is reading \(ReadingTurns.limit) replicas from end to end; try again when it has.",
            retryAfterMilliseconds: 1000
        )
    }

    /// Has a replica read from end to end. Where its worker reads others, as another coordinator asked it to, it is
    /// asked again until it has time.
    func reading(
        of shard: ShardID,
        on member: NodeID,
        timeout: Duration
    ) async -> Result<ReplicaVerified, WireStatus> {
        let end = ContinuousClock.now + timeout
        while true {
            do throws(WireStatus) {
                let left = end - ContinuousClock.now
                return .success(try await call(VerifyReplica(shard: shard), on: member, timeout: left))
            } catch {
                let pause = Duration.milliseconds(max(100, error.retryAfterMilliseconds))
                guard error.code == .overloaded, !Task.isCancelled, ContinuousClock.now + pause < end else {
                    return .failure(error)
                }
                try? await Task.sleep(for: pause)
            }
        }
    }

    /// What replicas that were read at different sequences hold behind one entry that all of them have passed since;
    /// none when they need not be asked, or when there is no such entry in time. Nobody waits for learners.
    private func checkpoints(
        of shard: ShardID,
        _ readings: [NodeID: ReplicaComparison.Reading],
        learners: Set<NodeID>,
        atMost timeout: Duration
    ) async -> [NodeID: ReplicaObservation.Checkpoint] {
        let settled = readings.filter { !learners.contains($0.key) }
        guard let place = ReplicaComparison.meetingPlace(of: settled.values) else { return [:] }
        let nodes = settled.filter { if case .whole = $1 { true } else { false } }.keys
        let end = ContinuousClock.now + timeout
        while !Task.isCancelled, ContinuousClock.now < end {
            let view = currentView
            let known = nodes.compactMap { node in
                view.replica(of: shard, on: node)?.checkpoint.map { (node, $0) }
            }
            if known.count == nodes.count, Set(known.map(\.1.sequence)).count == 1, known[0].1.sequence >= place {
                let met = known[0].1.sequence
                let joining = learners.compactMap { node -> (NodeID, ReplicaObservation.Checkpoint)? in
                    guard case .whole(let sequence, _)? = readings[node], sequence <= met,
                        let checkpoint = view.replica(of: shard, on: node)?.checkpoint, checkpoint.sequence == met
                    else { return nil }
                    return (node, checkpoint)
                }
                return Dictionary(uniqueKeysWithValues: known + joining)
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
        return [:]
    }

    private static func replica(
        _ member: NodeID,
        of group: ReplicaGroup,
        _ reading: Result<ReplicaVerified, WireStatus>,
        _ verdict: ReplicaComparison.Verdict
    ) -> ShardVerified.Replica {
        var replica = ShardVerified.Replica(
            worker: member,
            isPrimary: member == group.primary,
            finding: ShardVerified.Finding(verdict)
        )
        switch reading {
        case .success(let verified):
            replica.sequence = verified.sequence
            replica.faceCount = verified.faceCount
            replica.detail = verified.damage
            switch verdict {
            case .different(let count):
                // Of those that were compared at a checkpoint nobody knows where they differ.
                replica.detail =
                    count > 1 ? "It differs in \(count) of \(ReplicaVerified.sliceCount) slices." : "It differs."
            case .notCompared:
                replica.detail = "It was read at another write than the others: verify it again."
            case .sound, .damaged, .unreachable: break
            }
        case .failure(let status): replica.detail = status.message
        }
        return replica
    }

    /// Takes a replica out of its group. Its worker is then told to remove it, and when it reports that it has, a
    /// replica that begins with nothing takes its place, there or elsewhere.
    private func replaceReplica(
        of shard: ShardID,
        on worker: NodeID,
        good: [NodeID],
        asController: Bool
    ) async throws(WireStatus) {
        guard !good.isEmpty else {
            throw WireStatus(.unavailable, "No other replica in sync is known to be good.")
        }
        var refusal: WireStatus?
        try await change(shard.collection, asController: asController) { record in
            refusal = nil
            guard let index = record.index(of: shard) else { return }
            let group = record.placements[index].group
            // A commit whose end was not heard of may have done it.
            guard group.members.contains(worker) else { return }
            // One that was read long before this one may be dead by now, and stays in sync where too few would remain.
            let view = self.currentView
            guard let successor = good.first(where: { group.isInSync($0) && view.isServing(shard, on: $0) }) else {
                refusal = WireStatus(
                    .unavailable,
                    "No other replica in sync that is known to be good is there now; verify it again."
                )
                return
            }
            if let next = group.expelling(worker, successor: successor) {
                record.placements[index].group = next
            } else {
                refusal = WireStatus(.unavailable, "The shard's replicas changed meanwhile; verify it again.")
            }
        }
        if let refusal { throw refusal }
        guard state.withLock({ $0.records.metadata.placement(of: shard) }) != nil else {
            throw Self.deletedMeanwhile
        }
        logger.warning(
            "a replica that is not good is replaced by a copy",
            metadata: ["shard": "\(shard)", "worker": "\(worker)"]
        )
    }
}

extension ReplicaComparison.Reading {
    fileprivate init(_ result: Result<ReplicaVerified, WireStatus>) {
        switch result {
        case .success(let verified) where verified.damage == nil:
            self = .whole(sequence: verified.sequence, slices: verified.slices)
        case .success: self = .damaged
        case .failure(let status): self = status.code == .corruptPartition ? .damaged : .unreachable
        }
    }
}

extension ShardVerified.Finding {
    fileprivate init(_ verdict: ReplicaComparison.Verdict) {
        self =
            switch verdict {
            case .sound: .sound
            case .notCompared: .notCompared
            case .different: .different
            case .damaged: .damaged
            case .unreachable: .unreachable
            }
    }
}
