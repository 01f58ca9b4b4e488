package import FaceModel

/// One shard's place in the cluster.
package struct ShardPlacement: Hashable, Sendable {
    package let shard: ShardID
    package let range: HashRange
    /// Its replicas, and which of them orders its writes.
    package var group: ReplicaGroup

    package init(shard: ShardID, range: HashRange, group: ReplicaGroup) {
        self.shard = shard
        self.range = range
        self.group = group
    }

    /// A shard of one replica.
    package init(shard: ShardID, range: HashRange, primary: NodeID, epoch: Epoch) {
        let group = ReplicaGroup(epoch: epoch, version: 1, primary: primary, inSync: [primary], minimumInSync: 1)
        self.init(shard: shard, range: range, group: group)
    }

    /// Worker that orders the shard's writes.
    package var primary: NodeID { group.primary }
    /// Requests to the replicas carry it.
    package var epoch: Epoch { group.epoch }
}

/// Which worker holds which shard: an immutable value; routers work from the copy they hold.
package struct ShardMap: Sendable {
    package let epoch: Epoch
    package let collections: [CollectionID: Collection]
    /// Per collection, ordered by range; the ranges cover the ring without gap or overlap.
    package let placements: [CollectionID: [ShardPlacement]]
    package let addresses: [NodeID: NodeAddress]
    /// Collections that are being restored from a backup: they take nothing else.
    package let restoring: Set<CollectionID>
    /// Collections of which faces were given up, and have not come back, each with when the latest of those were.
    package let lossy: [CollectionID: Timestamp]
    /// Per collection, indices of the shards whose place others have taken.
    package let retired: [CollectionID: Set<UInt32>]
    private let idsByName: [String: CollectionID]
    /// Per collection, where in ``placements`` a shard is, by its index: who asks for one shard of a thousand asks for
    /// all of them in turn.
    private let positions: [CollectionID: [UInt32: Int]]

    package init(
        epoch: Epoch,
        collections: [Collection],
        placements: [CollectionID: [ShardPlacement]],
        addresses: [NodeID: NodeAddress],
        restoring: Set<CollectionID> = [],
        lossy: [CollectionID: Timestamp] = [:],
        retired: [CollectionID: Set<UInt32>] = [:]
    ) {
        self.epoch = epoch
        self.collections = Dictionary(collections.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        self.idsByName = Dictionary(collections.map { ($0.name, $0.id) }, uniquingKeysWith: { first, _ in first })
        let ordered = placements.mapValues { $0.sorted { $0.range.first < $1.range.first } }
        self.placements = ordered
        self.positions = ordered.mapValues { placements in
            Dictionary(
                placements.enumerated().map { ($0.element.shard.index, $0.offset) },
                uniquingKeysWith: { first, _ in first }
            )
        }
        self.addresses = addresses
        self.restoring = restoring
        self.lossy = lossy
        self.retired = retired
    }

    package static let empty = ShardMap(epoch: Epoch(0), collections: [], placements: [:], addresses: [:])

    package func collection(named name: String) -> Collection? {
        idsByName[name].flatMap { collections[$0] }
    }

    /// Whether somebody who has seen these shards has seen a newer map: one of them is not there yet. What was written
    /// to a shard is in those that have taken its place, and not in those that it took the place of.
    package func isOlder(than shards: some Sequence<UInt32>, of collection: CollectionID) -> Bool {
        let present = positions[collection] ?? [:]
        let past = retired[collection] ?? []
        return shards.contains { present[$0] == nil && !past.contains($0) }
    }

    /// Where a shard is; nil when it is nowhere.
    package func placement(of shard: ShardID) -> ShardPlacement? {
        positions[shard.collection]?[shard.index].flatMap { placements[shard.collection]?[$0] }
    }

    /// Position in `placements[collection]` of the shard that a face id belongs to; nil for an unknown collection.
    package func placementIndex(of face: FaceID, in collection: CollectionID) -> Int? {
        placementIndex(at: FaceIDHash.hash(face, in: collection), in: collection)
    }

    /// Likewise of the shard that a place on the ring belongs to.
    package func placementIndex(at place: UInt64, in collection: CollectionID) -> Int? {
        guard let shards = placements[collection], !shards.isEmpty else { return nil }
        var low = 0
        var high = shards.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if shards[middle].range.first <= place { low = middle } else { high = middle - 1 }
        }
        return low
    }
}
