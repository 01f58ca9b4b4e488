import BinaryCoding
import ClusterModel
import ClusterState
import FaceModel

/// Pins of one collection's shards as the metadata store has them, by number of shard.
///
/// | field | bytes |
/// |---|---|
/// | layout | u8, 1 |
/// | count of pins | u32 |
/// | each: shard index | u32, ascending |
/// | each: count of workers | u32, at least 1 |
/// | each: workers | 16 each, ascending |
/// | each: primary | 16, zeros for none |
enum ShardPins {
    private static let layout: UInt8 = 1
    private static let none = NodeID(high: 0, low: 0)

    static func bytes(_ pins: [UInt32: ShardPin]) -> [UInt8] {
        RecordCoding.bytes(layout: layout) { writer in
            writer.write(UInt32(pins.count))
            for (index, pin) in pins.sorted(by: { $0.key < $1.key }) {
                writer.write(index)
                writer.write(UInt32(pin.workers.count))
                for worker in pin.workers { writer.write(worker) }
                writer.write(pin.primary ?? none)
            }
        }
    }

    static func read(_ bytes: [UInt8]) throws -> [UInt32: ShardPin] {
        try RecordCoding.read(bytes, layout: layout) { reader in
            var pins: [UInt32: ShardPin] = [:]
            var last: UInt32?
            for _ in 0..<(try reader.readCount(leastByteCount: 40)) {
                let index = try reader.read(UInt32.self)
                if let last, index <= last { throw RecordProblem(description: "its shards are not in order") }
                last = index
                var workers: [NodeID] = []
                for _ in 0..<(try reader.readCount(leastByteCount: 16)) { workers.append(try NodeID(from: &reader)) }
                let primary = try NodeID(from: &reader)
                let pin = ShardPin(workers: workers, primary: primary == none ? nil : primary)
                guard !workers.isEmpty, pin.workers == workers, pin.primary.map(workers.contains) ?? true else {
                    throw RecordProblem(description: "shard \(index) is pinned to workers that cannot be")
                }
                pins[index] = pin
            }
            return pins
        }
    }
}

extension ClusterMetadata {
    /// Of one collection's shards, by number of shard.
    func pins(of collection: CollectionID) -> [UInt32: ShardPin] {
        var found: [UInt32: ShardPin] = [:]
        for (shard, pin) in pins where shard.collection == collection { found[shard.index] = pin }
        return found
    }
}
