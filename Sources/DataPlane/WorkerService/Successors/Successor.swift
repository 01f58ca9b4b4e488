import ClusterModel
import FaceModel
import Logging
import PartitionEngine
import ShardReplication
import Threads
import WireProtocol

/// A shard that is made on this worker to take the place of others: from their replicas, while they serve.
///
/// Its thread copies rows and codes, then follows what is written. While no write of the sources is ordered and
/// everything is there it is *sealed*: a record on disk says through which sequences. It has no place in any shard map
/// before it is activated, so that nothing of it is ever asked for.
///
/// Whatever goes wrong before that, it begins anew, after pauses that double where that would most likely end as it did
/// (``CopyRest``); the sources stay what they are.
final class Successor: Sendable {
    private enum Phase {
        /// Can move to: `following`, `failed`.
        case copying
        /// Can move to: `sealed`, `failed`.
        case following
        /// Can move to: `following`, or `copying` after a restart of the worker.
        case sealed
        /// It is tried again. Can move to: `copying`.
        case failed(String)
    }

    private struct State {
        var phase: Phase
        var record: SuccessorRecord
        var progress = SuccessorBuilder.Progress()
        /// While it is sealed; nil after a restart of the worker, too.
        var standIn: StandIn?
        /// When it was sealed the last time, by ``ReplicationClock``.
        var sealedAt = Duration.zero
        /// The shard is in force, so that the sources are not written to any more, whatever they know.
        var areSourcesRetired = false
        /// Whether the attempt under way has written anything.
        var hasBegun = false
        /// Since when a face is gone of which the partition's file may have bytes; nil while there is none.
        var remnantsSince: ContinuousClock.Instant?
        /// After attempts that failed; nil once everything was there.
        var rest: CopyRest?
        var isStopping = false
    }

    /// Answers reads from the moment at which the shard is in force, whenever this worker hears of that.
    struct StandIn {
        let replica: Replica
        let partition: Partition
        /// The metadata store has had the old shards frozen since this process began to hold them: none that is told
        /// it may answer can mean a time before, whatever state the disk was put back to.
        var isConfirmed = false
    }

    /// Erasing of what faces that are gone have left in the partition, while what is written is followed.
    private struct Erasing {
        /// When a step is due.
        var next = ContinuousClock.now
        /// Since when faces are gone that had come over before, as long as something of them may be left; a round is
        /// begun for them at once.
        var inherited: ContinuousClock.Instant?
        /// When that was taken over.
        let followed = ContinuousClock.now
    }

    private static let retryPause = Duration.seconds(1)
    /// Between two looks at whether something is to be erased.
    private static let erasingInterval = Duration.seconds(1)
    /// Between two looks at whether what a round waits for has ended.
    private static let longestErasingPause = Duration.seconds(5)
    private static let followInterval = Duration.milliseconds(25)
    /// While writes wait.
    private static let sealInterval = Duration.milliseconds(2)
    /// Changes that came over after which the rows are coded.
    private static let changesPerFold = 8192

    let shard: ShardID
    let directory: String
    /// Nil for one that was found whole when the worker started: what it was made with is in its partition.
    private let identity: PartitionIdentity?
    private let table: ReplicaTable
    private let options: ReplicaOptions
    private let logger: Logger
    private let monitor: Monitor<State>
    private let thread = Monitor<WorkerThread?>(nil)

    /// - Parameters:
    ///   - record: with sequences for one that is whole on disk.
    ///   - identity: of the partition to be made; nil for one that is whole on disk.
    ///   - rest: after attempts at the same shard before.
    init(
        _ record: SuccessorRecord,
        identity: PartitionIdentity?,
        after rest: CopyRest? = nil,
        in directory: String,
        table: ReplicaTable,
        _ options: ReplicaOptions,
        _ logger: Logger
    ) {
        shard = record.shard
        self.identity = identity
        self.directory = directory
        self.table = table
        self.options = options
        self.logger = logger
        var state = State(phase: record.sequences.isEmpty ? .copying : .sealed, record: record, rest: rest)
        // What is found whole is not looked into before it takes its place.
        if !record.sequences.isEmpty { state.remnantsSince = .now }
        monitor = Monitor(state)
    }

