package import Backups
package import ClusterModel
import CoreMetrics
import FaceModel
package import Logging
package import NIOCore
package import Observability
import Synchronization
import WireProtocol
import WireTransport

/// Carries the logs of all shards to a place outside the cluster, so that a backup can be restored to any moment behind
/// it.
///
/// One coordinator does it, the controller. It asks every primary in turns for what has been applied since, writes that
/// as segments, and then the list that names them: what the list does not name is not archived. Where it ended the list
/// tells whoever goes on. Two that do it at once for a moment do no harm: nothing is ever written over.
///
/// Of shards that others are about to take the place of it does not wait for the next turn (``ArchiveLedger``): their
/// logs are gone with them. They are looked after between the collections of a turn, too, since writes wait at the end.
package final class LogArchiver: Sendable {
    package struct Options: Sendable {
        /// Between two turns.
        package var interval: Duration
        /// The cluster's.
        package var cluster: NodeID

        package init(interval: Duration, cluster: NodeID) {
            self.interval = interval
            self.cluster = cluster
        }
    }

    private static let shardsAtOnce = 4
    /// Bytes of one shard's log that one turn carries; the next carries on at once.
    private static let turnByteLimit = 64 << 20
    /// While nothing is written, the list says so once in this time.
    private static let idleTime: Int64 = 10_000
    private static let answerTime = Duration.seconds(30)
    /// Between two looks whether shards are about to go, and while they are; and how long all others wait for them at
    /// a time: through all shards a turn may take longer than writes may wait.
    private static let lookInterval = Duration.milliseconds(100)
    private static let attentionInterval = Duration.milliseconds(20)
    private static let delayLimit = Duration.seconds(10)

    /// What is known of a collection's archive, for the metrics.
    private struct Figures {
        var name: String
        /// What is known to be archived up to; before anything is known, when this archiver began with it.
        var until: Timestamp
        var remainingByteCount: UInt64 = 0
    }

    /// What one turn brought of one shard.
    private struct Progress: Sendable {
        var parts: [ArchiveVolume.Part] = []
        var standing: ArchiveVolume.Standing?
        var remainingByteCount: UInt64 = 0
        var byteCount = 0
        /// Whether nothing was left behind it.
        var isLevel = false
        var failure: Failure?
    }

    /// Where one run is.
    private struct Course {
        var books: [CollectionID: ArchiveBook] = [:]
        /// What the books had as lost: a list that is read anew does not tell. Nor does another coordinator know that
        /// goes on with it.
        var lost: [CollectionID: Set<ArchiveVolume.Shard>] = [:]
        /// When shards of a collection that are about to go were last carried alone.
        var attended: [CollectionID: ContinuousClock.Instant] = [:]
        /// Collections of which that failed: they wait for the next turn, and hold up no other.
        var failed: Set<CollectionID> = []
        /// When they are next looked after, unless writes wait for that: it takes half of the time at most.
        var nextAttention = ContinuousClock.now
    }

    private enum Failure: Error {
        case store(BackupError)
        case shard(UInt32, String)
        /// The list does not end where it was left.
        case otherList

        var reason: String {
            switch self {
            case .store(let error): "\(error)"
            case .shard(let index, let reason): "shard \(index): \(reason)"
            case .otherList:
                "the place has another list than was written last: another coordinator writes, or it is another place"
            }
        }
    }

    private let router: QueryRouter
    private let options: Options
    private let ledger: ArchiveLedger
    private let openStore: @Sendable () async throws(BackupError) -> any BackupStore
    private let isActive: @Sendable () -> Bool
    private let group: any EventLoopGroup
    private let logger: Logger
    private let figures = Mutex<[CollectionID: Figures]>([:])
    /// Collections whose last turn failed: each failure is logged once.
    private let failing = Mutex<Set<CollectionID>>([])
    private let archivedBytes: Counter
    private let gaps: Counter
    private let failures: Counter

    /// - Parameters:
    ///   - ledger: shared with the controller; nil where no shards take others' place.
    ///   - openStore: opens the place; tried again as long as it fails.
    ///   - isActive: whether this coordinator is the one to do it.
    package init(
        router: QueryRouter,
        options: Options,
        ledger: ArchiveLedger? = nil,
        metrics: MetricRegistry,
        group: any EventLoopGroup,
        logger: Logger,
        isActive: @escaping @Sendable () -> Bool,
        openStore: @escaping @Sendable () async throws(BackupError) -> any BackupStore
    ) {
        self.router = router
        self.options = options
        self.ledger = ledger ?? ArchiveLedger()
        self.openStore = openStore
        self.isActive = isActive
        self.group = group
        self.logger = logger
        archivedBytes = metrics.counter(MetricCatalogue.archivedBytes)
        gaps = metrics.counter(MetricCatalogue.archiveGaps)
        failures = metrics.counter(MetricCatalogue.archiveFailures)
    }

    /// Works until its task is cancelled: what the place has not done by then is not waited for.
    package func run() async {
        var store: (any BackupStore)?
        var isOpenFailing = false
        var course = Course()
        while !Task.isCancelled {
            var hasMore = false
            if isActive() {
                // Before the place is asked, which may never answer.
                archived(of: router.source.current)
                do throws(BackupError) {
                    if store == nil { store = try await openStore() }
                    hasMore = await turn(&course, store!)
                } catch {
                    if Task.isCancelled { break }
                    failures.increment()
                    logger.log(
                        level: isOpenFailing ? .debug : .error,
                        "the place of the archive cannot be opened; trying on",
                        metadata: ["reason": "\(error)"]
                    )
                    isOpenFailing = true
                }
            } else {
                // Whoever does it now writes the lists; they are read anew when it is this coordinator's turn again.
                course.books = [:]
                figures.withLock { $0 = [:] }
            }
            if !hasMore { await rest(&course, store) }
        }
        await store?.close()
    }

    /// Waits for the next turn. Meanwhile it carries the logs of shards that others are about to take the place of.
    private func rest(_ course: inout Course, _ store: (any BackupStore)?) async {
        let end = ContinuousClock.now + options.interval
        course.failed = []
        while !Task.isCancelled {
            if let store, isActive() { await attend(&course, store, until: end + Self.delayLimit) }
            let left = end - ContinuousClock.now
            guard left > .zero else { return }
            try? await Task.sleep(for: min(left, Self.lookInterval))
        }
    }

    /// Tells how far behind the archive is.
    package func collect(into samples: inout MetricSamples) {
        let now = Self.now
        // Where a call of the place does not come back they stay as they were, though another may do it by now.
        let all = isActive() ? figures.withLock { Array($0.values) } : []
        let labels = CollectionLabels(all.map(\.name))
        samples.raise(MetricCatalogue.archiveInterval, to: options.interval / .seconds(1))
        for figures in all {
            let label = labels.label(of: figures.name)
            let age = Double(max(0, now.milliseconds - figures.until.milliseconds)) / 1000
            samples.raise(MetricCatalogue.archiveBehind, label, to: age)
            samples.add(MetricCatalogue.archiveBehindBytes, label, value: Double(figures.remainingByteCount))
        }
    }

    // MARK: Turns

    /// One turn through all collections; whether one of them has more to carry at once.
    private func turn(_ course: inout Course, _ store: any BackupStore) async -> Bool {
        let ids = archived(of: router.source.current)
        course.books = course.books.filter { ids.contains($0.key) }
        course.lost = course.lost.filter { ids.contains($0.key) }
        course.attended = course.attended.filter { ids.contains($0.key) }
        course.failed = []
        var hasMore = false
        for id in ids.sorted() {
            let now = ContinuousClock.now
            let latest = now < course.nextAttention ? now : now + Self.delayLimit
            await attend(&course, store, until: latest)
            if Task.isCancelled || !isActive() { return false }
            hasMore = await carry(id, &course, store, of: nil).hasMore || hasMore
        }
        return hasMore
    }

    /// The collections whose logs are archived. One that was not among them counts from now on, so that it is seen to
    /// stay behind though nothing of it can be archived.
    @discardableResult
    private func archived(of map: ShardMap) -> Set<CollectionID> {
        // One that is being restored is not whole, and its backup exists.
        let collections = map.collections.filter { !map.restoring.contains($0.key) }
        let now = Self.now
        figures.withLock { figures in
            figures = figures.filter { collections[$0.key] != nil }
            for (id, collection) in collections where figures[id] == nil {
                figures[id] = Figures(name: collection.name, until: now)
            }
        }
        return Set(collections.keys)
    }

    /// Notes how far a collection was archived before, whatever comes of this turn. Shards of which nothing is known
    /// count from when this archiver began with it.
    private func note(_ book: ArchiveBook, of collection: Collection, in map: ShardMap) {
        let placements = map.placements[collection.id] ?? []
        let untils = placements.compactMap { placement in
            book.standing(of: .init(index: placement.shard.index, range: placement.range))?.until
        }
        guard let until = untils.min() else { return }
        figures.withLock { figures in
            guard let known = figures[collection.id]?.until else { return }
            figures[collection.id]?.until = untils.count == placements.count ? until : min(until, known)
        }
    }

    /// Carries the logs of shards that others are about to take the place of, while there are any: of each collection
    /// until that fails.
    ///
    /// - Parameter latest: after it only as long as writes wait for that, or are about to.
    private func attend(
        _ course: inout Course,
        _ store: any BackupStore,
        until latest: ContinuousClock.Instant
    ) async {
        let began = ContinuousClock.now
        while !Task.isCancelled, isActive() {
            let now = ContinuousClock.now
            let demand = ledger.demand(now: now, leavingOut: course.failed)
            guard demand.isPressing || !demand.due.isEmpty && now < latest else { break }
            // One collection after the other, those first that never were: none waits for more than the others' turns.
            let ids = Set(demand.due.map(\.collection)).sorted()
            let attended = course.attended
            let next = ids.first { attended[$0] == nil } ?? ids.min { attended[$0]! < attended[$1]! }
            if let next {
                course.attended[next] = now
                if await carry(next, &course, store, of: demand).hasFailed { course.failed.insert(next) }
            }
            try? await Task.sleep(for: Self.attentionInterval)
        }
        let ended = ContinuousClock.now
        if ended - began > Self.attentionInterval { course.nextAttention = ended + (ended - began) }
    }

    /// Carries what there is of one collection; whether it has more to carry at once, and whether it failed.
    ///
    /// - Parameter demand: its shards are carried alone; nil for all.
    private func carry(
        _ id: CollectionID,
        _ course: inout Course,
        _ store: any BackupStore,
        of demand: ArchiveDemand?
    ) async -> (hasMore: Bool, hasFailed: Bool) {
        let map = router.source.current
        guard let collection = map.collections[id], !map.restoring.contains(id) else { return (false, false) }
        do throws(Failure) {
            // Where the list stands is not known again before it is durable.
            let known = course.books.removeValue(forKey: id)
            var book: ArchiveBook
            if let known {
                book = known
            } else {
                book = try await open(collection, store)
                book.lose(course.lost[id] ?? [])
                note(book, of: collection, in: map)
            }
            let (hasMore, failure) = try await carry(collection, map, &book, store, of: demand)
            course.books[id] = book
            course.lost[id] = book.lost
            // That some of its shards were carried does not make all of it well.
            if failure != nil || demand == nil { note(failure, of: collection) }
            return (hasMore, failure != nil)
        } catch {
            note(error, of: collection)
            return (false, true)
        }
    }

    private func note(_ failure: Failure?, of collection: Collection) {
        guard let failure else {
            let wasFailing = failing.withLock { $0.remove(collection.id) != nil }
            if wasFailing {
                logger.notice("the log is archived again", metadata: ["collection": "\(collection.name)"])
            }
            return
        }
        // What it was cancelled in has not failed.
        guard !Task.isCancelled else { return }
        failures.increment()
        let isNew = failing.withLock { $0.insert(collection.id).inserted }
        logger.log(
            level: isNew ? .warning : .debug,
            "the log cannot be archived; trying on",
            metadata: ["collection": "\(collection.name)", "reason": "\(failure.reason)"]
        )
    }

    /// Where the archive of a collection ends.
    private func open(_ collection: Collection, _ store: any BackupStore) async throws(Failure) -> ArchiveBook {
        do throws(BackupError) {
            let (book, damage) = try await ArchiveBook.read(
                collection.id,
                named: collection.name,
                of: options.cluster,
                in: store
            )
            if let damage {
                logger.error(
                    "the archive's newest list cannot be read; the next one goes on from what is before it",
                    metadata: ["collection": "\(collection.name)", "reason": "\(damage)"]
                )
            }
            return book
        } catch {
            throw .store(error)
        }
    }

    private func newest(
        of collection: CollectionID,
        _ store: any BackupStore
    ) async throws(Failure) -> BackupName.Volume? {
        do throws(BackupError) {
            return try await store.volumes(of: collection).last
        } catch {
            throw .store(error)
        }
    }

    /// Carries what there is of one collection; whether more is left, and what failed of it.
    ///
    /// - Parameter demand: its shards are carried alone; nil for all. While writes wait, each answer of a primary is
    ///   waited for as long as these may: another collection's may wait behind.
    private func carry(
        _ collection: Collection,
        _ map: ShardMap,
        _ book: inout ArchiveBook,
        _ store: any BackupStore,
        of demand: ArchiveDemand?
    ) async throws(Failure) -> (hasMore: Bool, failure: Failure?) {
        let began = ContinuousClock.now
        let present = map.placements[collection.id] ?? []
        book.loseAll(of: present.map { ArchiveVolume.Shard(index: $0.shard.index, range: $0.range) })
        let placements = present.filter { demand?.due.contains($0.shard) ?? true }
        let isPressing = demand?.isPressing ?? false
        let context = QueryRouter.Context(
            map: map,
            collection: collection,
            placements: placements,
            deadline: .after(Self.answerTime),
            eventLoop: group.next(),
            began: .now(),
            turns: CallTurns(limit: router.options.shardsUnderWay)
        )
        let shards = placements.map { ArchiveVolume.Shard(index: $0.shard.index, range: $0.range) }
        let standings = shards.map { book.standing(of: $0) }
        let known = book.lost.union(standings.compactMap { $0?.shard })
        let progress = await withTaskGroup(of: (Int, Progress).self) { group in
            var next = 0
            func beginNext() {
                guard next < placements.count else { return }
                let number = next
                next += 1
                group.addTask {
                    let progress = await self.carry(
                        placements[number],
                        context,
                        from: standings[number],
                        isPressing: isPressing,
                        store
                    )
                    return (number, progress)
                }
            }
            for _ in 0..<Self.shardsAtOnce { beginNext() }
            var all = [Progress](repeating: Progress(), count: placements.count)
            while let (number, progress) = await group.next() {
                all[number] = progress
                beginNext()
            }
            return all
        }
        let now = Self.now
        let parts = progress.flatMap(\.parts)
        var isIdle = book.wasWritten(within: Self.idleTime, before: now)
        var superseded: BackupName.Volume?
        for (number, placement) in placements.enumerated() where placement.group.isFrozen {
            // The last that is heard of it, perhaps.
            guard let until = progress[number].standing?.until else { continue }
            isIdle = isIdle && standings[number].map { $0.until >= until } ?? false
        }
        if !parts.isEmpty || !isIdle {
            let ends = ledger.ends(of: collection.id)
            let page = book.page(
                adding: parts,
                standings: progress.compactMap(\.standing),
                ends: ends,
                now: now
            )
            // Another that writes, or a place that is not mounted: then where the list ends is looked for anew.
            guard try await newest(of: collection.id, store) == book.newest else { throw .otherList }
            do throws(BackupError) {
                try await store.put(BackupName.volume(page.name), page.bytes)
            } catch {
                throw .store(error)
            }
            book.stored(page)
            archivedBytes.increment(by: progress.reduce(0) { $0 + $1.byteCount })
            let anew = Set(parts.filter { !$0.continues }.map(\.shard)).intersection(known)
            for shard in anew { noteGap(in: shard, of: collection, where: "between what there is") }
            for shard in page.unfinished {
                noteGap(in: shard, of: collection, where: "at its end, before others took its place")
            }
            ledger.forgetEnds(of: page.replaced.map { ShardID(collection: collection.id, index: $0.index) })
            superseded = page.superseded
        }
        let level = placements.indices.filter { progress[$0].isLevel }.compactMap { number in
            book.standing(of: shards[number]).map { (placements[number].shard, $0.position.sequence) }
        }
        // Before anything else is done: writes may wait for it.
        ledger.reached(Dictionary(uniqueKeysWithValues: level), asOf: began, now: .now)
        if let superseded { await remove(superseded, of: collection, store) }
        guard demand == nil else { return (false, progress.compactMap(\.failure).first) }
        // What is not in the list yet counts as soon as it is known that there was nothing.
        let untils = shards.indices.compactMap { progress[$0].standing?.until ?? book.standing(of: shards[$0])?.until }
        let remaining = progress.reduce(UInt64(0)) { $0 + $1.remainingByteCount }
        figures.withLock { figures in
            // Of a shard nothing may be known yet.
            let known = figures[collection.id]?.until ?? now
            let until = untils.min() ?? known
            figures[collection.id] = Figures(
                name: collection.name,
                until: untils.count == shards.count ? until : min(until, known),
                remainingByteCount: remaining
            )
        }
        let failure = progress.compactMap(\.failure).first
        return (remaining > 0 && failure == nil, failure)
    }

    private func remove(_ superseded: BackupName.Volume, of collection: Collection, _ store: any BackupStore) async {
        do throws(BackupError) {
            try await store.remove(BackupName.volume(superseded))
        } catch {
            // A stray that pruning removes; what was to be archived is.
            logger.warning(
                "a part of the archive's list that another has replaced could not be removed",
                metadata: ["collection": "\(collection.name)", "reason": "\(error)"]
            )
        }
    }

    private func noteGap(in shard: ArchiveVolume.Shard, of collection: Collection, where place: String) {
        gaps.increment()
        logger.error(
            """
            entries of a shard's log are missing in its archive: make a backup, behind which any moment can be \
            restored again
            """,
            metadata: ["collection": "\(collection.name)", "shard": "\(shard.index)", "reason": "\(place)"]
        )
    }

    /// Carries what there is of one shard, up to a turn's limit. What was carried before a failure counts.
    private func carry(
        _ placement: ShardPlacement,
        _ context: QueryRouter.Context,
        from standing: ArchiveVolume.Standing?,
        isPressing: Bool,
        _ store: any BackupStore
    ) async -> Progress {
        let shard = ArchiveVolume.Shard(index: placement.shard.index, range: placement.range)
        var progress = Progress()
        var position = standing?.position
        do throws(Failure) {
            while progress.byteCount < Self.turnByteLimit {
                let after = position
                // What was written in between is no time that its primary took.
                var asked = context
                if isPressing { asked.deadline = .after(ArchiveLedger.turnLimit) }
                let read: ArchivedEntries
                do throws(ShardFailure) {
                    read = try await router.ask(placement, asked) { ReadLog(route: $0, after: after) }.entries
                } catch {
                    throw Failure.shard(shard.index, error.explanation)
                }
                if read.continues {
                    guard read.start == after else {
                        throw Failure.shard(shard.index, "its primary answered for another place in its log")
                    }
                } else {
                    progress.parts.append(
                        .init(shard: shard, start: read.start, end: read.start, continues: false, segment: nil)
                    )
                }
                if !read.entries.isEmpty {
                    progress.parts.append(try await write(read, of: shard, in: context.collection.id, store))
                    progress.byteCount += read.entries.reduce(0) { $0 + $1.bytes.count }
                }
                position = read.end
                let earlier = progress.standing ?? (read.continues ? standing : nil)
                progress.standing = ArchiveVolume.Standing(
                    shard: shard,
                    position: read.end,
                    until: max(earlier?.until ?? read.start.time, read.until ?? read.start.time)
                )
                progress.remainingByteCount = read.remainingByteCount
                if read.remainingCount == 0 {
                    progress.isLevel = true
                    break
                }
            }
        } catch {
            progress.failure = error
        }
        return progress
    }

    private func write(
        _ read: ArchivedEntries,
        of shard: ArchiveVolume.Shard,
        in collection: CollectionID,
        _ store: any BackupStore
    ) async throws(Failure) -> ArchiveVolume.Part {
        let bytes = LogSegment(
            collection: collection,
            shardIndex: shard.index,
            firstSequence: read.start.sequence + 1,
            entries: read.entries
        ).encoded()
        let digest = BackupDigest(of: bytes)
        do throws(BackupError) {
            try await store.put(BackupName.segment(digest), bytes)
        } catch {
            throw .store(error)
        }
        return ArchiveVolume.Part(
            shard: shard,
            start: read.start,
            end: read.end,
            continues: true,
            segment: .init(
                entryCount: UInt32(read.entries.count),
                byteCount: UInt32(bytes.count),
                digest: digest
            )
        )
    }

    private static var now: Timestamp { .wallClock }
}
