import ClusterModel
import ClusterState
import Logging
import Synchronization
import WireProtocol
import WireTransport

/// Damaged replicas are made anew without being asked: one shard after the other, each as `mien verify --repair` does,
/// so that nothing leaves before another replica has been read from end to end and found good.
extension ClusterController {
    /// A replica that is read slower than so many bytes a second, after a while, is waited for no longer.
    private static let leastReadingRate = Double(16 << 20)
    private static let readingPatience = Duration.seconds(60)

    /// Mends what is damaged, until the task is cancelled.
    func repairDamagedReplicas() async {
        while !Task.isCancelled {
            if let repair = repairToBegin() { await perform(repair) }
            try? await Task.sleep(for: options.tick)
        }
    }

    private func repairToBegin() -> RepairLedger.Repair? {
        let now = now
        let (view, isSteering) = state.withLock { ($0.view(now: now), $0.isSteering) }
        guard isSteering else { return nil }
        return state.withLock { state in
            state.repairs.observe(view, now: now)
            return state.repairs.due(in: view, now: now)
        }
    }

    private func perform(_ repair: RepairLedger.Repair) async {
        var (replaced, reasons) = (Set<NodeID>(), [String]())
        let damaged = await damagedReplicas(of: repair, &reasons)
        for reader in damaged.isEmpty ? [] : readers(of: repair.shard, besides: damaged) where replaced.isEmpty {
            logger.notice(
                "a shard with a damaged replica is read whole elsewhere",
                metadata: ["shard": "\(repair.shard)", "worker": "\(reader.worker)"]
            )
            do throws(WireStatus) {
                let replicas = try await verify(
                    repair.shard,
                    among: damaged.union([reader.worker]),
                    repairing: Repairing(findings: [.damaged], workers: damaged, asController: true),
                    timeout: reader.timeout
                )
                replaced = Set(replicas.filter(\.isReplaced).map(\.worker))
                reasons += replicas.filter { damaged.contains($0.worker) && !$0.isReplaced }.compactMap(\.detail)
            } catch {
                reasons.append(error.message)
            }
        }
        if Task.isCancelled { return }
        if !reasons.isEmpty {
            logger.warning(
                "a replica that is out of service was not replaced",
                metadata: ["shard": "\(repair.shard)", "reason": "\(reasons.joined(separator: " "))"]
            )
        }
        let now = now
        state.withLock { state in
            state.repairs.ended(repair, replaced: replaced, now: now)
            state.repairCount += replaced.count
        }
        changes.raise()
    }

    /// Those of the replicas that their workers say are damaged: at once, since they are out of service. The others are
    /// so for want of disk, say, or since another shard's partition lies in their place, and to remove that is for
    /// people to decide.
    private func damagedReplicas(of repair: RepairLedger.Repair, _ reasons: inout [String]) async -> Set<NodeID> {
        var damaged: Set<NodeID> = []
        for worker in repair.workers.sorted() {
            switch await reading(of: repair.shard, on: worker, timeout: options.callTimeout) {
            case .success(let verified): if verified.damage != nil { damaged.insert(worker) }
            case .failure(let status): reasons.append(status.message)
            }
        }
        return damaged
    }

    /// Other replicas in sync, the primary's last, of which one that is sound suffices; and how long its reading may
    /// take. None whose disk hangs: other shards wait to be mended, too.
    private func readers(of shard: ShardID, besides damaged: Set<NodeID>) -> [(worker: NodeID, timeout: Duration)] {
        let view = currentView
        guard let placement = view.metadata.placement(of: shard) else { return [] }
        let group = placement.group
        let others = group.inSync.filter { !damaged.contains($0) && view.takesWrites(shard, on: $0) }
        return (others.filter { $0 != group.primary } + others.filter { $0 == group.primary }).map { worker in
            let byteCount = view.replica(of: shard, on: worker)?.diskByteCount ?? 0
            return (worker, Self.readingPatience + .seconds(Double(byteCount) / Self.leastReadingRate))
        }
    }
}
