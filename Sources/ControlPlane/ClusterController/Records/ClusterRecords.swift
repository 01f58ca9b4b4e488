import BinaryCoding
package import ClusterModel
package import ClusterState
import FaceModel
import WireProtocol

/// The records of a cluster as they lie in the metadata store, and the metadata that they add up to.
///
/// | key | value (layout byte 1 first) |
/// |---|---|
/// | `cluster` | cluster id, 16 bytes |
/// | `epoch` | u64, epoch of the shard map |
/// | `worker/<uuid>` | host text, port u16: where it was last heard from; from layout 2 on its standing u8 |
/// | `collection/<uuid>` | see `CollectionRecord` |
/// | `operation/<uuid>` | see `Operation`: those that are open, and the last that ended |
/// | `pin/<uuid>` | which replicas of that collection stay where they are, see `ShardPins` |
/// | `name/<name>` | id of the collection that has the name, 16 bytes |
/// | `deleted/<uuid>` | u64, epoch of the deletion; kept for ever |
/// | `coordinator/<uuid>` | host text, port u16, started i64 (ms since 1970): only in a shared store, while it runs |
/// | `controller` | coordinator id, 16 bytes, since when i64: there while one has the lease |
package struct ClusterRecords: Sendable {
    package let metadata: ClusterMetadata
    /// The coordinators that are there, where there may be several.
    let coordinators: [NodeID: NodeAddress]
    /// Who holds the lease, and since when by its own clock.
    let controller: ControllerTerm?
    package let revision: MetadataRevision
    /// What each worker is told of the shards that it has a part in.
    let memberships: [NodeID: Membership]
    /// Collections whose rollout is paused.
    let heldCollections: [CollectionID]
    /// Of the steps of paused operations that are under way, those whose newcomer has not everything yet.
    let heldCopies: [HeldCopy]
    private let versions: [String: MetadataRevision]

    /// The groups that a worker is a member of, and where their members are.
    struct Membership: Sendable {
        var groups: [ShardGroup] = []
        var workers: [HeartbeatReply.Node] = []

        fileprivate static func all(in metadata: ClusterMetadata) -> [NodeID: Membership] {
            var memberships: [NodeID: Membership] = [:]
            var peers: [NodeID: Set<NodeID>] = [:]
            for record in metadata.collections.values.sorted(by: { $0.collection.id < $1.collection.id }) {
                for placement in record.placements {
                    let members = placement.group.members
                    for member in members {
                        memberships[member, default: Membership()].groups.append(
                            ShardGroup(shard: placement.shard, group: placement.group)
                        )
                        peers[member, default: []].formUnion(members)
                    }
                }
            }
            for (member, peers) in peers {
                memberships[member]!.workers = peers.sorted().compactMap { peer in
                    metadata.workers[peer].map { .init(id: peer, address: $0) }
                }
            }
            return memberships
        }
    }

    static let clusterKey = "cluster"
    static let epochKey = "epoch"

    static func workerKey(_ id: NodeID) -> String { "worker/\(id)" }
    static func collectionKey(_ id: CollectionID) -> String { "collection/\(id)" }
    static func nameKey(_ name: String) -> String { "name/\(name)" }
    static func deletionKey(_ id: CollectionID) -> String { "deleted/\(id)" }
    static func coordinatorKey(_ id: NodeID) -> String { "coordinator/\(id)" }
    static func operationKey(_ id: OperationID) -> String { "operation/\(id)" }
    static func pinKey(_ id: CollectionID) -> String { "pin/\(id)" }
    static let controllerKey = "controller"

    private static let layout: UInt8 = 1
    private static let workerLayout: UInt8 = 2
    /// Operations that are kept when they have ended.
    static let endedOperationLimit = 50

    /// What holds as long as nobody has changed the record since it was read.
    func unchanged(_ key: String) -> MetadataCondition {
        versions[key].map { .unchanged(key: key, version: $0) } ?? .absent(key: key)
    }

    /// The changes and conditions that raise the epoch by one.
    var nextEpoch: Epoch { Epoch(metadata.epoch.number + 1) }

    // MARK: Changes

    static func put(cluster: NodeID) -> MetadataChange {
        .put(key: clusterKey, value: idBytes(high: cluster.high, low: cluster.low))
    }

    static func put(_ epoch: Epoch) -> MetadataChange { .put(key: epochKey, value: epochBytes(epoch)) }

    static func put(_ worker: NodeID, _ address: NodeAddress, _ standing: WorkerStanding) -> MetadataChange {
        let value = RecordCoding.bytes(layout: workerLayout) {
            $0.write(string: address.host)
            $0.write(UInt16(address.port))
            $0.write(standing.rawValue)
        }
        return .put(key: workerKey(worker), value: value)
    }

    package static func put(_ record: CollectionRecord) -> MetadataChange {
        .put(key: collectionKey(record.collection.id), value: record.bytes)
    }

    static func put(_ operation: Operation) -> MetadataChange {
        .put(key: operationKey(operation.id), value: operation.bytes)
    }

    /// The pins of a collection's shards, none of which need be there.
    static func put(pins: [UInt32: ShardPin], of collection: CollectionID) -> MetadataChange {
        pins.isEmpty
            ? .remove(key: pinKey(collection)) : .put(key: pinKey(collection), value: ShardPins.bytes(pins))
    }

    static func put(name: String, _ id: CollectionID) -> MetadataChange {
        .put(key: nameKey(name), value: idBytes(high: id.high, low: id.low))
    }

    static func put(deletion id: CollectionID, _ epoch: Epoch) -> MetadataChange {
        .put(key: deletionKey(id), value: epochBytes(epoch))
    }

    static func coordinator(at address: NodeAddress, started: Timestamp) -> [UInt8] {
        RecordCoding.bytes(layout: layout) {
            $0.write(string: address.host)
            $0.write(UInt16(address.port))
            $0.write(started.milliseconds)
        }
    }

    static func controller(_ term: ControllerTerm) -> [UInt8] {
        RecordCoding.bytes(layout: layout) {
            $0.write(high: term.coordinator.high, low: term.coordinator.low)
            $0.write(term.since.milliseconds)
        }
    }

    private static func epochBytes(_ epoch: Epoch) -> [UInt8] {
        RecordCoding.bytes(layout: layout) { $0.write(epoch.number) }
    }

    private static func idBytes(high: UInt64, low: UInt64) -> [UInt8] {
        RecordCoding.bytes(layout: layout) { $0.write(high: high, low: low) }
    }

    // MARK: Reading

    /// Reads the cluster's records; a store without any gets an identity first.
    ///
    /// - Parameter expected: the cluster whose records they have to be; nil for any, or a new one.
    package static func load(
        from store: any MetadataStore,
        expecting expected: NodeID? = nil
    ) async throws(MetadataError) -> ClusterRecords {
        let listing = try await store.list(prefix: "")
        guard try !hasRecords(listing) else {
            let records = try ClusterRecords(listing)
            let found = records.metadata.clusterID
            if let expected, found != expected { throw .otherCluster(expected: expected, found: found) }
            return records
        }
        if let expected { throw .otherCluster(expected: expected, found: nil) }
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

    /// Whether there is a cluster; coordinators that wait for one leave only word of themselves.
    private static func hasRecords(_ listing: MetadataListing) throws(MetadataError) -> Bool {
        let keys = listing.records.map(\.key).filter { $0 != controllerKey && !$0.hasPrefix("coordinator/") }
        guard keys.isEmpty || keys.contains(clusterKey) else {
            throw .corrupt(key: clusterKey, reason: "it is missing, and there are \(keys.count) other records")
        }
        return !keys.isEmpty
    }

    package init(_ listing: MetadataListing) throws(MetadataError) {
        var clusterID: NodeID?
        var metadata = ClusterMetadata(clusterID: NodeID(high: 0, low: 0))
        var idsByName: [String: CollectionID] = [:]
        var coordinators: [NodeID: NodeAddress] = [:]
        var controller: ControllerTerm?
        for record in listing.records {
            do {
                let parts = record.key.split(separator: "/", maxSplits: 1)
                switch (parts.first.map(String.init), parts.dropFirst().first) {
                case (Self.clusterKey, nil):
                    let id = try Self.id(record.value)
                    clusterID = NodeID(high: id.high, low: id.low)
                case (Self.epochKey, nil): metadata.epoch = try Self.epoch(record.value)
                case ("worker", let name?):
                    guard let id = NodeID(name) else { throw RecordProblem(description: "its key is no worker id") }
                    let (address, standing) = try Self.worker(record.value)
                    metadata.workers[id] = address
                    if standing != .active { metadata.standings[id] = standing }
                case ("operation", _?):
                    let operation = try Operation(bytes: record.value)
                    guard record.key == Self.operationKey(operation.id) else {
                        throw RecordProblem(description: "its id is not its key's")
                    }
                    metadata.operations[operation.id] = operation
                case ("collection", _?):
                    let collection = try CollectionRecord(bytes: record.value)
                    guard record.key == Self.collectionKey(collection.collection.id) else {
                        throw RecordProblem(description: "its id is not its key's")
                    }
                    metadata.collections[collection.collection.id] = collection
                case ("pin", let name?):
                    guard let id = CollectionID(name) else {
                        throw RecordProblem(description: "its key is no collection id")
                    }
                    for (index, pin) in try ShardPins.read(record.value) {
                        metadata.pins[ShardID(collection: id, index: index)] = pin
                    }
                case ("name", let name?):
                    let id = try Self.id(record.value)
                    idsByName[String(name)] = CollectionID(high: id.high, low: id.low)
                case ("deleted", let name?):
                    guard let id = CollectionID(name) else {
                        throw RecordProblem(description: "its key is no collection id")
                    }
                    metadata.deletions[id] = try Self.epoch(record.value)
                case ("coordinator", let name?):
                    guard let id = NodeID(name) else {
                        throw RecordProblem(description: "its key is no coordinator id")
                    }
                    coordinators[id] = try RecordCoding.read(record.value, layout: Self.layout) { reader in
                        let address = NodeAddress(
                            host: try reader.readString(),
                            port: Int(try reader.read(UInt16.self))
                        )
                        _ = try reader.read(Int64.self)
                        return address
                    }
                case (Self.controllerKey, nil):
                    controller = try RecordCoding.read(record.value, layout: Self.layout) { reader in
                        let (high, low) = try reader.readID()
                        return ControllerTerm(
                            coordinator: NodeID(high: high, low: low),
                            since: Timestamp(milliseconds: try reader.read())
                        )
                    }
                default: throw NewerRecord(reason: "its kind is unknown")
                }
            } catch let error as NewerRecord {
                throw .newerRecord(key: record.key, reason: error.reason)
            } catch {
                throw .corrupt(key: record.key, reason: "\(error)")
            }
        }
        guard let clusterID else { throw .corrupt(key: Self.clusterKey, reason: "it is missing") }
        for record in metadata.collections.values where idsByName[record.collection.name] != record.collection.id {
            throw .corrupt(key: Self.nameKey(record.collection.name), reason: "it does not name its collection")
        }
        metadata.clusterID = clusterID
        self.metadata = metadata
        self.coordinators = coordinators
        self.controller = controller
        memberships = Membership.all(in: metadata)
        let paused = metadata.openOperations.filter { $0.state == .paused }
        heldCollections = paused.compactMap(\.rollout?.collection)
        heldCopies = paused.flatMap(\.steps).filter(\.state.isUnderWay).compactMap { step in
            guard let newcomer = step.change.newcomer, let group = metadata.placement(of: step.shard)?.group,
                !group.isInSync(newcomer)
            else { return nil }
            return HeldCopy(shard: step.shard, worker: newcomer)
        }
        revision = listing.revision
        versions = Dictionary(listing.records.map { ($0.key, $0.version) }, uniquingKeysWith: { first, _ in first })
    }

    /// One of layout 1 is of a time when workers had no standing.
    private static func worker(_ bytes: [UInt8]) throws -> (NodeAddress, WorkerStanding) {
        let hasStanding = bytes.first != layout
        return try RecordCoding.read(bytes, layout: hasStanding ? workerLayout : layout) { reader in
            (
                NodeAddress(host: try reader.readString(), port: Int(try reader.read(UInt16.self))),
                hasStanding ? try reader.readEnumeration("standing") : .active
            )
        }
    }

    private static func epoch(_ bytes: [UInt8]) throws -> Epoch {
        try RecordCoding.read(bytes, layout: layout) { try $0.readEpoch() }
    }

    private static func id(_ bytes: [UInt8]) throws -> (high: UInt64, low: UInt64) {
        try RecordCoding.read(bytes, layout: layout) { try $0.readID() }
    }
}

/// A coordinator's time with the lease.
struct ControllerTerm: Hashable, Sendable {
    var coordinator: NodeID
    var since: Timestamp
}
