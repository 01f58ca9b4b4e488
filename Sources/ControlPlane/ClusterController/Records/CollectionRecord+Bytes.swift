import BinaryCoding
import ClusterModel
import ClusterState
import FaceModel

/// Layout 8 of a collection's record, which is written only where what a restoration put back was found to be there;
/// one of layout 7 ends before that, and is written only where a loss was settled; one of layout 6 ends before that;
/// one of layout 5 also before its losses; one of layout 4 also before its retired shards, and its groups before their
/// marks; one of layout 3 also before its erasure key:
///
/// | field | form |
/// |---|---|
/// | layout | u8 = 8 |
/// | id | 16 bytes |
/// | name, embedding model | text each |
/// | dimension, shard count | u32 each |
/// | replication factor, least copies in sync, stored precision | u8 each |
/// | created | i64, milliseconds since 1970 |
/// | established | u8, 0 or 1 |
/// | placements | u32 count, then each: index u32, first u64, last u64, and its group |
/// | a group | epoch u64, version u64, least in sync u8, primary 16 bytes; in sync, learners: u32 count, 16 each;
///   frozen u8, 0 or 1 |
/// | has codebook | u8, 0 or 1; what follows down to the calibration only when 1 |
/// | generation | u32 |
/// | why it was trained, faces there were | u8 (``TrainingCause``), u64 |
/// | SHA-256 of its bytes | 32 bytes |
/// | byte count | u64 |
/// | coded dimension, bytes per code, list count, sample count | u32 each |
/// | energy share | f32 |
/// | calibration probe count | u32 |
/// | calibration | u32 count, then each: least similarity f32, recall f64, visited share f64 |
/// | erasure key | 16 bytes |
/// | is being restored | u8, 0 or 1; the rest only when 1 |
/// | backup | text |
/// | has a digest or mark | u8, 0 or 1; before layout 8 a 1 does not say what was found, and is not gone by |
///
/// and then, whether it is being restored or not, the shards whose place others took: u32 count, then each: index u32,
/// epoch u64, first u64, last u64; and losses that were accepted: u32 count, then each: first u64, last u64, time i64
/// in milliseconds since 1970, whether a shard begins in its place u8, and if so its index u32; and when the
/// newest was accepted of those that are back: i64, in layout 8 behind a u8, 1, or 0 when there is none; and in layout
/// 8 the digest of what it was restored to, or the mark of who began again, 32 bytes.
extension CollectionRecord {
    static let layout: UInt8 = 8
    private static let layoutWithoutRestored: UInt8 = 7
    private static let layoutWithoutSettledLoss: UInt8 = 6
    private static let layoutWithoutLosses: UInt8 = 5
    private static let layoutWithoutRetirements: UInt8 = 4
    private static let layoutWithoutErasureKey: UInt8 = 3

    /// The earliest that has a place for all of it.
    private var leastLayout: UInt8 {
        if restored != nil { return Self.layout }
        return settledLoss == nil ? Self.layoutWithoutSettledLoss : Self.layoutWithoutRestored
    }

    var bytes: [UInt8] {
        RecordCoding.bytes(layout: leastLayout) { writer in
            let configuration = collection.configuration
            writer.write(high: collection.id.high, low: collection.id.low)
            writer.write(string: configuration.name)
            writer.write(string: configuration.embeddingModel)
            writer.write(UInt32(configuration.dimension))
            writer.write(UInt32(configuration.shardCount))
            writer.write(UInt8(configuration.replicationFactor))
            writer.write(UInt8(configuration.minimumInSync))
            writer.write(configuration.storedPrecision.rawValue)
            writer.write(collection.created.milliseconds)
            writer.write(isEstablished)
            writer.write(UInt32(placements.count))
            for placement in placements { placement.write(to: &writer) }
            writer.write(codebook != nil)
            codebook?.write(to: &writer)
            writer.write(high: erasureKey.high, low: erasureKey.low)
            writer.write(restoration != nil)
            if let restoration {
                writer.write(string: restoration.backup)
                writer.write(restored != nil)
            }
            writer.write(UInt32(retirements.count))
            for retirement in retirements {
                writer.write(retirement.index)
                writer.write(retirement.epoch.number)
                writer.write(retirement.range.first)
                writer.write(retirement.range.last)
            }
            writer.write(UInt32(losses.count))
            for loss in losses {
                writer.write(loss.range.first)
                writer.write(loss.range.last)
                writer.write(loss.time.milliseconds)
                writer.write(loss.beginning != nil)
                if let index = loss.beginning { writer.write(index) }
            }
            if restored != nil { writer.write(settledLoss != nil) }
            if let settledLoss { writer.write(settledLoss.milliseconds) }
            if let restored {
                precondition(restored.count == RestorationRecord.digestByteCount, "the digest is a SHA-256")
                writer.write(bytes: restored)
            }
        }
    }

