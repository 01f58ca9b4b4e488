import ClusterModel
package import ClusterState
import FaceModel

/// The records of a cluster as they lie in the metadata store, and the metadata that they add up to.
///
/// | key | value (layout byte 1 first) |
/// |---|---|
/// | `cluster` | cluster id, 16 bytes |
/// | `epoch` | u64, epoch of the shard map |
/// | `worker/<uuid>` | host text, port u16: where it was last heard from |
/// | `collection/<uuid>` | see `CollectionRecord` |
/// | `name/<name>` | id of the collection that has the name, 16 bytes |
/// | `deleted/<uuid>` | u64, epoch of the deletion; kept for ever |
package struct ClusterRecords: Sendable {
    package let metadata: ClusterMetadata
    package let revision: MetadataRevision
    private let versions: [String: MetadataRevision]

    static let clusterKey = "cluster"
    static let epochKey = "epoch"

    static func workerKey(_ id: NodeID) -> String { "worker/\(id)" }
    static func collectionKey(_ id: CollectionID) -> String { "collection/\(id)" }
    static func nameKey(_ name: String) -> String { "name/\(name)" }
    static func deletionKey(_ id: CollectionID) -> String { "deleted/\(id)" }

    private static let layout: UInt8 = 1

    /// What holds as long as nobody has changed the record since it was read.
    func unchanged(_ key: String) -> MetadataCondition {
        versions[key].map { .unchanged(key: key, version: $0) } ?? .absent(key: key)
    }

    /// The changes and conditions that raise the epoch by one.
    var nextEpoch: Epoch { Epoch(metadata.epoch.number + 1) }

    // MARK: Changes

    static func put(cluster: NodeID) -> MetadataChange {
        var writer = RecordWriter(version: layout)
        writer.id(high: cluster.high, low: cluster.low)
        return .put(key: clusterKey, value: writer.bytes)
    }

    static func put(_ epoch: Epoch) -> MetadataChange { .put(key: epochKey, value: epochBytes(epoch)) }

    static func put(_ worker: NodeID, _ address: NodeAddress) -> MetadataChange {
        var writer = RecordWriter(version: layout)
        writer.text(address.host)
        writer.integer(UInt16(address.port))
        return .put(key: workerKey(worker), value: writer.bytes)
    }

    static func put(_ record: CollectionRecord) -> MetadataChange {
        .put(key: collectionKey(record.collection.id), value: record.bytes)
    }

    static func put(name: String, _ id: CollectionID) -> MetadataChange {
        var writer = RecordWriter(version: layout)
        writer.id(high: id.high, low: id.low)
        return .put(key: nameKey(name), value: writer.bytes)
    }

    static func put(deletion id: CollectionID, _ epoch: Epoch) -> MetadataChange {
        .put(key: deletionKey(id), value: epochBytes(epoch))
    }

    private static func epochBytes(_ epoch: Epoch) -> [UInt8] {
        var writer = RecordWriter(version: layout)
        writer.integer(epoch.number)
        return writer.bytes
    }

    // MARK: Reading

    /// Reads the cluster's records; a store without any gets an identity first.
    package static func load(from store: some MetadataStore) async throws(MetadataError) -> ClusterRecords {
        let listing = try await store.list(prefix: "")
        if listing.records.contains(where: { $0.key == clusterKey }) { return try ClusterRecords(listing) }
        do throws(MetadataError) {
            try await store.commit(
                [.absent(key: clusterKey), .absent(key: epochKey)],
                [put(cluster: .random()), put(Epoch(0))]
            )
        } catch .conflict {
            // Another coordinator gave it one at the same moment.
        }
        return try ClusterRecords(try await store.list(prefix: ""))
    }

    package init(_ listing: MetadataListing) throws(MetadataError) {
        var clusterID: NodeID?
        var metadata = ClusterMetadata(clusterID: NodeID(high: 0, low: 0))
        var idsByName: [String: CollectionID] = [:]
        for record in listing.records {
            do throws(RecordReader.Problem) {
                let parts = record.key.split(separator: "/", maxSplits: 1)
                switch (parts.first.map(String.init), parts.dropFirst().first) {
                case (Self.clusterKey, nil):
                    clusterID = try Self.read(record.value) { r throws(RecordReader.Problem) in
                        let id = try r.id()
                        return NodeID(high: id.high, low: id.low)
                    }
                case (Self.epochKey, nil): metadata.epoch = try Self.epoch(record.value)
                case ("worker", let name?):
                    guard let id = NodeID(name) else { throw .init(reason: "its key is no worker id") }
                    metadata.workers[id] = try Self.read(record.value) { r throws(RecordReader.Problem) in
                        NodeAddress(host: try r.text(), port: Int(try r.integer() as UInt16))
                    }
                case ("collection", _?):
                    let collection = try CollectionRecord(bytes: record.value)
                    guard record.key == Self.collectionKey(collection.collection.id) else {
                        throw .init(reason: "its id is not its key's")
                    }
                    metadata.collections[collection.collection.id] = collection
                case ("name", let name?):
                    let id = try Self.read(record.value) { r throws(RecordReader.Problem) in try r.id() }
                    idsByName[String(name)] = CollectionID(high: id.high, low: id.low)
                case ("deleted", let name?):
                    guard let id = CollectionID(name) else { throw .init(reason: "its key is no collection id") }
                    metadata.deletions[id] = try Self.epoch(record.value)
                default: throw .init(reason: "its kind is unknown")
                }
            } catch {
                throw .corrupt(key: record.key, reason: error.reason)
            }
        }
        guard let clusterID else { throw .corrupt(key: Self.clusterKey, reason: "it is missing") }
        for record in metadata.collections.values where idsByName[record.collection.name] != record.collection.id {
            throw .corrupt(key: Self.nameKey(record.collection.name), reason: "it does not name its collection")
        }
        metadata.clusterID = clusterID
        self.metadata = metadata
        revision = listing.revision
        versions = Dictionary(listing.records.map { ($0.key, $0.version) }, uniquingKeysWith: { first, _ in first })
    }

    private static func epoch(_ bytes: [UInt8]) throws(RecordReader.Problem) -> Epoch {
        try read(bytes) { r throws(RecordReader.Problem) in Epoch(try r.integer()) }
    }

    private static func read<T>(
        _ bytes: [UInt8],
        _ body: (inout RecordReader) throws(RecordReader.Problem) -> T
    ) throws(RecordReader.Problem) -> T {
        var reader = try RecordReader(bytes, version: layout)
        let value = try body(&reader)
        try reader.end()
        return value
    }
}
