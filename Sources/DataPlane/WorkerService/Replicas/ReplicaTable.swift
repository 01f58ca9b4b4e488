import ClusterModel
import FaceModel
import Logging
import PartitionEngine
import PartitionStore
import Synchronization
import WireProtocol

/// The replicas this worker holds, and their coming and going.
///
/// Look-ups may come from any thread. Whatever touches the disk (open, host, drop) blocks, and comes from one thread at
/// a time: the starting one, then the control thread.
final class ReplicaTable: Sendable {
    private let folder: DataFolder
    private let options: ReplicaOptions
    private let logger: Logger
    private let replicas = Mutex<[ShardID: Replica]>([:])

    init(folder: DataFolder, options: ReplicaOptions, logger: Logger) {
        self.folder = folder
        self.options = options
        self.logger = logger
    }

    /// - Throws: `unknownReplica`.
    func replica(_ shard: ShardID) throws(WireStatus) -> Replica {
        guard let replica = replicas.withLock({ $0[shard] }) else { throw Refusal.unknownReplica(shard) }
        return replica
    }

    func find(_ shard: ShardID) -> Replica? { replicas.withLock { $0[shard] } }

    var all: [Replica] {
        replicas.withLock { $0.values.sorted { $0.shard < $1.shard } }
    }

    func holdsAny(of collection: CollectionID) -> Bool {
        replicas.withLock { $0.keys.contains { $0.collection == collection } }
    }

    /// Opens every replica found on disk, in parallel, and waits for the outcomes; the ones that fail stay and say so.
    func openAll() throws(WorkerError) {
        for shard in try folder.shardsOnDisk() {
            let directory = folder.replicaPath(shard)
            let replica: Replica
            do throws(WorkerError) {
                guard let record = try ReplicaRecord.read(from: Replica.recordPath(in: directory), of: shard) else {
                    // Creation was cut short, or removal was: nothing here was ever acknowledged, or all of it is gone.
                    try removeFiles(in: directory)
                    continue
                }
                try removeCopies(in: directory)
                replica = Replica.start(record: record, directory: directory, options: options, logger: logger)
            } catch {
                logger.error("replica cannot be read", metadata: metadata(shard, ["error": "\(error)"]))
                let reason = Refusal.unreadableReplica(shard, error)
                replica = Replica.failed(
                    shard: shard,
                    directory: directory,
                    reason: reason,
                    options: options,
                    logger: logger
                )
            }
            replicas.withLock { $0[shard] = replica }
        }
        for replica in all { _ = replica.waitUntilOpened() }
    }

    /// Makes the replica exist under at least this epoch, creating it when it is new. Idempotent.
    ///
    /// - Throws: `staleEpoch` when it is held under a higher one; what keeps it from serving.
    func host(_ request: HostReplica) throws(WireStatus) {
        let shard = request.shard
        guard request.collection.id == shard.collection else {
            throw Refusal.invalid("the replica's shard is not of the collection it came with")
        }
        if let problem = request.collection.configuration.problem { throw Refusal.invalid(problem) }
        if let replica = replicas.withLock({ $0[shard] }) { return try keep(replica, for: request) }

        let directory = folder.replicaPath(shard)
        let record = ReplicaRecord(
            shard: shard,
            epoch: request.group.epoch,
            range: request.range,
            isReplicated: request.group.members.count > 1
        )
        do throws(WorkerError) {
            try removeFiles(in: directory)
            try DurableFile.makeDirectory(directory)
        } catch {
            throw Refusal.folder(error)
        }
        do throws(PartitionError) {
            let identity = PartitionIdentity(
                collection: request.collection,
                shardIndex: shard.index,
                firstHash: request.range.first,
                lastHash: request.range.last,
                erasureKey: request.erasureKey
            )
            try Partition.create(at: "\(directory)/partition", identity: identity, options: options.partition).close()
        } catch {
            throw Refusal.failed(shard, error)
        }
        do throws(WorkerError) {
            try record.write(to: Replica.recordPath(in: directory))
        } catch {
            throw Refusal.folder(error)
        }
        let replica = Replica.start(
            record: record,
            directory: directory,
            isNew: true,
            options: options,
            logger: logger
        )
        replicas.withLock { $0[shard] = replica }
        if let status = replica.waitUntilOpened() { throw status }
        replica.take(request.group, asked: nil)
        logger.info("replica hosted", metadata: metadata(shard, ["epoch": "\(request.group.epoch.number)"]))
        options.reportChanged()
    }

    /// Makes the replica not exist, files and all. Idempotent.
    ///
    /// - Throws: `staleEpoch` when it is held under a higher one.
    func drop(_ request: DropReplica) throws(WireStatus) {
        let shard = request.shard
        let held = replicas.withLock { $0[shard] }
        if let held {
            let epoch = held.epoch
            guard request.epoch >= epoch else { throw Refusal.staleEpoch(shard, sent: request.epoch, held: epoch) }
            held.stop()
            replicas.withLock { $0[shard] = nil }
        }
        do throws(WorkerError) {
            try DurableFile.remove(Replica.recordPath(in: folder.replicaPath(shard)))
            try removeFiles(in: folder.replicaPath(shard))
        } catch {
            throw Refusal.folder(error)
        }
        if held != nil {
            logger.info("replica dropped", metadata: metadata(shard, ["epoch": "\(request.epoch.number)"]))
            options.reportChanged()
        }
    }

    /// Closes every replica: all are told before the first is waited for.
    func stopAll() {
        let ending = replicas.withLock { replicas in
            defer { replicas = [:] }
            return Array(replicas.values)
        }
        for replica in ending { replica.beginStopping() }
        for replica in ending { replica.stop() }
    }

    private func keep(_ replica: Replica, for request: HostReplica) throws(WireStatus) {
        let record = replica.record
        if let status = replica.failure { throw status }
        guard request.group.epoch >= replica.epoch else {
            throw Refusal.staleEpoch(request.shard, sent: request.group.epoch, held: replica.epoch)
        }
        guard request.range == record.range else {
            throw Refusal.invalid("shard \(request.shard) is held here with another hash range")
        }
        replica.take(request.group, asked: nil)
        // A log has its own memory of epochs.
        guard !replica.record.isReplicated else { return }
        do throws(WorkerError) {
            try replica.raiseEpoch(to: request.group.epoch)
        } catch {
            throw Refusal.folder(error)
        }
    }

    /// Removes what is left of copies that were on their way.
    private func removeCopies(in directory: String) throws(WorkerError) {
        for name in try DurableFile.names(in: directory) where Replica.isCopy(name) {
            do throws(PartitionError) {
                try Partition.remove(at: "\(directory)/\(name)")
            } catch {
                throw .partitionNotRemoved(path: "\(directory)/\(name)", reason: "\(error)")
            }
        }
    }

    /// Removes a replica folder that has no record.
    private func removeFiles(in directory: String) throws(WorkerError) {
        guard DurableFile.exists(directory) else { return }
        do throws(PartitionError) {
            try Partition.remove(at: "\(directory)/partition")
        } catch {
            throw .partitionNotRemoved(path: directory, reason: "\(error)")
        }
        try removeCopies(in: directory)
        for name in try DurableFile.names(in: directory) { try DurableFile.remove("\(directory)/\(name)") }
        try DurableFile.removeDirectory(directory)
    }

    private func metadata(_ shard: ShardID, _ more: Logger.Metadata) -> Logger.Metadata {
        ["collection": "\(shard.collection)", "shard": "\(shard.index)"].merging(more) { $1 }
    }
}
