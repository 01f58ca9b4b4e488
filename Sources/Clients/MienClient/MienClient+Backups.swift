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
    /// - Parameter loss: when faces were given up that the backup may lack.
    /// - Throws: `alreadyExists`.
    package func beginRestore(
        _ options: CollectionConfiguration,
        backup: String,
        epoch: Epoch,
        erasureKey: ErasureKey,
        loss: Timestamp?
    ) async throws(MienClientError) -> CollectionInfo {
        CollectionInfo(
            try await caller.call(
                BeginRestore(
                    configuration: options,
                    backup: backup,
                    epoch: epoch,
                    erasureKey: erasureKey,
                    loss: loss
                )
            )
        )
    }

    /// A collection's newest codebook, with where it comes from.
    package struct CodebookCopy: Sendable {
        package var origin: CodebookOrigin
        package var summary: CollectionDescription.Codebook
        package var bytes: [UInt8]

        package init(origin: CodebookOrigin, summary: CollectionDescription.Codebook, bytes: [UInt8]) {
            self.origin = origin
            self.summary = summary
            self.bytes = bytes
        }
    }

    private static let codebookAttempts = 3
    private static let codebookSliceByteCount = 4 << 20

    /// A collection's newest codebook; nil when it has none.
    ///
    /// - Parameter limit: most bytes that it may have.
    /// - Throws: `unavailable` when another took its place again and again while it was read.
    package func codebook(of collection: String, limit: Int) async throws(MienClientError) -> CodebookCopy? {
        for _ in 0..<Self.codebookAttempts {
            let description = try await caller.call(DescribeCollection(name: collection))
            guard let summary = description.codebook, let origin = description.standing?.origin else { return nil }
            var copy = CodebookCopy(origin: origin, summary: summary, bytes: [])
            while true {
                let request = ReadCodebook(collection: collection, offset: UInt64(copy.bytes.count))
                let fetched = try await caller.call(request)
                let slice = fetched.slice
                guard fetched.summary == summary, slice.offset == UInt64(copy.bytes.count), !slice.bytes.isEmpty,
                    slice.totalByteCount <= UInt64(limit)
                else { break }
                copy.bytes += slice.bytes
                if UInt64(copy.bytes.count) == slice.totalByteCount { return copy }
            }
        }
        throw MienClientError(code: .unavailable, message: "The collection's codebook changed while it was read.")
    }

    /// Makes a backup's codebook that of the collection that is being restored, which has none.
    ///
    /// - Parameter digest: SHA-256 of its bytes.
    package func restore(
        _ codebook: CodebookCopy,
        digest: [UInt8],
        into collection: String,
        backup: String
    ) async throws(MienClientError) {
        let mayBeginAnew = codebook.bytes.count > Self.codebookSliceByteCount
        for _ in 1..<Self.codebookAttempts where mayBeginAnew {
            do throws(MienClientError) {
                return try await send(codebook, digest: digest, to: collection, backup: backup)
            } catch {
                // As a coordinator says that has not had the slices before, since another had them that went away.
                guard error.code == .invalidRequest else { throw error }
            }
        }
        try await send(codebook, digest: digest, to: collection, backup: backup)
    }

    /// Sends all slices, from the first.
    private func send(
        _ codebook: CodebookCopy,
        digest: [UInt8],
        to collection: String,
        backup: String
    ) async throws(MienClientError) {
        let bytes = codebook.bytes
        for start in stride(from: 0, to: bytes.count, by: Self.codebookSliceByteCount) {
            let part = bytes[start..<min(start + Self.codebookSliceByteCount, bytes.count)]
            _ = try await caller.call(
                RestoreCodebook(
                    collection: collection,
                    backup: backup,
                    origin: codebook.origin,
                    digest: digest,
                    summary: codebook.summary,
                    slice: CodebookSlice(
                        totalByteCount: UInt64(bytes.count),
                        offset: UInt64(start),
                        bytes: Array(part)
                    )
                )
            )
        }
    }

    package func restore(
        _ faces: ArchivedFaces,
        into collection: String
    ) async throws(MienClientError) -> [EnrolOutcome] {
        try await caller.call(RestoreFaces(collection: collection, faces: faces)).outcomes
    }

    /// When faces of a collection were last given up, be they back or not: its ledgers of erasures may lack what was
    /// deleted before. Nil when none ever were.
    package func latestLoss(of collection: String) async throws(MienClientError) -> Timestamp? {
        let list = try await caller.call(ReadLosses(collection: collection))
        return list.latest ?? list.losses.map(\.time).max()
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
                shardIndex: try ShardNumber.wire(shard),
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
