import Backups
import ClusterModel
import FaceModel
import FaceRecords
import MienClient

/// What a restoration came to.
struct RestoreOutcome {
    var faceCount: UInt64
    /// Faces that were deleted after the moment that is restored, or have expired since in a version that was to stay
    /// less long: left out, or brought back where that was asked for.
    var erasedCount: UInt64
    var time: Duration
}

/// Puts the faces of a backup into a new collection: reads and verifies block after block, sends what is in it, adds up
/// what should be there, and has the cluster read all of it again.
///
/// In memory are a few blocks.
struct BackupRestorer {
    private static let blocksAtOnce = 4
    /// Most faces and bytes of one request.
    private static let batchFaceCount = 1024
    private static let batchByteCount = 4 << 20
    /// Time that reading all of it again may take.
    private static let finishTimeout = Duration.seconds(6 * 3600)

    let client: MienClient
    let store: any BackupStore
    let console: Console
    let bytesPerSecond: Int?
    /// What must not come back.
    let filter: ErasureFilter
    /// Whether it comes back all the same.
    let undeletes: Bool
    /// What the archived log makes of the backup; nil for the backup's own moment.
    let replay: RestoreReplay?

    /// What a block holds, as the backup counted it and as the new collection will.
    private struct BlockSums: Sendable {
        var faceCount: UInt64 = 0
        var old = [Int: UInt128]()
        var restoredCount: UInt64 = 0
        var erasedCount: UInt64 = 0
        var new = [Int: UInt128]()

        mutating func add(_ other: BlockSums) {
            faceCount += other.faceCount
            restoredCount += other.restoredCount
            erasedCount += other.erasedCount
            old.merge(other.old) { $0 &+ $1 }
            new.merge(other.new) { $0 &+ $1 }
        }
    }

    /// What the restoration goes by in the cluster: one to another moment does not go on with it.
    private func name(of entry: BackupCatalogue.Entry) -> String {
        guard let replay else { return entry.name }
        let places = replay.plan.shards.map { "\($0.shard.index):\($0.last)" }.joined(separator: ",")
        let digest = BackupDigest(of: "\(places) \(undeletes)".utf8).description
        return "\(entry.name)-at-\(digest.prefix(12))"
    }

    func restore(
        _ entry: BackupCatalogue.Entry,
        as configuration: CollectionConfiguration
    ) async throws(CommandFailure) -> RestoreOutcome {
        let start = ContinuousClock.now
        let manifest = entry.manifest
        try await checkBlocks(of: entry)
        let info = try await calling { () async throws(MienClientError) in
            try await client.beginRestore(
                configuration,
                backup: name(of: entry),
                epoch: Epoch(max(manifest.epoch, replay?.plan.epoch ?? 0)),
                erasureKey: manifest.erasureKey,
                loss: manifest.loss
            )
        }
        guard let id = CollectionID(info.id) else {
            throw CommandFailure(.internalError, "the collection's id is no id")
        }
        let sums: BlockSums
        do throws(CommandFailure) {
            sums = try await fill(id, as: configuration, from: entry)
        } catch {
            var failure = error
            failure.message += "\n" + wayOut(of: failure, from: entry, to: configuration.name)
            throw failure
        }
        try await finish(configuration.name, with: sums, from: entry)
        return RestoreOutcome(
            faceCount: sums.restoredCount,
            erasedCount: sums.erasedCount,
            time: ContinuousClock.now - start
        )
    }

