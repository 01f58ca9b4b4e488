import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol
import WireTransport

extension ClusterController {
    /// Records a new collection, then waits until its shards are hosted.
    ///
    /// When the wait ends too early the collection exists all the same, and its shards are hosted as workers come.
    func create(_ request: CreateCollection, deadline: WireDeadline) async throws(WireStatus) -> CollectionDescription {
        let configuration = request.configuration
        if let problem = configuration.problem { throw WireStatus(.invalidRequest, "The \(problem).").withoutEffect }
        let collection = Collection(id: .random(), configuration: configuration, created: .wallClock)
        try await commit(isFirst: true) { records throws(WireStatus) in
            // A commit whose end was not heard of may have made it.
            records.metadata.collections[collection.id] == nil ? try self.creation(of: collection, in: records) : nil
        }
        logger.info(
            "collection created",
            metadata: [
                "collection": "\(collection.id)", "name": "\(collection.name)",
                "shards": "\(configuration.shardCount)",
            ]
        )
        return try await hostedDescription(of: collection, deadline: deadline)
    }

    /// Removes the collection from the metadata, then waits until its replicas are dropped. Absent workers' are dropped
    /// when they return.
    ///
    /// - Returns: also who has not dropped its own in the time there is: it is deleted all the same.
    /// - Throws: `notFound` also where the name is another collection's than the one that is meant.
    func delete(
        _ request: DeleteCollection,
        deadline: WireDeadline
    ) async throws(WireStatus) -> CollectionDeleted {
        // Who knows it may have heard of it from another coordinator: that it is not there must be true.
        if request.id != nil { try await catchUp() }
        var faceCount: UInt64 = 0
        var deleted: CollectionID?
        var members: Set<NodeID> = []
        try await commit(isFirst: true) { records throws(WireStatus) in
            // A commit whose end was not heard of may have done it; the name may be another collection's by now.
            if let deleted, records.metadata.deletions[deleted] != nil { return nil }
            guard let record = records.metadata.collection(named: request.name) else {
                throw Self.notFound(request.name)
            }
            guard request.id == nil || request.id == record.collection.id else {
                throw Self.replaced(request.name)
            }
            deleted = record.collection.id
            let view = self.currentView
            faceCount = view.faceCount(of: record)
            members = Set(record.placements.flatMap(\.group.members))
            let id = record.collection.id
            return (
                [
                    records.unchanged(ClusterRecords.epochKey), records.unchanged(ClusterRecords.collectionKey(id)),
                    records.unchanged(ClusterRecords.nameKey(record.collection.name)),
                ],
                [
                    .remove(key: ClusterRecords.collectionKey(id)), .remove(key: ClusterRecords.pinKey(id)),
                    .remove(key: ClusterRecords.nameKey(record.collection.name)),
                    ClusterRecords.put(deletion: id, records.nextEpoch), ClusterRecords.put(records.nextEpoch),
                ]
            )
        }
        logger.info("collection deleted", metadata: ["name": "\(request.name)", "faces": "\(faceCount)"])
        guard let id = deleted else { return CollectionDeleted(faceCount: faceCount) }
        let unconfirmed = await unconfirmedWorkers(of: id, among: members, deadline: deadline)
        if !unconfirmed.isEmpty {
            logger.warning(
                "workers have not said that they dropped a deleted collection",
                metadata: ["name": "\(request.name)", "workers": "\(unconfirmed.map(\.description))"]
            )
        }
        let addresses = state.withLock { $0.records.metadata.workers }
        return CollectionDeleted(
            faceCount: faceCount,
            unconfirmed: unconfirmed.map { .init(id: $0, address: addresses[$0]) }
        )
    }

    /// Waits until the workers that are heard of have dropped what they have of a collection that was deleted.
    ///
    /// - Parameter members: of its groups, when it was deleted.
    /// - Returns: who may have something of it yet. It answers from that whoever does not know of the deletion: a
    ///   coordinator that is cut off from the metadata store.
    private func unconfirmedWorkers(
        of collection: CollectionID,
        among members: Set<NodeID>,
        deadline: WireDeadline
    ) async -> [NodeID] {
        let limit = options.deletionTimeout
        let end = WireDeadline.after(min(Self.patience(before: deadline) ?? limit, limit))
        while true {
            let seen = changes.count
            let view = currentView
            let holders = view.holders(of: collection, among: members)
            // Whoever is silent says nothing; in the first seconds nobody has been heard for long enough to be.
            let mayHear = !view.isSettled || holders.contains(where: view.liveWorkers.contains)
            guard !holders.isEmpty, mayHear, !end.hasPassed, !Task.isCancelled else { return holders }
            await changes.wait(after: seen, atMost: end.remaining)
        }
    }

    /// How long an answer can wait that has to be written before the caller's deadline; nil where that is none.
    private static func patience(before deadline: WireDeadline) -> Duration? {
        guard !deadline.isNone else { return nil }
        let remaining = deadline.remaining
        return remaining - min(max(remaining * 0.05, .milliseconds(100)), remaining * 0.5)
    }