    /// Until when it is not begun anew; nil where nothing has failed since everything was there.
    var rest: CopyRest? { monitor.withLock(\.rest) }

    var record: SuccessorRecord { monitor.withLock(\.record) }

    /// Whether everything is on disk, through the sequences of ``record``.
    var isSealed: Bool { monitor.withLock { if case .sealed = $0.phase { true } else { false } } }

    /// Whether the shard may be in force, for all that is known here: everything is on disk, or was before the disk
    /// went back.
    var mayBeInForce: Bool {
        monitor.withLock { state in
            if case .sealed = state.phase { true } else { state.areSourcesRetired }
        }
    }

    /// Since when a face is gone of which the partition's file may have bytes; nil while there is none.
    var remnantsSince: ContinuousClock.Instant? { monitor.withLock(\.remnantsSince) }

    private func sourceShard(_ index: UInt32) -> ShardID { ShardID(collection: shard.collection, index: index) }

    private var partitionPath: String { "\(directory)/partition" }

    /// Begins, or goes on after ``stop()``.
    ///
    /// - Parameter reserved: nil for a thread that is waited for.
    /// - Important: ``stop()`` must be called before the last reference goes away.
    func start(on reserved: ReservedThread? = nil) {
        monitor.withLock { $0.isStopping = false }
        thread.withLock { thread in
            thread =
                reserved?.begin { self.run() }
                ?? WorkerThread(name: Self.threadName(shard), priority: .background) { self.run() }
        }
    }

    static func threadName(_ shard: ShardID) -> String { "succ-\(shard.index)" }

    func beginStopping() {
        monitor.withLock(waking: .all) { $0.isStopping = true }
    }

    /// Ends the thread; what is on disk stays, and what is sealed goes on answering. Blocks.
    func pause() {
        beginStopping()
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        running?.join()
    }

    /// Ends everything; what is on disk stays. Blocks.
    func stop() {
        pause()
        endStandIn()?.close()
    }

    /// Answers reads of the shard; nil unless it is sealed, and surely was not in force before this life of the
    /// process.
    var standIn: Replica? {
        monitor.withLock { state in state.standIn.flatMap { $0.isConfirmed ? $0.replica : nil } }
    }

    /// It cannot have been put in force before.
    var sealedAt: Duration { monitor.withLock(\.sealedAt) }

    /// Hands over what answers reads, and its partition, which is open.
    func takeStandIn() -> StandIn? {
        monitor.withLock { state in
            defer { state.standIn = nil }
            return state.standIn
        }
    }

    /// Gives back the partition once nobody reads it; nil when nothing stood in.
    private func endStandIn() -> Partition? {
        guard let standIn = takeStandIn() else { return nil }
        standIn.replica.endStandingIn()
        return standIn.partition
    }

    var report: WorkerReport.Successor {
        let diskByteCount = DurableFile.partitionByteCount(at: partitionPath)
        return monitor.withLock { state in
            var report = WorkerReport.Successor(
                shard: shard,
                state: .copying,
                rowCount: state.progress.rowCount,
                totalRowCount: state.progress.totalRowCount,
                diskByteCount: diskByteCount
            )
            switch state.phase {
            case .copying: break
            case .following: report.state = .following
            case .sealed:
                report.state = .sealed
                report.sources = zip(state.record.sources, state.record.sequences).map {
                    .init(shardIndex: $0, sequence: $1)
                }
            case .failed(let reason):
                report.state = .failed
                report.failure = String(reason.prefix(1000))
            }
            return report
        }
    }

    // MARK: The thread

    private var isStopping: Bool { monitor.withLock(\.isStopping) }

    private func mustStop(within time: Duration) -> Bool {
        monitor.wait(atMost: time) { state in state.isStopping ? true : nil } ?? false
    }

    /// Waits until what failed before holds the next attempt up no more.
    private func mustStopBeforeRested() -> Bool {
        while let left = rest.map({ $0.end - ContinuousClock.now }), left > .zero {
            let mustStop = monitor.wait(atMost: left) { state -> Bool? in
                if state.isStopping { true } else { state.rest == nil ? false : nil }
            }
            if let mustStop { return mustStop }
        }
        return false
    }

    private func set(_ phase: Phase) {
        monitor.withLock { $0.phase = phase }
        options.reportChanged()
    }

