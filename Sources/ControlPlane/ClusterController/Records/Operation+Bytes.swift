import BinaryCoding
import ClusterModel
import ClusterState
import FaceModel

/// Layout 2 of an operation's record, which is written only while it is open, where the worker of a drain was not
/// active before; one of layout 1 ends before that:
///
/// | field | form |
/// |---|---|
/// | layout | u8 = 2 |
/// | id | 16 bytes |
/// | kind | u8: 1 change, 2 drain, 3 decommission, 4 copies, 5 rebalance, 6 recommission, 7 rollout |
/// | of a drain, decommission or recommission: worker | 16 bytes |
/// | of copies: collection; copies before, least in sync before | 16 bytes; u8 each |
/// | of a rollout: collection; generation, why | 16 bytes; u32, u8 (`TrainingCause`) |
/// | state | u8 (`OperationState`) |
/// | created, ended | i64 each, milliseconds since 1970; ended 0 before the end |
/// | note | text, empty for none |
/// | steps | u32 count, then each: collection 16 bytes, shard index u32, a change, state u8 (`OperationStepState`),
///   former primary 16 bytes, zero for none |
/// | a change | u8: 1 move, 2 add, 3 remove, 4 lead; then from and to, or a worker, 16 bytes each; 5 split: where u64,
///   shards that come u32 each; 6 merge: the other shard and the one that comes, u32 each |
/// | what the worker might be used for before | u8 (`WorkerStanding`) |
extension Operation {
    private static let layout: UInt8 = 2
    private static let layoutWithoutStanding: UInt8 = 1
    private static let none = NodeID(high: 0, low: 0)

    var bytes: [UInt8] {
        // What has ended is not taken back, and is kept: an earlier version is to read it.
        let hasStanding = formerStanding != .active && ended == nil
        return RecordCoding.bytes(layout: hasStanding ? Self.layout : Self.layoutWithoutStanding) { writer in
            writer.write(high: id.high, low: id.low)
            switch kind {
            case .change: writer.write(1 as UInt8)
            case .drain(let worker):
                writer.write(2 as UInt8)
                writer.write(worker)
            case .decommission(let worker):
                writer.write(3 as UInt8)
                writer.write(worker)
            case .copies(let collection, let former):
                writer.write(4 as UInt8)
                writer.write(high: collection.high, low: collection.low)
                writer.write(UInt8(former.replicationFactor))
                writer.write(UInt8(former.minimumInSync))
            case .rebalance: writer.write(5 as UInt8)
            case .recommission(let worker):
                writer.write(6 as UInt8)
                writer.write(worker)
            case .rollout(let rollout):
                writer.write(7 as UInt8)
                writer.write(high: rollout.collection.high, low: rollout.collection.low)
                writer.write(rollout.generation)
                writer.write(rollout.cause.rawValue)
            }
            writer.write(state.rawValue)
            writer.write(created.milliseconds)
            writer.write(ended?.milliseconds ?? 0)
            writer.write(string: note ?? "")
            writer.write(UInt32(steps.count))
            for step in steps {
                writer.write(high: step.shard.collection.high, low: step.shard.collection.low)
                writer.write(step.shard.index)
                switch step.change {
                case .move(let from, let to):
                    writer.write(1 as UInt8)
                    writer.write(from)
                    writer.write(to)
                case .add(let worker):
                    writer.write(2 as UInt8)
                    writer.write(worker)
                case .remove(let worker):
                    writer.write(3 as UInt8)
                    writer.write(worker)
                case .lead(let worker):
                    writer.write(4 as UInt8)
                    writer.write(worker)
                case .split(let cut, let lower, let upper):
                    writer.write(5 as UInt8)
                    writer.write(cut)
                    writer.write(lower)
                    writer.write(upper)
                case .merge(let other, let successor):
                    writer.write(6 as UInt8)
                    writer.write(other)
                    writer.write(successor)
                }
                writer.write(step.state.rawValue)
                writer.write(step.formerPrimary ?? Self.none)
            }
            if hasStanding { writer.write(formerStanding.rawValue) }
        }
    }

    init(bytes: [UInt8]) throws {
        let hasStanding = bytes.first != Self.layoutWithoutStanding
        let layout = hasStanding ? Self.layout : Self.layoutWithoutStanding
        self = try RecordCoding.read(bytes, layout: layout) { reader in
            let (high, low) = try reader.readID()
            let kind = try Kind(from: &reader)
            let state: OperationState = try reader.readEnumeration("state of an operation")
            let created = Timestamp(milliseconds: try reader.read())
            let ended = try reader.read(Int64.self)
            let note = try reader.readString()
            var steps: [Step] = []
            for _ in 0..<(try reader.readCount(leastByteCount: 46)) { steps.append(try Step(from: &reader)) }
            guard steps.count <= Operation.stepLimit else {
                throw RecordProblem(description: "it has \(steps.count) steps")
            }
            return Operation(
                id: OperationID(high: high, low: low),
                kind: kind,
                state: state,
                created: created,
                ended: ended == 0 ? nil : Timestamp(milliseconds: ended),
                steps: steps,
                note: note.isEmpty ? nil : note,
                formerStanding: hasStanding ? try reader.readEnumeration("standing before") : .active
            )
        }
    }
}

extension Operation.Kind {
    fileprivate init(from reader: inout ByteReader) throws(BinaryCodingError) {
        let start = reader.offset
        switch try reader.read(UInt8.self) {
        case 1: self = .change
        case 2: self = .drain(try NodeID(from: &reader))
        case 3: self = .decommission(try NodeID(from: &reader))
        case 4:
            let (high, low) = try reader.readID()
            self = .copies(
                CollectionID(high: high, low: low),
                former: .init(
                    replicationFactor: Int(try reader.read(UInt8.self)),
                    minimumInSync: Int(try reader.read(UInt8.self))
                )
            )
        case 5: self = .rebalance
        case 6: self = .recommission(try NodeID(from: &reader))
        case 7:
            let (high, low) = try reader.readID()
            self = .rollout(
                CodebookRollout(
                    collection: CollectionID(high: high, low: low),
                    generation: try reader.read(),
                    cause: try reader.readEnumeration("cause of a rollout")
                )
            )
        default: throw .invalidValue(field: "kind of an operation", offset: start)
        }
    }
}

extension Operation.Step {
    fileprivate init(from reader: inout ByteReader) throws(BinaryCodingError) {
        let (high, low) = try reader.readID()
        let shard = ShardID(collection: CollectionID(high: high, low: low), index: try reader.read())
        let start = reader.offset
        let change: ReplicaChange
        switch try reader.read(UInt8.self) {
        case 1: change = .move(from: try NodeID(from: &reader), to: try NodeID(from: &reader))
        case 2: change = .add(try NodeID(from: &reader))
        case 3: change = .remove(try NodeID(from: &reader))
        case 4: change = .lead(try NodeID(from: &reader))
        case 5: change = .split(at: try reader.read(), lower: try reader.read(), upper: try reader.read())
        case 6: change = .merge(with: try reader.read(), into: try reader.read())
        default: throw .invalidValue(field: "change of a replica", offset: start)
        }
        let state: OperationStepState = try reader.readEnumeration("state of a step")
        let former = try NodeID(from: &reader)
        self.init(
            shard: shard,
            change: change,
            state: state,
            formerPrimary: former == NodeID(high: 0, low: 0) ? nil : former
        )
    }
}
