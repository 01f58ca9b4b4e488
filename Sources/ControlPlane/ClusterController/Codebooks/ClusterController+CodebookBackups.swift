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
    ///
    /// One that is recorded is acknowledged once a live worker has it. Until then its bytes are with the coordinator
    /// that recorded it alone, which may be gone: any other takes all slices again.
    func restoreCodebook(
        _ request: RestoreCodebook,
        deadline: WireDeadline
    ) async throws(WireStatus) -> Acknowledgement {
        let metadata = state.withLock(\.records.metadata)
        guard let record = metadata.collection(named: request.collection) else {
            throw Self.notFound(request.collection)
        }
        guard record.restoration?.backup == request.backup else { throw Self.notBeingRestored(request) }
        let collection = record.collection.id
        // Sent before, by a call whose answer was lost, or which ended before any worker had it.
        if let known = record.codebook {
            try Self.check(known, against: request)
            if known.digest != request.digest || isAtWorker(known, of: collection) { return Acknowledgement() }
            if try await damage(ofFileOf: known) == nil {
                try await install(known, of: collection, deadline: deadline)
                return Acknowledgement()
            }
        }
        let restoring = metadata.restoringCollections
        let now = now
        let gathered = try restoredCodebooks.withLock { (gathered) throws(WireStatus) -> [UInt8]? in
            gathered.keep(only: restoring, now: now)
            return try gathered.add(request.slice, of: collection, now: now)
        }
        guard let bytes = gathered else { return Acknowledgement() }
        let summary = try await read(bytes, of: request, dimension: record.collection.configuration.dimension)
        let digest = try await storeUnrecorded(bytes)
        let codebook = CodebookRecord(
            summary.generation,
            request.origin,
            digest: digest,
            byteCount: UInt64(bytes.count),
            summary
        )
        do {
            defer { recordingEnded(of: digest) }
            try await change(collection, asController: false) { record in
                guard record.restoration?.backup == request.backup, record.codebook == nil else { return }
                record.codebook = codebook
            }
        }
        guard let made = state.withLock({ $0.records.metadata.collections[collection] }) else {
            throw Self.notFound(request.collection)
        }
        guard let known = made.codebook else { throw Self.notBeingRestored(request) }
        try Self.check(known, against: request)
        // Another one took its place meanwhile.
        guard known.digest == digest else { return Acknowledgement() }
        logger.info(
            "codebook of a backup recorded",
            metadata: [
                "collection": "\(collection)", "generation": "\(codebook.generation)", "bytes": "\(bytes.count)",
            ]
        )
        try await install(codebook, of: collection, deadline: deadline)
        return Acknowledgement()
    }

    /// What the whole codebook says of itself.
    ///
    /// - Throws: `invalidRequest`, when it is not the one that was told; nothing of it is kept then.
    private func read(
        _ bytes: [UInt8],
        of request: RestoreCodebook,
        dimension: Int
    ) async throws(WireStatus) -> CollectionDescription.Codebook {
        let (reader, told) = (codebookReader, request.summary)
        let summary = try await disk.run { () throws(WireStatus) -> CollectionDescription.Codebook in
            guard CodebookFiles.digest(of: bytes) == request.digest else {
                throw WireStatus(
                    .invalidRequest,
                    "The codebook's SHA-256 is not the one that was told; send it again from offset 0."
                )
            }
            guard let reader else { return told }
            return try reader.read(bytes, dimension)
        }
        guard summary.generation == told.generation, summary.codedDimension == told.codedDimension,
            summary.codeByteCount == told.codeByteCount, summary.listCount == told.listCount
        else {
            throw WireStatus(
                .invalidRequest,
                "The codebook is of generation \(summary.generation), with \(summary.listCount) lists, "
                    + "\(summary.codedDimension) coded components and codes of \(summary.codeByteCount) bytes, and its "
                    + "summary says another; send it again from offset 0, with its own."
            )
        }
        return summary
    }

    /// Whether the collection has the codebook that is sent, or has had it trained anew since.
    private static func check(_ known: CodebookRecord, against request: RestoreCodebook) throws(WireStatus) {
        guard known.digest != request.digest, known.generation <= request.summary.generation else { return }
        throw WireStatus(
            .alreadyExists,
            "The collection '\(request.collection)' has another codebook, of generation \(known.generation)."
        )
    }

    private static func notBeingRestored(_ request: RestoreCodebook) -> WireStatus {
        WireStatus(
            .invalidRequest,
            "The collection '\(request.collection)' is not being restored from \(request.backup.prefix(128))."
        )
    }

    /// Forgets slices of codebooks whose others do not come.
    func dropOldSlices() {
        let now = now
        guard restoredCodebooks.withLock({ !$0.isEmpty }) else { return }
        let restoring = state.withLock(\.records.metadata.restoringCollections)
        restoredCodebooks.withLock { $0.keep(only: restoring, now: now) }
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

extension ClusterMetadata {
    fileprivate var restoringCollections: Set<CollectionID> {
        Set(collections.values.lazy.filter { $0.restoration != nil }.map(\.collection.id))
    }
}
