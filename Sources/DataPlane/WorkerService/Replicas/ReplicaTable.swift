import ClusterModel
import FaceModel
import Logging
import PartitionEngine
import PartitionStore
import Synchronization
import Threads
import WireProtocol

/// The replicas this worker holds, and their coming and going.
///
/// Look-ups may come from any thread. Whatever touches the disk (open, host, drop) blocks, and comes from one thread at
/// a time: the starting one, then the control thread.
final class ReplicaTable: Sendable {
    let folder: DataFolder
    let options: ReplicaOptions
    let logger: Logger
    let replicas = Mutex<[ShardID: Replica]>([:])
    let prepared = Mutex<[ShardID: Successor]>([:])
    /// Folders that are to be removed, as long as they are there, and since when a face is gone of which they may have
    /// bytes.
    let remains = Mutex<[String: ContinuousClock.Instant]>([:])
    /// After attempts at shards that were taken back.
    private let rests = Mutex<[ShardID: CopyRest]>([:])
    let began = ReplicationClock.now
    /// A coordinator has said what this worker is a member of, as it was after this process began.
    let isTold = OneWayFlag()
    /// What that is, as of the latest time; nil before it was said.
    let memberships = Mutex<(shards: Set<ShardID>, time: Duration)?>(nil)

    init(folder: DataFolder, options: ReplicaOptions, logger: Logger) {
        self.folder = folder
        self.options = options
        self.logger = logger
    }

    /// - Throws: `unknownReplica`.
    func replica(_ shard: ShardID) throws(WireStatus) -> Replica {
        if let replica = find(shard) { return replica }
        // It is asked for, so it has taken others' place, and this worker has yet to be told.
        if let standIn = prepared.withLock({ $0[shard] })?.standIn { return standIn }
        throw Refusal.unknownReplica(shard)
    }

    func find(_ shard: ShardID) -> Replica? { replicas.withLock { $0[shard] } }

    var all: [Replica] {
        replicas.withLock { $0.values.sorted { $0.shard < $1.shard } }
    }

    var count: Int { replicas.withLock(\.count) }

    func holdsAny(of collection: CollectionID) -> Bool {
        replicas.withLock { $0.keys.contains { $0.collection == collection } }
    }

