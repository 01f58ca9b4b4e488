package import ClusterModel
package import FaceModel

/// The rows of a batch that belong to one shard.
package struct BatchPart: Hashable, Sendable {
    package let placement: ShardPlacement
    /// Positions in the batch, ascending.
    package let positions: [Int]

    package init(placement: ShardPlacement, positions: [Int]) {
        self.placement = placement
        self.positions = positions
    }
}

extension ShardMap {
    /// Divides positions `0 ..< count` by the shard that each one's face belongs to; shards without any are left out.
    ///
    /// - Parameter place: on the ring, of a position's face; nil leaves the position out.
    package func divide(_ count: Int, in collection: CollectionID, by place: (Int) -> UInt64?) -> [BatchPart] {
        let placements = placements[collection] ?? []
        var positions = [[Int]](repeating: [], count: placements.count)
        for position in 0..<count {
            guard let place = place(position), let index = placementIndex(at: place, in: collection) else { continue }
            positions[index].append(position)
        }
        return zip(placements, positions).compactMap { placement, positions in
            positions.isEmpty ? nil : BatchPart(placement: placement, positions: positions)
        }
    }
}

extension QueryRouter.Context {
    /// Divides positions `0 ..< count` by the shard that each one's face belongs to.
    ///
    /// - Parameter id: the face of a position; nil leaves the position out.
    func divide(_ count: Int, by id: (Int) -> FaceID?) -> [BatchPart] {
        map.divide(count, in: collection.id) { position in
            id(position).map { FaceIDHash.hash($0, in: collection.id) }
        }
    }
}