    private func run() {
        while !isStopping {
            // What is whole stays, whatever becomes of the sources, unless something is written to one of them: it may
            // be all that there is of their faces.
            if isSealed, !hasChanged() {
                if mustStop(within: Self.followInterval) { return }
                continue
            }
            if mustStopBeforeRested() { return }
            do throws(WireStatus) {
                try build()
            } catch {
                if isSealed {
                    if mustStop(within: Self.retryPause) { return }
                    continue
                }
                logger.warning(
                    "a shard could not be prepared; it begins anew",
                    metadata: logMetadata.merging(["status": "\(error)"]) { $1 }
                )
                monitor.withLock { state in
                    let failure = CopyFailure(making: error, hasBegun: state.hasBegun, pause: Self.retryPause)
                    state.rest = CopyRest(after: failure, state.rest, now: .now)
                    // Nobody tells what is on the disk of who is gone from now on.
                    if state.hasBegun { state.remnantsSince = state.remnantsSince ?? .now }
                }
                set(.failed(error.message))
            }
        }
    }

    /// Whether a source serves and has gone on since this was sealed.
    private func hasChanged() -> Bool {
        let record = record
        return zip(record.sources, record.sequences).contains { index, sequence in
            guard let source = table.find(sourceShard(index)), let partition = try? source.enter() else { return false }
            defer { source.leave() }
            return partition.committedSequence != sequence
        }
    }

    /// Makes the partition and follows until it is told to stop.
    private func build() throws(WireStatus) {
        monitor.withLock { $0.hasBegun = false }
        // Nothing is removed unless it can be made again.
        try withSources { (_) throws(PartitionError) in }
        set(.copying)
        let identity = if let identity { identity } else { try storedIdentity() }
        do throws(WorkerError) {
            try unseal()
            try removePartition()
            try DurableFile.makeDirectory(directory)
            monitor.withLock { state in
                state.hasBegun = true
                state.remnantsSince = nil
            }
        } catch {
            throw Refusal.folder(error)
        }
        var partitions: [ObjectIdentifier] = []
        let builder = try withSources { (sources) throws(PartitionError) -> SuccessorBuilder in
            partitions = sources.map(ObjectIdentifier.init)
            // It may become as large as all that it is made from, whose maps may have grown.
            var partitionOptions = options.partition
            let mapByteCounts = try sources.map { (source) throws(PartitionError) in try source.mapUse().mapByteCount }
            partitionOptions.mapByteCount = max(partitionOptions.mapByteCount, mapByteCounts.reduce(0, +))
            return try SuccessorBuilder(
                at: partitionPath,
                identity: identity,
                sources: sources,
                options: partitionOptions
            )
        }
        defer {
            // What is sealed goes on answering: its partition is closed by whoever takes it.
            if monitor.withLock({ $0.standIn == nil }) { builder.close() } else { builder.release() }
        }
        do throws(WireStatus) {
            try build(with: builder, partitions)
        } catch {
            guard let damage = builder.damage else { throw error }
            throw tell(damage, of: partitions)
        }
    }

    /// A source that is damaged leaves service, as when a search had met that: it is the one to be repaired.
    ///
    /// - Returns: what the shard waits for.
    private func tell(_ damage: SuccessorBuilder.Damage, of partitions: [ObjectIdentifier]) -> WireStatus {
        let shard = sourceShard(record.sources[damage.source])
        if let source = table.find(shard), let partition = try? source.enter() {
            // Another may have been opened since.
            let isSame = ObjectIdentifier(partition) == partitions[damage.source]
            source.leave(after: isSame ? damage.error : nil)
        }
        return Refusal.failed(shard, damage.error)
    }

    /// Takes over what the sources have, at the pace of work in the background.
    ///
    /// - Returns: false when it is to stop.
    private func copy(with builder: SuccessorBuilder, _ partitions: [ObjectIdentifier]) throws(WireStatus) -> Bool {
        var pace = BackgroundPace(of: options.successorShare)
        while try step(partitions, { () throws(PartitionError) in try builder.copyRows() }) {
            monitor.withLock { $0.progress = builder.progress }
            options.reportChanged()
            noteChanges(heardBy: builder)
            if pace.rest(unless: { isStopping }) { return false }
        }
        while try step(partitions, { () throws(PartitionError) in try builder.copyCodes() }) {
            noteChanges(heardBy: builder)
            if pace.rest(unless: { isStopping }) { return false }
        }
        while try step(partitions, { () throws(PartitionError) in try fold(builder) }) {
            noteChanges(heardBy: builder)
            if pace.rest(unless: { isStopping }) { return false }
        }
        while try step(partitions, { () throws(PartitionError) in try builder.copyReceipts() }) {
            if pace.rest(unless: { isStopping }) { return false }
        }
        while try step(partitions, { () throws(PartitionError) in try builder.copyErasures() }) {
            if pace.rest(unless: { isStopping }) { return false }
        }
        return true
    }

