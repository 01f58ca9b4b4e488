import ClusterModel
import FaceModel
import Logging
import PartitionEngine
import ShardReplication
import Synchronization
import Threads
import WireProtocol

/// One replica hosted by this worker: its partition, the epoch that fences it, and its write lane.
///
/// A replica that is alone commits writes as they come. One that has others beside it goes by a log that all of them
/// have (`Replication/`): ``Replication`` says what is written next, and whether searches may be answered.
///
/// Threads: everything that changes the partition runs on the lane, a thread of the replica's own, which also opens and
/// closes it (`Replica+Lane.swift`). Reads run on any other thread, in parallel. The partition is closed only after
/// readers have left it.
final class Replica: Sendable {
    /// Where a replica is in its life. The lane alone changes it.
    enum Phase {
        /// Can move to: `serving`, `failed`, `stopped`.
        case opening
        /// Can move to: `opening` (after a disk error), `failed`, `stopped`.
        case serving(Partition)
        /// Out of service for the stated reason. Can move to: `opening` when opening it again may help, `stopped`.
        case failed(WireStatus)
        case stopped
    }

    /// Everything the lane and the other threads share.
    struct State {
        var record: ReplicaRecord
        var phase = Phase.opening
        var queue: WriteQueue
        /// Reads inside the partition now.
        var readerCount = 0
        /// What searches have been costing.
        var pace = SearchPace()
        /// An error met by a reader, for the lane to act on.
        var readError: PartitionError?
        /// Wrong bytes in the partition, for which it is out of service.
        var damage: PartitionError?
        /// As last heard; nil before that.
        var group: ReplicaGroup?
        /// Since when it goes by that group, by ``ReplicationClock``.
        var groupTime: Duration?
        /// When it is tried again to write the group's version down; nil unless that failed.
        var nextGroupNote: ContinuousClock.Instant?
        /// When it is tried again to write down that no write is ordered, or that writes are again; likewise.
        var nextFreezeNote: ContinuousClock.Instant?
        /// When it is tried again to write down that writes go through a log; likewise.
        var nextLogMark: ContinuousClock.Instant?
        /// When the metadata store was last known to have that group.
        var confirmation: Duration?
        /// Nil while the partition is not open, and for a replica that is alone.
        var replication: Replication?
        /// A copy that is to take the place of the partition.
        var copy: PendingCopy?
        /// Copies for other workers that were interrupted, and can be gone on with.
        var outgoing: [NodeID: OutgoingCopy] = [:]
        var copyAttempts = CopyAttempts()
        /// Since when a step of the log, or a write without one, is being made durable; nil while none is.
        var stepBegan: Duration?
        /// While it is in force no write is ordered.
        var hold: WriteHold?
        var cut: PendingCut?
        /// Where it has ended; nil while writes are ordered, or wait to be finished.
        var end: WorkerReport.End?
        /// Since when no write is ordered; nil while writes are, and after a restart.
        var frozenSince: Timestamp?
        var archive = ArchiveWatch()
        var isStopping = false
        /// The partition was made by this process, and goes by no log yet.
        var isNew = false
        /// Nil unless this is to take other shards' place: until when it answers whoever has heard that it did.
        var standsInUntil: Duration?
        /// Other shards have taken its shard's place.
        var isSucceeded = false
        var mapGrowth = MapGrowth()
        /// What searches read first is being read into memory.
        var isWarming = false
        /// As last read: what reports show while the partition is away; nil before it was first opened.
        var statistics: PartitionStatistics?
        /// Of the partition that was last opened.
        var collectionName: String?
        var fileUse: PartitionFileUse?
        var fileUseRead: ContinuousClock.Instant?
        /// How much of the partition is in memory, as last read, and when that was; nil where it is to be read anew.
        var residency: (shares: PartitionResidency, read: ContinuousClock.Instant)?
        /// Since when a face is gone of which the file may have bytes; nil while there is none, as last read.
        var remnantsSince: ContinuousClock.Instant?
        /// When it last served, as of the last report; before that, when this process began to hold it.
        var lastServed = ContinuousClock.now
        /// When all of the partition was last read and found sound; nil for never.
        var verified: Timestamp?
        /// Since when that partition is here, as far as this process has seen it.
        var partitionSince = ContinuousClock.now
        /// It was made by this process and was not in sync since.
        var isNewcomer = false
        /// How many copies its shard is to have, as the last order to host it said; nil before one.
        var replicationFactor: Int?
    }

