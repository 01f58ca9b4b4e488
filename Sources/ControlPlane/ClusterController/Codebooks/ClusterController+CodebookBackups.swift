import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol
import WireTransport

/// Codebooks that go into backups, and come back with them.
extension ClusterController {
    /// How long a replica is waited for in which a codebook waits to be installed, once another has the backup's.
    private static let busyTime = Duration.seconds(10)

    /// A slice of the collection's newest codebook.
    func readCodebook(_ request: ReadCodebook) async throws(WireStatus) -> CodebookFetched {
        let metadata = state.withLock(\.records.metadata)
        guard let record = metadata.collection(named: request.collection) else {
            throw Self.notFound(request.collection)
        }
        guard let codebook = record.codebook else {
            throw WireStatus(.notFound, "Collection '\(request.collection)' has no codebook yet.")
        }
        guard request.offset < codebook.byteCount else {
            throw WireStatus(
                .invalidRequest,
                "The codebook has \(codebook.byteCount) bytes, and the slice was to begin at \(request.offset)."
            )
        }
        try await ensureCodebookFile(codebook, of: record.collection.id)
        let bytes = try await onDisk { files throws(CodebookFileError) in
            try files.slice(of: codebook.digest, offset: request.offset, byteCount: self.options.sliceByteCount)
        }
        return CodebookFetched(
            slice: CodebookSlice(totalByteCount: codebook.byteCount, offset: request.offset, bytes: bytes),
            summary: codebook.summary
        )
    }

    /// Takes a slice of a backup's codebook; with the last one it becomes that of the collection, and is installed in
    /// every replica that is there.
    func restoreCodebook(
        _ request: RestoreCodebook,
        deadline: WireDeadline
    ) async throws(WireStatus) -> Acknowledgement {
        let metadata = state.withLock(\.records.metadata)
        guard let record = metadata.collection(named: request.collection) else {
            throw Self.notFound(request.collection)
        }
        guard record.restoration?.backup == request.backup else {
            throw WireStatus(
                .invalidRequest,
                "The collection '\(request.collection)' is not being restored from \(request.backup.prefix(128))."
            )
        }
        // One that was sent before, by a call whose answer was lost, or that it has trained meanwhile.
        if record.codebook != nil { return Acknowledgement() }
        let collection = record.collection.id
        let restoring = Set(metadata.collections.values.filter { $0.restoration != nil }.map(\.collection.id))
        guard let bytes = try gather(request, of: collection, restoring) else { return Acknowledgement() }
        let digest = try await storeCodebook(bytes)
        guard digest == request.digest else {
            throw WireStatus(
                .invalidRequest,
                "The codebook's SHA-256 is not the one that was told; send it again from offset 0."
            )
        }
        let codebook = CodebookRecord(
            request.summary.generation,
            request.origin,
            digest: digest,
            byteCount: UInt64(bytes.count),
            request.summary
        )
        try await change(collection, asController: false) { record in
            guard record.restoration?.backup == request.backup, record.codebook == nil else { return }
            record.codebook = codebook
        }
        logger.info(
            "codebook of a backup recorded",
            metadata: [
                "collection": "\(collection)", "generation": "\(codebook.generation)", "bytes": "\(bytes.count)",
            ]
        )
        try await install(codebook, of: collection, deadline: deadline)
        return Acknowledgement()
    }

    /// Adds a slice; all bytes once they are there, nil before.
    private func gather(
        _ request: RestoreCodebook,
        of collection: CollectionID,
        _ restoring: Set<CollectionID>
    ) throws(WireStatus) -> [UInt8]? {
        let slice = request.slice
        guard slice.totalByteCount > 0, slice.totalByteCount <= CodebookFiles.byteLimit, !slice.bytes.isEmpty else {
            throw WireStatus(
                .limitExceeded,
                "A codebook has from 1 to \(CodebookFiles.byteLimit) bytes, not \(slice.totalByteCount)."
            )
        }
        return try restoredCodebooks.withLock { (gathered) throws(WireStatus) in
            gathered = gathered.filter { restoring.contains($0.key) }
            var bytes = slice.offset == 0 ? [] : gathered.removeValue(forKey: collection) ?? []
            let end = UInt64(bytes.count) + UInt64(slice.bytes.count)
            guard slice.offset == UInt64(bytes.count), end <= slice.totalByteCount else {
                throw WireStatus(
                    .invalidRequest,
                    "The slice at \(slice.offset) does not continue what came before; send the codebook from offset 0."
                )
            }
            bytes += slice.bytes
            if end == slice.totalByteCount { return bytes }
            gathered[collection] = bytes
            return nil
        }
    }

    /// Gives every replica the codebook: whoever is the controller has it from a worker from then on. One in which a
    /// codebook waits to be installed, which may be this one, is asked again while the caller has time.
    ///
    /// - Throws: when no replica could be given it.
    private func install(
        _ codebook: CodebookRecord,
        of collection: CollectionID,
        deadline: WireDeadline
    ) async throws(WireStatus) {
        let placements = state.withLock { $0.records.metadata.collections[collection]?.placements } ?? []
        var waiting = placements.flatMap { placement in placement.group.members.map { (placement, $0) } }
        // The answer has to be written before the caller's deadline.
        let end = WireDeadline.after(deadline.isNone ? options.installTimeout : deadline.remaining * 0.9)
        let endOnceInstalled = min(end, .after(Self.busyTime))
        var failure: WireStatus?
        var isInstalled = false
        while true {
            var busy: [(ShardPlacement, NodeID)] = []
            var pause = Duration.milliseconds(50)
            for (placement, worker) in waiting {
                do throws(WireStatus) {
                    try await installRetrying(codebook, in: placement, on: worker)
                    isInstalled = true
                } catch {
                    failure = error
                    guard error.code == .overloaded else { continue }
                    busy.append((placement, worker))
                    pause = max(pause, .milliseconds(error.retryAfterMilliseconds))
                }
            }
            let mayWait = WireDeadline.after(pause) < (isInstalled ? endOnceInstalled : end)
            guard !busy.isEmpty, mayWait, !Task.isCancelled else { break }
            try? await Task.sleep(for: pause)
            waiting = busy
        }
        if let failure, !isInstalled { throw failure }
    }

    /// Whoever is the controller may be sending it to the same replica, and the slices of the two then disturb each
    /// other: a few times it is sent anew.
    private func installRetrying(
        _ codebook: CodebookRecord,
        in placement: ShardPlacement,
        on worker: NodeID
    ) async throws(WireStatus) {
        var pause = Duration.milliseconds(50)
        while true {
            do throws(WireStatus) {
                return try await installCodebook(codebook.generation, in: placement, on: worker)
            } catch {
                guard error.code == .invalidRequest, pause < .seconds(1), !Task.isCancelled else { throw error }
            }
            try? await Task.sleep(for: pause)
            pause *= 2
        }
    }
}