    private func build(with builder: SuccessorBuilder, _ partitions: [ObjectIdentifier]) throws(WireStatus) {
        let isCopied = try options.successorShare.working { () throws(WireStatus) in try copy(with: builder, partitions)
        }
        guard isCopied else { return }
        // What has changed while all that went on comes over before it counts as following: without rests, or what is
        // written might come faster.
        var followed = 0
        repeat {
            followed = try step(partitions) { () throws(PartitionError) in try builder.follow() }
            if isStopping { return }
        } while followed > Self.changesPerFold
        monitor.withLock { state in
            state.progress = builder.progress
            state.rest = nil
        }
        set(.following)
        logger.info("shard is prepared, and follows", metadata: logMetadata)
        var unfolded = 0
        var erasing = Erasing(inherited: remnantsSince)
        while !isStopping {
            let isFrozen =
                monitor.withLock(\.areSourcesRetired)
                || record.sources.allSatisfy { table.find(sourceShard($0))?.isFrozen ?? false }
            if isSealed {
                if hasChanged() { try thaw() } else { confirmStandIn() }
            } else if isFrozen {
                try seal(builder, partitions)
            } else {
                unfolded += try step(partitions) { () throws(PartitionError) in try builder.follow() }
                _ = try step(partitions) { () throws(PartitionError) in try builder.copyReceipts() }
                _ = try step(partitions) { () throws(PartitionError) in try builder.copyErasures() }
                if unfolded >= Self.changesPerFold {
                    unfolded = try step(partitions) { () throws(PartitionError) in try fold(builder) } ? unfolded : 0
                }
                try eraseRemnants(in: builder.partition, &erasing)
            }
            if mustStop(within: isFrozen ? Self.sealInterval : Self.followInterval) { return }
        }
    }

    /// One step of what keeps the partition in shape. Nothing expires before it serves: when a face goes is for those
    /// to say that order writes.
    private func fold(_ builder: SuccessorBuilder) throws(PartitionError) -> Bool {
        try builder.partition.maintain(now: Timestamp(milliseconds: .min), isIdle: true) != nil
    }

    /// Takes note that the sources have changed: of faces that are gone since, what came over before stays until that
    /// is followed.
    private func noteChanges(heardBy builder: SuccessorBuilder) {
        guard builder.pendingChangeCount > 0 else { return }
        monitor.withLock { $0.remnantsSince = $0.remnantsSince ?? .now }
    }

    /// Does a step of erasing when one is due: for as long as an operator pauses what it is made for, faces are deleted
    /// that it has.
    private func eraseRemnants(in partition: Partition, _ erasing: inout Erasing) throws(WireStatus) {
        let start = ContinuousClock.now
        guard start >= erasing.next else { return }
        let step: ErasingStep
        let age: Duration?
        do throws(PartitionError) {
            step = try partition.eraseRemnants(isAtOnce: erasing.inherited != nil)
            age = try partition.remnantAge()
        } catch {
            guard error.isStorageFull else { throw Refusal.failed(shard, error) }
            erasing.next = start + Self.retryPause
            return
        }
        let end = ContinuousClock.now
        let since = age.map { end - $0 }
        if since.map({ $0 > erasing.followed }) ?? true { erasing.inherited = nil }
        let known = erasing.inherited ?? since
        monitor.withLock { $0.remnantsSince = known }
        switch step {
        case .idle: erasing.next = end + Self.erasingInterval
        case .advanced: erasing.next = end + options.backgroundPace.rest(after: end - start, now: end)
        // It has no log that would have to be forgotten first.
        case .waits, .needsLogForgotten:
            erasing.next = end + min(Self.longestErasingPause, options.partition.erasurePeriod / 100)
        }
    }

