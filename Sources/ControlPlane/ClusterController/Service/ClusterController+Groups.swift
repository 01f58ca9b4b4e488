import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol

/// Changes of shards' groups: those that replicas ask for, and those that the controller sees a need for.
extension ClusterController {
    /// Tries a change that a replica asks for.
    ///
    /// - Returns: the group as it is afterwards, be it changed or not.
    func propose(_ request: ProposeGroup) async throws(WireStatus) -> ShardGroup {
        try await proposals.submit(request)
        guard let placement = state.withLock({ $0.records.metadata.placement(of: request.shard) }) else {
            throw WireStatus(.notFound, "There is no shard \(request.shard); was its collection deleted?")
        }
        return ShardGroup(shard: request.shard, group: placement.group)
    }

    /// Commits what replicas ask for until cancelled.
    func serveProposals() async {
        await proposals.serve { waiting in
            await withTaskGroup(of: (CollectionID, WireStatus?).self) { group in
                for (collection, requests) in waiting {
                    group.addTask { (collection, await self.commit(requests, of: collection)) }
                }
                var failures: [CollectionID: WireStatus] = [:]
                for await (collection, failure) in group { failures[collection] = failure }
                return failures
            }
        }
    }

    private func commit(_ requests: [ProposeGroup], of collection: CollectionID) async -> WireStatus? {
        // A replica may have heard of a newer group from another coordinator.
        let metadata = state.withLock(\.records.metadata)
        let isBehind = requests.contains { request in
            metadata.placement(of: request.shard).map { $0.group.version < request.proposal.version } ?? true
        }
        if isBehind { await refresh() }
        let stopping = state.withLock { Set($0.reports.observations.filter(\.value.isStopping).keys) }
        do throws(WireStatus) {
            try await change(collection, asController: false) { record in
                for request in requests {
                    // It would have to leave again at once.
                    if case .add(let worker) = request.proposal.change, stopping.contains(worker) { continue }
                    guard let index = record.index(of: request.shard) else { continue }
                    if let next = record.placements[index].group.applying(request.proposal) {
                        record.placements[index].group = next
                    }
                }
            }
            return nil
        } catch {
            return error
        }
    }

    /// Puts groups in place of others. It depends on the operations, too, whose steps they follow from: what is told to
    /// be held up, or taken back, does not go on; and on the workers that get a replica: one that has been taken out of
    /// use since it was chosen gets none.
    func regroup(_ collection: CollectionID, _ regroupings: [ReconcileAction.Regrouping]) async throws(WireStatus) {
        try await commitRecord(of: collection, asController: true) { record, metadata in
            var others: Set<String> = []
            for regrouping in regroupings where regrouping.isWanted(in: metadata) {
                guard let index = record.index(of: regrouping.shard),
                    record.placements[index].group.version == regrouping.version
                else { continue }
                var keys = Set(regrouping.newcomers(in: metadata).map(ClusterRecords.workerKey))
                if let cause = regrouping.cause { keys.insert(ClusterRecords.operationKey(cause.operation)) }
                // What depends on more comes with the next look.
                guard others.union(keys).count <= OperationPlanner.beginLimit else { continue }
                others.formUnion(keys)
                record.placements[index].group = regrouping.group
            }
            return others
        }
    }

    /// Commits another record of the collection; nothing when it stays the same or is gone.
    func change(
        _ collection: CollectionID,
        asController: Bool,
        _ body: (inout CollectionRecord) -> Void
    ) async throws(WireStatus) {
        try await commitRecord(of: collection, asController: asController) { record, _ in
            body(&record)
            return []
        }
    }

    /// - Parameter body: makes the other record, and says the keys of which others must be as they are for it.
    private func commitRecord(
        of collection: CollectionID,
        asController: Bool,
        _ body: (inout CollectionRecord, ClusterMetadata) -> Set<String>
    ) async throws(WireStatus) {
        var changed: [ShardPlacement] = []
        try await commit(asController: asController) { records throws(WireStatus) in
            guard let old = records.metadata.collections[collection] else { return nil }
            var record = old
            let others = body(&record, records.metadata)
            guard record != old else { return nil }
            changed = zip(record.placements, old.placements).filter { $0.group != $1.group }.map { $0.0 }
            let keys = [ClusterRecords.collectionKey(collection)] + others.sorted()
            return (keys.map { records.unchanged($0) }, [ClusterRecords.put(record)])
        }
        let metadata = state.withLock(\.records.metadata)
        for placement in changed {
            let group = placement.group
            guard metadata.placement(of: placement.shard)?.group.version ?? 0 >= group.version else { continue }
            logger.notice(
                "group changed",
                metadata: [
                    "shard": "\(placement.shard)", "epoch": "\(group.epoch.number)", "version": "\(group.version)",
                    "primary": "\(group.primary)",
                    "in_sync": "\(group.inSync.map(\.description).joined(separator: " "))",
                    "learners": "\(group.learners.map(\.description).joined(separator: " "))",
                ]
            )
        }
    }
}
