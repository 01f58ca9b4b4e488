import ClusterModel
import FaceModel

/// How a worker's replicas leave it, and what stands in their way.
struct Departure {
    /// A replica for which no worker has room beside what goes there before it.
    struct Homeless {
        var shard: ShardID
        var size: ReplicaSize
        /// Of the workers that might have it otherwise.
        var shortages: [(worker: NodeID, shortage: WorkerRoom.Shortage)]
    }

    /// Workers that a refusal names.
    private static let namedWorkerLimit = 8

    /// In order of shard, those of ``withoutRoom`` among them: they wait until there is some.
    var steps: [Operation.Step] = []
    var withoutRoom: [Homeless] = []

    /// Which rule a drain would break; nil when everything has room.
    func refusal(in view: ClusterView) -> OperationRefusal? {
        guard let first = withoutRoom.first else { return nil }
        let rules = Set(withoutRoom.flatMap(\.shortages).map { "'\($0.shortage.rule.rawValue)'" }).sorted()
        let rule = (rules.count == 1 ? "rule " : "rules ") + rules.joined(separator: " and ")
        let collection = view.metadata.collections[first.shard.collection]?.collection.name ?? "?"
        let lacks = first.shortages.map { "the \(view.metadata.name(of: $0.worker)) needs \($0.shortage.text)" }
        var listed = lacks.prefix(Self.namedWorkerLimit).joined(separator: "; ")
        let unlisted = lacks.count - Self.namedWorkerLimit
        if unlisted > 0 { listed += "; and so on with \(unlisted) more" }
        let others = withoutRoom.count - 1
        let rest = others == 0 ? "" : "\(others) more \(others == 1 ? "replica has" : "replicas have") none. "
        return OperationRefusal(
            "Room is missing (\(rule)): no worker has any for the replica of shard \(first.shard.index) of collection "
                + "'\(collection)', which takes \(first.size.text), beside what comes there before it: \(listed). "
                + "\(rest)Make room, or add a worker."
        )
    }
}

extension ReplicaSize {
    fileprivate var text: String {
        "\(diskByteCount.mebibytesNeeded) MiB of disk and \(memoryByteCount.mebibytesNeeded) MiB of memory"
    }
}

extension UInt64 {
    /// Whole ones, so that what is needed is never shown as no more than what is there.
    fileprivate var mebibytesNeeded: UInt64 { (self >> 20) + (self & (1 << 20 - 1) == 0 ? 0 : 1) }
}

extension WorkerRoom.Shortage {
    fileprivate var rule: PlacementRule {
        switch self {
        case .disk: .disk
        case .memory: .memory
        }
    }

    fileprivate var text: String {
        switch self {
        case .disk(let needed, let free):
            "\(needed.mebibytesNeeded) MiB of free disk with what is reserved, and has \(free >> 20)"
        case .memory(let needed, let free):
            "\(needed.mebibytesNeeded) MiB of memory with what is reserved, and has \(free >> 20) beside what its "
                + "searches read"
        }
    }
}
