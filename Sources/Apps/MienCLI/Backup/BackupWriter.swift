import Backups
import ClusterModel
import FaceModel
import FaceRecords
import MienClient
import NodeServer
import Synchronization
import WireProtocol

/// What a backup took.
struct BackupOutcome {
    var name: String
    var manifest: BackupManifest
    var newBlockCount: Int
    var newByteCount: UInt64
    /// Slices of the ring that were read; the others are as they were in the backup before.
    var readSliceCount: Int
    /// From the request for the cut until all shards were cut.
    var cutTime: Duration
    var time: Duration
}

/// Makes a backup of one collection: has all shards cut at one moment, reads what has changed since the backup before,
/// and writes it: blocks first, the manifest last.
///
/// In memory are the manifest, one page and one unfinished block for each shard that is read.
struct BackupWriter {
    private static let shardsAtOnce = 4
    private static let pollInterval = Duration.milliseconds(100)
    /// Between two signs that snapshots are still wanted: a worker removes one that nobody asks for in ten minutes, or
    /// in two where there is no room for others, and some wait their turn for longer.
    private static let signInterval = Duration.seconds(30)
    /// A face's record beside its embedding, for the progress.
    private static let recordByteCount: UInt64 = 80

    let client: MienClient
    let store: any BackupStore
    let console: Console
    /// Reads everything, whatever the digests say, and writes every block, whatever is there.
    let isFull: Bool
    let bytesPerSecond: Int?

    /// One shard's snapshot.
    private struct Part: Sendable {
        var shard: BackupBegun.Shard
        var route: SnapshotRoute
        var content: SnapshotDescription.Content

        /// Slices of the ring that it has a part of.
        var slices: ClosedRange<Int> { Int(shard.range.first >> 56)...Int(shard.range.last >> 56) }
    }

    /// Shared by the tasks that read.
    private final class Tally: Sendable {
        /// Blocks that are there, with their bytes.
        let known: Mutex<[BackupDigest: UInt64]>
        let newBlockCount = Mutex(0)
        let newByteCount = Mutex<UInt64>(0)

        init(known: [BackupDigest: UInt64]) {
            self.known = Mutex(known)
        }

        func has(_ digest: BackupDigest, byteCount: Int) -> Bool {
            known.withLock { $0[digest] == UInt64(byteCount) }
        }
    }

    func write(_ collection: String) async throws(CommandFailure) -> BackupOutcome {
        let start = ContinuousClock.now
        let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
        guard let clusterID = NodeID(cluster.id) else {
            throw CommandFailure(.internalError, "the cluster's id is no id")
        }
        let snapshot = SnapshotID.random()
        let created = Self.now
        let begun = try await calling { () async throws(MienClientError) in
            try await client.beginBackup(collection, snapshot: snapshot)
        }
        let cutTime = ContinuousClock.now - start
        let routes = begun.shards.map { shard in
            SnapshotRoute(
                worker: shard.cut.worker,
                snapshot: snapshot,
                shard: ShardID(collection: begun.collection.id, index: shard.index)
            )
        }
        let signs = Task { await askForAll(routes) }
        defer { signs.cancel() }
        do throws(CommandFailure) {
            var outcome = try await write(begun, routes, created: created, cluster: clusterID)
            await release(routes)
            outcome.cutTime = cutTime
            outcome.time = ContinuousClock.now - start
            return outcome
        } catch {
            await release(routes)
            throw error
        }
    }

    private static var now: Timestamp { Timestamp(milliseconds: TimeText.milliseconds) }

    private func write(
        _ begun: BackupBegun,
        _ routes: [SnapshotRoute],
        created: Timestamp,
        cluster: NodeID
    ) async throws(CommandFailure) -> BackupOutcome {
        let collection = begun.collection
        let contents = try await waitForSnapshots(routes)
        let parts = begun.shards.indices.map {
            Part(shard: begun.shards[$0], route: routes[$0], content: contents[$0])
        }
        var slices = [UInt128](repeating: 0, count: FaceContribution.sliceCount)
        for content in contents {
            for index in slices.indices { slices[index] &+= content.slices[index] }
        }
        let faceCount = contents.reduce(0) { $0 &+ $1.faceCount }
        let (earlier, known) = try await keeping { () async throws(BackupError) in
            (
                try await BackupCatalogue.newest(of: collection.id, named: collection.name, in: store),
                isFull ? [:] : try await store.blockByteCounts()
            )
        }
        let prefixBits = BlockCutter.prefixBits(faceCount: faceCount, earlier: earlier?.prefixBits)
        let kept = isFull ? [:] : unchanged(slices, since: earlier, prefixBits: prefixBits, known: known)
        let tally = Tally(known: known)
        let blocks = try await read(
            parts,
            changed: (0..<slices.count).filter { kept[$0] == nil },
            collection,
            prefixBits: prefixBits,
            tally
        )
        let codebook = try await writeCodebook(of: collection.name, tally)
        let manifest = BackupManifest(
            prefixBits: prefixBits,
            created: created,
            softwareVersion: NodeServer.version,
            cluster: cluster,
            collection: collection,
            erasureKey: begun.shards[0].cut.erasureKey,
            shards: parts.map { part in
                BackupManifest.Shard(
                    index: part.shard.index,
                    range: part.shard.range,
                    epoch: part.shard.cut.epoch.number,
                    sequence: part.shard.cut.sequence,
                    faceCount: part.content.faceCount,
                    sum: part.content.slices.reduce(UInt128(0)) { $0 &+ $1 }
                )
            },
            faceCount: faceCount,
            slices: slices,
            blocks: slices.indices.flatMap { kept[$0] ?? blocks[$0] ?? [] },
            codebook: codebook,
            loss: begun.loss
        )
        let name = BackupName.make(
            collection: collection.name,
            time: BackupName.text(of: created),
            number: .random(in: .min ... .max)
        )
        do throws(BackupError) {
            try await store.put(manifest, as: name)
        } catch {
            guard case .missing = error else { throw CommandFailure(error) }
            throw CommandFailure(
                .unavailable,
                "\(error): it was there when the backup began; run the command again, which writes it anew"
            )
        }
        return BackupOutcome(
            name: name,
            manifest: manifest,
            newBlockCount: tally.newBlockCount.withLock(\.self),
            newByteCount: tally.newByteCount.withLock(\.self),
            readSliceCount: slices.count - kept.count,
            cutTime: .zero,
            time: .zero
        )
    }

