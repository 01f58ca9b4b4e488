import ClusterModel
import ClusterState
import FaceModel
import WireProtocol

extension OperationOrder {
    /// What is asked for by what is ordered, as it is written: the shards that it names need not be there.
    ///
    /// - Returns: nil where there is no collection of the name.
    func request(in metadata: ClusterMetadata) -> OperationRequest? {
        func id(_ name: String) -> CollectionID? { metadata.collection(named: name)?.collection.id }
        return switch self {
        case .move(let collection, let index, let from, let to):
            id(collection).map { .move(ShardID(collection: $0, index: index), from: from, to: to) }
        case .lead(let collection, let index, let worker):
            id(collection).map { .lead(ShardID(collection: $0, index: index), worker) }
        case .drain(let worker): .drain(worker)
        case .decommission(let worker): .decommission(worker)
        case .recommission(let worker): .recommission(worker)
        case .copies(let collection, let count): id(collection).map { .copies($0, count) }
        case .rebalance: .rebalance
        case .split(let collection, let indices): id(collection).map { .split($0, indices) }
        case .merge(let collection, let indices):
            id(collection).map { .merge($0, ClusterController.pairs(indices)) }
        case .train(let collection): id(collection).map { .train($0, leastFaceCount: 0) }
        }
    }

    /// Whether an operation of the id under which this is ordered can be the one that it began: also one that has
    /// ended, whose shards may be gone. Where there is no collection of the name any more that cannot be told, and it
    /// can.
    func mayHaveBegun(_ operation: Operation, in metadata: ClusterMetadata) -> Bool {
        request(in: metadata)?.mayHaveBegun(operation, in: metadata) ?? true
    }
}