    private func seal(_ builder: SuccessorBuilder, _ partitions: [ObjectIdentifier]) throws(WireStatus) {
        let sequences = try withSources(partitions) { (_) throws(PartitionError) -> [UInt64]? in try builder.seal() }
        guard let sequences else { return }
        var record = record
        record.sequences = sequences
        do throws(WorkerError) {
            try record.write(in: directory)
        } catch {
            throw Refusal.folder(error)
        }
        let now = ReplicationClock.now
        let replica = Replica.standingIn(
            for: shard,
            record.range,
            builder.partition,
            until: now + options.replication.staleness,
            directory: directory,
            options: options,
            logger: logger
        )
        monitor.withLock { state in
            state.record = record
            state.phase = .sealed
            state.standIn = StandIn(replica: replica, partition: builder.partition)
            state.sealedAt = now
        }
        options.reportChanged()
    }

    /// Takes note that the shard is in force: it was sealed here, and the disk has gone back since. Nobody tells this
    /// worker any more that the sources are frozen, so it seals what they have; the others know better, and have it
    /// copy what it lacks. The shard waits for this: whatever failed before holds the next attempt up no more.
    func retireSources() {
        monitor.withLock(waking: .all) { state in
            if !state.areSourcesRetired { state.rest = nil }
            state.areSourcesRetired = true
        }
    }

    /// Notes whether the stand-in may answer.
    func confirmStandIn() {
        guard standIn == nil,
            record.sources.allSatisfy({ table.find(sourceShard($0))?.isFrozenInThisLife ?? false })
        else { return }
        monitor.withLock { $0.standIn?.isConfirmed = true }
    }

    /// Is not whole any more.
    private func thaw() throws(WireStatus) {
        _ = endStandIn()
        do throws(WorkerError) {
            try unseal()
        } catch {
            throw Refusal.folder(error)
        }
        set(.following)
    }

    private func unseal() throws(WorkerError) {
        try DurableFile.remove(SuccessorRecord.path(in: directory))
        monitor.withLock { $0.record.sequences = [] }
    }

    private func removePartition() throws(WorkerError) {
        do throws(PartitionError) {
            try Partition.remove(at: partitionPath)
        } catch {
            throw .partitionNotRemoved(path: partitionPath, reason: "\(error)")
        }
    }

    private func storedIdentity() throws(WireStatus) -> PartitionIdentity {
        do throws(PartitionError) {
            let partition = try Partition.open(at: partitionPath, options: options.partition)
            defer { partition.close() }
            return partition.identity
        } catch {
            throw Refusal.failed(shard, error)
        }
    }

    /// Runs `body` while the sources are still those that it was begun with.
    private func step<R>(
        _ partitions: [ObjectIdentifier],
        _ body: () throws(PartitionError) -> R
    ) throws(WireStatus) -> R {
        try withSources(partitions) { (_) throws(PartitionError) -> R in try body() }
    }

    /// Runs `body` with the sources' partitions, which stay open until it returns.
    ///
    /// - Parameter expected: what they were before; others have been opened since if they are not.
    private func withSources<R>(
        _ expected: [ObjectIdentifier]? = nil,
        _ body: ([Partition]) throws(PartitionError) -> R
    ) throws(WireStatus) -> R {
        try withSources(record.sources[...], [], expected, body)
    }

    private func withSources<R>(
        _ remaining: ArraySlice<UInt32>,
        _ partitions: [Partition],
        _ expected: [ObjectIdentifier]?,
        _ body: ([Partition]) throws(PartitionError) -> R
    ) throws(WireStatus) -> R {
        guard let index = remaining.first else {
            if let expected, expected != partitions.map(ObjectIdentifier.init) {
                throw Refusal.opening(shard)
            }
            do throws(PartitionError) {
                return try body(partitions)
            } catch {
                throw Refusal.failed(shard, error)
            }
        }
        let source = try table.replica(sourceShard(index))
        let partition = try source.enter()
        defer { source.leave() }
        return try withSources(remaining.dropFirst(), partitions + [partition], expected, body)
    }

    private var logMetadata: Logger.Metadata {
        ["collection": "\(shard.collection)", "shard": "\(shard.index)"]
    }
}