    private static func replaced(_ name: String) -> WireStatus {
        WireStatus(
            .notFound,
            "The collection '\(name.prefix(64))' that is meant is not there any more, and another one has its name. "
                + "Nothing was deleted."
        )
    }

    /// - Parameters:
    ///   - restoration: what it is made for; nil for one that serves at once.
    ///   - erasureKey: that of the collection that was backed up, for one that is restored.
    ///   - losses: what that had lost, for one that is restored.
    ///   - leastEpoch: of its shards.
    func creation(
        of collection: Collection,
        in records: ClusterRecords,
        restoration: RestorationRecord? = nil,
        erasureKey: ErasureKey = .random(),
        losses: [AcceptedLoss] = [],
        leastEpoch: Epoch = Epoch(0)
    ) throws(WireStatus) -> (conditions: [MetadataCondition], changes: [MetadataChange]) {
        let metadata = records.metadata
        guard metadata.collection(named: collection.name) == nil else {
            throw WireStatus(.alreadyExists, "The collection '\(collection.name)' exists already.")
        }
        let live = currentView.placementWorkers.sorted()
        let epoch = max(records.nextEpoch, leastEpoch)
        let placements = PlacementPlanner.place(
            collection,
            on: live,
            existing: metadata.collections.values.flatMap(\.placements),
            epoch: epoch
        )
        guard let placements else {
            let copyCount = collection.configuration.replicationFactor
            throw WireStatus(
                .unavailable,
                live.isEmpty
                    ? "No worker is live that may be given replicas, so that the shards of '\(collection.name)' have "
                        + "no place; start a worker, "
                        + "then create the collection again."
                    : "\(copyCount) copies of every shard of '\(collection.name)' need as many live workers that may "
                        + "be given replicas, and there "
                        + "\(live.count == 1 ? "is 1" : "are \(live.count)"); start more workers or ask for fewer "
                        + "copies, then create the collection again.",
                retryAfterMilliseconds: 1000
            )
        }
        return (
            [
                .absent(key: ClusterRecords.nameKey(collection.name)), records.unchanged(ClusterRecords.epochKey),
            ],
            [
                ClusterRecords.put(
                    CollectionRecord(
                        collection: collection,
                        placements: placements,
                        restoration: restoration,
                        erasureKey: erasureKey,
                        losses: losses
                    )
                ), ClusterRecords.put(name: collection.name, collection.id), ClusterRecords.put(epoch),
            ]
        )
    }

    func hostedDescription(
        of collection: Collection,
        deadline: WireDeadline
    ) async throws(WireStatus) -> CollectionDescription {
        let end = WireDeadline.after(Self.patience(before: deadline) ?? options.createTimeout)
        while true {
            let seen = changes.count
            let view = currentView
            guard let record = view.metadata.collections[collection.id] else {
                throw WireStatus(.notFound, "The collection '\(collection.name)' was deleted while it was created.")
            }
            let missing = record.placements.filter { !view.isWhole($0) }
            if missing.isEmpty { return description(of: record, in: view) }
            guard !end.hasPassed, !Task.isCancelled else {
                throw WireStatus(
                    .unavailable,
                    "The collection '\(collection.name)' was created, but \(missing.count) of its "
                        + "\(record.placements.count) shards are not hosted yet: "
                        + "\(missing.prefix(4).map(hindrance).joined(separator: "; ")). They will be as soon as "
                        + "they can; 'mien collection describe \(collection.name)' tells."
                )
            }
            await changes.wait(after: seen, atMost: end.remaining)
        }
    }

    /// Why a shard is not hosted, without a full stop.
    private func hindrance(of placement: ShardPlacement) -> String {
        let name = "shard \(placement.shard.index)"
        let view = currentView
        let worker = placement.group.inSync.first { !view.isHosted(placement, on: $0) } ?? placement.primary
        let now = now
        let (address, failure, isLive) = state.withLock { state in
            (
                state.records.metadata.workers[worker],
                state.actions.lastFailure(of: .replica(placement.shard, worker)),
                state.membership.liveness(of: worker, now: now).isLive
            )
        }
        let place = "\(name) on worker \(worker)" + (address.map { " at \($0)" } ?? "")
        if let failure { return "\(place): \(failure.hasSuffix(".") ? String(failure.dropLast()) : failure)" }
        return isLive ? "\(place) has not been answered for yet" : "\(place), which has not been heard of lately"
    }
}

extension ClusterView {
    /// Workers that may have a replica of a collection that is deleted, in order of id: those that last reported one,
    /// and members of its groups that are not heard of. Not those that are gone for good.
    fileprivate func holders(of collection: CollectionID, among members: Set<NodeID>) -> [NodeID] {
        let unheard = members.filter { observations[$0] == nil || !liveWorkers.contains($0) }
        let reported = observations.filter { $0.value.replicas.keys.contains { $0.collection == collection } }.keys
        return unheard.union(reported).filter { metadata.standing(of: $0) != .decommissioned }.sorted()
    }
}
