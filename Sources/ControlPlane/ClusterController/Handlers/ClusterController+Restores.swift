import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol
import WireTransport

/// Collections that the faces of a backup are put into.
///
/// Such a collection is in the records from the beginning, with a mark that keeps everything else away from it. The
/// mark goes when all that should be there has been read again and is the same. A restoration that was cut off is begun
/// again under the name of its backup, or ended by deleting the collection.
extension ClusterController {
    /// Longest time that the reading of one replica may take when the caller names none.
    private static let verificationTimeout = Duration.seconds(3600)
    private static let readingsAtOnce = 4

    func beginRestore(
        _ request: BeginRestore,
        deadline: WireDeadline
    ) async throws(WireStatus) -> CollectionDescription {
        if let problem = request.configuration.problem { throw WireStatus(.invalidRequest, "The \(problem).") }
        guard request.epoch.number < .max >> 1 else {
            throw WireStatus(.invalidRequest, "The backup's epoch is no epoch.")
        }
        let new = Collection(id: .random(), configuration: request.configuration, created: Self.wallClock())
        var collection = new
        try await commit { records throws(WireStatus) in
            if let known = records.metadata.collection(named: request.configuration.name) {
                // Made by a commit whose end was not heard of, or by an earlier call.
                guard known.restoration?.backup == request.backup,
                    known.collection.configuration == request.configuration
                else {
                    throw WireStatus(
                        .alreadyExists,
                        "The collection '\(known.collection.name)' exists already; restore under another name"
                            + (known.restoration.map { ", or go on with the restoration from \($0.backup)." } ?? ".")
                    )
                }
                collection = known.collection
                return nil
            }
            return try self.creation(
                of: new,
                in: records,
                restoration: RestorationRecord(backup: request.backup),
                erasureKey: request.erasureKey,
                leastEpoch: Epoch(request.epoch.number + 1)
            )
        }
        logger.notice(
            "collection is being restored",
            metadata: ["collection": "\(collection.id)", "name": "\(collection.name)", "backup": "\(request.backup)"]
        )
        return try await hostedDescription(of: collection, deadline: deadline)
    }

    /// Reads every primary and compares; then lets faces expire, and the collection serve.
    func finishRestore(
        _ request: FinishRestore,
        deadline: WireDeadline
    ) async throws(WireStatus) -> CollectionDescription {
        guard let record = state.withLock({ $0.records.metadata.collection(named: request.collection) }) else {
            throw Self.notFound(request.collection)
        }
        let id = record.collection.id
        guard let restoration = record.restoration else {
            // An earlier call whose answer was lost may have ended it.
            return description(of: record, in: currentView)
        }
        guard restoration.backup == request.backup else {
            throw WireStatus(
                .invalidRequest,
                "The collection '\(request.collection)' is being restored from \(restoration.backup), not from "
                    + "\(request.backup.prefix(128))."
            )
        }
        if !restoration.isVerified {
            let timeout = deadline.isNone ? Self.verificationTimeout : deadline.remaining * 0.9
            try await compare(record, with: request, timeout: timeout)
            try await change(id, asController: false) { $0.restoration?.isVerified = true }
        }
        try await endRestoration(of: id, deadline: deadline)
        try await change(id, asController: false) { $0.restoration = nil }
        guard let restored = state.withLock({ $0.records.metadata.collections[id] }) else {
            throw Self.notFound(request.collection)
        }
        logger.notice(
            "collection restored",
            metadata: [
                "collection": "\(id)", "name": "\(request.collection)", "faces": "\(request.faceCount)",
                "backup": "\(request.backup)",
            ]
        )
        return description(of: restored, in: currentView)
    }

    /// Reads all of every primary's replica, and holds the sums against those of what should be there.
    private func compare(
        _ record: CollectionRecord,
        with request: FinishRestore,
        timeout: Duration
    ) async throws(WireStatus) {
        var faceCount: UInt64 = 0
        var slices = [UInt128](repeating: 0, count: ReplicaVerified.sliceCount)
        var next = 0
        let placements = record.placements
        while next < placements.count {
            let part = placements[next..<min(next + Self.readingsAtOnce, placements.count)]
            next += part.count
            let readings = await withTaskGroup(of: (UInt32, Result<ReplicaVerified, WireStatus>).self) { tasks in
                for placement in part {
                    tasks.addTask { (placement.shard.index, await self.reading(placement, timeout: timeout)) }
                }
                return await tasks.reduce(into: []) { $0.append($1) }
            }
            for (shard, reading) in readings {
                let verified = try reading.get()
                guard verified.damage == nil, verified.slices.count == slices.count else {
                    throw WireStatus(
                        .corruptPartition,
                        "Shard \(shard) of '\(request.collection)' is damaged: \(verified.damage ?? "no digest"). "
                            + "Delete the collection and restore again."
                    )
                }
                faceCount += verified.faceCount
                for index in slices.indices { slices[index] &+= verified.slices[index] }
            }
        }
        let differing = slices.indices.count { slices[$0] != request.slices[$0] }
        guard faceCount == request.faceCount, differing == 0 else {
            throw WireStatus(
                .invalidRequest,
                "The collection '\(request.collection)' is not what the backup says: it has \(faceCount) faces of "
                    + "\(request.faceCount), and \(differing) of \(slices.count) slices differ. It stays out of "
                    + "service: run the restoration again; if that ends the same, with faces deleted since it began, "
                    + "delete the collection and restore it anew."
            )
        }
    }

    private func reading(
        _ placement: ShardPlacement,
        timeout: Duration
    ) async -> Result<ReplicaVerified, WireStatus> {
        do throws(WireStatus) {
            return .success(
                try await call(VerifyReplica(shard: placement.shard), on: placement.primary, timeout: timeout)
            )
        } catch {
            return .failure(error)
        }
    }

    /// Has every shard note that nothing more is put back; asked again until each has, or the time is over.
    private func endRestoration(of collection: CollectionID, deadline: WireDeadline) async throws(WireStatus) {
        guard let record = state.withLock({ $0.records.metadata.collections[collection] }) else { return }
        let configuration = record.collection.configuration
        let nothing = ArchivedFaces(dimension: configuration.dimension, precision: configuration.storedPrecision)
        for shard in record.placements.map(\.shard) {
            var failureCount = 0
            while let placement = state.withLock({ $0.records.metadata.placement(of: shard) }) {
                let route = ShardRoute(shard: shard, epoch: placement.epoch)
                do throws(WireStatus) {
                    _ = try await call(
                        ShardRestore(route: route, faces: nothing, isLast: true),
                        on: placement.primary,
                        timeout: options.callTimeout
                    )
                    break
                } catch {
                    failureCount += 1
                    guard error.code.retry != .doNotRetry || error.code == .deadlineExceeded, failureCount < 20,
                        deadline.isNone || deadline.remaining > .seconds(1), !Task.isCancelled
                    else { throw error }
                }
                try? await Task.sleep(for: .milliseconds(250))
                await refresh()
            }
        }
    }
}
