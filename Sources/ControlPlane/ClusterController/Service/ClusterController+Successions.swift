import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol

/// Shards that take the place of others: what workers are asked for, and the commit.
extension ClusterController {
    /// The running operation with the running step that the succession is of; nil when there is none any more.
    private static func operation(of succession: Succession, in metadata: ClusterMetadata) -> OperationID? {
        let (sources, successors) = (succession.sources.map(\.shard), succession.successors.map(\.shard))
        return metadata.openOperations.first { operation in
            operation.state == .running
                && operation.steps.contains { step in
                    guard step.state == .running, let known = Succession(step, in: metadata) else { return false }
                    return known.sources.map(\.shard) == sources && known.successors.map(\.shard) == successors
                }
        }?.id
    }

    func prepare(_ preparation: Succession.Preparation, on worker: NodeID) async throws(WireStatus) {
        let shard = preparation.shard
        guard let record = state.withLock({ $0.records.metadata.collections[shard.collection] }) else { return }
        let request = PrepareSuccessor(
            shard: shard,
            range: preparation.range,
            collection: record.collection,
            erasureKey: record.erasureKey,
            sources: preparation.sources.map(\.index)
        )
        _ = try await call(request, on: worker, timeout: options.callTimeout)
        logger.info(
            "shard is being prepared",
            metadata: [
                "shard": "\(shard)", "worker": "\(worker)",
                "from": "\(preparation.sources.map { "\($0.index)" }.joined(separator: " "))",
            ]
        )
    }

    func abandon(_ shard: ShardID, on worker: NodeID) async throws(WireStatus) {
        // Whoever slept through the end of its term must not remove what has been put in force since.
        try await readAnew()
        let (metadata, isHeld) = state.withLock { ($0.records.metadata, $0.standing.isHeld) }
        guard isHeld, metadata.placement(of: shard)?.group.isInSync(worker) != true else { return }
        // What is sent may come long after this: the worker looks, too.
        let request = AbandonSuccessor(shard: shard, sparesSealed: metadata.isAwaited(shard))
        _ = try await call(request, on: worker, timeout: options.callTimeout)
        state.withLock { $0.reports.abandoned(shard, on: worker) }
        logger.info("prepared shard abandoned", metadata: ["shard": "\(shard)", "worker": "\(worker)"])
    }

    /// Puts shards in the place of others, in one commit. It depends on the operation, too: once that is cancelled or
    /// paused, what workers have made may be removed.
    ///
    /// - Parameter ends: where the old shards' logs have ended.
    func succeed(_ succession: Succession, ends: [ShardID: UInt64]) async throws(WireStatus) {
        let collection = succession.collection
        // Whoever archives the logs knows this before there is a map without the old shards.
        archive?.end(ends)
        let term = state.withLock(\.records.controller)
        var failure: WireStatus?
        do throws(WireStatus) {
            try await commit(asController: true) { records throws(WireStatus) in
                guard let operation = Self.operation(of: succession, in: records.metadata),
                    var record = records.metadata.collections[collection], succession.apply(to: &record)
                else { return nil }
                return (
                    [
                        records.unchanged(ClusterRecords.operationKey(operation)),
                        records.unchanged(ClusterRecords.collectionKey(collection)),
                        records.unchanged(ClusterRecords.epochKey),
                    ],
                    [ClusterRecords.put(record), ClusterRecords.put(records.nextEpoch)]
                )
            }
        } catch {
            failure = error
            // It may have been made, and the ends count then: the records tell.
            if archive != nil { await reloadAtLast() }
        }
        let (metadata, currentTerm) = state.withLock { ($0.records.metadata, $0.records.controller) }
        let isMade = succession.successors.allSatisfy { metadata.placement(of: $0.shard)?.range == $0.range }
        // Another controller may have made it later, when there were more writes.
        if !isMade || currentTerm != term { archive?.forgetEnds(of: succession.sources.map(\.shard)) }
        guard isMade else {
            if let failure { throw failure }
            return
        }
        logger.notice(
            "shards took others' place",
            metadata: [
                "collection": "\(collection)",
                "gone": "\(succession.sources.map { "\($0.shard.index)" }.joined(separator: " "))",
                "new": "\(succession.successors.map { "\($0.shard.index)" }.joined(separator: " "))",
            ]
        )
    }

    /// Reads the records again, as soon as the store answers, unless it is cancelled.
    private func reloadAtLast() async {
        while !Task.isCancelled {
            do throws(MetadataError) {
                return try await reload()
            } catch .unavailable, .outcomeUnknown {
                try? await Task.sleep(for: .milliseconds(100))
            } catch {
                // Which is told of where records are read at other times.
                if error.isOfRecord {
                    try? await Task.sleep(for: .seconds(1))
                    continue
                }
                logger.error("metadata not readable", metadata: ["reason": "\(error)"])
                return
            }
        }
    }
}
