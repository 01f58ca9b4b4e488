package import ClusterModel
package import FaceModel
package import WireProtocol

/// What backups and restores are made of. The programs that use it are Mien's own.
extension MienClient {
    /// Takes a snapshot of every shard of a collection, all as of one moment.
    ///
    /// - Throws: `notFound`; `unavailable` or `deadlineExceeded` when not every shard could be cut at one moment.
    package func beginBackup(
        _ collection: String,
        snapshot: SnapshotID
    ) async throws(MienClientError) -> BackupBegun {
        try await caller.call(BeginBackup(collection: collection, snapshot: snapshot))
    }

    package func describe(_ snapshot: SnapshotRoute) async throws(MienClientError) -> SnapshotDescription {
        try await caller.call(DescribeSnapshot(route: snapshot))
    }

    package func read(
        _ snapshot: SnapshotRoute,
        slice: Int,
        offset: Int,
        limit: Int = 1024
    ) async throws(MienClientError) -> SnapshotPage {
        try await caller.call(
            ReadSnapshot(route: snapshot, slice: UInt8(slice), offset: UInt32(offset), limit: limit)
        )
    }

    package func release(_ snapshot: SnapshotRoute) async throws(MienClientError) {
        _ = try await caller.call(ReleaseSnapshot(route: snapshot))
    }

    /// Makes the collection that faces of a backup are put into, or finds the one that was made for it before.
    ///
    /// - Throws: `alreadyExists`.
    package func beginRestore(
        _ options: CollectionConfiguration,
        backup: String,
        epoch: Epoch,
        erasureKey: ErasureKey
    ) async throws(MienClientError) -> CollectionInfo {
        CollectionInfo(
            try await caller.call(
                BeginRestore(configuration: options, backup: backup, epoch: epoch, erasureKey: erasureKey)
            )
        )
    }

    package func restore(
        _ faces: ArchivedFaces,
        into collection: String
    ) async throws(MienClientError) -> [EnrolOutcome] {
        try await caller.call(RestoreFaces(collection: collection, faces: faces)).outcomes
    }

    /// A part of one shard's ledger of erasures.
    package func erasures(
        of collection: String,
        shard: Int,
        after position: ErasurePosition?,
        limit: Int = 10_000
    ) async throws(MienClientError) -> ErasureList {
        try await caller.call(
            ReadErasures(
                collection: collection,
                shardIndex: UInt32(clamping: shard),
                after: position,
                limit: limit
            )
        )
    }

    /// Has what was put back read and compared; then the collection serves.
    package func finishRestore(
        _ collection: String,
        backup: String,
        faceCount: UInt64,
        slices: [UInt128]
    ) async throws(MienClientError) -> CollectionInfo {
        CollectionInfo(
            try await caller.call(
                FinishRestore(collection: collection, backup: backup, faceCount: faceCount, slices: slices)
            )
        )
    }
}
