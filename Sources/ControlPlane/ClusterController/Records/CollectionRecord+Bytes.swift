import ClusterModel
import ClusterState
import FaceModel

/// Layout 1 of a collection's record:
///
/// | field | form |
/// |---|---|
/// | layout | u8 = 1 |
/// | id | 16 bytes |
/// | name, embedding model | text each |
/// | dimension, shard count | u32 each |
/// | replication factor, stored precision | u8 each |
/// | created | i64, milliseconds since 1970 |
/// | established | u8, 0 or 1 |
/// | placements | u32 count, then each: index u32, first u64, last u64, epoch u64, has primary u8, primary 16 bytes |
/// | has codebook | u8, 0 or 1; the rest only when 1 |
/// | generation | u32 |
/// | SHA-256 of its bytes | 32 bytes |
/// | byte count | u64 |
/// | coded dimension, bits per component, list count, sample count | u32 each |
/// | energy share | f32 |
/// | calibration probe count | u32 |
/// | calibration | u32 count, then each: recall f64, visited share f64 |
extension CollectionRecord {
    static let layout: UInt8 = 1

    var bytes: [UInt8] {
        var writer = RecordWriter(version: Self.layout)
        let configuration = collection.configuration
        writer.id(high: collection.id.high, low: collection.id.low)
        writer.text(configuration.name)
        writer.text(configuration.embeddingModel)
        writer.integer(UInt32(configuration.dimension))
        writer.integer(UInt32(configuration.shardCount))
        writer.integer(UInt8(configuration.replicationFactor))
        writer.integer(configuration.storedPrecision.rawValue)
        writer.integer(collection.created.milliseconds)
        writer.integer(UInt8(isEstablished ? 1 : 0))
        writer.integer(UInt32(placements.count))
        for placement in placements {
            writer.integer(placement.shard.index)
            writer.integer(placement.range.first)
            writer.integer(placement.range.last)
            writer.integer(placement.epoch.number)
            writer.integer(UInt8(placement.primary == nil ? 0 : 1))
            writer.id(high: placement.primary?.high ?? 0, low: placement.primary?.low ?? 0)
        }
        writer.integer(UInt8(codebook == nil ? 0 : 1))
        if let codebook { codebook.write(to: &writer) }
        return writer.bytes
    }

    init(bytes: [UInt8]) throws(RecordReader.Problem) {
        var reader = try RecordReader(bytes, version: Self.layout)
        let (high, low) = try reader.id()
        let id = CollectionID(high: high, low: low)
        let name = try reader.text()
        let model = try reader.text()
        let dimension: UInt32 = try reader.integer()
        let shardCount: UInt32 = try reader.integer()
        let replicationFactor: UInt8 = try reader.integer()
        guard let precision = StoredPrecision(rawValue: try reader.integer()) else {
            throw RecordReader.Problem(reason: "its stored precision is unknown")
        }
        let created = Timestamp(milliseconds: try reader.integer())
        let configuration = CollectionConfiguration(
            name: name,
            dimension: Int(dimension),
            embeddingModel: model,
            shardCount: Int(shardCount),
            replicationFactor: Int(replicationFactor),
            storedPrecision: precision
        )
        if let problem = configuration.problem { throw RecordReader.Problem(reason: problem) }
        let isEstablished = try reader.flag()
        var placements: [ShardPlacement] = []
        for _ in 0..<(try reader.count(leastByteCount: 45)) {
            placements.append(try ShardPlacement(from: &reader, collection: id))
        }
        let codebook = try reader.flag() ? try CodebookRecord(from: &reader) : nil
        try reader.end()
        self.init(
            collection: Collection(id: id, configuration: configuration, created: created),
            placements: placements,
            isEstablished: isEstablished,
            codebook: codebook
        )
    }
}

extension ShardPlacement {
    fileprivate init(from reader: inout RecordReader, collection: CollectionID) throws(RecordReader.Problem) {
        let index: UInt32 = try reader.integer()
        let first: UInt64 = try reader.integer()
        let last: UInt64 = try reader.integer()
        guard first <= last else { throw RecordReader.Problem(reason: "the range of shard \(index) is reversed") }
        let epoch = Epoch(try reader.integer())
        let hasPrimary = try reader.flag()
        let (high, low) = try reader.id()
        self.init(
            shard: ShardID(collection: collection, index: index),
            range: HashRange(first: first, last: last),
            primary: hasPrimary ? NodeID(high: high, low: low) : nil,
            epoch: epoch
        )
    }
}

extension CodebookRecord {
    fileprivate func write(to writer: inout RecordWriter) {
        writer.integer(generation)
        writer.raw(digest)
        writer.integer(byteCount)
        for number in [codedDimension, bitsPerComponent, listCount, Int(sampleCount)] {
            writer.integer(UInt32(number))
        }
        writer.float(energyShare)
        writer.integer(calibrationProbeCount)
        writer.integer(UInt32(calibration.count))
        for point in calibration {
            writer.double(point.recall)
            writer.double(point.visitedShare)
        }
    }

    fileprivate init(from reader: inout RecordReader) throws(RecordReader.Problem) {
        let generation: UInt32 = try reader.integer()
        let digest = Array(try reader.raw(Self.digestByteCount))
        let byteCount: UInt64 = try reader.integer()
        let codedDimension: UInt32 = try reader.integer()
        let bitsPerComponent: UInt32 = try reader.integer()
        let listCount: UInt32 = try reader.integer()
        let sampleCount: UInt32 = try reader.integer()
        let energyShare = try reader.float()
        let calibrationProbeCount: UInt32 = try reader.integer()
        var calibration: [CalibrationPoint] = []
        for _ in 0..<(try reader.count(leastByteCount: 16)) {
            calibration.append(
                CalibrationPoint(recall: try reader.double(), visitedShare: try reader.double())
            )
        }
        self.init(
            generation: generation,
            digest: digest,
            byteCount: byteCount,
            codedDimension: Int(codedDimension),
            bitsPerComponent: Int(bitsPerComponent),
            listCount: Int(listCount),
            energyShare: energyShare,
            sampleCount: sampleCount,
            calibrationProbeCount: calibrationProbeCount,
            calibration: calibration
        )
    }
}

extension RecordReader {
    fileprivate mutating func flag() throws(Problem) -> Bool {
        switch try integer() as UInt8 {
        case 0: return false
        case 1: return true
        case let value: throw Problem(reason: "a flag is \(value)")
        }
    }
}