    /// What can be told of the replica without looking at the disk.
    struct Figures {
        var state: WorkerReport.ReplicaState
        /// Name of the collection; nil before the partition was first opened.
        var collection: String?
        var statistics: PartitionStatistics?
        var fileUse: PartitionFileUse?
        /// Since when a face is gone of which the file may have bytes; nil while there is none. Of a partition that is
        /// not open it is not known, and counts from when the replica last served.
        var remnantsSince: ContinuousClock.Instant?
        var queuedRowCount: Int
        var queuedByteCount: Int
        /// Of log entries that wait for other replicas.
        var unacknowledgedByteCount: Int
    }

    /// How long what was read of the file counts: reading it takes time in proportion to the list of free pages.
    private static let fileUseInterval = Duration.seconds(10)

    let shard: ShardID
    let directory: String
    let options: ReplicaOptions
    let logger: Logger
    let monitor: Monitor<State>
    /// Set while readers should leave: a scan that sees it stops early.
    let isFenced = Atomic(false)
    /// Attempts to get more address space, with little of it left, that came to nothing: a verification that sees
    /// another one ends.
    let mapShortages = Atomic(0)
    let links: ReplicationLinks
    /// When this process began to hold it.
    let born = ReplicationClock.now
    let thread = Monitor<WorkerThread?>(nil)
    /// One change at a time.
    private let recordChanges = Mutex(())

    var partitionPath: String { "\(directory)/partition" }
    static func recordPath(in directory: String) -> String { "\(directory)/record" }
    var verificationPath: String { "\(directory)/verified" }

    init(record: ReplicaRecord, directory: String, options: ReplicaOptions, logger: Logger) {
        self.shard = record.shard
        self.directory = directory
        self.options = options
        links = options.links
        self.logger = logger
        monitor = Monitor(
            State(
                record: record,
                queue: WriteQueue(
                    rowLimit: options.limits.writeQueueRowCount,
                    byteLimit: options.limits.writeQueueBytes
                )
            )
        )
    }

    /// Begins to open the replica whose record is on disk and returns; ``waitUntilOpened()`` waits for the outcome.
    ///
    /// - Parameters:
    ///   - lane: the thread that is its own from now on.
    ///   - isNew: this process has just made it.
    ///   - isNewcomer: and it has nothing yet.
    /// - Important: ``stop()`` must be called before the last reference goes away.
    static func start(
        record: ReplicaRecord,
        directory: String,
        on lane: ReservedThread,
        isNew: Bool = false,
        isNewcomer: Bool = false,
        options: ReplicaOptions,
        logger: Logger
    ) -> Replica {
        let replica = Replica(record: record, directory: directory, options: options, logger: logger)
        let verified = VerificationRecord.read(from: replica.verificationPath)
        replica.monitor.withLock { state in
            state.verified = verified
            state.isNew = isNew
            state.isNewcomer = isNewcomer
        }
        replica.startLane(on: lane)
        return replica
    }

    /// A replica whose record or partition cannot even be tried; it only reports that it failed.
    ///
    /// - Parameter record: nil for one that cannot be read.
    static func failed(
        shard: ShardID,
        record: ReplicaRecord? = nil,
        directory: String,
        reason: WireStatus,
        options: ReplicaOptions,
        logger: Logger
    ) -> Replica {
        let record = record ?? ReplicaRecord(shard: shard, epoch: Epoch(0), range: .all)
        let replica = Replica(record: record, directory: directory, options: options, logger: logger)
        replica.monitor.withLock { $0.phase = .failed(reason) }
        return replica
    }

    /// A replica of a shard whose place others have taken: it waits to be dropped.
    ///
    /// - Parameter remnantsSince: since when a face is gone of which its file may have bytes; nil where nothing is
    ///   known of that.
    static func succeeded(
        shard: ShardID,
        directory: String,
        remnantsSince: ContinuousClock.Instant? = nil,
        options: ReplicaOptions,
        logger: Logger
    ) -> Replica {
        let replica = failed(
            shard: shard,
            directory: directory,
            reason: Refusal.succeeded(shard),
            options: options,
            logger: logger
        )
        replica.monitor.withLock { state in
            state.isSucceeded = true
            state.remnantsSince = remnantsSince
        }
        return replica
    }

