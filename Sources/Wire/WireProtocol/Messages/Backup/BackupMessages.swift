package import ClusterModel
package import FaceModel

/// Client → coordinator: take a snapshot of every shard of a collection, all as of one moment.
///
/// Everything acknowledged before the request is in it; and with each write everything that was acknowledged before
/// that one was sent. Writes wait meanwhile, for a second at most. Asked again it takes other snapshots under the same
/// name.
package struct BeginBackup: Hashable, Sendable {
    package var collection: String
    /// Named by the client.
    package var snapshot: SnapshotID

    package init(collection: String, snapshot: SnapshotID) {
        self.collection = collection
        self.snapshot = snapshot
    }
}

package struct BackupBegun: Hashable, Sendable {
    /// One shard's part of the cut.
    package struct Shard: Hashable, Sendable {
        package var index: UInt32
        package var range: HashRange
        package var cut: ShardCut

        package init(index: UInt32, range: HashRange, cut: ShardCut) {
            self.index = index
            self.range = range
            self.cut = cut
        }
    }

    package var collection: Collection
    /// In order of range.
    package var shards: [Shard]
    /// When faces were given up that the snapshots may lack, and have not come back: the latest of those. Nil without
    /// any.
    package var loss: Timestamp?

    package init(collection: Collection, shards: [Shard], loss: Timestamp? = nil) {
        self.collection = collection
        self.shards = shards
        self.loss = loss
    }
}

/// One shard's snapshot, and who has it.
package struct SnapshotRoute: Hashable, Sendable {
    package var worker: NodeID
    package var snapshot: SnapshotID
    package var shard: ShardID

    package init(worker: NodeID, snapshot: SnapshotID, shard: ShardID) {
        self.worker = worker
        self.snapshot = snapshot
        self.shard = shard
    }
}

/// Client → coordinator → worker: how far a snapshot is, and what it holds. A snapshot that nobody asks for is removed
/// after some minutes.
package struct DescribeSnapshot: Hashable, Sendable {
    package var route: SnapshotRoute

    package init(route: SnapshotRoute) {
        self.route = route
    }
}

package struct SnapshotDescription: Hashable, Sendable {
    /// Bytes of the snapshot that are made, and how many there will be, about; equal when it is whole.
    package var copiedByteCount: UInt64
    package var totalByteCount: UInt64
    /// Nil until it is whole.
    package var content: Content?

    package struct Content: Hashable, Sendable {
        package static let sliceCount = 256

        package var faceCount: UInt64
        /// The sums of the faces of each slice of the ring.
        package var slices: [UInt128]

        package init(faceCount: UInt64, slices: [UInt128]) {
            self.faceCount = faceCount
            self.slices = slices
        }
    }

    package init(copiedByteCount: UInt64, totalByteCount: UInt64, content: Content?) {
        self.copiedByteCount = copiedByteCount
        self.totalByteCount = totalByteCount
        self.content = content
    }
}

/// Client → coordinator → worker: faces of one slice of the ring, as they are stored, in the order of the ring.
package struct ReadSnapshot: Hashable, Sendable {
    package static let limitRange = 1...10_000
    package static let pageByteLimit = 8 << 20

    package var route: SnapshotRoute
    package var slice: UInt8
    /// Faces of the slice that come before.
    package var offset: UInt32
    /// Most faces; a page of 8 MiB ends before.
    package var limit: Int

    package init(route: SnapshotRoute, slice: UInt8, offset: UInt32, limit: Int) {
        self.route = route
        self.slice = slice
        self.offset = offset
        self.limit = limit
    }
}

package struct SnapshotPage: Hashable, Sendable {
    package var faces: ArchivedFaces
    /// Whether the slice ends with it.
    package var isLast: Bool

    package init(faces: ArchivedFaces, isLast: Bool) {
        self.faces = faces
        self.isLast = isLast
    }
}

/// Client → coordinator → worker: the snapshot is not needed any more. Idempotent.
package struct ReleaseSnapshot: Hashable, Sendable {
    package var route: SnapshotRoute

    package init(route: SnapshotRoute) {
        self.route = route
    }
}

/// Coordinator → primary: order no write for so long, unless the shard is cut before.
package struct HoldWrites: Hashable, Sendable {
    package static let limitRange = 1...1000

    package var route: ShardRoute
    package var snapshot: SnapshotID
    /// Milliseconds.
    package var limit: Int

    package init(route: ShardRoute, snapshot: SnapshotID, limit: Int) {
        self.route = route
        self.snapshot = snapshot
        self.limit = limit
    }
}

/// Coordinator → primary: begin a snapshot of what there is now, behind a write of nothing that all replicas in sync
/// have, then let writes go on. Refused when the hold has ended.
package struct CutShard: Hashable, Sendable {
    package var route: ShardRoute
    package var snapshot: SnapshotID

    package init(route: ShardRoute, snapshot: SnapshotID) {
        self.route = route
        self.snapshot = snapshot
    }
}

package struct ShardCut: Hashable, Sendable {
    /// That has the snapshot.
    package var worker: NodeID
    package var epoch: Epoch
    /// Of the last write in the snapshot.
    package var sequence: UInt64
    /// Of the collection.
    package var erasureKey: ErasureKey

    package init(worker: NodeID, epoch: Epoch, sequence: UInt64, erasureKey: ErasureKey) {
        self.worker = worker
        self.epoch = epoch
        self.sequence = sequence
        self.erasureKey = erasureKey
    }
}
