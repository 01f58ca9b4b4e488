package import ClusterModel
package import ClusterState
import FaceModel
package import Logging
package import NIOCore
import Synchronization
import WireProtocol
package import WireTransport

/// Holds the cluster together: keeps what was agreed on, hears the workers, and makes them do what is missing.
///
/// The agreed state lies in the metadata store; memory holds a copy that is read anew after every commit. What workers
/// report is only in memory: after a restart it comes back with their heartbeats. Any number of threads may call it.
///
/// Of several coordinators that share a store each knows and answers everything, and any may change what was agreed on;
/// only the one with the store's lease, the controller proper, makes workers do something.
package final class ClusterController: Sendable {
    struct State: Sendable {
        var records: ClusterRecords
        var membership: Membership
        var reports: ReportBook
        var actions: ActionLedger
        var trainings = TrainingLedger()
        var operations = OperationLedger()
        var silences = SilenceLedger()
        var balance: BalanceLedger
        var repairs: RepairLedger
        /// Replicas that made way for copies without being asked, since the start.
        var repairCount = 0
        var searchLoad: SearchLoadLedger
        var problems: Set<ReconcileProblem> = []
        var olderRecords: OlderRecords
        var rivals: Rivals
        var unreadable = UnreadableRecords()
        var failedCommits = FailedCommits()
        var currency: RecordCurrency
        let replacementTime: Duration
        let spareDiskByteCount: UInt64
        let reservesMemory: Bool
        let archive: ArchiveLedger?
        /// Since when silence is counted against workers: the start, or the winning of the lease; and since a pause.
        var watch: SilenceWatch
        /// Where others reach this coordinator; nil before it runs.
        var address: NodeAddress?
        /// How it stands in the competition for the lease, and since when.
        var standing = LeaseStanding.waiting
        var standingSince = Timestamp(milliseconds: 0)

        /// Whether workers are to be told to do something from here.
        var isSteering: Bool { standing.isHeld && !rivals.areThere && !unreadable.areThere }

        /// Takes note of what is reported, beside what is recorded.
        mutating func observe(limits: OperationPlanner.Limits, now: Duration) {
            let known = view(now: now)
            olderRecords.observe(known, now: now)
            operations.observe(known, trainings, limits: limits, now: now)
            searchLoad.observe(known, now: now)
        }

        func view(now: Duration) -> ClusterView {
            let isReplacing = replacementTime > .zero
            let patience = isReplacing ? replacementTime : ControllerOptions.defaultReplacementTime
            let absent = membership.workers(
                among: records.metadata.workers.keys,
                silentFor: max(patience, membership.silenceLimit),
                since: watch.start,
                now: now
            )
            var view = ClusterView(
                metadata: records.metadata,
                observations: reports.observations,
                liveWorkers: Set(membership.liveWorkers(now: now)),
                goneWorkers: isReplacing ? absent : [],
                isSettled: watch.isSettled(now: now),
                restingShards: operations.restingShards(now: now)
            )
            view.absentWorkers = absent
            view.shunnedWorkers = operations.shunnedWorkers(now: now)
            view.olderShards = olderRecords.shards
            view.suspectShards = olderRecords.suspects
            view.searchRates = searchLoad.rates
            view.spareDiskByteCount = spareDiskByteCount
            view.reservesMemory = reservesMemory
            view.archive = archive?.observation(now: .now)
            return view
        }
    }

    let node: NodeID
    /// Of this start on a store that nobody else can change; nil where several coordinators share one.
    let run: NodeID?
    let options: ControllerOptions
    /// What it and the archive of the logs tell each other; nil where logs are not archived.
    let archive: ArchiveLedger?
    let logger: Logger
    let store: any MetadataStore
    let codebooks: CodebookFiles
    let disk = DiskLane(label: "mien.codebooks")
    let clients: WorkerClients
    let group: any EventLoopGroup
    let state: Mutex<State>
    let changes = ChangeSignal()
    let proposals = ProposalQueue()
    let readings = ReadingTurns()
    private let recordReadings = JoinedReadings()
    /// Codebooks of backups that are on their way here, one for a collection.
    let restoredCodebooks = Mutex(CodebookGathering())
    /// Digests of codebooks that have a file here and are about to be recorded, and by how many calls.
    let unrecordedCodebooks = Mutex<[[UInt8]: Int]>([:])
    /// Nil where codebooks are taken as they come.
    let codebookReader: CodebookReader?
    /// Apart from the state, so that routers never wait for planning.
    private let currentShardMap: Mutex<ShardMap>
    private let start: ContinuousClock.Instant

    /// - Parameters:
    ///   - store: where the cluster's records are.
    ///   - records: them, as they were read last; newer ones are read by ``run(at:)``.
    ///   - readFrom: when that reading began: since then others may have changed them.
    ///   - clients: its own; ``run(at:)`` closes them.
    ///   - group: where its connections to workers run.
    ///   - codebookReader: of codebooks that come with backups; nil where they are made up.
    ///   - archive: shared with whoever archives the logs; nil where nobody does.
    package init(
        node: NodeID,
        store: any MetadataStore,
        records: ClusterRecords,
        readFrom: ContinuousClock.Instant,
        codebooks: CodebookFiles,
        clients: WorkerClients,
        group: any EventLoopGroup,
        options: ControllerOptions,
        codebookReader: CodebookReader? = nil,
        archive: ArchiveLedger? = nil,
        logger: Logger
    ) {
        let start = ContinuousClock.now
        self.start = start
        self.node = node
        self.run = store.isExclusive ? .random() : nil
        self.store = store
        self.codebooks = codebooks
        self.clients = clients
        self.group = group
        self.options = options
        self.codebookReader = codebookReader
        self.archive = archive
        self.logger = logger
        currentShardMap = Mutex(records.metadata.shardMap)
        state = Mutex(
            State(
                records: records,
                membership: Membership(silenceLimit: options.silenceLimit),
                reports: ReportBook(overlap: options.silenceLimit),
                actions: ActionLedger(limits: options.actions),
                balance: BalanceLedger(patience: options.balancingTime),
                repairs: RepairLedger(patience: options.repairTime),
                searchLoad: SearchLoadLedger(window: options.loadWindow),
                // Nobody else changes the records of an exclusive store.
                olderRecords: OlderRecords(patience: store.isExclusive ? .zero : .seconds(3)),
                rivals: Rivals(patience: max(options.rivalPatience, options.silenceLimit)),
                currency: RecordCurrency(isExclusive: store.isExclusive, confirmed: min(readFrom - start, .zero)),
                replacementTime: options.replacementTime,
                spareDiskByteCount: options.spareDiskByteCount,
                reservesMemory: options.reservesMemory,
                archive: archive,
                watch: SilenceWatch(silenceLimit: options.silenceLimit, interval: options.tick)
            )
        )
        archive?.whenReached { [changes] in changes.raise() }
    }

    /// Works until its task is cancelled; then the connections to the workers are closed.
    ///
    /// - Parameter address: where others reach this coordinator.
    package func run(at address: NodeAddress) async {
        state.withLock { $0.address = address }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followStore() }
            group.addTask { await self.confirmRecords() }
            group.addTask { await self.serveProposals() }
            group.addTask { await self.tick() }
            group.addTask { await self.tryStoreAgain() }
            group.addTask { await self.callSilentWorkers() }
            group.addTask { await self.repairDamagedReplicas() }
            group.addTask { await self.competeForLease(at: address) }
            var wasController = false
            while !Task.isCancelled {
                let seen = changes.count
                let isController = state.withLock(\.isSteering)
                // What earlier terms left behind is named by nothing now.
                if isController, !wasController { await removeUnnamedCodebooks() }
                wasController = isController
                let begin = ContinuousClock.now
                if !isController { observeOperations() }
                for action in isController ? beginActions() : [] {
                    group.addTask { await self.perform(action) }
                }
                let end = ContinuousClock.now
                await changes.wait(after: seen)
                // Every heartbeat is news, and there may be hundreds in a second.
                let rest = Self.pause(afterPlanningFor: end - begin) - (ContinuousClock.now - end)
                if rest > .zero { try? await Task.sleep(for: rest) }
            }
            group.cancelAll()
        }
        await clients.close()
    }

    /// From one planning to the next at least: planning takes no more than half of the time, unless one takes longer
    /// than half a second, and what has failed is found as soon as ever unless that was planned for a moment ago.
    package static func pause(afterPlanningFor time: Duration) -> Duration {
        min(max(time, .milliseconds(20)), .milliseconds(500))
    }

    /// Whether this coordinator holds the lease, no worker refuses it, and it can read the records.
    package var isController: Bool { state.withLock(\.isSteering) }

    // MARK: What others may know

    /// The newest shard map this coordinator knows.
    package var shardMap: ShardMap { currentShardMap.withLock { $0 } }

    package var clusterID: NodeID { state.withLock { $0.records.metadata.clusterID } }

    /// Nobody counts as silent whom this coordinator may only not have heard, since it stood still.
    package func liveness(of worker: NodeID) -> WorkerLiveness {
        let now = now
        return state.withLock { state in
            let liveness = state.membership.liveness(of: worker, now: now)
            guard case .silent(let silence) = liveness, state.watch.explains(silence, now: now) else { return liveness }
            return .live(silence: silence)
        }
    }

    /// Faces of a shard as last reported; nil when they have not been since this coordinator started.
    package func faceCount(of shard: ShardID) -> UInt64? {
        let view = currentView
        return view.metadata.placement(of: shard).flatMap { view.replica(of: $0)?.faceCount }
    }

    /// Share, 0…1, of what searches of a replica read that is in memory, as last reported; 1 when it is not known.
    package func warmth(of shard: ShardID, on worker: NodeID) -> Double {
        state.withLock { $0.reports.observations[worker]?.replicas[shard]?.warmth ?? 1 }
    }

    /// Reads the metadata store again, unless the known records are surely the newest; with whoever wants that at the
    /// same time.
    package func refresh() async {
        let now = now
        guard state.withLock({ $0.currency.age(now: now) }) > .zero else { return }
        await recordReadings.join { await self.readRecords() }
    }

    /// Whether the known records are surely at least as new as those that the store had at this time.
    package func knowsRecords(asOf time: ContinuousClock.Instant) -> Bool {
        let time = time - start
        return state.withLock { $0.currency.age(now: time) } == .zero
    }

    private func readRecords() async {
        let now = now
        do throws(MetadataError) {
            try await reload()
        } catch {
            guard state.withLock({ $0.unreadable.isToBeTold(error, now: now) }) else { return }
            logger.error("metadata not readable", metadata: ["reason": "\(error)"])
        }
    }

    // MARK: Shared by the aspects

    /// Time since the controller's start, by a clock that only rises.
    var now: Duration { ContinuousClock.now - start }

    /// - Throws: `unusable` when the store holds older records than it did: one that was restored from a backup knows
    ///   nothing of what workers have been told since, and must not steer them.
    func reload() async throws(MetadataError) {
        let began = now
        let known = state.withLock(\.records.revision)
        let loaded: ClusterRecords
        do throws(MetadataError) {
            loaded = try await ClusterRecords.load(from: store, expecting: clusterID)
        } catch {
            state.withLock { $0.unreadable.readingEnded(error, began: began) }
            throw error
        }
        state.withLock { $0.unreadable.readingEnded(nil, began: began) }
        guard loaded.revision >= known else {
            throw .unusable(
                reason:
                    "Its records are of revision \(loaded.revision.number), and were of \(known.number) before; "
                    + "was the store restored from an old copy? This coordinator goes on with the newer ones until it "
                    + "is started again."
            )
        }
        let isNewer = state.withLock { state in
            state.currency.wasRead(began: began)
            guard loaded.revision > state.records.revision else { return false }
            state.records = loaded
            for (collection, record) in loaded.metadata.collections {
                if let codebook = record.codebook {
                    state.trainings.settled(collection, generation: codebook.generation)
                }
            }
            for collection in loaded.metadata.deletions.keys { state.trainings.forget(collection) }
            currentShardMap.withLock { $0 = loaded.metadata.shardMap }
            return true
        }
        if isNewer { changes.raise() }
    }

    /// As ``reload()``, for a request or an order of which nothing has been done yet.
    func readAnew() async throws(WireStatus) {
        do throws(MetadataError) {
            try await reload()
        } catch {
            throw error.wireStatus.withoutEffect
        }
    }

    /// Makes the known records at least as new as those that the store has now: one small read where nothing changed.
    /// For a request or an order of which nothing has been done yet.
    ///
    /// - Throws: like ``readAnew()``.
    func catchUp() async throws(WireStatus) {
        let began = now
        guard state.withLock({ $0.currency.age(now: began) }) > .zero else { return }
        let newest: MetadataRevision
        do throws(MetadataError) {
            newest = try await store.list(prefix: ClusterRecords.epochKey).revision
        } catch {
            throw error.wireStatus.withoutEffect
        }
        let isKnown = state.withLock { state in
            guard newest == state.records.revision else { return false }
            state.currency.wasRead(began: began)
            return true
        }
        if !isKnown { try await readAnew() }
    }

    /// Commits what the plan makes of the current records, made again after every conflict.
    ///
    /// A plan must tell its own effect from somebody else's: when the end of a commit is not known it is asked again,
    /// with the records as they are then.
    ///
    /// - Parameters:
    ///   - asController: whether only the coordinator with the lease may do it.
    ///   - isFirst: whether nothing of the request has been done before, so that a plan that gives up while nothing was
    ///     changed is told as without effect.
    ///   - plan: conditions and changes; nil when nothing has to change. May throw to give up.
    func commit(
        asController: Bool = false,
        isFirst: Bool = false,
        _ plan: (ClusterRecords) throws(WireStatus) -> (conditions: [MetadataCondition], changes: [MetadataChange])?
    ) async throws(WireStatus) {
        var (failureCount, unknown) = (0, String?.none)
        for _ in 0..<16 {
            func told(_ status: WireStatus) -> WireStatus {
                isFirst && unknown == nil ? status.withoutEffect : status
            }
            if let problem = rivalProblem ?? recordProblem { throw told(WireStatus(.unavailable, problem)) }
            let (records, standing) = state.withLock { ($0.records, $0.standing) }
            let planned: (conditions: [MetadataCondition], changes: [MetadataChange])?
            do throws(WireStatus) {
                planned = try plan(records)
            } catch {
                throw told(error)
            }
            guard var commit = planned else { return }
            if asController {
                guard case .held(let fence) = standing else { throw Self.noLongerController }
                if let fence { commit.conditions.append(fence) }
            }
            var isFenced = false
            do throws(MetadataError) {
                do throws(MetadataError) {
                    switch try await commitAndRead(commit.conditions, commit.changes) {
                    case .made: return
                    case .unknown(let reason): unknown = reason
                    case .failed(let reason):
                        failureCount += 1
                        guard failureCount < Self.failedCommitLimit else {
                            throw .unavailable(reason: Self.failedCommit(reason))
                        }
                    }
                } catch .conflict(let key) {
                    try await reload()
                    isFenced = key == ClusterRecords.controllerKey
                }
            } catch {
                throw error.wireStatus
            }
            if isFenced { throw Self.noLongerController }
        }
        if let unknown { throw MetadataError.outcomeUnknown(reason: unknown).wireStatus }
        throw WireStatus(.unavailable, "The cluster's metadata is being changed by others all the time; try again.")
    }

    /// - Throws: what it is known of that nothing was changed, or what cannot be read since.
    func commitAndRead(
        _ conditions: [MetadataCondition],
        _ changes: [MetadataChange]
    ) async throws(MetadataError) -> CommitEnd {
        let began = now
        let revision = state.withLock { state in
            state.currency.commitBegins(now: began)
            return state.records.revision
        }
        var isRead = true
        defer {
            let ended = now
            state.withLock { $0.currency.commitEnded(isRead: isRead, now: ended) }
        }
        do throws(MetadataError) {
            try await store.commit(conditions, changes)
        } catch .outcomeUnknown(let reason) {
            isRead = false
            do throws(MetadataError) {
                try await reloadAfterCommit()
            } catch {
                // Nobody else changes such a store, and so finds out when it can be read again.
                if store.isExclusive { noteCommitEnd(.failed(reason: reason), began: began) }
                throw error
            }
            isRead = true
            // Of a store that only this coordinator changes.
            let isUnchanged = store.isExclusive && state.withLock { $0.records.revision == revision }
            let end = isUnchanged ? CommitEnd.failed(reason: reason) : .unknown(reason: reason)
            noteCommitEnd(end, began: began)
            return end
        }
        noteCommitEnd(.made, began: began)
        isRead = false
        try await reloadAfterCommit()
        isRead = true
        return .made
    }

    /// A commit may have been made, and nobody knows what there is now when it cannot be read.
    private func reloadAfterCommit() async throws(MetadataError) {
        do throws(MetadataError) {
            try await reload()
        } catch {
            if case .unavailable(let reason) = error { throw .outcomeUnknown(reason: reason) }
            throw error.isOfRecord ? .outcomeUnknown(reason: "\(error)") : error
        }
    }

    private func followStore() async {
        for await revision in store.revisions() {
            var pause = Duration.milliseconds(500)
            while revision > state.withLock(\.records.revision), !Task.isCancelled {
                await refresh()
                guard revision > state.withLock(\.records.revision) else { break }
                // The store went away between the news and the reading.
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(10))
            }
        }
    }

    /// Keeps the age of the records low where others may change them: one small read at a time.
    private func confirmRecords() async {
        guard !store.isExclusive else { return }
        while !Task.isCancelled {
            await confirm()
            try? await Task.sleep(for: options.confirmationInterval)
        }
    }

    private func confirm() async {
        let began = now
        // The competition for the lease tells of a store that is away.
        guard let newest = try? await store.list(prefix: ClusterRecords.epochKey).revision else { return }
        let isNews = state.withLock { state in
            if newest == state.records.revision { state.currency.wasRead(began: began) }
            return newest > state.records.revision || state.unreadable.areThere
        }
        if isNews { await refresh() }
    }

    private func tick() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: options.tick)
            look()
            dropOldSlices()
            changes.raise()
        }
    }

    private func look() {
        let now = now
        let (pause, gone) = state.withLock { state in
            let pause = state.watch.look(now: now)
            // It may be that they were not heard since this coordinator stood still.
            return (pause, state.watch.isHearing(now: now) ? state.rivals.forget(now: now) : [])
        }
        for worker in gone {
            logger.notice(
                "a worker that refused this coordinator has not been heard for long: it is waited for no more",
                metadata: ["worker": "\(worker)"]
            )
        }
        guard let pause else { return }
        logger.warning(
            "this coordinator stood still: nothing is decided by silence until workers had the time to be heard",
            metadata: ["for": "\(pause)"]
        )
    }
}
