internal import BinaryCoding
package import ClusterModel
package import FaceModel
internal import FaceRecords

/// What a backup consists of, and what has to come out of it.
///
/// | field | form |
/// |---|---|
/// | magic | `MBKP`, 4 bytes |
/// | layout | u16 = 3; 2 where no faces were given up, 1 without a codebook as well |
/// | bits of the ring by which blocks are cut | u16, 8…40 |
/// | time | i64, milliseconds since 1970, by the clock of the program that wrote it |
/// | version of that program | text |
/// | cluster | 16 bytes |
/// | collection | id 16 bytes, created i64, name and model (text each), dimension u32, shard count u32 |
/// | | copies u8, least copies in sync u8, stored precision u8, erasure key 16 bytes |
/// | shards | u32 count, then each: index u32, first and last hash u64, epoch and sequence of the cut u64 |
/// | | faces u64, sum of its slices (low, high: u64 each) |
/// | faces | u64 |
/// | slices | 256 sums: low, high (u64 each) |
/// | blocks | u32 count, then each, by slice: slice u8, faces u32, bytes u32, SHA-256 32 bytes |
/// | faces given up, of layout 3 | when: i64, milliseconds since 1970; has a codebook u8, 0 or 1 |
/// | codebook, from layout 2 | generation u32, why it was trained u8, faces there were u64, bytes u32, SHA-256 32 |
/// | | coded dimension, bytes per code, lists, sample rows, calibration probes: u32 each, energy share f32 |
/// | | calibration: u32 count, then each: least similarity f32, recall f64, visited share f64 |
/// | SHA-256 of everything before | 32 bytes |
///
/// Numbers are little-endian, identities two numbers of 8, the high one first; a text is a u16 byte count and UTF-8.
package struct BackupManifest: Hashable, Sendable {
    /// A shard as it was cut. Another number of shards restores from it as well.
    package struct Shard: Hashable, Sendable {
        package var index: UInt32
        package var range: HashRange
        package var epoch: UInt64
        package var sequence: UInt64
        package var faceCount: UInt64
        package var sum: UInt128

        package init(
            index: UInt32,
            range: HashRange,
            epoch: UInt64,
            sequence: UInt64,
            faceCount: UInt64,
            sum: UInt128
        ) {
            self.index = index
            self.range = range
            self.epoch = epoch
            self.sequence = sequence
            self.faceCount = faceCount
            self.sum = sum
        }
    }

    package struct Block: Hashable, Sendable {
        /// Of the ring, which all of its faces lie in.
        package var slice: UInt8
        package var faceCount: UInt32
        package var byteCount: UInt32
        package var digest: BackupDigest

        package init(slice: UInt8, faceCount: UInt32, byteCount: UInt32, digest: BackupDigest) {
            self.slice = slice
            self.faceCount = faceCount
            self.byteCount = byteCount
            self.digest = digest
        }
    }

    /// The collection's newest codebook, whose bytes lie under the name of a block: what is restored is coded by it.
    package struct Codebook: Hashable, Sendable {
        /// Longest codebook that is read.
        package static let longestByteCount = 256 << 20

        package var generation: UInt32
        package var origin: CodebookOrigin
        package var byteCount: UInt32
        package var digest: BackupDigest
        package var codedDimension: UInt32
        package var codeByteCount: UInt32
        package var listCount: UInt32
        package var sampleCount: UInt32
        package var calibrationProbeCount: UInt32
        /// Share of the sample's energy that the coded components hold, 0…1.
        package var energyShare: Float
        package var calibration: [CalibrationPoint]

        package init(
            generation: UInt32,
            origin: CodebookOrigin,
            byteCount: UInt32,
            digest: BackupDigest,
            codedDimension: UInt32,
            codeByteCount: UInt32,
            listCount: UInt32,
            sampleCount: UInt32,
            calibrationProbeCount: UInt32,
            energyShare: Float,
            calibration: [CalibrationPoint]
        ) {
            self.generation = generation
            self.origin = origin
            self.byteCount = byteCount
            self.digest = digest
            self.codedDimension = codedDimension
            self.codeByteCount = codeByteCount
            self.listCount = listCount
            self.sampleCount = sampleCount
            self.calibrationProbeCount = calibrationProbeCount
            self.energyShare = energyShare
            self.calibration = calibration
        }
    }

    package var prefixBits: Int
    package var created: Timestamp
    package var softwareVersion: String
    package var cluster: NodeID
    package var collection: Collection
    /// What pseudonyms in its ledger of erasures are keyed by.
    package var erasureKey: ErasureKey
    package var shards: [Shard]
    package var faceCount: UInt64
    /// The sums of the faces of each slice, under the id of the collection that was backed up.
    package var slices: [UInt128]
    /// In order of slice.
    package var blocks: [Block]
    /// Nil when the collection had none, or the backup is of before they were kept.
    package var codebook: Codebook?
    /// When faces were given up that it may lack, and had not come back: the latest of those. Nil without any, and in
    /// backups of before this was kept.
    package var loss: Timestamp?

    package init(
        prefixBits: Int,
        created: Timestamp,
        softwareVersion: String,
        cluster: NodeID,
        collection: Collection,
        erasureKey: ErasureKey,
        shards: [Shard],
        faceCount: UInt64,
        slices: [UInt128],
        blocks: [Block],
        codebook: Codebook? = nil,
        loss: Timestamp? = nil
    ) {
        self.prefixBits = prefixBits
        self.created = created
        self.softwareVersion = softwareVersion
        self.cluster = cluster
        self.collection = collection
        self.erasureKey = erasureKey
        self.shards = shards
        self.faceCount = faceCount
        self.slices = slices
        self.blocks = blocks
        self.codebook = codebook
        self.loss = loss
    }

    /// Longest manifest that is read: a billion faces.
    package static let longestByteCount = 64 << 20
    package static let layout: UInt16 = 3
    private static let layoutWithoutLoss: UInt16 = 2
    private static let layoutWithoutCodebook: UInt16 = 1
    private static let form = SealedObject(
        magic: "MBKP",
        layouts: layoutWithoutCodebook...layout,
        longestByteCount: longestByteCount,
        name: "a manifest"
    )

    /// Bytes of all blocks.
    package var byteCount: UInt64 { blocks.reduce(0) { $0 + UInt64($1.byteCount) } }

    /// Names and byte counts of everything else that it consists of.
    package var objects: [(digest: BackupDigest, byteCount: UInt32)] {
        blocks.map { ($0.digest, $0.byteCount) } + (codebook.map { [($0.digest, $0.byteCount)] } ?? [])
    }

    /// The highest epoch that a face can be of.
    package var epoch: UInt64 { shards.map(\.epoch).max() ?? 0 }

    /// The lowest version that a write behind the cut can have made: what is not above is in no ledger's interest.
    package var earliestCut: FaceVersion {
        shards.map { FaceVersion(epoch: $0.epoch, sequence: $0.sequence) }.min()
            ?? FaceVersion(epoch: 0, sequence: 0)
    }

    package func blocks(ofSlice slice: Int) -> [Block] { blocks.filter { Int($0.slice) == slice } }

    /// The earliest that has a place for all of it.
    private var leastLayout: UInt16 {
        if loss != nil { return Self.layout }
        return codebook == nil ? Self.layoutWithoutCodebook : Self.layoutWithoutLoss
    }

    package func encoded() -> [UInt8] {
        var writer = Self.form.begin(layout: leastLayout, reservingByteCount: 8192 + blocks.count * 41)
        writer.write(UInt16(prefixBits))
        writer.write(created.milliseconds)
        writer.write(string: softwareVersion)
        writer.write(cluster.high)
        writer.write(cluster.low)
        let configuration = collection.configuration
        writer.write(collection.id.high)
        writer.write(collection.id.low)
        writer.write(collection.created.milliseconds)
        writer.write(string: configuration.name)
        writer.write(string: configuration.embeddingModel)
        writer.write(UInt32(configuration.dimension))
        writer.write(UInt32(configuration.shardCount))
        writer.write(UInt8(configuration.replicationFactor))
        writer.write(UInt8(configuration.minimumInSync))
        writer.write(configuration.storedPrecision.rawValue)
        writer.write(erasureKey.high)
        writer.write(erasureKey.low)
        writer.write(UInt32(shards.count))
        for shard in shards {
            writer.write(shard.index)
            writer.write(shard.range.first)
            writer.write(shard.range.last)
            writer.write(shard.epoch)
            writer.write(shard.sequence)
            writer.write(shard.faceCount)
            writer.write(shard.sum)
        }
        writer.write(faceCount)
        for slice in slices { writer.write(slice) }
        writer.write(UInt32(blocks.count))
        for block in blocks {
            writer.write(block.slice)
            writer.write(block.faceCount)
            writer.write(block.byteCount)
            writer.write(bytes: block.digest.bytes)
        }
        if let loss {
            writer.write(loss.milliseconds)
            writer.write(UInt8(codebook == nil ? 0 : 1))
        }
        codebook?.write(to: &writer)
        return Self.form.seal(&writer)
    }

    /// Reads a manifest from anywhere; nothing in it is believed before its digest is right.
    ///
    /// - Parameter object: names it in an error.
    package init(bytes: [UInt8], object: String) throws(BackupError) {
        self = try Self.form.open(bytes, object: object) {
            (reader: inout ByteReader, layout: UInt16) throws(BinaryCodingError) -> BackupManifest in
            var manifest = try BackupManifest(&reader)
            var hasCodebook = layout != Self.layoutWithoutCodebook
            if layout == Self.layout {
                manifest.loss = Timestamp(milliseconds: try reader.read())
                switch try reader.read(UInt8.self) {
                case 0: hasCodebook = false
                case 1: hasCodebook = true
                default: throw .invalidValue(field: "mark of a codebook", offset: reader.offset - 1)
                }
            }
            if hasCodebook { manifest.codebook = try Codebook(&reader) }
            return manifest
        }
        if let problem { throw .damaged(object: object, reason: problem) }
    }

    private init(_ reader: inout ByteReader) throws(BinaryCodingError) {
        prefixBits = Int(try reader.read(UInt16.self))
        created = Timestamp(milliseconds: try reader.read())
        softwareVersion = try reader.readString()
        cluster = NodeID(high: try reader.read(), low: try reader.read())
        let id = CollectionID(high: try reader.read(), low: try reader.read())
        let collectionCreated = Timestamp(milliseconds: try reader.read())
        let name = try reader.readString()
        let model = try reader.readString()
        let dimension = Int(try reader.read(UInt32.self))
        let shardCount = Int(try reader.read(UInt32.self))
        let copies = Int(try reader.read(UInt8.self))
        let leastCopies = Int(try reader.read(UInt8.self))
        let precisionOffset = reader.offset
        guard let precision = StoredPrecision(rawValue: try reader.read()) else {
            throw .invalidValue(field: "stored precision", offset: precisionOffset)
        }
        collection = Collection(
            id: id,
            configuration: CollectionConfiguration(
                name: name,
                dimension: dimension,
                embeddingModel: model,
                shardCount: shardCount,
                replicationFactor: copies,
                minimumInSync: leastCopies,
                storedPrecision: precision
            ),
            created: collectionCreated
        )
        erasureKey = ErasureKey(high: try reader.read(), low: try reader.read())
        shards = []
        for _ in 0..<(try reader.readCount(leastByteCount: 60)) {
            let index = try reader.read(UInt32.self)
            let offset = reader.offset
            let (first, last) = (try reader.read(UInt64.self), try reader.read(UInt64.self))
            guard first <= last else { throw .invalidValue(field: "hash range", offset: offset) }
            shards.append(
                Shard(
                    index: index,
                    range: HashRange(first: first, last: last),
                    epoch: try reader.read(),
                    sequence: try reader.read(),
                    faceCount: try reader.read(),
                    sum: try reader.read()
                )
            )
        }
        faceCount = try reader.read()
        slices = []
        for _ in 0..<FaceContribution.sliceCount { slices.append(try reader.read()) }
        blocks = []
        for _ in 0..<(try reader.readCount(leastByteCount: 41)) {
            blocks.append(
                Block(
                    slice: try reader.read(),
                    faceCount: try reader.read(),
                    byteCount: try reader.read(),
                    digest: BackupDigest(bytes: try reader.readBytes(count: BackupDigest.byteCount))
                )
            )
        }
    }

    /// What its parts say against each other, as a sentence; nil when they agree.
    private var problem: String? {
        if let problem = collection.configuration.problem { return problem }
        guard BlockCutter.prefixBitRange.contains(prefixBits) else { return "blocks are cut by \(prefixBits) bits" }
        guard Timestamp.computable.contains(created), Timestamp.computable.contains(collection.created) else {
            return "it, or its collection, was made at no time"
        }
        guard loss.map(Timestamp.computable.contains) ?? true else { return "faces were given up at no time" }
        guard shards.allSatisfy({ $0.sequence < .max }) else { return "a shard was cut behind the last write" }
        guard !shards.isEmpty, shards.first?.range.first == 0, shards.last?.range.last == .max,
            zip(shards, shards.dropFirst()).allSatisfy({ $0.range.last &+ 1 == $1.range.first })
        else { return "its shards do not cover the ring" }
        let inShards = shards.reduce(UInt64(0)) { $0 &+ $1.faceCount }
        let inBlocks = blocks.reduce(UInt64(0)) { $0 + UInt64($1.faceCount) }
        guard inShards == faceCount, inBlocks == faceCount else {
            return "it has \(faceCount) faces, its shards \(inShards) and its blocks \(inBlocks)"
        }
        guard shards.reduce(UInt128(0), { $0 &+ $1.sum }) == slices.reduce(UInt128(0), { $0 &+ $1 }) else {
            return "the sums of its shards are not those of its slices"
        }
        guard zip(blocks, blocks.dropFirst()).allSatisfy({ $0.slice <= $1.slice }) else {
            return "its blocks are out of order"
        }
        guard blocks.allSatisfy({ $0.faceCount > 0 && Int($0.byteCount) <= BackupBlock.longestByteCount }) else {
            return "a block is empty or too long"
        }
        guard codebook.map({ $0.byteCount > 0 && $0.generation > 0 && $0.generation < .max }) ?? true else {
            return "its codebook is none"
        }
        return nil
    }
}

