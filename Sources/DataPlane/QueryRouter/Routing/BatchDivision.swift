import ClusterModel
import FaceModel

/// The rows of a batch that belong to one shard.
struct BatchPart: Sendable {
    var placement: ShardPlacement
    /// Positions in the batch, ascending.
    var positions: [Int]
}

extension QueryRouter.Context {
    /// Divides positions `0 ..< count` by the shard that each one's face belongs to; shards without any are left out.
    ///
    /// - Parameter id: the face of a position; nil leaves the position out.
    func divide(_ count: Int, by id: (Int) -> FaceID?) -> [BatchPart] {
        var positions = [[Int]](repeating: [], count: placements.count)
        for position in 0..<count {
            guard let face = id(position), let index = map.placementIndex(of: face, in: collection.id) else { continue }
            positions[index].append(position)
        }
        return zip(placements, positions).compactMap { placement, positions in
            positions.isEmpty ? nil : BatchPart(placement: placement, positions: positions)
        }
    }
}
