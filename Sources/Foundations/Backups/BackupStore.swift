package import FaceModel

/// Where backups are kept: objects by name, each whole or not there at all. A folder, or a bucket.
///
/// Names are those of ``BackupName``.
package protocol BackupStore: Sendable {
    /// For people: the folder or the address.
    var place: String { get }

    /// Keeps an object durably; one that is there under the name is replaced.
    func put(_ name: String, _ bytes: [UInt8]) async throws(BackupError)

    /// - Parameter limit: most bytes that it may have.
    /// - Throws: ``BackupError/missing(object:)``.
    func get(_ name: String, limit: Int) async throws(BackupError) -> [UInt8]

    /// Names and byte counts of all objects below a prefix that ends in a slash, in order of name.
    func list(_ prefix: String) async throws(BackupError) -> [BackupObject]

    /// No error when there is none.
    func remove(_ name: String) async throws(BackupError)

    /// Removes what writes that were cut off left behind; how many there were.
    func removePartial() async throws(BackupError) -> Int

    /// Removes what writes of a collection's archived log that were cut off left behind, but what is young; how many
    /// there were. Of one that is archived no more.
    func removePartial(ofArchive collection: CollectionID) async throws(BackupError) -> Int

    /// Whether ``lock(for:)`` keeps others away.
    var hasLock: Bool { get }

    /// Ends what is open; called once.
    func close() async

    /// Keeps those away whose use of the place does not go together with this one, where the store can; call
    /// ``unlock()`` after.
    ///
    /// - Throws: ``BackupError/inUse(object:)``.
    func lock(for use: StoreUse) async throws(BackupError)
    func unlock() async

    /// Makes sure that ``lock(for:)`` has kept others away until now and still does, before something that it is needed
    /// for: a lock that is an object can be lost.
    ///
    /// - Throws: ``BackupError/lockLost(object:)``.
    func confirmLock() async throws(BackupError)
}

package struct BackupObject: Hashable, Sendable {
    package var name: String
    package var byteCount: UInt64
    /// When it was written, where the store tells.
    package var modified: Timestamp?

    package init(name: String, byteCount: UInt64, modified: Timestamp? = nil) {
        self.name = name
        self.byteCount = byteCount
        self.modified = modified
    }
}

extension BackupStore {
    package func lock(for use: StoreUse) async throws(BackupError) {}
    package func confirmLock() async throws(BackupError) {}

    package func removePartial(ofArchive collection: CollectionID) async throws(BackupError) -> Int { 0 }

    /// What people know an object by.
    package func path(of name: String) -> String { place.hasSuffix("/") ? place + name : "\(place)/\(name)" }

    /// Names of the backups, the oldest first of each collection.
    package func backups() async throws(BackupError) -> [String] {
        try await list(BackupName.manifestPrefix).compactMap { BackupName.backup(ofManifest: $0.name) }
    }

    /// The blocks that are there, with their bytes: one that was cut short is not the one that its name says.
    package func blockByteCounts() async throws(BackupError) -> [BackupDigest: UInt64] {
        let blocks = try await list(BackupName.blockPrefix).compactMap { block in
            BackupName.digest(ofBlock: block.name).map { ($0, block.byteCount) }
        }
        return Dictionary(blocks, uniquingKeysWith: { first, _ in first })
    }

    /// Puts the manifest of a backup, if everything that it names is there.
    ///
    /// What was counted as there when the backup began may have gone since, if the lock was lost.
    ///
    /// - Throws: ``BackupError/lockLost(object:)``; ``BackupError/missing(object:)`` and
    ///   ``BackupError/damaged(object:reason:)`` for a block.
    package func put(_ manifest: BackupManifest, as backup: String) async throws(BackupError) {
        let name = BackupName.manifest(of: backup)
        let bytes = manifest.encoded()
        // What cannot be read again is not to become a backup.
        _ = try BackupManifest(bytes: bytes, object: path(of: name))
        try await confirmLock()
        try await checkBlocks(of: manifest)
        // That takes minutes for many blocks. Whoever lost the lock meanwhile may have seen one that has gone since.
        try await confirmLock()
        try await put(name, bytes)
    }

    /// Makes sure that everything is there that a manifest names, with as many bytes.
    package func checkBlocks(of manifest: BackupManifest) async throws(BackupError) {
        let byteCounts = try await blockByteCounts()
        for object in manifest.objects {
            let path = path(of: BackupName.block(object.digest))
            guard let byteCount = byteCounts[object.digest] else { throw .missing(object: path) }
            guard byteCount == UInt64(object.byteCount) else {
                throw .damaged(object: path, reason: "it has \(byteCount) of \(object.byteCount) bytes")
            }
        }
    }

    /// The manifest of a backup: one that lies in the place of another's is none.
    package func manifest(of backup: String) async throws(BackupError) -> BackupManifest {
        let name = BackupName.manifest(of: backup)
        let bytes = try await get(name, limit: BackupManifest.longestByteCount)
        let manifest = try BackupManifest(bytes: bytes, object: path(of: name))
        let collection = manifest.collection.name
        guard BackupName.isName(backup, ofCollection: collection, takenAt: manifest.created) else {
            let time = BackupName.text(of: manifest.created)
            throw .damaged(object: path(of: name), reason: "it is that of a backup of \(collection) taken at \(time)")
        }
        return manifest
    }

    /// The manifest of a backup that was listed; nil when it has been removed since.
    package func listedManifest(of backup: String) async throws(BackupError) -> BackupManifest? {
        do throws(BackupError) {
            return try await manifest(of: backup)
        } catch {
            guard case .missing = error, try await !backups().contains(backup) else { throw error }
            return nil
        }
    }

    /// The bytes of a backup's codebook, which are what the manifest says that they are.
    package func bytes(of codebook: BackupManifest.Codebook) async throws(BackupError) -> [UInt8] {
        let name = BackupName.block(codebook.digest)
        let bytes = try await get(name, limit: BackupManifest.Codebook.longestByteCount)
        guard bytes.count == Int(codebook.byteCount), BackupDigest(of: bytes) == codebook.digest else {
            throw .damaged(object: path(of: name), reason: "it is not the codebook that the manifest names")
        }
        return bytes
    }

    /// The faces of a block, which is what the manifest says that it is.
    package func faces(
        of block: BackupManifest.Block,
        in manifest: BackupManifest
    ) async throws(BackupError) -> ArchivedFaces {
        let name = BackupName.block(block.digest)
        let object = path(of: name)
        let bytes = try await get(name, limit: BackupBlock.longestByteCount)
        guard bytes.count == Int(block.byteCount) else {
            throw .damaged(object: object, reason: "it has \(bytes.count) of \(block.byteCount) bytes")
        }
        guard BackupDigest(of: bytes) == block.digest else {
            throw .damaged(object: object, reason: "its content is not what its name says")
        }
        let faces = try BackupBlock.decode(bytes, object: object)
        let configuration = manifest.collection.configuration
        guard faces.count == Int(block.faceCount), faces.dimension == configuration.dimension,
            faces.precision == configuration.storedPrecision
        else { throw .damaged(object: object, reason: "its faces are not those that the manifest names") }
        return faces
    }
}
