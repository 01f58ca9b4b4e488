import Backups
import ClusterModel
import FaceModel
import FaceRecords

enum BackupSamples {
    static let collection = FaceModel.Collection(
        id: CollectionID(high: 0x0011_2233_4455_4677, low: 0x8899_aabb_ccdd_eeff),
        configuration: CollectionConfiguration(
            name: "gallery",
            dimension: 64,
            embeddingModel: "model-a",
            shardCount: 2,
            replicationFactor: 3,
            minimumInSync: 2
        ),
        created: Timestamp(milliseconds: 1_790_000_000_000)
    )

    /// Of the backup whose manifest ``manifest(of:)`` gives.
    static let backup = BackupName.make(
        collection: "gallery",
        time: BackupName.text(of: Timestamp(milliseconds: 1_795_000_000_000)),
        number: 1
    )

    /// Faces of random ids, each of unit length: one component is 1.
    static func faces(_ count: Int, seed: UInt64 = 1) -> ArchivedFaces {
        var numbers = Numbers(seed: seed)
        var faces = ArchivedFaces(dimension: 64, precision: .float16)
        for number in 0..<count {
            var embedding = [UInt8](repeating: 0, count: 128)
            embedding[2 * Int.random(in: 0..<64, using: &numbers) + 1] = 0x3c
            faces.append(
                ArchivedFaces.Row(
                    id: FaceID(high: numbers.next(), low: numbers.next()),
                    version: FaceVersion(epoch: 3, sequence: UInt64(number)),
                    metadata: FaceMetadata(
                        personID: "person-\(number % 9)",
                        expires: number % 4 == 0 ? Timestamp(milliseconds: 7) : nil,
                        attributes: number % 5 == 0 ? ["camera": "north", "set": ""] : [:]
                    )
                ),
                embedding: embedding
            )
        }
        let order = faces.rows.indices.sorted {
            place(faces.rows[$0].id) < place(faces.rows[$1].id)
        }
        return faces.rows(order)
    }

    static func place(_ face: FaceID) -> UInt64 { FaceContribution.place(of: face, in: collection.id) }

    static func manifest(of faces: ArchivedFaces) -> (manifest: BackupManifest, blocks: [[UInt8]]) {
        var slices = [UInt128](repeating: 0, count: 256)
        for contribution in faces.contributions(in: collection.id) { slices[contribution.slice] &+= contribution.sum }
        var blocks: [BackupManifest.Block] = []
        var contents: [[UInt8]] = []
        for slice in 0..<256 {
            let own = faces.rows(faces.rows.indices.filter { Int(place(faces.rows[$0].id) >> 56) == slice })
            var cutter = BlockCutter(collection: collection.id, prefixBits: 8, dimension: 64, precision: .float16)
            for block in cutter.add(own) + [cutter.finish()].compactMap(\.self) {
                let bytes = BackupBlock.encode(block)
                contents.append(bytes)
                blocks.append(
                    .init(
                        slice: UInt8(slice),
                        faceCount: UInt32(block.count),
                        byteCount: UInt32(bytes.count),
                        digest: BackupDigest(of: bytes)
                    )
                )
            }
        }
        let half = UInt64.max / 2
        let inFirst = faces.rows.count { place($0.id) <= half }
        let firstSum = faces.contributions(in: collection.id).indices.reduce(UInt128(0)) { sum, row in
            place(faces.rows[row].id) <= half ? sum &+ faces.contributions(in: collection.id)[row].sum : sum
        }
        let total = slices.reduce(UInt128(0)) { $0 &+ $1 }
        let manifest = BackupManifest(
            prefixBits: 8,
            created: Timestamp(milliseconds: 1_795_000_000_000),
            softwareVersion: "0.1",
            cluster: NodeID(high: 1, low: 2),
            collection: collection,
            erasureKey: ErasureKey(high: 7, low: 8),
            shards: [
                .init(
                    index: 0,
                    range: HashRange(first: 0, last: half),
                    epoch: 3,
                    sequence: 40,
                    faceCount: UInt64(inFirst),
                    sum: firstSum
                ),
                .init(
                    index: 1,
                    range: HashRange(first: half + 1, last: .max),
                    epoch: 4,
                    sequence: 41,
                    faceCount: UInt64(faces.count - inFirst),
                    sum: total &- firstSum
                ),
            ],
            faceCount: UInt64(faces.count),
            slices: slices,
            blocks: blocks
        )
        return (manifest, contents)
    }
}

struct Numbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
