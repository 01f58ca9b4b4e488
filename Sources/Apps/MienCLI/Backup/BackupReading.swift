import Backups
import FaceModel
import FaceRecords

/// What was found out about the blocks of a place so far: backups share blocks, and each is read once.
struct BackupReading {
    private struct Content {
        var faceCount: Int
        var sum: UInt128
        /// Whether all of its faces lie in the slice.
        var slice: UInt8
    }

    private var known: [BackupDigest: Content] = [:]
    private var knownCodebooks: Set<BackupDigest> = []

    /// Reads what has not been read yet of a backup, and holds all of it against the manifest.
    ///
    /// - Throws: the first thing that is wrong, with the file that it is in.
    mutating func verify(
        _ entry: BackupCatalogue.Entry,
        in store: any BackupStore,
        _ read: (BackupManifest.Block) -> Void
    ) async throws(BackupError) {
        let manifest = entry.manifest
        let object = store.path(of: BackupName.manifest(of: entry.name))
        var slices = [UInt128](repeating: 0, count: FaceContribution.sliceCount)
        var faceCount: UInt64 = 0
        for block in manifest.blocks {
            let content: Content
            if let found = known[block.digest] {
                content = found
            } else {
                content = try await self.content(of: block, in: manifest, store)
                known[block.digest] = content
                read(block)
            }
            guard content.slice == block.slice, content.faceCount == Int(block.faceCount) else {
                throw .damaged(object: object, reason: "a block has other faces than it says")
            }
            slices[Int(block.slice)] &+= content.sum
            faceCount += UInt64(content.faceCount)
        }
        guard slices == manifest.slices, faceCount == manifest.faceCount else {
            throw .damaged(object: object, reason: "its blocks do not add up to what it says")
        }
        guard let codebook = manifest.codebook, !knownCodebooks.contains(codebook.digest) else { return }
        _ = try await CodebookBackup.read(codebook, of: manifest, in: store)
        knownCodebooks.insert(codebook.digest)
    }

    private func content(
        of block: BackupManifest.Block,
        in manifest: BackupManifest,
        _ store: any BackupStore
    ) async throws(BackupError) -> Content {
        let faces = try await store.faces(of: block, in: manifest)
        var content = Content(faceCount: faces.count, sum: 0, slice: block.slice)
        for contribution in faces.contributions(in: manifest.collection.id) {
            guard contribution.slice == Int(block.slice) else {
                throw .damaged(
                    object: store.path(of: BackupName.block(block.digest)),
                    reason: "a face in it lies in another slice of the ring"
                )
            }
            content.sum &+= contribution.sum
        }
        return content
    }
}
