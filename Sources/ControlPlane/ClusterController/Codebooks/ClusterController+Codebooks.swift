import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol

/// Codebooks travel worker → coordinator → every replica. The bytes are on the coordinator's disk before the metadata
/// names them, and stay until nothing names them: a restart at any moment goes on where it was. Only the newest of a
/// collection is named; replicas keep the one before while they need it. A coordinator that became the controller after
/// another brought a codebook has it from a worker that trained or uses it.
extension ClusterController {
    /// Brings a trained codebook here and records it as the collection's.
    func fetchCodebook(
        of collection: CollectionID,
        generation: UInt32,
        origin: CodebookOrigin,
        from worker: NodeID
    ) async throws(WireStatus) {
        let (bytes, summary) = try await downloadCodebook(of: collection, generation: generation, from: worker)
        let digest = try await storeUnrecorded(bytes)
        let codebook = CodebookRecord(
            generation,
            origin,
            digest: digest,
            byteCount: UInt64(bytes.count),
            summary
        )
        var replaced: [UInt8]?
        do {
            defer { recordingEnded(of: digest) }
            try await commit(asController: true) { records throws(WireStatus) in
                // From here on the rollout cannot be taken back, and it may just have been.
                guard var record = records.metadata.collections[collection], record.nextGeneration == generation,
                    let (operation, rollout) = records.metadata.openRollout(of: collection),
                    rollout.generation == generation, operation.state == .running
                else { return nil }
                replaced = record.codebook?.digest
                record.codebook = codebook
                return (
                    [
                        records.unchanged(ClusterRecords.collectionKey(collection)),
                        records.unchanged(ClusterRecords.operationKey(operation.id)),
                    ], [ClusterRecords.put(record)]
                )
            }
        }
        guard state.withLock({ $0.records.metadata.collections[collection]?.codebook == codebook }) else {
            return await removeCodebook(digest)
        }
        // Every partition that uses the one before has it.
        if let replaced { await removeCodebook(replaced) }
        logger.info(
            "codebook recorded",
            metadata: [
                "collection": "\(collection)", "generation": "\(generation)", "bytes": "\(bytes.count)",
                "lists": "\(summary.listCount)",
            ]
        )
    }

    /// Sends the collection's codebook to a replica, slice by slice; from the first slice again after a failure.
    func installCodebook(
        _ generation: UInt32,
        in placement: ShardPlacement,
        on worker: NodeID
    ) async throws(WireStatus) {
        let collection = placement.shard.collection
        guard let codebook = state.withLock({ $0.records.metadata.collections[collection]?.codebook }),
            codebook.generation == generation
        else { return }
        try await ensureCodebookFile(codebook, of: collection)
        var offset: UInt64 = 0
        repeat {
            let start = offset
            let bytes = try await onDisk { files throws(CodebookFileError) in
                try files.slice(of: codebook.digest, offset: start, byteCount: self.options.sliceByteCount)
            }
            guard !bytes.isEmpty else {
                throw WireStatus(
                    .internalError,
                    "Codebook \(generation) of \(collection) became shorter while it was sent."
                )
            }
            let request = InstallCodebook(
                shard: placement.shard,
                epoch: placement.epoch,
                generation: generation,
                digest: codebook.digest,
                slice: CodebookSlice(totalByteCount: codebook.byteCount, offset: offset, bytes: bytes)
            )
            _ = try await call(request, on: worker, timeout: options.installTimeout)
            offset += UInt64(bytes.count)
        } while offset < codebook.byteCount
        let now = now
        state.withLock { $0.reports.installed(generation, in: placement.shard, on: worker, now: now) }
        logger.info(
            "codebook installed",
            metadata: ["shard": "\(placement.shard)", "worker": "\(worker)", "generation": "\(generation)"]
        )
    }

    /// Checks the file before it is sent; a missing or damaged one is fetched from a worker that still has it.
    func ensureCodebookFile(_ codebook: CodebookRecord, of collection: CollectionID) async throws(WireStatus) {
        guard let damage = try await damage(ofFileOf: codebook) else { return }
        logger.error("\(damage)")
        let view = currentView
        for worker in view.liveWorkers.sorted()
        where view.hasCodebook(codebook.generation, of: collection, on: worker) {
            let bytes: [UInt8]
            do throws(WireStatus) {
                bytes = try await downloadCodebook(of: collection, generation: codebook.generation, from: worker).bytes
            } catch {
                logger.warning("codebook not fetched", metadata: ["worker": "\(worker)", "reason": "\(error)"])
                continue
            }
            guard CodebookFiles.digest(of: bytes) == codebook.digest else { continue }
            _ = try await onDisk { files throws(CodebookFileError) in try files.store(bytes) }
            logger.info(
                "codebook fetched again",
                metadata: [
                    "collection": "\(collection)", "generation": "\(codebook.generation)", "worker": "\(worker)",
                ]
            )
            return
        }
        throw WireStatus(
            .unavailable,
            "Codebook \(codebook.generation) of collection \(collection) is not here and no live worker has it; "
                + "start the worker that trained it, or one that uses it, or restore again what is being restored."
        )
    }

    /// What is wrong with a codebook's file; nil when it is here and whole.
    ///
    /// - Throws: when it cannot be read.
    func damage(ofFileOf codebook: CodebookRecord) async throws(WireStatus) -> CodebookFileError? {
        do throws(CodebookFileError) {
            try await disk.run { () throws(CodebookFileError) in
                try self.codebooks.verify(codebook.digest, byteCount: codebook.byteCount)
            }
            return nil
        } catch .io(let path, let errno) {
            throw CodebookFileError.io(path: path, errno: errno).wireStatus
        } catch {
            return error
        }
    }