    /// Blocks until the first attempt to open has ended; nil when the replica serves, else why it does not.
    func waitUntilOpened() -> WireStatus? {
        monitor.wait { state -> WireStatus?? in
            switch state.phase {
            case .opening: nil
            case .serving: .some(nil)
            case .failed(let status): .some(status)
            case .stopped: .some(Refusal.stopping(self.shard))
            }
        }
    }

    /// Tells the lane and the readers to end, without waiting for them.
    ///
    /// - Parameter isSucceeded: because other shards take its shard's place.
    func beginStopping(isSucceeded: Bool = false) {
        monitor.withLock(waking: .all) { state in
            state.isStopping = true
            state.isSucceeded = state.isSucceeded || isSucceeded
        }
        isFenced.store(true, ordering: .releasing)
    }

    /// Ends the lane after the commit under way, refuses what waits, and closes the partition. Blocks.
    func stop() {
        beginStopping()
        let lane = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        lane?.join()
        monitor.withLock(waking: .all) { $0.phase = .stopped }
    }

    /// Why the replica is out of service; nil while it serves or is being opened.
    var failure: WireStatus? {
        monitor.withLock { state in
            guard case .failed(let status) = state.phase else { return nil }
            return status
        }
    }

    /// Whether other shards have taken its shard's place: it waits to be dropped.
    var isSucceeded: Bool { monitor.withLock(\.isSucceeded) }

    /// It serves no more; its files may be on their way out.
    var isStopped: Bool {
        monitor.withLock { state in
            if case .stopped = state.phase { return true }
            return false
        }
    }

    // MARK: Epoch

    var record: ReplicaRecord { monitor.withLock(\.record) }
    /// The epoch that the replica goes by.
    var epoch: Epoch { monitor.withLock(\.heldEpoch) }

    /// Raises the epoch durably; a lower or equal one changes nothing. Control thread only.
    func raiseEpoch(to epoch: Epoch) throws(WorkerError) {
        guard epoch > record.epoch else { return }
        try changeRecord { $0.epoch = max($0.epoch, epoch) }
    }

    /// Changes the record on disk, then in memory. Lane or control thread.
    func changeRecord(_ change: (inout ReplicaRecord) -> Void) throws(WorkerError) {
        try recordChanges.withLock { (_) throws(WorkerError) in
            var record = record
            change(&record)
            try record.write(to: Self.recordPath(in: directory))
            monitor.withLock { $0.record = record }
        }
    }

    /// What a request must fit to be served here.
    struct Terms {
        let range: HashRange
        let dimension: Int
    }

    /// What a request wants of the partition, and the epoch that it was routed under.
    enum Access {
        case reading(Epoch)
        case writing(Epoch)
        /// The installation of what is the same for all replicas, whether they answer reads or not.
        case installing(Epoch)
        /// This worker's own.
        case local
    }

    /// Checks that a request may be served here now.
    func admit(_ access: Access) throws(WireStatus) -> Terms {
        try monitor.withLock { (state) throws(WireStatus) in
            let partition = try self.check(access, against: state)
            return Terms(
                range: state.record.range,
                dimension: partition.identity.collection.configuration.dimension
            )
        }
    }

    /// Checks that this replica orders writes under an epoch.
    @discardableResult
    func checkWriting(under epoch: Epoch, _ state: State) throws(WireStatus) -> Partition {
        try check(.writing(epoch), against: state)
    }

    private func check(_ access: Access, against state: State) throws(WireStatus) -> Partition {
        if let end = state.standsInUntil {
            guard case .serving(let partition) = state.phase, case .reading = access, ReplicationClock.now < end else {
                throw Refusal.unknownReplica(shard)
            }
            return partition
        }
        if !state.record.isReplicated {
            switch access {
            case .reading(let epoch), .writing(let epoch), .installing(let epoch):
                try compare(epoch, with: state.record.epoch)
            case .local: break
            }
            if state.nextLogMark != nil, mustBeginReplication(state) { try checkUnmarked(access, against: state) }
        }
        switch state.phase {
        case .opening: throw Refusal.opening(shard)
        case .serving(let partition):
            guard !state.isStopping else { throw state.stoppingStatus(of: shard) }
            if state.record.isReplicated { try checkReplication(access, against: state) }
            return partition
        case .failed(let status): throw status
        case .stopped: throw Refusal.unknownReplica(shard)
        }
    }

    private func compare(_ sent: Epoch, with held: Epoch) throws(WireStatus) {
        if sent < held { throw Refusal.staleEpoch(shard, sent: sent, held: held) }
        if sent > held { throw Refusal.epochNotHeard(shard, sent: sent, held: held) }
    }