    /// The blocks of slices that hold what they held at the backup before.
    private func unchanged(
        _ slices: [UInt128],
        since earlier: BackupManifest?,
        prefixBits: Int,
        known: [BackupDigest: UInt64]
    ) -> [Int: [BackupManifest.Block]] {
        guard let earlier, earlier.prefixBits == prefixBits else { return [:] }
        var kept: [Int: [BackupManifest.Block]] = [:]
        let blocks = Dictionary(grouping: earlier.blocks) { Int($0.slice) }
        for index in slices.indices where earlier.slices[index] == slices[index] {
            let own = blocks[index] ?? []
            if own.allSatisfy({ known[$0.digest] == UInt64($0.byteCount) }) { kept[index] = own }
        }
        return kept
    }

    /// Waits until the workers have made all snapshots.
    private func waitForSnapshots(
        _ routes: [SnapshotRoute]
    ) async throws(CommandFailure) -> [SnapshotDescription.Content] {
        var contents = [SnapshotDescription.Content?](repeating: nil, count: routes.count)
        var progress: ByteProgress?
        defer { progress?.clear() }
        var copied = [UInt64](repeating: 0, count: routes.count)
        var totals = copied
        while contents.contains(where: { $0 == nil }) {
            for (index, route) in routes.enumerated() where contents[index] == nil {
                let description = try await calling { () async throws(MienClientError) in
                    try await client.describe(route)
                }
                contents[index] = description.content
                copied[index] = description.copiedByteCount
                totals[index] = description.totalByteCount
            }
            if progress == nil {
                progress = ByteProgress(console: console, title: "snapshots", total: totals.reduce(0, +))
            }
            progress?.set(copied.reduce(0, +))
            if contents.contains(where: { $0 == nil }) {
                guard (try? await Task.sleep(for: Self.pollInterval)) != nil else {
                    throw CommandFailure(.unavailable, "the backup was interrupted")
                }
            }
        }
        return contents.compactMap(\.self)
    }

    /// Reads the slices that changed, and writes their blocks; blocks by slice, in order of the ring.
    private func read(
        _ parts: [Part],
        changed: [Int],
        _ collection: Collection,
        prefixBits: Int,
        _ tally: Tally
    ) async throws(CommandFailure) -> [Int: [BackupManifest.Block]] {
        let configuration = collection.configuration
        let faceByteCount =
            UInt64(configuration.dimension * configuration.storedPrecision.byteCount) + Self.recordByteCount
        let total = parts.reduce(UInt64(0)) { sum, part in
            let own = changed.count { part.slices.contains($0) }
            return sum + part.content.faceCount * faceByteCount * UInt64(own) / UInt64(part.slices.count)
        }
        let progress = ByteProgress(console: console, title: "faces", total: total)
        defer { progress.clear() }
        let pace = TransferPace(bytesPerSecond: bytesPerSecond)
        let result = await withTaskGroup(
            of: (Int, Result<[Int: [BackupManifest.Block]], CommandFailure>).self
        ) { group -> Result<[Int: [BackupManifest.Block]], CommandFailure> in
            var next = 0
            func beginNext() {
                guard next < parts.count else { return }
                let number = next
                next += 1
                group.addTask {
                    do throws(CommandFailure) {
                        let part = parts[number]
                        let slices = changed.filter { part.slices.contains($0) }
                        var blocks: [Int: [BackupManifest.Block]] = [:]
                        for slice in slices {
                            blocks[slice] = try await read(
                                slice,
                                of: part,
                                collection,
                                prefixBits: prefixBits,
                                tally,
                                pace,
                                progress
                            )
                        }
                        return (number, .success(blocks))
                    } catch {
                        return (number, .failure(error))
                    }
                }
            }
            for _ in 0..<Self.shardsAtOnce { beginNext() }
            var found = [[Int: [BackupManifest.Block]]](repeating: [:], count: parts.count)
            while let (number, result) = await group.next() {
                switch result {
                case .success(let blocks): found[number] = blocks
                case .failure(let failure):
                    group.cancelAll()
                    return .failure(failure)
                }
                beginNext()
            }
            // Shards come in order of range, so that a slice that two of them share stays in the order of the ring.
            return .success(found.reduce(into: [:]) { all, own in all.merge(own) { $0 + $1 } })
        }
        return try result.get()
    }