    /// Whether a live worker has said that it has a codebook, from which any coordinator can have it.
    func isAtWorker(_ codebook: CodebookRecord, of collection: CollectionID) -> Bool {
        let view = currentView
        return view.liveWorkers.contains { view.hasCodebook(codebook.generation, of: collection, on: $0) }
    }

    /// All slices of a worker's codebook, at most ``CodebookFiles/byteLimit`` bytes.
    private func downloadCodebook(
        of collection: CollectionID,
        generation: UInt32,
        from worker: NodeID
    ) async throws(WireStatus) -> (bytes: [UInt8], summary: CollectionDescription.Codebook) {
        var bytes: [UInt8] = []
        while true {
            let request = FetchCodebook(collection: collection, generation: generation, offset: UInt64(bytes.count))
            let fetched = try await call(request, on: worker, timeout: options.installTimeout)
            let slice = fetched.slice
            guard slice.totalByteCount <= CodebookFiles.byteLimit else {
                throw WireStatus(
                    .limitExceeded,
                    "Worker \(worker) offers a codebook of \(slice.totalByteCount) bytes; the limit is "
                        + "\(CodebookFiles.byteLimit)."
                )
            }
            let end = UInt64(bytes.count) + UInt64(slice.bytes.count)
            guard slice.offset == UInt64(bytes.count), !slice.bytes.isEmpty, end <= slice.totalByteCount else {
                throw WireStatus(.internalError, "Worker \(worker) sent a slice of a codebook that does not fit.")
            }
            bytes += slice.bytes
            if end == slice.totalByteCount { return (bytes, fetched.summary) }
        }
    }

    /// Stores a codebook that is about to be recorded; its digest. The file stays until ``recordingEnded(of:)``, which
    /// must follow, and from then on as long as a record names it.
    func storeUnrecorded(_ bytes: [UInt8]) async throws(WireStatus) -> [UInt8] {
        try await onDisk { files throws(CodebookFileError) in
            let digest = try files.store(bytes)
            // Before anything else is done on this lane, and so before the file can be removed.
            self.unrecordedCodebooks.withLock { $0[digest, default: 0] += 1 }
            return digest
        }
    }

    /// The codebook has been recorded, or will not be.
    func recordingEnded(of digest: [UInt8]) {
        unrecordedCodebooks.withLock { counts in
            let count = counts[digest, default: 1] - 1
            counts[digest] = count > 0 ? count : nil
        }
    }

    /// Digests of the codebooks whose files stay. For the disk lane, in the same job that removes others.
    private var keptCodebooks: Set<[UInt8]> {
        // In this order: what is recorded between the two is among the second.
        let unrecorded = unrecordedCodebooks.withLock { Set($0.keys) }
        let named = state.withLock { Set($0.records.metadata.collections.values.compactMap(\.codebook?.digest)) }
        return unrecorded.union(named)
    }

    private func removeCodebook(_ digest: [UInt8]) async {
        do throws(WireStatus) {
            try await onDisk { files throws(CodebookFileError) in
                if !self.keptCodebooks.contains(digest) { try files.remove(digest) }
            }
        } catch {
            // The next start removes what no record names.
            logger.warning("old codebook not removed", metadata: ["reason": "\(error)"])
        }
    }

    /// Removes the files that earlier terms left behind.
    func removeUnnamedCodebooks() async {
        do throws(WireStatus) {
            try await onDisk { files throws(CodebookFileError) in try files.removeAll(except: self.keptCodebooks) }
        } catch {
            logger.warning("old codebooks not removed", metadata: ["reason": "\(error)"])
        }
    }

    func onDisk<T: Sendable>(
        _ body: @escaping @Sendable (CodebookFiles) throws(CodebookFileError) -> T
    ) async throws(WireStatus) -> T {
        do throws(CodebookFileError) {
            return try await disk.run { () throws(CodebookFileError) in try body(self.codebooks) }
        } catch {
            throw error.wireStatus
        }
    }
}

extension CodebookRecord {
    init(
        _ generation: UInt32,
        _ origin: CodebookOrigin,
        digest: [UInt8],
        byteCount: UInt64,
        _ summary: CollectionDescription.Codebook
    ) {
        self.init(
            generation: generation,
            origin: origin,
            digest: digest,
            byteCount: byteCount,
            codedDimension: summary.codedDimension,
            codeByteCount: summary.codeByteCount,
            listCount: summary.listCount,
            energyShare: summary.energyShare,
            sampleCount: summary.sampleCount,
            calibrationProbeCount: summary.calibrationProbeCount,
            calibration: summary.calibration
        )
    }

    /// What people may know of it.
    var summary: CollectionDescription.Codebook {
        CollectionDescription.Codebook(
            generation: generation,
            codedDimension: codedDimension,
            codeByteCount: codeByteCount,
            listCount: listCount,
            energyShare: energyShare,
            sampleCount: sampleCount,
            calibrationProbeCount: calibrationProbeCount,
            calibration: calibration
        )
    }
}

extension ClusterView {
    /// Whether a worker has said that it has the bytes of a codebook: it has trained it, or a replica of it uses it.
    func hasCodebook(_ generation: UInt32, of collection: CollectionID, on worker: NodeID) -> Bool {
        guard let observation = observations[worker] else { return false }
        return observation.training(of: collection, generation: generation) == .finished
            || observation.replicas.contains { shard, replica in
                shard.collection == collection && replica.state == .serving && replica.generation == generation
            }
    }
}