    /// Has what was put back compared, so that the collection serves.
    private func finish(
        _ collection: String,
        with sums: BlockSums,
        from entry: BackupCatalogue.Entry
    ) async throws(CommandFailure) {
        var slices = [UInt128](repeating: 0, count: FaceContribution.sliceCount)
        for (slice, sum) in sums.new { slices[slice] &+= sum }
        let patient = client.with(calls: .init(timeout: Self.finishTimeout, retryDuration: .seconds(60)))
        do throws(MienClientError) {
            _ = try await patient.finishRestore(
                collection,
                backup: name(of: entry),
                faceCount: sums.restoredCount,
                slices: slices
            )
        } catch {
            var failure = CommandFailure(error)
            switch error.code {
            // The cluster says itself what to do.
            case .invalidRequest, .corruptData, .notFound: break
            default:
                failure.message +=
                    "\nthe restoration of '\(collection)' may have ended; the same command tells: it goes on with it, "
                    + "or says that the collection exists already"
            }
            throw failure
        }
    }

    /// What to do about a collection whose restoration was begun, and failed before all had been sent.
    private func wayOut(of failure: CommandFailure, from entry: BackupCatalogue.Entry, to name: String) -> String {
        let begun = "the collection '\(name)' was begun, and answers nothing until its restoration has ended: "
        let deletion = "'mien collection delete \(name)' removes it"
        guard failure.status == .badData else {
            return begun + "the same command goes on with it, and \(deletion)"
        }
        return begun + "\(deletion). 'mien backup verify \(store.place)' tells which backups are sound; "
            + "'mien backup create \(entry.collection) --to \(store.place) --full' writes a block anew as far as that "
            + "collection still has what is in it"
    }

    /// Puts all that there is into a collection whose restoration has been begun.
    private func fill(
        _ id: CollectionID,
        as configuration: CollectionConfiguration,
        from entry: BackupCatalogue.Entry
    ) async throws(CommandFailure) -> BlockSums {
        let manifest = entry.manifest
        try await sendCodebook(of: entry, to: configuration.name)
        let sums = try await send(manifest, to: id, named: configuration.name)
        var old = [UInt128](repeating: 0, count: FaceContribution.sliceCount)
        for (slice, sum) in sums.old { old[slice] &+= sum }
        guard old == manifest.slices, sums.faceCount == manifest.faceCount else {
            throw CommandFailure(
                .badData,
                "\(store.path(of: BackupName.manifest(of: entry.name))) is damaged: its blocks do not add up to what "
                    + "it says"
            )
        }
        return sums
    }

    /// Whether all blocks are there and of their size, before anything is made of them.
    private func checkBlocks(of entry: BackupCatalogue.Entry) async throws(CommandFailure) {
        try await keeping { () async throws(BackupError) in try await store.checkBlocks(of: entry.manifest) }
    }

    /// Gives the new collection the codebook of the backup before any face comes, so that none is trained.
    private func sendCodebook(of entry: BackupCatalogue.Entry, to collection: String) async throws(CommandFailure) {
        guard let codebook = entry.manifest.codebook else { return }
        let bytes = try await keeping { () async throws(BackupError) in
            try await CodebookBackup.read(codebook, of: entry.manifest, in: store)
        }
        let restoration = name(of: entry)
        try await calling { () async throws(MienClientError) in
            try await client.restore(
                CodebookBackup.copy(of: codebook, bytes),
                digest: codebook.digest.bytes,
                into: collection,
                backup: restoration
            )
        }
    }

