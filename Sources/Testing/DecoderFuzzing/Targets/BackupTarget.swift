import Backups
import Checksum
import ClusterModel
import FaceModel

extension FuzzTarget {
    /// Manifests, blocks and ledgers of erasures: a byte for the kind, then the object without its seal, which is put
    /// behind.
    static let backups = FuzzTarget(
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
            if kind % 3 == 2 {
                let sealed = content + BackupDigest(of: content).bytes
                let ledger = try ErasureLedger(bytes: sealed, object: "ledger")
                precondition(ledger.encoded() == sealed, "a ledger is another after it was written")
            } else if kind % 3 == 0 {
                let sealed = content + BackupDigest(of: content).bytes
                let manifest = try BackupManifest(bytes: sealed, object: "manifest")
                precondition(manifest.encoded() == sealed, "a manifest is another after it was written")
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
        return [
            [2] + ledger.encoded().dropLast(BackupDigest.byteCount),
            [0] + manifest.encoded().dropLast(BackupDigest.byteCount), [1] + block.dropLast(4),
        ]
    }()
}