    init(bytes: [UInt8]) throws {
        let layout =
            bytes.first.flatMap { (Self.layoutWithoutErasureKey...Self.layout).contains($0) ? $0 : nil }
            ?? Self.layout
        let hasErasureKey = layout != Self.layoutWithoutErasureKey
        let hasRetirements = layout > Self.layoutWithoutRetirements
        self = try RecordCoding.read(bytes, layout: layout) { reader in
            let (high, low) = try reader.readID()
            let id = CollectionID(high: high, low: low)
            let name = try reader.readString()
            let model = try reader.readString()
            let dimension = try reader.read(UInt32.self)
            let shardCount = try reader.read(UInt32.self)
            let replicationFactor = try reader.read(UInt8.self)
            let minimumInSync = try reader.read(UInt8.self)
            let precisionOffset = reader.offset
            guard let precision = StoredPrecision(rawValue: try reader.read()) else {
                throw BinaryCodingError.invalidValue(field: "stored precision", offset: precisionOffset)
            }
            let created = Timestamp(milliseconds: try reader.read())
            let configuration = CollectionConfiguration(
                name: name,
                dimension: Int(dimension),
                embeddingModel: model,
                shardCount: Int(shardCount),
                replicationFactor: Int(replicationFactor),
                minimumInSync: Int(minimumInSync),
                storedPrecision: precision
            )
            if let problem = configuration.problem { throw RecordProblem(description: problem) }
            let isEstablished = try reader.readFlag("mark of being established")
            var placements: [ShardPlacement] = []
            for _ in 0..<(try reader.readCount(leastByteCount: 77)) {
                placements.append(try ShardPlacement(from: &reader, collection: id, hasMarks: hasRetirements))
            }
            let codebook = try reader.readFlag("mark of a codebook") ? try CodebookRecord(from: &reader) : nil
            var erasureKey: ErasureKey?
            if hasErasureKey {
                let (high, low) = try reader.readID()
                erasureKey = ErasureKey(high: high, low: low)
            }
            var restoration: RestorationRecord?
            if hasErasureKey, try reader.readFlag("mark of a restoration") {
                restoration = RestorationRecord(backup: try reader.readString())
                _ = try reader.readFlag("mark of being verified")
            }
            var retirements: [ShardRetirement] = []
            for _ in 0..<(hasRetirements ? try reader.readCount(leastByteCount: 28) : 0) {
                retirements.append(try ShardRetirement(from: &reader))
            }
            let indices = placements.map(\.shard.index) + retirements.map(\.index)
            guard Set(indices).count == indices.count else {
                throw RecordProblem(description: "two of its shards have the same number")
            }
            var losses: [AcceptedLoss] = []
            for _ in 0..<(layout > Self.layoutWithoutLosses ? try reader.readCount(leastByteCount: 25) : 0) {
                losses.append(try AcceptedLoss(from: &reader))
            }
            let hasSettledLoss =
                layout == Self.layout
                ? try reader.readFlag("mark of a settled loss") : layout == Self.layoutWithoutRestored
            let settledLoss = hasSettledLoss ? Timestamp(milliseconds: try reader.read()) : nil
            let restored =
                layout == Self.layout ? try reader.readBytes(count: RestorationRecord.digestByteCount) : nil
            return CollectionRecord(
                collection: Collection(id: id, configuration: configuration, created: created),
                placements: placements,
                retirements: retirements,
                isEstablished: isEstablished,
                codebook: codebook,
                restoration: restoration,
                erasureKey: erasureKey,
                losses: losses,
                settledLoss: settledLoss,
                restored: restored
            )
        }
    }
}

extension ShardPlacement {
    fileprivate func write(to writer: inout ByteWriter) {
        writer.write(shard.index)
        writer.write(range.first)
        writer.write(range.last)
        group.write(to: &writer)
    }

    fileprivate init(from reader: inout ByteReader, collection: CollectionID, hasMarks: Bool) throws {
        let index = try reader.read(UInt32.self)
        let first = try reader.read(UInt64.self)
        let last = try reader.read(UInt64.self)
        guard first <= last else { throw RecordProblem(description: "the range of shard \(index) is reversed") }
        self.init(
            shard: ShardID(collection: collection, index: index),
            range: HashRange(first: first, last: last),
            group: try ReplicaGroup(from: &reader, shard: index, hasMarks: hasMarks)
        )
    }
}