    private func send(
        _ manifest: BackupManifest,
        to collection: CollectionID,
        named name: String
    ) async throws(CommandFailure) -> BlockSums {
        let total = manifest.byteCount + (replay?.plan.byteCount ?? 0)
        let progress = ByteProgress(console: console, title: "faces", total: total)
        defer { progress.clear() }
        let pace = TransferPace(bytesPerSecond: bytesPerSecond)
        let result = await withTaskGroup(
            of: Result<BlockSums, CommandFailure>.self
        ) { group -> Result<BlockSums, CommandFailure> in
            var next = manifest.blocks.startIndex
            var nextShard = 0
            func beginNext() {
                guard next < manifest.blocks.endIndex else { return beginNextShard() }
                let block = manifest.blocks[next]
                next += 1
                group.addTask {
                    do throws(CommandFailure) {
                        let sums = try await send(block, of: manifest, to: collection, named: name)
                        progress.add(Int(block.byteCount))
                        await pace.sent(Int(block.byteCount))
                        return .success(sums)
                    } catch {
                        return .failure(error)
                    }
                }
            }
            func beginNextShard() {
                guard let replay, nextShard < replay.plan.shards.count else { return }
                let index = nextShard
                nextShard += 1
                group.addTask {
                    do throws(CommandFailure) {
                        let sums = try await send(replay, ofShard: index, to: collection, named: name, pace, progress)
                        return .success(sums)
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for _ in 0..<Self.blocksAtOnce { beginNext() }
            var all = BlockSums()
            while let result = await group.next() {
                switch result {
                case .success(let sums): all.add(sums)
                case .failure(let failure):
                    group.cancelAll()
                    return .failure(failure)
                }
                beginNext()
            }
            return .success(all)
        }
        return try result.get()
    }

    private func send(
        _ block: BackupManifest.Block,
        of manifest: BackupManifest,
        to collection: CollectionID,
        named name: String
    ) async throws(CommandFailure) -> BlockSums {
        let faces = try await keeping { () async throws(BackupError) in
            try await store.faces(of: block, in: manifest)
        }
        var sums = BlockSums()
        sums.faceCount = UInt64(faces.count)
        for contribution in faces.contributions(in: manifest.collection.id) {
            sums.old[contribution.slice, default: 0] &+= contribution.sum
        }
        let kept = faces.rows.indices.filter { replay?.keeps(faces.rows[$0]) ?? true }
        sums.add(
            try await put(
                kept.count == faces.count ? faces : faces.rows(kept),
                into: collection,
                named: name,
                broughtBefore: nil
            )
        )
        return sums
    }

    /// Sends what the log brought of one shard.
    private func send(
        _ replay: RestoreReplay,
        ofShard index: Int,
        to collection: CollectionID,
        named name: String,
        _ pace: TransferPace,
        _ progress: ByteProgress
    ) async throws(CommandFailure) -> BlockSums {
        var sums = BlockSums()
        try await replay.faces(ofShard: index) { faces async throws(CommandFailure) in
            sums.add(try await put(faces, into: collection, named: name, broughtBefore: replay.plan.time))
            progress.add(faces.embeddings.count)
            await pace.sent(faces.embeddings.count)
        }
        return sums
    }

    /// Sends faces, but for those that were deleted since.
    ///
    /// - Parameter moment: that is restored, for those that the log brought; nil for those of the backup.
    private func put(
        _ all: ArchivedFaces,
        into collection: CollectionID,
        named name: String,
        broughtBefore moment: Timestamp?
    ) async throws(CommandFailure) -> BlockSums {
        var sums = BlockSums()
        var faces = all
        let erased = all.rows.indices.filter { filter.isErased(all.rows[$0], broughtBefore: moment) }
        sums.erasedCount = UInt64(erased.count)
        if !undeletes, !erased.isEmpty {
            let gone = Set(erased)
            faces = all.rows(all.rows.indices.filter { !gone.contains($0) })
        }
        for contribution in faces.contributions(in: collection) {
            sums.new[contribution.slice, default: 0] &+= contribution.sum
        }
        sums.restoredCount = UInt64(faces.count)
        var first = 0
        while first < faces.count {
            let count = max(1, min(Self.batchFaceCount, Self.batchByteCount / faces.rowByteCount))
            let positions = Array(first..<min(first + count, faces.count))
            let batch = positions.count == faces.count ? faces : faces.rows(positions)
            first += positions.count
            let outcomes = try await calling { () async throws(MienClientError) in
                try await client.restore(batch, into: name)
            }
            guard outcomes.count == batch.count else {
                throw CommandFailure(
                    .internalError,
                    "the cluster answered for \(outcomes.count) of \(batch.count) faces"
                )
            }
        }
        return sums
    }
}
