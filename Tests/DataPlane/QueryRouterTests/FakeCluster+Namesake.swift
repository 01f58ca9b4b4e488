import ClusterModel
import FaceModel
import Synchronization

extension FakeCluster {
    static let otherModel = "model-b"

    /// Makes another collection of the same name, of another model and of one shard on the first worker.
    ///
    /// - Parameter faceCount: faces 0 ..< so many are in it, each along its own axis.
    /// - Returns: the map that has it in the place of the one that there is; it is put in force by the test.
    func namesake(faceCount: Int) -> ShardMap {
        let shard = ShardID(collection: CollectionID(high: 1, low: 3), index: 0)
        var configuration = collection.configuration
        configuration.embeddingModel = Self.otherModel
        configuration.shardCount = 1
        workers[0].host(shard, epoch: 1)
        workers[0].state.withLock { state in
            for number in 0..<faceCount {
                let face = StoredFace(
                    id: Self.face(UInt64(number)),
                    metadata: FaceMetadata(),
                    version: FaceVersion(epoch: 1, sequence: 1),
                    embedding: Self.embedding(number)
                )
                state.faces[shard]?[face.id] = face
            }
            state.sequences[shard] = 1
        }
        let old = source.current
        return ShardMap(
            epoch: Epoch(old.epoch.number + 1),
            collections: [
                Collection(id: shard.collection, configuration: configuration, created: collection.created)
            ],
            placements: [
                shard.collection: [
                    ShardPlacement(shard: shard, range: .all, primary: workers[0].id, epoch: Epoch(1))
                ]
            ],
            addresses: old.addresses
        )
    }
}