    /// A replica whose record does not come to say that it goes by a log, for want of room: it orders no write, and
    /// answers reads as long as no other may have acknowledged any.
    private func checkUnmarked(_ access: Access, against state: State) throws(WireStatus) {
        switch access {
        case .reading: if state.group.map({ $0.inSync != [links.node] }) ?? false { throw Refusal.notConfirmed(shard) }
        case .writing: throw Refusal.recordNotWritten(shard)
        case .installing, .local: break
        }
    }

    /// Reads need a replica that has every acknowledged write, under whatever epoch they were routed; writes the one
    /// that orders them.
    private func checkReplication(_ access: Access, against state: State) throws(WireStatus) {
        switch access {
        case .reading:
            let now = ReplicationClock.now
            let mayServe =
                state.replication?.machine.mayServeReads(now: now)
                ?? state.isConfirmedAsNew(links.node, now: now, within: options.replication.staleness)
            guard mayServe else { throw Refusal.notConfirmed(shard) }
        case .writing(let epoch):
            guard let group = state.group, let machine = state.replication?.machine else {
                throw Refusal.notConfirmed(shard)
            }
            try compare(epoch, with: group.epoch)
            guard machine.role == .primary else {
                throw group.primary == machine.node ? Refusal.notConfirmed(shard) : Refusal.notPrimary(shard)
            }
        case .installing, .local: break
        }
    }

    // MARK: Reads

    /// Runs `body` in the partition, which stays open until it returns.
    ///
    /// - Parameter body: gets the partition and a check that turns true when it should leave early.
    /// - Throws: the partition's error as a status; one that asks for it also takes the replica out of service.
    func read<R>(
        _ access: Access,
        _ body: (Partition, () -> Bool) throws(PartitionError) -> R
    ) throws(WireStatus) -> R {
        let partition = try enter(access)
        do throws(PartitionError) {
            let result = try body(partition) { isFenced.load(ordering: .relaxed) }
            leave(after: nil)
            return result
        } catch {
            leave(after: error)
            throw Refusal.failed(shard, error)
        }
    }

    /// Begins a read: the partition stays open until ``leave(after:)``.
    func enter(_ access: Access = .local) throws(WireStatus) -> Partition {
        try monitor.withLock { (state) throws(WireStatus) in
            let partition = try self.check(access, against: state)
            state.readerCount += 1
            return partition
        }
    }

    /// Ends a read. The lane is woken only when it has something to do: a wake-up costs as much as a short read.
    func leave(after error: PartitionError? = nil) {
        let needsLane = monitor.withLock { state in
            state.readerCount -= 1
            if let error, error.requiresReopen || error.isCorruption {
                state.readError = state.readError ?? error
                return true
            }
            if case .serving = state.phase { return false }
            return state.readerCount == 0
        }
        if needsLane { monitor.wakeAll() }
    }

    // MARK: Writes

    /// Queues a write on the lane; its `finish` is called exactly once unless this throws.
    func enqueue(_ write: PendingWrite) throws(WireStatus) {
        try monitor.withLock(waking: .all) { (state) throws(WireStatus) in
            _ = try self.check(.writing(write.epoch), against: state)
            guard state.queue.append(write) else {
                throw Refusal.writeQueueFull(self.shard, rowCount: state.queue.rowCount)
            }
        }
    }

    /// Queues the installation of a codebook on the lane; its `finish` is called exactly once unless this throws.
    func enqueue(_ installation: PendingInstallation, under epoch: Epoch) throws(WireStatus) {
        try monitor.withLock(waking: .all) { (state) throws(WireStatus) in
            _ = try self.check(.installing(epoch), against: state)
            guard state.queue.append(installation) else { throw Refusal.codebookWaits(self.shard) }
        }
    }

    /// Whether a codebook waits for the lane.
    var hasWaitingInstallation: Bool { monitor.withLock(\.queue.hasInstallation) }

    // MARK: Standing among the others

    /// Whether the others of its shard have more than it, as far as it has heard, and it is missed: it counted before,
    /// or stands in for one that is lost.
    var isCatchingUp: Bool { monitor.withLock { $0.isBehind(links.node) && !$0.isSpare } }