extension BackupManifest.Codebook {
    fileprivate func write(to writer: inout ByteWriter) {
        writer.write(generation)
        writer.write(origin.cause.rawValue)
        writer.write(origin.faceCount)
        writer.write(byteCount)
        writer.write(bytes: digest.bytes)
        for count in [codedDimension, codeByteCount, listCount, sampleCount, calibrationProbeCount] {
            writer.write(count)
        }
        writer.write(energyShare)
        writer.write(UInt32(calibration.count))
        for point in calibration {
            writer.write(point.leastSimilarity)
            writer.write(point.recall)
            writer.write(point.visitedShare)
        }
    }

    fileprivate init(_ reader: inout ByteReader) throws(BinaryCodingError) {
        generation = try reader.read()
        let offset = reader.offset
        guard let cause = TrainingCause(rawValue: try reader.read()) else {
            throw .invalidValue(field: "cause of a training", offset: offset)
        }
        origin = CodebookOrigin(cause: cause, faceCount: try reader.read())
        byteCount = try reader.read()
        digest = BackupDigest(bytes: try reader.readBytes(count: BackupDigest.byteCount))
        codedDimension = try reader.read()
        codeByteCount = try reader.read()
        listCount = try reader.read()
        sampleCount = try reader.read()
        calibrationProbeCount = try reader.read()
        energyShare = try reader.readFloat()
        calibration = []
        for _ in 0..<(try reader.readCount(leastByteCount: 20)) {
            calibration.append(
                CalibrationPoint(
                    leastSimilarity: try reader.readFloat(),
                    recall: try reader.readDouble(),
                    visitedShare: try reader.readDouble()
                )
            )
        }
    }
}
