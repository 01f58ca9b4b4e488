import Backups
import ClusterModel
import FaceModel

/// Backups of a collection without faces, as the toy cluster would make them.
enum BackupFixture {
    static let key = ErasureKey(high: 7, low: 8)

    static func manifest(
        of collection: CollectionID = CollectionID(high: 1, low: 2),
        on cluster: NodeID = NodeID(high: 1, low: 2),
        created: Timestamp,
        loss: Timestamp? = nil
    ) -> BackupManifest {
        BackupManifest(
            prefixBits: 8,
            created: created,
            softwareVersion: "0.1",
            cluster: cluster,
            collection: Collection(
                id: collection,
                configuration: CollectionConfiguration(
                    name: "people",
                    dimension: 64,
                    embeddingModel: "m",
                    shardCount: 1,
                    replicationFactor: 1
                ),
                created: Timestamp(milliseconds: 1_767_225_600_123)
            ),
            erasureKey: key,
            shards: [.init(index: 0, range: .all, epoch: 1, sequence: 0, faceCount: 0, sum: 0)],
            faceCount: 0,
            slices: [UInt128](repeating: 0, count: 256),
            blocks: [],
            loss: loss
        )
    }

    /// Puts a backup into a folder; its name.
    @discardableResult
    static func put(_ manifest: BackupManifest, in folder: ScratchFolder) throws -> String {
        let name = BackupName.make(
            collection: manifest.collection.name,
            time: BackupName.text(of: manifest.created),
            number: 1
        )
        try FolderStore(folder.path, createsFolder: false).put(BackupName.manifest(of: name), manifest.encoded())
        return name
    }
}
