import ClusterModel
import ClusterState
import FaceModel

/// Short names for the values that the scripts of this suite are written in.
enum ClusterScript {
    static func worker(_ number: UInt64) -> NodeID { NodeID(high: 0, low: number) }

    static func collection(_ number: UInt64, shards: Int, copies: Int = 1, minimum: Int? = nil) -> Collection {
        Collection(
            id: CollectionID(high: 0, low: number),
            configuration: CollectionConfiguration(
                name: "collection-\(number)",
                dimension: 64,
                embeddingModel: "model",
                shardCount: shards,
                replicationFactor: copies,
                minimumInSync: minimum
            ),
            created: Timestamp(milliseconds: 0)
        )
    }

    /// A collection with its shards placed in turn on the workers, at epoch 1.
    static func record(
        _ number: UInt64,
        shards: Int,
        on workers: [NodeID],
        isEstablished: Bool = true,
        codebook: UInt32? = nil
    ) -> CollectionRecord {
        let collection = collection(number, shards: shards)
        let placements = HashRange.divisions(shards).enumerated().map { index, range in
            ShardPlacement(
                shard: ShardID(collection: collection.id, index: UInt32(index)),
                range: range,
                primary: workers[index % workers.count],
                epoch: Epoch(1)
            )
        }
        return CollectionRecord(
            collection: collection,
            placements: placements,
            isEstablished: isEstablished,
            codebook: codebook.map(Self.codebook)
        )
    }

    /// A collection of one shard with these replicas in sync, of which the first is the primary; version 3, epoch 2.
    static func replicated(
        _ number: UInt64,
        on workers: [NodeID],
        learners: [NodeID] = [],
        copies: Int? = nil,
        minimum: Int = 1,
        isEstablished: Bool = true,
        codebook: UInt32? = nil
    ) -> CollectionRecord {
        let collection = collection(number, shards: 1, copies: copies ?? workers.count, minimum: minimum)
        let group = ReplicaGroup(
            epoch: Epoch(2),
            version: 3,
            primary: workers[0],
            inSync: workers,
            learners: learners,
            minimumInSync: minimum
        )
        return CollectionRecord(
            collection: collection,
            placements: [
                ShardPlacement(
                    shard: ShardID(collection: collection.id, index: 0),
                    range: HashRange.divisions(1)[0],
                    group: group
                )
            ],
            isEstablished: isEstablished,
            codebook: codebook.map(Self.codebook)
        )
    }

    static func codebook(_ generation: UInt32) -> CodebookRecord {
        CodebookRecord(
            generation: generation,
            origin: CodebookOrigin(cause: .first, faceCount: 10_000),
            digest: [UInt8](repeating: 7, count: 32),
            byteCount: 10,
            codedDimension: 64,
            codeByteCount: 2,
            listCount: 16,
            energyShare: 0.9,
            sampleCount: 100,
            calibrationProbeCount: 0,
            calibration: []
        )
    }

    /// A view in which every worker named is live and reports the given replicas.
    static func view(
        _ records: [CollectionRecord],
        reports: [NodeID: WorkerObservation],
        live: Set<NodeID>? = nil,
        gone: Set<NodeID> = [],
        isSettled: Bool = true,
        deletions: [CollectionID: Epoch] = [:]
    ) -> ClusterView {
        ClusterView(
            metadata: ClusterMetadata(
                clusterID: worker(1000),
                epoch: Epoch(1),
                workers: Dictionary(
                    reports.keys.map { ($0, NodeAddress(host: "127.0.0.1", port: 7000)) },
                    uniquingKeysWith: { first, _ in first }
                ),
                collections: Dictionary(
                    records.map { ($0.collection.id, $0) },
                    uniquingKeysWith: { first, _ in first }
                ),
                deletions: deletions
            ),
            observations: reports,
            liveWorkers: live ?? Set(reports.keys),
            goneWorkers: gone,
            isSettled: isSettled
        )
    }

    /// Reports in which every member of every placement serves it with the given number of faces.
    static func serving(
        _ record: CollectionRecord,
        faceCount: UInt64 = 0,
        generation: UInt32 = 0
    ) -> [NodeID: WorkerObservation] {
        var reports: [NodeID: WorkerObservation] = [:]
        for placement in record.placements {
            let group = placement.group
            for member in group.members {
                let role: ReplicaObservation.Role = member == group.primary ? .primary : .secondary
                reports[member, default: WorkerObservation()].replicas[placement.shard] = ReplicaObservation(
                    epoch: placement.epoch,
                    groupVersion: group.version,
                    role: group.isInSync(member) ? role : .waiting,
                    state: .serving,
                    faceCount: faceCount,
                    generation: generation
                )
            }
        }
        return reports
    }
}
