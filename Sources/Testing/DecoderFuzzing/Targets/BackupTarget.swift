import Backups
import Checksum
import ClusterModel
import FaceModel

extension FuzzTarget {
    /// Manifests, blocks, ledgers of erasures, and volumes and segments of archives: a byte for the kind, then the
    /// object without its seal, which is put behind.
    package static let backups = FuzzTarget(
        name: "backups",
        seeds: { BackupTarget.seeds },
        accepts: { BackupTarget.accepts($0) }
    )
}

enum BackupTarget {
    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let kind = bytes.first else { return false }
        let content = Array(bytes.dropFirst())
        do throws(BackupError) {
            if kind % 5 == 2 {
                let sealed = content + BackupDigest(of: content).bytes
                let ledger = try ErasureLedger(bytes: sealed, object: "ledger")
                precondition(ledger.encoded() == sealed, "a ledger is another after it was written")
            } else if kind % 5 == 0 {
                let sealed = content + BackupDigest(of: content).bytes
                let manifest = try BackupManifest(bytes: sealed, object: "manifest")
                precondition(manifest.encoded() == sealed, "a manifest is another after it was written")
            } else if kind % 5 == 3 {
                let sealed = content + BackupDigest(of: content).bytes
                let volume = try ArchiveVolume(bytes: sealed, object: "volume")
                precondition(volume.encoded() == sealed, "a volume is another after it was written")
                goOn(from: volume, BackupDigest(of: sealed))
            } else if kind % 5 == 4 {
                let sealed = content + sealOfBlock(content)
                let segment = try LogSegment(bytes: sealed, object: "segment")
                precondition(segment.encoded() == sealed, "a segment is another after it was written")
            } else {
                let sealed = content + sealOfBlock(content)
                let faces = try BackupBlock.decode(sealed, object: "block")
                let again = BackupBlock.encode(faces)
                let reread = try BackupBlock.decode(again, object: "block")
                precondition(BackupBlock.encode(reread) == again, "a block is another after it was written")
            }
            return true
        } catch {
            return false
        }
    }

    /// What archives, restores and lists make of a volume.
    private static func goOn(from volume: ArchiveVolume, _ digest: BackupDigest) {
        let name = BackupName.Volume(
            collection: volume.collection,
            number: volume.number,
            revision: volume.revision,
            digest: digest
        )
        var book = ArchiveBook(
            collection: volume.collection,
            name: volume.name,
            cluster: volume.cluster,
            head: (name, volume)
        )
        for now in [Timestamp.computable.lowerBound, Timestamp.computable.upperBound] {
            _ = book.wasWritten(within: 10_000, before: now)
            let page = book.page(adding: [], standings: volume.standings, now: now)
            // The last number that there is cannot be gone on from.
            guard let next = try? ArchiveVolume(bytes: page.bytes, object: "volume") else { return }
            precondition(next.written == now, "a page is another than was to be written")
            book.stored(page)
        }
        guard let chain = try? ArchiveChain(of: volume, named: name) else { return }
        _ = (chain.until, chain.gapCount, chain.byteCount, chain.entryCount, chain.replaced)
        _ = chain.volumesToPrune(keeping: [])
    }

    private static func sealOfBlock(_ content: [UInt8]) -> [UInt8] {
        let checksum = unsafe content.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        return (0..<4).map { UInt8(truncatingIfNeeded: checksum >> UInt32(8 * $0)) }
    }

    private static let faces: ArchivedFaces = {
        var faces = ArchivedFaces(dimension: 8, precision: .float16)
        for number in 0..<3 {
            var embedding = [UInt8](repeating: 0, count: 16)
            embedding[2 * number + 1] = 0x3c
            faces.append(
                .init(
                    id: FaceID(high: 7, low: UInt64(number)),
                    version: FaceVersion(epoch: 1, sequence: UInt64(number)),
                    metadata: number == 0
                        ? FaceMetadata(personID: "person-1", attributes: ["camera": "north"]) : FaceMetadata()
                ),
                embedding: embedding
            )
        }
        return faces
    }()

    fileprivate static let seeds: [[UInt8]] = {
        let block = BackupBlock.encode(faces)
        let collection = Collection(
            id: CollectionID(high: 1, low: 2),
            configuration: CollectionConfiguration(
                name: "gallery",
                dimension: 64,
                embeddingModel: "model-a",
                shardCount: 1
            ),
            created: Timestamp(milliseconds: 1)
        )
        let manifest = BackupManifest(
            prefixBits: 8,
            created: Timestamp(milliseconds: 2),
            softwareVersion: "0.1",
            cluster: NodeID(high: 3, low: 4),
            collection: collection,
            erasureKey: ErasureKey(high: 7, low: 8),
            shards: [.init(index: 0, range: .all, epoch: 1, sequence: 9, faceCount: 3, sum: 6)],
            faceCount: 3,
            slices: [6] + [UInt128](repeating: 0, count: 255),
            blocks: [
                .init(slice: 0, faceCount: 3, byteCount: UInt32(block.count), digest: BackupDigest(of: block))
            ]
        )
        var trained = manifest
        trained.codebook = BackupManifest.Codebook(
            generation: 2,
            origin: CodebookOrigin(cause: .growth, faceCount: 3),
            byteCount: 7,
            digest: BackupDigest(of: block),
            codedDimension: 128,
            codeByteCount: 32,
            listCount: 16,
            sampleCount: 100,
            calibrationProbeCount: 20,
            energyShare: 0.5,
            calibration: [.init(leastSimilarity: 0.3, recall: 0.99, visitedShare: 0.25)]
        )
        var lossy = trained
        lossy.loss = Timestamp(milliseconds: 1)
        let ledger = ErasureLedger(
            collection: collection.id,
            name: "gallery",
            keyMark: 9,
            since: Timestamp(milliseconds: 1),
            until: Timestamp(milliseconds: 5),
            erasures: [
                .init(
                    pseudonym: 3,
                    version: FaceVersion(epoch: 1, sequence: 2),
                    time: Timestamp(milliseconds: 4)
                )
            ]
        )
        let segment = LogSegment(
            collection: collection.id,
            shardIndex: 0,
            firstSequence: 10,
            entries: [
                ArchivedEntry(time: Timestamp(milliseconds: 3), effect: .applied, bytes: [1, 2, 3]),
                ArchivedEntry(time: Timestamp(milliseconds: 4), effect: .unknown, bytes: []),
            ]
        ).encoded()
        let start = ArchivePosition(sequence: 9, epoch: 1, chain: 5, time: Timestamp(milliseconds: 3))
        let end = ArchivePosition(sequence: 11, epoch: 2, chain: 6, time: Timestamp(milliseconds: 4))
        let shard = ArchiveVolume.Shard(index: 0, range: .all)
        let volume = ArchiveVolume(
            collection: collection.id,
            name: "gallery",
            cluster: NodeID(high: 3, low: 4),
            number: 2,
            revision: 7,
            previous: .init(revision: 4, digest: BackupDigest(of: [1])),
            written: Timestamp(milliseconds: 6),
            parts: [
                .init(shard: shard, start: start, end: start, continues: false, segment: nil),
                .init(
                    shard: shard,
                    start: start,
                    end: end,
                    continues: true,
                    segment: .init(entryCount: 2, byteCount: UInt32(segment.count), digest: BackupDigest(of: segment))
                ),
            ],
            standings: [.init(shard: shard, position: end, until: Timestamp(milliseconds: 5))]
        )
        return [
            [3] + volume.encoded().dropLast(BackupDigest.byteCount), [4] + segment.dropLast(4),
            [2] + ledger.encoded().dropLast(BackupDigest.byteCount),
            [0] + manifest.encoded().dropLast(BackupDigest.byteCount),
            [0] + trained.encoded().dropLast(BackupDigest.byteCount),
            [0] + lossy.encoded().dropLast(BackupDigest.byteCount), [1] + block.dropLast(4),
        ]
    }()
}