extension ShardRetirement {
    fileprivate init(from reader: inout ByteReader) throws {
        let index = try reader.read(UInt32.self)
        let epoch = try reader.readEpoch()
        let (first, last) = (try reader.read(UInt64.self), try reader.read(UInt64.self))
        guard first <= last else { throw RecordProblem(description: "the range of shard \(index) is reversed") }
        self.init(index: index, epoch: epoch, range: HashRange(first: first, last: last))
    }
}

extension AcceptedLoss {
    fileprivate init(from reader: inout ByteReader) throws {
        let (first, last) = (try reader.read(UInt64.self), try reader.read(UInt64.self))
        guard first <= last else { throw RecordProblem(description: "the range of a loss is reversed") }
        self.init(
            range: HashRange(first: first, last: last),
            time: Timestamp(milliseconds: try reader.read()),
            beginning: try reader.readFlag("mark of a shard that begins") ? try reader.read(UInt32.self) : nil
        )
    }
}

extension ReplicaGroup {
    fileprivate func write(to writer: inout ByteWriter) {
        writer.write(epoch.number)
        writer.write(version)
        writer.write(UInt8(minimumInSync))
        writer.write(high: primary.high, low: primary.low)
        for nodes in [inSync, learners] {
            writer.write(UInt32(nodes.count))
            for node in nodes { writer.write(high: node.high, low: node.low) }
        }
        writer.write(isFrozen)
    }

    fileprivate init(from reader: inout ByteReader, shard: UInt32, hasMarks: Bool) throws {
        let epoch = try reader.readEpoch()
        let version = try reader.readCounter("version")
        let minimumInSync = Int(try reader.read(UInt8.self))
        let primary = try NodeID(from: &reader)
        var members: [[NodeID]] = []
        for _ in 0..<2 {
            var nodes: [NodeID] = []
            for _ in 0..<(try reader.readCount(leastByteCount: 16)) { nodes.append(try NodeID(from: &reader)) }
            members.append(nodes)
        }
        let all = members[0] + members[1]
        guard members[0].contains(primary), Set(all).count == all.count, minimumInSync > 0 else {
            throw RecordProblem(description: "the replicas of shard \(shard) contradict each other")
        }
        self.init(
            epoch: epoch,
            version: version,
            primary: primary,
            inSync: members[0],
            learners: members[1],
            minimumInSync: minimumInSync,
            isFrozen: hasMarks ? try reader.readFlag("mark of being frozen") : false
        )
    }
}

extension CodebookRecord {
    fileprivate func write(to writer: inout ByteWriter) {
        writer.write(generation)
        writer.write(origin.cause.rawValue)
        writer.write(origin.faceCount)
        writer.write(bytes: digest)
        writer.write(byteCount)
        for number in [codedDimension, codeByteCount, listCount, Int(sampleCount)] {
            writer.write(UInt32(number))
        }
        writer.write(energyShare)
        writer.write(calibrationProbeCount)
        writer.write(UInt32(calibration.count))
        for point in calibration {
            writer.write(point.leastSimilarity)
            writer.write(point.recall)
            writer.write(point.visitedShare)
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(BinaryCodingError) {
        let generationOffset = reader.offset
        let generation = try reader.read(UInt32.self)
        guard generation < .max else { throw .invalidValue(field: "generation", offset: generationOffset) }
        let causeOffset = reader.offset
        guard let cause = TrainingCause(rawValue: try reader.read()) else {
            throw .invalidValue(field: "cause of a training", offset: causeOffset)
        }
        let faceCount = try reader.read(UInt64.self)
        let digest = try reader.readBytes(count: Self.digestByteCount)
        let byteCount = try reader.read(UInt64.self)
        let codedDimension = try reader.read(UInt32.self)
        let codeByteCount = try reader.read(UInt32.self)
        let listCount = try reader.read(UInt32.self)
        let sampleCount = try reader.read(UInt32.self)
        let energyShare = try reader.readFloat()
        let calibrationProbeCount = try reader.read(UInt32.self)
        var calibration: [CalibrationPoint] = []
        for _ in 0..<(try reader.readCount(leastByteCount: 20)) {
            calibration.append(
                CalibrationPoint(
                    leastSimilarity: try reader.readFloat(),
                    recall: try reader.readDouble(),
                    visitedShare: try reader.readDouble()
                )
            )
        }
        self.init(
            generation: generation,
            origin: CodebookOrigin(cause: cause, faceCount: faceCount),
            digest: digest,
            byteCount: byteCount,
            codedDimension: Int(codedDimension),
            codeByteCount: Int(codeByteCount),
            listCount: Int(listCount),
            energyShare: energyShare,
            sampleCount: sampleCount,
            calibrationProbeCount: calibrationProbeCount,
            calibration: calibration
        )
    }
}
