import ClusterModel
import ClusterState
import FaceModel
import WireProtocol

extension OperationOrder {
    /// Whether an operation of the id under which this is ordered can be the one that it began: also one that has
    /// ended, whose shards may be gone. Where there is no collection of the name any more that cannot be told, and it
    /// can.
    func mayHaveBegun(_ operation: Operation, in metadata: ClusterMetadata) -> Bool {
        func id(_ name: String) -> CollectionID? { metadata.collection(named: name)?.collection.id }
        let request: OperationRequest? =
            switch self {
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
        return request?.mayHaveBegun(operation, in: metadata) ?? true
    }
}
