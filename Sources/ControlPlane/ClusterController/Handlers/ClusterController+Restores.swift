import BinaryCoding
import ClusterModel
import ClusterState
import Crypto
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
    private static let readingsAtOnce = 4

    /// Makes the collection, or goes on with the one that was made so.
    ///
    /// Whoever begins again may send what was not there when all was compared, or what a comparison under way has gone
    /// past: a mark in the record has it compared again.
    func beginRestore(
        _ request: BeginRestore,
        deadline: WireDeadline
    ) async throws(WireStatus) -> CollectionDescription {
        if let problem = request.configuration.problem { throw WireStatus(.invalidRequest, "The \(problem).") }
        guard request.epoch.number < .max >> 1 else {
            throw WireStatus(.invalidRequest, "The backup's epoch is no epoch.")
        }
        guard request.loss.map(Timestamp.computable.contains) ?? true else {
            throw WireStatus(.invalidRequest, "Faces that the backup lacks were given up at no time.")
        }
        let new = Collection(id: .random(), configuration: request.configuration, created: .wallClock)
        var collection = new
        let mark = Self.mark()
        try await commit(isFirst: true) { records throws(WireStatus) in
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
                if known.restored == mark { return nil }
                var again = known
                again.restored = mark
                // A coordinator of before began it, to which this said nothing.
                if let loss = request.loss, again.latestLoss == nil {
                    again.losses = [AcceptedLoss(range: .all, time: loss)]
                }
                let key = ClusterRecords.collectionKey(collection.id)
                return ([records.unchanged(key)], [ClusterRecords.put(again)])
            }
            return try self.creation(
                of: new,
                in: records,
                restoration: RestorationRecord(backup: request.backup),
                erasureKey: request.erasureKey,
                // Where on the ring of the collection that was backed up nobody may know any more.
                losses: request.loss.map { [AcceptedLoss(range: .all, time: $0)] } ?? [],
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
    ///
    /// What was found stays in the record until somebody begins again, or finds something else: an attempt that goes on
    /// behind the comparison, or comes when the collection serves, is answered only if it would have it be the same.
    /// Another one was made when more had been deleted, or with other options, and what it has left out may be there.
    ///
    /// A comparison counts only if nobody has begun since it did. Of two runs with different options at once, one that
    /// began before the other's comparison and sends during it, or behind it, is not told apart.
    func finishRestore(
        _ request: FinishRestore,
        deadline: WireDeadline
    ) async throws(WireStatus) -> CollectionDescription {
        // Another coordinator may have ended it.
        try await catchUp()
        guard let record = state.withLock({ $0.records.metadata.collection(named: request.collection) }) else {
            throw Self.notFound(request.collection)
        }
        let id = record.collection.id
        let digest = Self.digest(of: request)
        // An earlier call whose answer was lost may have ended it, or another run of the same.
        guard let restoration = record.restoration else { return try serving(record, as: digest) }
        guard restoration.backup == request.backup else {
            throw WireStatus(
                .invalidRequest,
                "The collection '\(request.collection)' is being restored from \(restoration.backup), not from "
                    + "\(request.backup.prefix(128))."
            )
        }
        // Reading it again would not do: shards whose restoration has ended may have let faces expire.
        if record.restored != digest {
            try await compareAnew(record, with: request, digest: digest, deadline: deadline)
        }
        guard let compared = state.withLock({ $0.records.metadata.collections[id] }) else {
            throw Self.notFound(request.collection)
        }
        guard compared.restoration != nil else { return try serving(compared, as: digest) }
        guard compared.restored == digest else { throw Self.begunAgain(request.collection) }
        try await endRestoration(of: id, deadline: deadline)
        try await change(id, asController: false) { if $0.restored == digest { $0.restoration = nil } }
        guard let restored = state.withLock({ $0.records.metadata.collections[id] }) else {
            throw Self.notFound(request.collection)
        }
        guard restored.restoration == nil, restored.restored == digest else {
            throw Self.begunAgain(request.collection)
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

    /// Compares, and notes what was found unless somebody has begun since or found something else.
    ///
    /// Returns, too, where it failed and another run of the same has had it compared meanwhile: shards whose
    /// restoration has ended let faces expire, and a collection that serves takes others.
    private func compareAnew(
        _ record: CollectionRecord,
        with request: FinishRestore,
        digest: [UInt8],
        deadline: WireDeadline
    ) async throws(WireStatus) {
        let id = record.collection.id
        let known = record.restored
        let timeout = deadline.isNone ? Self.readingTimeout : deadline.remaining * 0.9
        do throws(WireStatus) {
            try await compare(record, with: request, timeout: timeout)
        } catch {
            try await catchUp()
            guard let newest = state.withLock({ $0.records.metadata.collections[id] }), newest.restoration != nil,
                newest.restored != digest
            else { return }
            if known != nil {
                // What another run has had compared: this one may have sent more since.
                let mark = Self.mark()
                try await change(id, asController: false) {
                    if $0.restoration != nil, $0.restored == known { $0.restored = mark }
                }
            }
            throw error
        }
        try await change(id, asController: false) {
            if $0.restoration != nil, $0.restored == known { $0.restored = digest }
        }
    }

    /// The answer about a collection that is not being restored.
    private func serving(
        _ record: CollectionRecord,
        as digest: [UInt8]
    ) throws(WireStatus) -> CollectionDescription {
        guard record.restored == digest else {
            throw WireStatus(
                .invalidRequest,
                "The collection '\(record.collection.name)' is not being restored, and nothing tells that what this "
                    + "restoration was to end with is what it began with: another run, another program or another "
                    + "collection of the name may have taken its place. It may have faces that this one was to leave "
                    + "out: delete the collection and restore it anew."
            )
        }
        return description(of: record, in: currentView)
    }

    /// It is compared again when this is asked for again.
    private static func begunAgain(_ collection: String) -> WireStatus {
        WireStatus(
            .unavailable,
            "The restoration of '\(collection)' was begun again meanwhile: what is there has to be compared again."
        )
    }

    /// In place of a digest, and none of anything.
    private static func mark() -> [UInt8] {
        (0..<RestorationRecord.digestByteCount).map { _ in UInt8.random(in: .min ... .max) }
    }

    /// What should be there, and of which backup.
    private static func digest(of request: FinishRestore) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(string: request.backup)
        writer.write(request.faceCount)
        for slice in request.slices { writer.write(slice) }
        return Array(SHA256.hash(data: writer.bytes))
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
                    tasks.addTask {
                        let shard = placement.shard
                        return (shard.index, await self.reading(of: shard, on: placement.primary, timeout: timeout))
                    }
                }
                return await tasks.reduce(into: []) { $0.append($1) }
            }
            for (shard, reading) in readings {
                let verified: ReplicaVerified
                do throws(WireStatus) {
                    verified = try reading.get()
                } catch {
                    guard error.code == .corruptPartition else { throw error }
                    throw WireStatus(.corruptPartition, "\(error.message) Delete the collection and restore again.")
                }
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
