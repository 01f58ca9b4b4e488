import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Workers, shards and a coordinator in one thread: what planners decide is carried out, late, in part or twice;
/// workers die and come back. Replicas are numbers only: how much of the log each has.
struct OperationWorld {
    struct Random: RandomNumberGenerator {
        var state: UInt64

        /// SplitMix64, Steele et al. 2014.
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }

        mutating func chance(_ share: Double) -> Bool { Double.random(in: 0..<1, using: &self) < share }
    }

    var random: Random
    var metadata: ClusterMetadata
    var live: Set<NodeID>
    /// Workers that stay away for so long that they count as gone.
    var gone: Set<NodeID> = []
    /// Workers that stay away for as long where nobody is replaced.
    var absent: Set<NodeID> = []
    /// Workers whose disk hangs: their replicas wait for it.
    var stuck: Set<NodeID> = []
    /// How much of a shard's log each replica has; the shard itself has `head`.
    var replicas: [NodeID: [ShardID: UInt64]] = [:]
    var head: [ShardID: UInt64] = [:]
    /// Shards that workers make to take others' place.
    var made: [NodeID: [ShardID: MadeShard]] = [:]
    /// Where primaries that have heard that they are frozen ended.
    var ends: [ShardID: (primary: NodeID, end: ReplicaObservation.End)] = [:]

    struct MadeShard {
        var sources: [ShardID]
        var isFollowing = false
        /// Of the sources, once it is sealed.
        var sequences: [ShardID: UInt64]?
    }

    var now: Int64 = 1
    var limits = OperationPlanner.Limits(copiesPerWorker: 1)
    /// Disk that stays free on every worker.
    var spareDiskByteCount: UInt64 = 0
    var searchRates: [ShardID: SearchRate] = [:]
    /// Of workers that have less than others.
    var freeDisk: [NodeID: UInt64] = [:]
    /// On the disk, of each replica.
    var replicaByteCount: UInt64 = 1 << 20
    /// Memory that searches may read from, of workers that have less than others.
    var memory: [NodeID: UInt64] = [:]
    /// Workers that hold as much memory as they may, and take no copies.
    var short: Set<NodeID> = []
    /// Of a shard, whenever workers work.
    var writeChance = 0.5
    /// Nil where logs are not archived.
    var archive: ArchiveObservation?

    init(seed: UInt64, workers count: Int, records: [CollectionRecord]) {
        random = Random(state: seed)
        let workers = (1...count).map { ClusterScript.worker(UInt64($0)) }
        live = Set(workers)
        metadata = ClusterMetadata(
            clusterID: ClusterScript.worker(1000),
            epoch: Epoch(1),
            workers: Dictionary(
                uniqueKeysWithValues: workers.map { ($0, NodeAddress(host: "127.0.0.1", port: 7000)) }
            ),
            collections: Dictionary(uniqueKeysWithValues: records.map { ($0.collection.id, $0) })
        )
        for placement in metadata.placements {
            head[placement.shard] = 100
            for member in placement.group.members { replicas[member, default: [:]][placement.shard] = 100 }
        }
    }

    var view: ClusterView {
        var observations: [NodeID: WorkerObservation] = [:]
        for worker in metadata.workers.keys {
            var observation = WorkerObservation(freeDiskByteCount: freeDisk[worker] ?? 1 << 40)
            for (shard, sequence) in replicas[worker] ?? [:] {
                guard let group = metadata.placement(of: shard)?.group else {
                    observation.replicas[shard] = ReplicaObservation(epoch: Epoch(0), state: .failed)
                    continue
                }
                let end = ends[shard].flatMap { $0.primary == worker ? $0.end : nil }
                observation.replicas[shard] = ReplicaObservation(
                    epoch: group.epoch,
                    groupVersion: group.members.contains(worker) ? group.version : 1,
                    role: group.primary == worker ? .primary : group.isInSync(worker) ? .secondary : .waiting,
                    state: .serving,
                    faceCount: sequence,
                    sequence: sequence,
                    diskByteCount: replicaByteCount,
                    end: end,
                    isStuck: stuck.contains(worker)
                )
            }
            observation.availableMemoryByteCount = memory[worker]
            observation.memory.isShort = short.contains(worker)
            observation.mapped.codeByteCount = observation.replicas.values.reduce(0) { $0 + 128 * $1.faceCount }
            for (shard, made) in made[worker] ?? [:] {
                observation.successors[shard] = SuccessorObservation(
                    state: made.sequences.map { .sealed($0) } ?? (made.isFollowing ? .following : .copying)
                )
            }
            observations[worker] = observation
        }
        var view = ClusterView(
            metadata: metadata,
            observations: observations,
            liveWorkers: live,
            goneWorkers: gone,
            isSettled: true
        )
        view.absentWorkers = gone.union(absent)
        view.spareDiskByteCount = spareDiskByteCount
        view.searchRates = searchRates
        view.archive = archive
        return view
    }

    func replicaCount(on worker: NodeID) -> Int { metadata.placements.count { $0.group.members.contains(worker) } }

    /// The coordinator and the workers take turns; nothing is lost.
    mutating func settle(rounds: Int = 200) throws {
        for _ in 0..<rounds {
            try coordinate()
            try work()
        }
    }

    /// Lets the coordinator decide once; each decision is carried out with the given probability.
    mutating func coordinate(doing share: Double = 1) throws {
        now += 1
        let view = view
        for action in ReconcilePlanner.plan(view).actions where random.chance(share) {
            switch action {
            case .regroup(let collection, let regroupings):
                for regrouping in regroupings where random.chance(share) { try regroup(collection, regrouping) }
            case .host(let placement, let worker):
                guard live.contains(worker), replicas[worker]?[placement.shard] == nil else { continue }
                if let known = made[worker]?[placement.shard] {
                    guard known.sequences != nil else {
                        try #require(!placement.group.isInSync(worker), "a shard that is not whole is in force")
                        continue
                    }
                    made[worker]![placement.shard] = nil
                    replicas[worker, default: [:]][placement.shard] = head[placement.shard]
                } else {
                    try #require(!placement.group.isInSync(worker), "an empty replica counts as one that is whole")
                    replicas[worker, default: [:]][placement.shard] = 0
                }
            case .prepare(let preparation, let worker):
                guard live.contains(worker), made[worker]?[preparation.shard] == nil,
                    preparation.sources.allSatisfy({ replicas[worker]?[$0] != nil })
                else { continue }
                made[worker, default: [:]][preparation.shard] = MadeShard(sources: preparation.sources)
            case .abandon(let shard, let worker):
                let isNeeded = metadata.placement(of: shard)?.group.isInSync(worker) ?? false
                try #require(!isNeeded, "a shard that has taken its place is removed")
                if live.contains(worker) { made[worker]?[shard] = nil }
            case .succeed(let succession, _): try succeed(succession)
            case .drop(let shard, _, let worker):
                let group = metadata.placement(of: shard)?.group
                // As the controller does when it comes to it.
                guard group?.members.contains(worker) != true else { continue }
                let retirement = metadata.collections[shard.collection]?.retirement(of: shard)
                if let retirement { try checkReplaced(retirement.range, of: shard.collection) }
                if live.contains(worker) { replicas[worker]?[shard] = nil }
            case .establish, .begin, .advance, .balance, .divide, .rollOut, .train, .abandonTraining, .fetch, .install:
                break
            }
        }
        for update in OperationPlanner.updates(view, limits: limits, now: Timestamp(milliseconds: now))
        where random.chance(share) {
            advance(update)
        }
    }

    /// Nothing that was acknowledged may be missing where it counts from now on.
    private mutating func succeed(_ succession: Succession) throws {
        guard var record = metadata.collections[succession.collection], succession.apply(to: &record) else { return }
        let ends = Dictionary(uniqueKeysWithValues: succession.sources.map { ($0.shard, head[$0.shard]!) })
        for successor in succession.successors {
            for worker in successor.group.inSync {
                try #require(made[worker]?[successor.shard]?.sequences == ends, "an acknowledged write is lost")
            }
            head[successor.shard] = ends.values.reduce(0, +)
        }
        metadata.collections[succession.collection] = record
    }

    private func checkReplaced(_ range: HashRange, of collection: CollectionID) throws {
        for placement in metadata.collections[collection]?.placements ?? []
        where placement.range.first <= range.last && range.first <= placement.range.last {
            let full = placement.group.inSync.filter {
                replicas[$0]?[placement.shard] == head[placement.shard]
                    || made[$0]?[placement.shard]?.sequences != nil
            }
            try #require(!full.isEmpty, "what was replaced goes before its successors are there")
        }
    }

    mutating func advance(_ update: OperationPlanner.Update) {
        guard metadata.operations[update.old.id] == update.old else { return }
        metadata.operations[update.old.id] = update.new
        if case .decommission(let worker) = update.new.kind, update.new.state == .done {
            metadata.standings[worker] = .decommissioned
        }
    }

    /// Operations go on as by a ledger that has watched them.
    ///
    /// - Parameter time: the ledger's.
    /// - Returns: what has changed of them.
    @discardableResult
    mutating func advance(by ledger: inout OperationLedger, now time: Duration) -> [OperationPlanner.Update] {
        ledger.observe(view, limits: limits, now: time)
        let updates = OperationPlanner.updates(
            view,
            limits: limits,
            motionless: ledger.motionless(now: time),
            now: Timestamp(milliseconds: 9)
        )
        for update in updates { advance(update) }
        return updates
    }

    private mutating func regroup(_ collection: CollectionID, _ regrouping: ReconcileAction.Regrouping) throws {
        guard regrouping.isWanted(in: metadata),
            let index = metadata.collections[collection]?.index(of: regrouping.shard),
            let old = metadata.collections[collection]?.placements[index].group, old.version == regrouping.version
        else { return }
        try check(regrouping.group, after: old, of: regrouping.shard)
        metadata.collections[collection]!.placements[index].group = regrouping.group
    }

    /// What may never happen, whoever crashes when.
    private func check(_ new: ReplicaGroup, after old: ReplicaGroup, of shard: ShardID) throws {
        try #require(new.version == old.version + 1)
        try #require(new.inSync.contains(new.primary))
        try #require(Set(new.inSync).isSubset(of: old.inSync), "only a primary may say who is in sync")
        // What is sealed and not in force yet is whole, too.
        let full = new.inSync.filter {
            replicas[$0]?[shard] == head[shard] || made[$0]?[shard]?.sequences != nil
        }
        try #require(!full.isEmpty, "no replica in sync has everything")
        if new.primary != old.primary { try #require(new.epoch > old.epoch) }
        // What an operator takes back goes, even to where a pin was from before.
        let returned = metadata.openOperations.flatMap(\.steps).filter { $0.shard == shard && $0.state == .undoing }
        let isKept = old.members.allSatisfy { member in
            new.members.contains(member) || gone.contains(member) || !metadata.isPinned(shard, on: member)
                || returned.contains { $0.change.newcomer == member }
        }
        try #require(isKept, "a pinned replica leaves")
        try #require(new.inSync.count >= min(old.inSync.count, new.minimumInSync), "too few are left in sync")
    }

    /// Replicas catch up, primaries say who has, writes go on.
    mutating func work() throws {
        prepareSuccessors()
        for placement in metadata.placements {
            let (shard, group) = (placement.shard, placement.group)
            guard live.contains(group.primary), replicas[group.primary]?[shard] != nil else { continue }
            if group.isFrozen, random.chance(0.5) {
                ends[shard] = (group.primary, .init(groupVersion: group.version, sequence: head[shard]!))
            }
            // It writes until it has heard of it.
            let hasEnded = ends[shard].map { $0.primary == group.primary && $0.end.groupVersion == group.version }
            let takesWrites = group.inSync.allSatisfy { live.contains($0) && replicas[$0]?[shard] != nil }
            if hasEnded != true, takesWrites, group.inSync.count >= group.minimumInSync,
                random.chance(writeChance)
            {
                head[shard]! += 1
                for member in group.inSync { replicas[member]![shard] = head[shard]! }
            }
            for learner in group.learners where live.contains(learner) && replicas[learner]?[shard] != nil {
                if short.contains(learner) || freeDisk[learner] == 0 { continue }
                if random.chance(0.5) { replicas[learner]![shard] = head[shard]! }
                guard replicas[learner]![shard] == head[shard], random.chance(0.5) else { continue }
                let proposal = GroupProposal(version: group.version, epoch: group.epoch, change: .add(learner))
                propose(proposal, to: shard)
            }
            // A silent replica leaves the in-sync set, if enough remain.
            for member in group.inSync where !live.contains(member) && group.inSync.count > group.minimumInSync {
                propose(.init(version: group.version, epoch: group.epoch, change: .remove(member)), to: shard)
            }
        }
    }

    /// Workers go on with what they make; those that die keep what is sealed alone.
    private mutating func prepareSuccessors() {
        for (worker, shards) in made.sorted(by: { $0.key < $1.key }) {
            for (shard, known) in shards.sorted(by: { $0.key < $1.key }) {
                var next: MadeShard? = known
                let own = known.sources.map { replicas[worker]?[$0] }
                if !live.contains(worker) {
                    if known.sequences == nil { next = nil }
                } else if let sequences = known.sequences {
                    if own != known.sources.map({ sequences[$0] }) { next?.sequences = nil }
                } else if !known.isFollowing {
                    next?.isFollowing = random.chance(0.5)
                } else if known.sources.allSatisfy({ metadata.placement(of: $0)?.group.isFrozen ?? false }),
                    random.chance(0.5)
                {
                    next?.sequences = Dictionary(
                        uniqueKeysWithValues: zip(known.sources, own).map { ($0, $1 ?? 0) }
                    )
                }
                made[worker]![shard] = next
            }
        }
    }

    private mutating func propose(_ proposal: GroupProposal, to shard: ShardID) {
        guard let index = metadata.collections[shard.collection]?.index(of: shard),
            let next = metadata.collections[shard.collection]!.placements[index].group.applying(proposal)
        else { return }
        metadata.collections[shard.collection]!.placements[index].group = next
    }

    /// Begins what is asked for; false when it is refused.
    mutating func begin(_ request: OperationRequest) -> Bool {
        let id = OperationID(high: 1, low: random.next())
        now += 1
        do {
            let operation = try request.operation(id, in: view, now: Timestamp(milliseconds: now))
            metadata.operations[id] = operation
            switch request {
            case .drain(let worker), .decommission(let worker): metadata.standings[worker] = .draining
            case .recommission(let worker):
                metadata.standings[worker] = nil
                for var drain in metadata.openOperations where drain.drainedWorker == worker {
                    if !drain.cancel(metadata.placement) { drain.state = .cancelling }
                    metadata.operations[drain.id] = drain
                }
            case .copies(let collection, let count): recount(collection, count)
            case .move, .lead, .rebalance, .split, .merge, .train: break
            }
            return true
        } catch {
            return false
        }
    }

    /// Which rule what is asked for would break; nil when it could begin.
    func refusal(of request: OperationRequest) -> String? {
        do throws(OperationRefusal) {
            let id = OperationID(high: 0, low: 1)
            _ = try request.operation(id, in: view, now: Timestamp(milliseconds: now))
            return nil
        } catch {
            return error.description
        }
    }

    /// Pins the replicas of a shard on some of its workers; false when it is refused.
    mutating func pin(_ shard: ShardID, to workers: [NodeID]?, primary: NodeID? = nil) -> Bool {
        do {
            metadata.pins[shard] = try PinPlanner.pin(shard, workers: workers, primary: primary, in: view)
            return true
        } catch {
            return false
        }
    }

    mutating func mustBegin(_ request: OperationRequest) throws {
        let hasBegun = begin(request)
        try #require(hasBegun, "\(request) is refused")
    }

    mutating func cancel(_ id: OperationID) -> Bool {
        guard var operation = metadata.operations[id], operation.cancel(metadata.placement) else { return false }
        metadata.operations[id] = operation
        metadata.takeBackStanding(of: operation)
        if case .copies(let collection, let former) = operation.kind { recount(collection, former) }
        return true
    }

    private mutating func recount(_ id: CollectionID, _ count: CopyCount) {
        guard var record = metadata.collections[id] else { return }
        record.reconfigure {
            $0.replicationFactor = count.replicationFactor
            $0.minimumInSync = count.minimumInSync
        }
        metadata.collections[id] = record
    }

    /// Everybody is there, nothing is lost any more: what is open must come to its end.
    mutating func heal() throws {
        metadata.pins = [:]
        live = Set(metadata.workers.keys)
        gone = []
        for operation in metadata.openOperations where operation.state == .paused {
            metadata.operations[operation.id]!.state = .running
        }
        for _ in 0..<600 {
            try coordinate()
            try work()
        }
    }
}