    /// Whether it is on its way to count for the first time, as the copy of a move, beside all copies that there are to
    /// be: nobody misses it.
    var isSpare: Bool { monitor.withLock { $0.isBehind(links.node) && $0.isSpare } }

    /// Whether what searches read first is still being read into memory.
    var isWarming: Bool {
        monitor.withLock { state in
            if case .serving = state.phase { state.isWarming } else { false }
        }
    }

    /// Whether other replicas would miss this one now: it orders writes that another could, or writes wait for it that
    /// need not.
    var isToBeHandedOver: Bool {
        monitor.withLock { state in
            guard let group = state.group, group.isInSync(links.node) else { return false }
            return group.primary == links.node ? group.inSync.count > 1 : group.inSync.count > group.minimumInSync
        }
    }

    // MARK: Report

    /// What the heartbeat says of the replica. Reads the partition: not for event loops.
    func report() -> WorkerReport.Replica {
        let now = ContinuousClock.now
        let isFileDue = monitor.withLock { state in state.fileUseRead.map { now - $0 >= Self.fileUseInterval } ?? true }
        let fresh = try? read(.local) { (partition, _) throws(PartitionError) in
            (
                statistics: try partition.statistics(), file: isFileDue ? try partition.fileUse() : nil,
                remnantAge: try partition.remnantAge()
            )
        }
        return monitor.withLock { state in
            if let fresh {
                state.statistics = fresh.statistics
                state.remnantsSince = fresh.remnantAge.map { now - $0 }
                state.lastServed = now
            }
            if let file = fresh?.file {
                state.fileUse = file
                state.fileUseRead = now
            }
            let statistics = state.statistics
            return WorkerReport.Replica(
                shard: self.shard,
                epoch: state.heldEpoch,
                groupVersion: state.knownVersion,
                role: state.role(now: ReplicationClock.now),
                state: state.phase.reported,
                faceCount: statistics?.faceCount ?? 0,
                freshCount: statistics?.freshCount ?? 0,
                tombstoneCount: statistics?.tombstoneCount ?? 0,
                sequence: statistics?.sequence ?? 0,
                diskByteCount: statistics?.diskByteCount ?? 0,
                generation: statistics?.generation ?? 0,
                olderGeneration: statistics?.olderGeneration ?? 0,
                olderRowCount: statistics?.olderRowCount ?? 0,
                fit: statistics?.fit ?? .unknown,
                checkpoint: state.replication?.checkpoint,
                copies: state.reportedCopies,
                end: state.currentEnd
            )
        }
    }
}

extension Replica {
    /// Name of the collection; nil before the partition was first opened.
    var collectionName: String? { monitor.withLock(\.collectionName) }

    var figures: Figures {
        monitor.withLock { state in
            Figures(
                state: state.phase.reported,
                collection: state.collectionName,
                statistics: state.statistics,
                fileUse: state.fileUse,
                remnantsSince: state.possibleRemnantsSince,
                queuedRowCount: state.queue.rowCount,
                queuedByteCount: state.queue.byteCount,
                unacknowledgedByteCount: state.replication?.unacknowledgedByteCount ?? 0
            )
        }
    }
}

extension Replica.State {
    /// The epoch that the replica goes by.
    var heldEpoch: Epoch { record.isReplicated ? group?.epoch ?? record.epoch : record.epoch }

    fileprivate func isBehind(_ node: NodeID) -> Bool {
        guard let group else { return record.isReplicated }
        return group.learners.contains(node)
    }

    /// Whether its shard has all its copies without it, which has yet to count for the first time.
    fileprivate var isSpare: Bool {
        guard isNewcomer, let group, let replicationFactor else { return false }
        return group.inSync.count >= replicationFactor
    }

    fileprivate var possibleRemnantsSince: ContinuousClock.Instant? {
        if case .serving = phase { return remnantsSince }
        return remnantsSince ?? lastServed
    }

    fileprivate func role(now: Duration) -> WorkerReport.ReplicaRole {
        guard case .serving = phase else { return .waiting }
        guard record.isReplicated else { return .primary }
        guard let machine = replication?.machine else { return .waiting }
        if machine.role == .primary { return .primary }
        return machine.mayServeReads(now: now) ? .secondary : .waiting
    }
}

extension Replica.Phase {
    /// As reports name it. One that was closed to be removed has not failed.
    fileprivate var reported: WorkerReport.ReplicaState {
        switch self {
        case .opening, .stopped: .opening
        case .serving: .serving
        case .failed: .failed
        }
    }
}