    /// Opens every replica found on disk, in parallel, and waits for the outcomes; the ones that fail stay and say so.
    func openAll() throws(WorkerError) {
        for shard in try folder.shardsOnDisk() {
            let directory = folder.replicaPath(shard)
            let replica: Replica
            do throws(WorkerError) {
                // Whoever wrote a record or a mark may have been killed before its name was on the disk.
                try DurableFile.syncDirectory(directory)
                if DurableFile.exists(succeededPath(shard)) {
                    replicas.withLock { $0[shard] = succeededReplica(shard) }
                    continue
                }
                guard let record = try ReplicaRecord.read(from: Replica.recordPath(in: directory), of: shard) else {
                    if let record = try SuccessorRecord.read(in: directory, of: shard) {
                        keep(record, in: directory)
                        continue
                    }
                    // Creation was cut short, or removal was: nothing here was ever acknowledged, or all of it is gone.
                    try removeFiles(in: directory)
                    continue
                }
                try removeCopies(in: directory, keepsIncoming: true)
                replica = open(record, in: directory)
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

    /// The replica of a record that is on disk. One that gets no thread only says so, until the worker is started with
    /// more of them; the others are served.
    private func open(_ record: ReplicaRecord, in directory: String) -> Replica {
        do throws(ThreadRefusal) {
            let lane = try options.threads.reserve(name: Self.laneName(record.shard), priority: .writing)
            return Replica.start(record: record, directory: directory, on: lane, options: options, logger: logger)
        } catch {
            logger.error("replica has no thread", metadata: metadata(record.shard, ["error": "\(error)"]))
            return Replica.failed(
                shard: record.shard,
                record: record,
                directory: directory,
                reason: Refusal.noThread(record.shard, error),
                options: options,
                logger: logger
            )
        }
    }

    private static func laneName(_ shard: ShardID) -> String { "lane-\(shard.index)" }

    private func threadOrRefusal(
        of shard: ShardID,
        name: String,
        priority: WorkerThread.Priority
    ) throws(WireStatus) -> ReservedThread {
        do throws(ThreadRefusal) {
            let thread = try options.threads.reserve(name: name, priority: priority)
            try options.threads.checkLeft(ThreadSource.keptCount)
            return thread
        } catch {
            throw Refusal.noThread(shard, error)
        }
    }

    /// A mark in the folder of a replica of a shard whose place others have taken.
    private func succeededPath(_ shard: ShardID) -> String { "\(folder.replicaPath(shard))/succeeded" }

    private func succeededReplica(_ shard: ShardID, remnantsSince: ContinuousClock.Instant? = nil) -> Replica {
        Replica.succeeded(
            shard: shard,
            directory: folder.replicaPath(shard),
            remnantsSince: remnantsSince,
            options: options,
            logger: logger
        )
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
        if let successor = prepared.withLock({ $0[shard] }) { return try activate(successor, for: request) }
        // It would count as having every face: what should be here is lost, and the next report says so.
        guard request.mayBegin else { throw Refusal.unknownReplica(shard) }
        // Before anything is on the disk that would be opened at the next start.
        let lane = try threadOrRefusal(of: shard, name: Self.laneName(shard), priority: .writing)

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
            // A shard of such a number takes the place of others. What is made from them comes whole; one that begins
            // empty stands in for what is lost.
            let standsIn = Int(shard.index) >= request.collection.configuration.shardCount
            try Partition.create(
                at: "\(directory)/partition",
                identity: identity,
                options: options.partition,
                standsIn: standsIn
            ).close()
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
            on: lane,
            isNew: true,
            isNewcomer: true,
            options: options,
            logger: logger
        )
        replicas.withLock { $0[shard] = replica }
        if let status = replica.waitUntilOpened() { throw status }
        replica.take(request.group, of: request.collection.configuration, asked: nil)
        logger.info("replica hosted", metadata: metadata(shard, ["epoch": "\(request.group.epoch.number)"]))
        options.reportChanged()
    }

    /// Closes every replica: all are told before the first is waited for.
    func stopAll() {
        let successors = prepared.withLock { prepared in
            defer { prepared = [:] }
            return Array(prepared.values)
        }
        for successor in successors { successor.beginStopping() }
        for successor in successors { successor.stop() }
        let ending = replicas.withLock { replicas in
            defer { replicas = [:] }
            return Array(replicas.values)
        }
        for replica in ending { replica.beginStopping() }
        for replica in ending { replica.stop() }
        options.warming.stop()
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
        replica.take(request.group, of: request.collection.configuration, asked: nil)
        // A log has its own memory of epochs.
        guard !replica.record.isReplicated else { return }
        do throws(WorkerError) {
            try replica.raiseEpoch(to: request.group.epoch)
        } catch {
            throw Refusal.folder(error)
        }
    }

    /// Removes what is left of copies that were on their way.
    ///
    /// - Parameter keepsIncoming: but for one that comes and can be gone on with.
    private func removeCopies(in directory: String, keepsIncoming: Bool = false) throws(WorkerError) {
        for name in try DurableFile.names(in: directory) where Replica.isCopy(name) {
            let folder = "\(directory)/\(name)"
            if keepsIncoming, IncomingCopyRecord.read(in: folder) != nil { continue }
            try Replica.removeCopy(at: folder)
        }
    }

    // MARK: Successors

    /// Shards that are made here to take others' place.
    var successors: [Successor] {
        prepared.withLock { $0.values.sorted { $0.shard < $1.shard } }
    }

    /// What there is, for whoever tells of it while orders are carried out: no shard is twice in it, nor missing while
    /// it takes others' place.
    var content: (replicas: [Replica], successors: [Successor]) {
        // It is a replica before it ceases to be a successor, and is looked for in that order.
        let successors = successors
        let replicas = all
        let shards = Set(replicas.map(\.shard))
        return (replicas, successors.filter { !shards.contains($0.shard) })
    }

    /// Begins to make a shard that is to take others' place. Idempotent.
    ///
    /// - Parameter admit: throws where there is no memory for it now. What has begun comes to its end.
    func prepare(_ request: PrepareSuccessor, admit: () throws(WireStatus) -> Void) throws(WireStatus) {
        let shard = request.shard
        guard request.collection.id == shard.collection else {
            throw Refusal.invalid("the shard is not of the collection it came with")
        }
        if let problem = request.collection.configuration.problem { throw Refusal.invalid(problem) }
        guard replicas.withLock({ $0[shard] == nil }) else { return }
        for index in request.sources {
            _ = try replica(ShardID(collection: shard.collection, index: index))
        }
        if let known = prepared.withLock({ $0[shard] }) {
            guard known.record.range != request.range || known.record.sources != request.sources else { return }
            try remove(known)
        }
        try admit()
        let thread = try threadOrRefusal(of: shard, name: Successor.threadName(shard), priority: .background)
        let directory = folder.replicaPath(shard)
        do throws(WorkerError) {
            try removeFiles(in: directory)
        } catch {
            throw Refusal.folder(error)
        }
        let record = SuccessorRecord(shard: shard, range: request.range, sources: request.sources)
        let rest = rests.withLock { $0.removeValue(forKey: shard) }
        start(
            Successor(
                record,
                identity: identity(of: request),
                after: rest,
                in: directory,
                table: self,
                options,
                logger
            ),
            on: thread
        )
        logger.info(
            "shard is being prepared",
            metadata: metadata(shard, ["from": "\(request.sources.map(String.init).joined(separator: " "))"])
        )
    }

    private func identity(of request: PrepareSuccessor) -> PartitionIdentity {
        PartitionIdentity(
            collection: request.collection,
            shardIndex: request.shard.index,
            firstHash: request.range.first,
            lastHash: request.range.last,
            erasureKey: request.erasureKey
        )
    }

    private func start(_ successor: Successor, on thread: ReservedThread? = nil) {
        prepared.withLock { $0[successor.shard] = successor }
        successor.start(on: thread)
        options.reportChanged()
    }

    /// One that was whole when the worker stopped still is, as long as nothing was written since.
    private func keep(_ record: SuccessorRecord, in directory: String) {
        start(Successor(record, identity: nil, in: directory, table: self, options, logger))
    }

    /// Removes what was made of a shard. Idempotent.
    ///
    /// - Throws: `staleEpoch` when it is whole, and whoever asks wants what is not made anew.
    func abandon(_ request: AbandonSuccessor) throws(WireStatus) {
        let shard = request.shard
        guard replicas.withLock({ $0[shard] == nil }) else {
            throw Refusal.invalid("shard \(shard) has taken its place already, and is dropped like any other")
        }
        guard let successor = prepared.withLock({ $0[shard] }) else { return }
        // It was not when that was decided on, and may be in force by now.
        guard !request.sparesSealed || !successor.mayBeInForce else { throw Refusal.successorIsWhole(shard) }
        try remove(successor)
        logger.info("prepared shard abandoned", metadata: metadata(shard, [:]))
        options.reportChanged()
    }

    /// When it comes again that is another attempt, and the pause after it is as long as it would have been.
    private func note(_ rest: CopyRest?, of shard: ShardID) {
        let now = ContinuousClock.now
        rests.withLock { rests in
            rests = rests.filter { !$0.value.isForgotten(now: now) }
            rests[shard] = rest
            rests[shard]?.left(now: now)
        }
    }

    private func remove(_ successor: Successor) throws(WireStatus) {
        successor.beginStopping()
        successor.stop()
        prepared.withLock { $0[successor.shard] = nil }
        note(successor.rest, of: successor.shard)
        do throws(WorkerError) {
            try DurableFile.remove(SuccessorRecord.path(in: successor.directory))
            try removeFiles(in: successor.directory)
        } catch {
            logger.error(
                "files of a prepared shard that was abandoned cannot be removed",
                metadata: metadata(successor.shard, ["path": "\(successor.directory)", "reason": "\(error)"])
            )
            throw Refusal.folder(error)
        }
    }

    /// A shard that is yet to be made from replicas which are here.
    private func unfinished(of predecessors: [ShardID]) -> ShardID? {
        let sources = Set(predecessors.filter { find($0)?.figures.state == .serving }.map(\.index))
        let others = prepared.withLock { Array($0.values) }
        return others.filter { !$0.isSealed && !sources.isDisjoint(with: $0.record.sources) }.map(\.shard).min()
    }

    /// Whether writes to one of these shards, of which replicas are here, went by a log. Whoever takes their place has
    /// one as well, and holds back deletions: a replica that left the group of one may answer reads for a moment yet.
    private func wentByLog(_ shards: [ShardID]) -> Bool {
        shards.contains { shard in
            if find(shard)?.record.isReplicated ?? false { return true }
            // After a restart what others have begun to take the place of is not opened.
            let path = Replica.recordPath(in: folder.replicaPath(shard))
            do throws(WorkerError) {
                return try ReplicaRecord.read(from: path, of: shard)?.isReplicated ?? false
            } catch {
                return true
            }
        }
    }

    /// Puts a shard that was made here in the place of others: from here on their replicas serve no more, whatever
    /// happens.
    private func activate(_ successor: Successor, for request: HostReplica) throws(WireStatus) {
        let shard = successor.shard
        guard successor.record.range == request.range else {
            throw Refusal.invalid("shard \(shard) was made here with another hash range")
        }
        // What it is doing goes on, however often it is asked for meanwhile: it would be begun from nothing.
        guard successor.isSealed else {
            // Of a single copy nobody knows better.
            if request.group.members.count > 1 { successor.retireSources() }
            throw Refusal.successorNotReady(shard)
        }
        let predecessors = successor.record.sources.map { ShardID(collection: shard.collection, index: $0) }
        // A disk that was put back may have one half and not the other, which is made of what goes with this.
        if let other = unfinished(of: predecessors) { throw Refusal.successorNotReady(other) }
        let lane = try threadOrRefusal(of: shard, name: Self.laneName(shard), priority: .writing)
        successor.pause()
        // It was not any more when its thread ended.
        guard successor.isSealed else {
            successor.start()
            throw Refusal.successorNotReady(shard)
        }
        successor.confirmStandIn()
        let standIn = successor.standIn
        if standIn == nil { successor.stop() }
        // Otherwise it may have been in force before, with writes that an earlier state of the disk does not have.
        let isNew = standIn != nil || predecessors.allSatisfy { find($0)?.isFrozenInThisLife ?? false }
        let record = ReplicaRecord(
            shard: shard,
            epoch: request.group.epoch,
            range: request.range,
            isReplicated: request.group.members.count > 1 || wentByLog(predecessors)
        )
        do throws(WorkerError) {
            // The marks first: what is marked and not yet succeeded is sealed, and takes its place when asked again.
            for predecessor in predecessors where DurableFile.exists(folder.replicaPath(predecessor)) {
                try DurableFile.write(Array("mien-succeeded 1\n".utf8), to: succeededPath(predecessor))
            }
            try record.write(to: Replica.recordPath(in: successor.directory))
            try DurableFile.remove(SuccessorRecord.path(in: successor.directory))
        } catch {
            // Until it is asked for again both answer reads, and what they have is the same.
            throw Refusal.folder(error)
        }
        standIn?.takePlace(record, of: request.group, since: successor.sealedAt)
        let replica =
            standIn
            ?? Replica.start(
                record: record,
                directory: successor.directory,
                on: lane,
                isNew: isNew,
                options: options,
                logger: logger
            )
        // The others stop before anything can be written to it: none of them answers without what was acknowledged.
        let leaving = replicas.withLock { replicas in
            replicas[shard] = replica
            return predecessors.compactMap { predecessor -> Replica? in
                guard let leaving = replicas[predecessor] else { return nil }
                leaving.beginStopping(isSucceeded: true)
                // Its file stays, whole, until it is dropped, with whoever is deleted from now on.
                let remnantsSince = leaving.figures.remnantsSince ?? .now
                replicas[predecessor] = succeededReplica(predecessor, remnantsSince: remnantsSince)
                return leaving
            }
        }
        prepared.withLock { $0[shard] = nil }
        successor.takeStandIn()?.replica.begin(on: lane)
        for replica in leaving { replica.stop() }
        if let status = replica.waitUntilOpened() { throw status }
        replica.take(request.group, of: request.collection.configuration, asked: nil)
        logger.notice(
            "shard took others' place",
            metadata: metadata(
                shard,
                [
                    "epoch": "\(request.group.epoch.number)",
                    "predecessors": "\(successor.record.sources.map(String.init).joined(separator: " "))",
                ]
            )
        )
        options.reportChanged()
    }

    /// What is in a folder that is to go counts as not erased until it is gone.
    func noteRemains(in directory: String, since: ContinuousClock.Instant = .now) {
        remains.withLock { $0[directory] = $0[directory].map { min($0, since) } ?? since }
    }

    /// Removes a replica folder that has no record.
    func removeFiles(in directory: String) throws(WorkerError) {
        if DurableFile.exists(directory) {
            noteRemains(in: directory)
            try removeContent(of: directory)
        }
        remains.withLock { $0[directory] = nil }
    }

    private func removeContent(of directory: String) throws(WorkerError) {
        do throws(PartitionError) {
            try Partition.remove(at: "\(directory)/partition")
        } catch {
            throw .partitionNotRemoved(path: directory, reason: "\(error)")
        }
        try removeCopies(in: directory)
        for name in try DurableFile.names(in: directory) { try DurableFile.remove("\(directory)/\(name)") }
        try DurableFile.removeDirectory(directory)
    }

    func metadata(_ shard: ShardID, _ more: Logger.Metadata) -> Logger.Metadata {
        ["collection": "\(shard.collection)", "shard": "\(shard.index)"].merging(more) { $1 }
    }
}
