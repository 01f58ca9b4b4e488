package import ClusterModel
package import FaceModel

/// Client → coordinator: make a collection to put the faces of a backup into. Answered with its description, again when
/// it was begun before from the same backup. Until ``FinishRestore`` it answers no search and takes no other write.
package struct BeginRestore: Hashable, Sendable {
    package var configuration: CollectionConfiguration
    /// Name of the backup.
    package var backup: String
    /// The highest epoch of the backup's faces: that of the new shards is above.
    package var epoch: Epoch
    /// Of the collection that was backed up, and of the new one.
    package var erasureKey: ErasureKey
    /// When faces were given up that the backup may lack: the new collection counts as having lost them, too, until
    /// somebody says that they are back. Nil without any.
    package var loss: Timestamp?

    package init(
        configuration: CollectionConfiguration,
        backup: String,
        epoch: Epoch,
        erasureKey: ErasureKey,
        loss: Timestamp? = nil
    ) {
        self.configuration = configuration
        self.backup = backup
        self.epoch = epoch
        self.erasureKey = erasureKey
        self.loss = loss
    }
}

/// Client → coordinator: a slice of the collection's newest codebook. Answered by ``CodebookFetched``; `notFound` when
/// it has none. Between two slices another may take its place: the summary tells.
package struct ReadCodebook: Hashable, Sendable {
    package var collection: String
    package var offset: UInt64

    package init(collection: String, offset: UInt64) {
        self.collection = collection
        self.offset = offset
    }
}

/// Client → coordinator: a slice of the codebook that a backup has, in order, from offset 0 again after a failure. When
/// the last has come and the SHA-256 is right it is the codebook of the collection that is being restored, and
/// installed. One that has a codebook already keeps it. Refused when the codebook is not what the summary says, or
/// another than the collection has.
package struct RestoreCodebook: Hashable, Sendable {
    package var collection: String
    package var backup: String
    package var origin: CodebookOrigin
    /// SHA-256 of all of it.
    package var digest: [UInt8]
    package var summary: CollectionDescription.Codebook
    package var slice: CodebookSlice

    package init(
        collection: String,
        backup: String,
        origin: CodebookOrigin,
        digest: [UInt8],
        summary: CollectionDescription.Codebook,
        slice: CodebookSlice
    ) {
        self.collection = collection
        self.backup = backup
        self.origin = origin
        self.digest = digest
        self.summary = summary
        self.slice = slice
    }
}

/// Client → coordinator: put faces back as they were stored, under the versions that they had. A face that is there in
/// that version or a later one is `superseded`, so that the same batch may be sent again; so are all once the
/// restoration has ended.
package struct RestoreFaces: Hashable, Sendable {
    package var collection: String
    package var faces: ArchivedFaces

    package init(collection: String, faces: ArchivedFaces) {
        self.collection = collection
        self.faces = faces
    }
}

/// Coordinator → primary: the part of a batch that belongs to its shard. The last one ends the restoration, and may be
/// empty; it may be sent again. Of others that come behind it every face is `superseded`, and none is put back.
package struct ShardRestore: Hashable, Sendable {
    package var route: ShardRoute
    package var faces: ArchivedFaces
    package var isLast: Bool

    package init(route: ShardRoute, faces: ArchivedFaces, isLast: Bool) {
        self.route = route
        self.faces = faces
        self.isLast = isLast
    }
}

/// Client → coordinator: read all that was put back and compare it with what should be there; when it is the same, the
/// collection serves. Takes about a second for each GB. Idempotent.
package struct FinishRestore: Hashable, Sendable {
    package var collection: String
    package var backup: String
    package var faceCount: UInt64
    /// The sums of the faces of each slice of the ring that should be there.
    package var slices: [UInt128]

    package init(collection: String, backup: String, faceCount: UInt64, slices: [UInt128]) {
        self.collection = collection
        self.backup = backup
        self.faceCount = faceCount
        self.slices = slices
    }
}
