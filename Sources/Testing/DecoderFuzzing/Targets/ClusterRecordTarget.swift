import BinaryCoding
import ClusterController
import ClusterModel
import ClusterState
import FaceModel

extension FuzzTarget {
    /// The records of a metadata store: for each the bytes of its key (8 bits) and value (16 bits), key and value.
    static let clusterRecords = FuzzTarget(
        name: "cluster-records",
        seeds: {
            let records = [ClusterRecordTarget.metadata, ClusterMetadata(clusterID: NodeID(high: 1, low: 2))].map {
                ClusterRecords.records(of: $0)
            }
            let more = [
                records[1] + ClusterRecordTarget.sharedRecords,
                ClusterRecords.records(of: ClusterRecordTarget.restored),
            ]
            return (records + more).map { ClusterRecordTarget.bytes($0) }
        },
        accepts: { ClusterRecordTarget.accepts($0) }
    )
}

enum ClusterRecordTarget {
    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let metadata = read(records(bytes)) else { return false }
        let again = ClusterRecords.records(of: metadata)
        precondition(read(again).map { ClusterRecords.records(of: $0) } == again, "records are others after writing")
        // What controllers make of them.
        for record in metadata.collections.values {
            precondition(record.nextGeneration > 0, "there is a next generation")
            for group in record.placements.map(\.group) {
                let change = GroupProposal(version: group.version, epoch: group.epoch, change: .takeOver(group.primary))
                precondition(group.applying(change).map { $0.epoch > group.epoch } == true, "there is a next epoch")
            }
        }
        precondition(metadata.epoch.number < .max, "there is a next epoch")
        // What routers make of them.
        let map = metadata.shardMap
        for collection in map.placements.keys {
            _ = map.placementIndex(of: FaceID(high: 3, low: 4), in: collection)
        }
        return true
    }

    private static func read(_ records: [MetadataRecord]) -> ClusterMetadata? {
        try? ClusterRecords(MetadataListing(records: records, revision: MetadataRevision(1))).metadata
    }

    private static func records(_ bytes: [UInt8]) -> [MetadataRecord] {
        var records: [MetadataRecord] = []
        var rest = bytes[...]
        while rest.count >= 3 {
            let header = Array(rest.prefix(3))
            rest = rest.dropFirst(3)
            let key = rest.prefix(Int(header[0]))
            rest = rest.dropFirst(key.count)
            let value = rest.prefix(Int(header[1]) | Int(header[2]) << 8)
            rest = rest.dropFirst(value.count)
            let text = String(decoding: key, as: UTF8.self)
            records.append(MetadataRecord(key: text, value: Array(value), version: MetadataRevision(1)))
        }
        return records
    }

    fileprivate static func bytes(_ records: [MetadataRecord]) -> [UInt8] {
        records.flatMap { record -> [UInt8] in
            let key = Array(record.key.utf8)
            return [UInt8(key.count), UInt8(record.value.count & 0xff), UInt8(record.value.count >> 8)] + key
                + record.value
        }
    }

    fileprivate static let metadata: ClusterMetadata = {
        let id = CollectionID(high: 5, low: 6)
        let worker = NodeID(high: 7, low: 8)
        let placement = ShardPlacement(
            shard: ShardID(collection: id, index: 0),
            range: HashRange(first: 0, last: .max),
            group: ReplicaGroup(
                epoch: Epoch(3),
                version: 2,
                primary: worker,
                inSync: [worker, NodeID(high: 7, low: 9)],
                learners: [NodeID(high: 7, low: 10)],
                minimumInSync: 2
            )
        )
        let codebook = CodebookRecord(
            generation: 1,
            origin: CodebookOrigin(cause: .allCases[0], faceCount: 1000),
            digest: [UInt8](repeating: 7, count: CodebookRecord.digestByteCount),
            byteCount: 40_000,
            codedDimension: 128,
            codeByteCount: 16,
            listCount: 4,
            energyShare: 0.9,
            sampleCount: 1000,
            calibrationProbeCount: 10,
            calibration: [.init(leastSimilarity: 0.3, recall: 0.99, visitedShare: 0.5)]
        )
        let collection = Collection(
            id: id,
            configuration: CollectionConfiguration(name: "people", dimension: 64, embeddingModel: "m", shardCount: 1),
            created: Timestamp(milliseconds: 9)
        )
        return ClusterMetadata(
            clusterID: NodeID(high: 1, low: 2),
            epoch: Epoch(4),
            workers: [worker: NodeAddress(host: "127.0.0.1", port: 7410)],
            collections: [
                id: CollectionRecord(
                    collection: collection,
                    placements: [placement],
                    isEstablished: true,
                    codebook: codebook,
                    losses: [
                        AcceptedLoss(range: placement.range, time: Timestamp(milliseconds: 10)),
                        AcceptedLoss(range: placement.range, time: Timestamp(milliseconds: 11), beginning: 2),
                    ]
                )
            ],
            deletions: [CollectionID(high: 9, low: 9): Epoch(2)],
            standings: [worker: .draining],
            operations: Dictionary(uniqueKeysWithValues: operations(of: placement).map { ($0.id, $0) }),
            pins: [
                placement.shard: ShardPin(workers: [worker, NodeID(high: 7, low: 9)], primary: worker),
                ShardID(collection: id, index: 1): ShardPin(workers: [worker]),
            ]
        )
    }()

    /// With what is there only while a collection is restored, and after it.
    fileprivate static let restored: ClusterMetadata = {
        var restored = metadata
        for id in metadata.collections.keys {
            restored.collections[id]!.restoration = RestorationRecord(backup: "people-1")
            restored.collections[id]!.restored = [UInt8](repeating: 5, count: RestorationRecord.digestByteCount)
            restored.collections[id]!.settledLoss = Timestamp(milliseconds: 12)
        }
        return restored
    }()

    /// One of each kind, and every change of replicas.
    private static func operations(of placement: ShardPlacement) -> [Operation] {
        let (from, to) = (placement.group.primary, NodeID(high: 7, low: 11))
        let changes: [ReplicaChange] = [.move(from: from, to: to), .add(to), .remove(from), .lead(to)]
        let steps = zip(changes, OperationStepState.allCases).map { change, state in
            Operation.Step(shard: placement.shard, change: change, state: state, formerPrimary: from)
        }
        let former = CopyCount(replicationFactor: 2, minimumInSync: 1)
        let kinds: [Operation.Kind] = [
            .change, .drain(from), .decommission(from), .recommission(from),
            .copies(placement.shard.collection, former: former), .rebalance,
            .rollout(CodebookRollout(collection: placement.shard.collection, generation: 2, cause: .growth)),
        ]
        return kinds.enumerated().map { number, kind in
            Operation(
                id: OperationID(high: 11, low: UInt64(number)),
                kind: kind,
                state: OperationState.allCases[number % OperationState.allCases.count],
                created: Timestamp(milliseconds: 10),
                ended: number % 2 == 0 ? nil : Timestamp(milliseconds: 12),
                steps: number == 0 ? steps : [],
                note: number % 2 == 0 ? nil : "n"
            )
        }
    }

    /// Where several coordinators share a store: one of them, and who holds the lease.
    fileprivate static let sharedRecords: [MetadataRecord] = {
        var coordinator = ByteWriter()
        coordinator.write(1 as UInt8)
        coordinator.write(string: "127.0.0.1")
        coordinator.write(7400 as UInt16)
        coordinator.write(10 as Int64)
        var term = ByteWriter()
        term.write(1 as UInt8)
        for number in [UInt64(3), 4, 5] { term.write(number) }
        let key = "coordinator/\(NodeID(high: 3, low: 4))"
        return [(key, coordinator.bytes), ("controller", term.bytes)].map { key, value in
            MetadataRecord(key: key, value: value, version: MetadataRevision(1))
        }
    }()
}
