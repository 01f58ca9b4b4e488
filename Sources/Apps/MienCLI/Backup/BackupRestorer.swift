import Backups
import ClusterModel
import FaceModel
import FaceRecords
import MienClient

/// What a restoration came to.
struct RestoreOutcome {
    var faceCount: UInt64
    /// Faces of the backup that were deleted after it.
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

    /// What a block holds, as the backup counted it and as the new collection will.
    private struct BlockSums: Sendable {
        var faceCount: UInt64 = 0
        var old = [Int: UInt128]()
        var restoredCount: UInt64 = 0
        var new = [Int: UInt128]()
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
                backup: entry.name,
                epoch: Epoch(manifest.epoch),
                erasureKey: manifest.erasureKey
            )
        }
        guard let id = CollectionID(info.id) else {
            throw CommandFailure(.internalError, "the collection's id is no id")
        }
        let sums = try await send(manifest, to: id, named: configuration.name)
        var (old, new) = (
            [UInt128](repeating: 0, count: FaceContribution.sliceCount),
            [UInt128](repeating: 0, count: FaceContribution.sliceCount)
        )
        for (slice, sum) in sums.old { old[slice] &+= sum }
        for (slice, sum) in sums.new { new[slice] &+= sum }
        guard old == manifest.slices, sums.faceCount == manifest.faceCount else {
            throw CommandFailure(
                .badData,
                "\(store.path(of: BackupName.manifest(of: entry.name))) is damaged: its blocks do not add up to what "
                    + "it says; \(configuration.name) is not whole and answers nothing, and 'mien collection delete' "
                    + "removes it"
            )
        }
        let patient = client.with(calls: .init(timeout: Self.finishTimeout, retryDuration: .seconds(60)))
        let slices = new
        _ = try await calling { () async throws(MienClientError) in
            try await patient.finishRestore(
                configuration.name,
                backup: entry.name,
                faceCount: sums.restoredCount,
                slices: slices
            )
        }
        return RestoreOutcome(
            faceCount: sums.restoredCount,
            erasedCount: sums.faceCount - sums.restoredCount,
            time: ContinuousClock.now - start
        )
    }

    /// Whether all blocks are there and of their size, before anything is made of them.
    private func checkBlocks(of entry: BackupCatalogue.Entry) async throws(CommandFailure) {
        try await keeping { () async throws(BackupError) in
            let objects = Dictionary(
                try await store.list(BackupName.blockPrefix).map { ($0.name, $0.byteCount) },
                uniquingKeysWith: { first, _ in first }
            )
            for block in entry.manifest.blocks {
                let name = BackupName.block(block.digest)
                guard let byteCount = objects[name] else { throw BackupError.missing(object: store.path(of: name)) }
                guard byteCount == UInt64(block.byteCount) else {
                    throw BackupError.damaged(
                        object: store.path(of: name),
                        reason: "it has \(byteCount) of \(block.byteCount) bytes"
                    )
                }
            }
        }
    }

    private func send(
        _ manifest: BackupManifest,
        to collection: CollectionID,
        named name: String
    ) async throws(CommandFailure) -> BlockSums {
        let progress = ByteProgress(console: console, title: "faces", total: manifest.byteCount)
        defer { progress.clear() }
        let pace = TransferPace(bytesPerSecond: bytesPerSecond)
        let result = await withTaskGroup(
            of: Result<BlockSums, CommandFailure>.self
        ) { group -> Result<BlockSums, CommandFailure> in
            var next = manifest.blocks.startIndex
            func beginNext() {
                guard next < manifest.blocks.endIndex else { return }
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
            for _ in 0..<Self.blocksAtOnce { beginNext() }
            var all = BlockSums()
            while let result = await group.next() {
                switch result {
                case .success(let sums):
                    all.faceCount += sums.faceCount
                    all.restoredCount += sums.restoredCount
                    all.old.merge(sums.old) { $0 &+ $1 }
                    all.new.merge(sums.new) { $0 &+ $1 }
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
        let kept = faces.rows.indices.filter { !filter.isErased(faces.rows[$0]) }
        let restored = kept.count == faces.count ? faces : faces.rows(kept)
        for contribution in restored.contributions(in: collection) {
            sums.new[contribution.slice, default: 0] &+= contribution.sum
        }
        sums.restoredCount = UInt64(restored.count)
        var first = 0
        while first < restored.count {
            let count = max(1, min(Self.batchFaceCount, Self.batchByteCount / faces.rowByteCount))
            let positions = Array(first..<min(first + count, restored.count))
            let batch = positions.count == restored.count ? restored : restored.rows(positions)
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