    private func read(
        _ slice: Int,
        of part: Part,
        _ collection: Collection,
        prefixBits: Int,
        _ tally: Tally,
        _ pace: TransferPace,
        _ progress: ByteProgress
    ) async throws(CommandFailure) -> [BackupManifest.Block] {
        let configuration = collection.configuration
        var cutter = BlockCutter(
            collection: collection.id,
            prefixBits: prefixBits,
            dimension: configuration.dimension,
            precision: configuration.storedPrecision
        )
        var blocks: [BackupManifest.Block] = []
        var sum: UInt128 = 0
        var offset = 0
        while true {
            let start = offset
            let page = try await calling { () async throws(MienClientError) in
                try await client.read(part.route, slice: slice, offset: start)
            }
            let faces = page.faces
            guard faces.dimension == configuration.dimension, faces.precision == configuration.storedPrecision,
                faces.count > 0 || page.isLast
            else { throw CommandFailure(.internalError, "the cluster sent a page of another collection") }
            for contribution in faces.contributions(in: collection.id) { sum &+= contribution.sum }
            for block in cutter.add(faces) { blocks.append(try await write(block, slice, tally)) }
            offset += faces.count
            let byteCount = faces.embeddings.count + faces.count * Int(Self.recordByteCount)
            progress.add(byteCount)
            await pace.sent(byteCount)
            if page.isLast { break }
        }
        if let block = cutter.finish() { blocks.append(try await write(block, slice, tally)) }
        guard sum == part.content.slices[slice] else {
            throw CommandFailure(
                .internalError,
                "shard \(part.shard.index) of \(collection.name) sent other faces of slice \(slice) than its snapshot "
                    + "has; run the command again"
            )
        }
        return blocks
    }

    /// Writes a block, unless it is there.
    private func write(
        _ faces: ArchivedFaces,
        _ slice: Int,
        _ tally: Tally
    ) async throws(CommandFailure) -> BackupManifest.Block {
        let bytes = BackupBlock.encode(faces)
        let digest = BackupDigest(of: bytes)
        if !tally.has(digest, byteCount: bytes.count) {
            try await keeping { () async throws(BackupError) in
                try await store.put(BackupName.block(digest), bytes)
            }
            tally.known.withLock { $0[digest] = UInt64(bytes.count) }
            tally.newBlockCount.withLock { $0 += 1 }
            tally.newByteCount.withLock { $0 += UInt64(bytes.count) }
        }
        return BackupManifest.Block(
            slice: UInt8(slice),
            faceCount: UInt32(faces.count),
            byteCount: UInt32(bytes.count),
            digest: digest
        )
    }

    /// Writes the collection's codebook, unless it is there; nil when it has none. A backup without it is a backup.
    private func writeCodebook(
        of collection: String,
        _ tally: Tally
    ) async throws(CommandFailure) -> BackupManifest.Codebook? {
        let copy: MienClient.CodebookCopy?
        do throws(MienClientError) {
            copy = try await client.codebook(of: collection, limit: BackupManifest.Codebook.longestByteCount)
        } catch {
            console.writeError(
                "mien: the codebook is not in the backup, and a restored collection trains its own: "
                    + "\(error.message.shown())\n"
            )
            return nil
        }
        guard let copy else { return nil }
        let digest = BackupDigest(of: copy.bytes)
        if !tally.has(digest, byteCount: copy.bytes.count) {
            try await keeping { () async throws(BackupError) in
                try await store.put(BackupName.block(digest), copy.bytes)
            }
            tally.newByteCount.withLock { $0 += UInt64(copy.bytes.count) }
        }
        return CodebookBackup.entry(of: copy, digest)
    }

    /// Asks for every snapshot now and then, until cancelled: those that are read later stay. What fails shows when the
    /// snapshot is read.
    private func askForAll(_ routes: [SnapshotRoute]) async {
        let client = client.with(calls: Self.shortCalls)
        while (try? await Task.sleep(for: Self.signInterval)) != nil {
            for route in routes where !Task.isCancelled { _ = try? await client.describe(route) }
        }
    }

    private static let shortCalls = MienClient.CallOptions(timeout: .seconds(5), retryDuration: .zero)

    /// Workers that are not reached forget the snapshots by themselves.
    private func release(_ routes: [SnapshotRoute]) async {
        let client = client.with(calls: Self.shortCalls)
        for route in routes { try? await client.release(route) }
    }
}
