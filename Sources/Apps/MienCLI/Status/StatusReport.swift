import MienClient
import PartitionEngine

/// A cluster as text and as JSON.
enum StatusReport {
    /// What is missing, as one sentence each; empty when everything answers.
    ///
    /// - Parameter wantsWarm: whether workers that read from disk what every search reads are missing something.
    static func problems(_ cluster: ClusterInfo, leastWorkerCount: Int, wantsWarm: Bool = false) -> [String] {
        var problems: [String] = []
        let liveCount = cluster.workers.count { $0.isLive && $0.standing != .decommissioned }
        if liveCount < leastWorkerCount {
            problems.append("\(NumberText.counted(liveCount, "worker")) of at least \(leastWorkerCount) live")
        }
        if let problem = cluster.storeProblem { problems.append(problem) }
        if !cluster.coordinators.contains(where: { $0.controllerSince != nil }) {
            problems.append("no coordinator is the controller: workers are not told to do anything")
        }
        for worker in cluster.workers {
            if worker.standing == .decommissioned { continue }
            if !worker.isLive {
                problems.append("the worker at \(worker.address) is missing (\(silence(worker)))" + cause(worker))
                if mayHoldDeletedFaces(worker, cluster) {
                    problems.append("the worker at \(worker.address) \(deletedFaces)")
                }
            } else if worker.failedReplicaCount > 0 {
                let replicas = NumberText.counted(worker.failedReplicaCount, "failed replica")
                problems.append("the worker at \(worker.address) has \(replicas); its log says why")
            }
            if worker.isLive, worker.memory.isShort {
                problems.append("the worker at \(worker.address) takes no faces, for want of memory")
            }
            if worker.isLive, worker.freeDiskByteCount < PartitionOptions().minimumFreeByteCount {
                problems.append("the worker at \(worker.address) \(wantOfDisk(worker))")
            }
            if wantsWarm, worker.isLive, worker.isCold {
                let warmth = warmth(worker.residentCodeByteCount, of: worker.codeByteCount)
                problems.append("the worker at \(worker.address) is cold: \(warmth) of its codes are in memory")
            }
        }
        for collection in cluster.collections {
            for (state, what) in [
                (CollectionInfo.ShardState.missing, "no live worker for"), (.opening, "not served yet:"),
                (.failed, "out of service:"),
            ] {
                let shards = collection.shards.filter { $0.state == state }.map { "\($0.index)" }
                guard !shards.isEmpty else { continue }
                problems.append(
                    "collection \(collection.options.name): \(what) "
                        + (shards.count == 1 ? "shard " : "shards ") + shards.joined(separator: ", ")
                )
            }
            problems += missingCopies(of: collection)
            problems += differentCopies(of: collection, in: cluster)
        }
        return problems
    }

    /// Whether a worker that is there may refuse faces since its disk is full: once it has, it takes some again with a
    /// quarter more than what partitions keep free. Which of both holds it does not tell, nor what its snapshots have
    /// yet to take, which it leaves out of what is free. So that is marked, and a problem only where it surely refuses
    /// them, or does once its snapshots are taken.
    private static func isShortOfDisk(_ worker: ClusterInfo.Worker) -> Bool {
        worker.isLive && worker.freeDiskByteCount < PartitionOptions().renewedFreeByteCount
    }

    private static func wantOfDisk(_ worker: ClusterInfo.Worker) -> String {
        let options = PartitionOptions()
        return "is short of disk: \(worker.freeDiskByteCount >> 20) MiB free beside what snapshots have yet to take; "
            + "with less than \(options.minimumFreeByteCount >> 20) MiB it takes no faces, until "
            + "\(options.renewedFreeByteCount >> 20) MiB are free"
    }

    /// Copies that are in sync and do not hold the same: a search finds what the one has that is asked.
    private static func differentCopies(of collection: CollectionInfo, in cluster: ClusterInfo) -> [String] {
        let name = collection.options.name
        let shards = cluster.differentShards.filter { $0.collectionName == name }.map { "\($0.shardIndex)" }
        guard !shards.isEmpty else { return [] }
        return [
            "collection \(name): copies in sync differ: " + (shards.count == 1 ? "shard " : "shards ")
                + shards.joined(separator: ", ") + "; 'mien verify \(name)' finds which"
        ]
    }

    /// What is not said of the shards already: those that serve with fewer copies than they should have.
    private static func missingCopies(of collection: CollectionInfo) -> [String] {
        let (copyCount, minimum) = (collection.options.replicationFactor, collection.options.minimumInSync)
        guard copyCount > 1 else { return [] }
        var problems: [String] = []
        let serving = collection.shards.filter { $0.state == .serving }
        for (shards, what) in [
            (serving.filter { $0.inSyncCount < minimum }, "too few copies in sync for writes:"),
            (
                serving.filter { (minimum..<copyCount).contains($0.inSyncCount) },
                "fewer than \(copyCount) copies in sync:"
            ),
        ] where !shards.isEmpty {
            let names = shards.map { "shard \($0.index) (\($0.inSyncCount) of \(copyCount))" }
            problems.append(
                "collection \(collection.options.name): \(what) \(NumberText.listed(names))"
            )
        }
        return problems
    }

    /// - Parameter standstills: what there is to say of operations that do not get on.
    static func json(_ cluster: ClusterInfo, standstills: [String] = []) -> JSONValue {
        .object([
            ("cluster", .string(cluster.id)), ("coordinator", .string(cluster.coordinatorID)),
            ("version", .string(cluster.version)), ("uptime_seconds", .integer(cluster.uptime.components.seconds)),
            ("epoch", .count(cluster.epoch)), ("activity", json(cluster.activity)),
            ("coordinators", .array(cluster.coordinators.map(json))),
            ("store_problem", cluster.storeProblem.map { .string($0) } ?? .null),
            ("workers", .array(cluster.workers.map { json($0, of: cluster) })),
            ("collections", .array(cluster.collections.map(CollectionReport.json))),
            ("losses", .array(cluster.lossyCollections.map { .string($0) })),
            ("different_shards", .array(cluster.differentShards.map(json))),
            ("standstills", .array(standstills.map { .string($0) })),
        ])
    }

    private static func json(_ shard: ClusterInfo.DifferentShard) -> JSONValue {
        .object([("collection", .string(shard.collectionName)), ("shard", .count(shard.shardIndex))])
    }

    private static func json(_ coordinator: ClusterInfo.Coordinator) -> JSONValue {
        .object([
            ("id", .string(coordinator.id)), ("address", .string(coordinator.address)),
            ("controller", .flag(coordinator.controllerSince != nil)),
            (
                "controller_since",
                coordinator.controllerSince.map { .string(TimeText.text($0)) } ?? .null
            ),
        ])
    }

    private static func json(_ worker: ClusterInfo.Worker, of cluster: ClusterInfo) -> JSONValue {
        .object([
            ("id", .string(worker.id)), ("address", .string(worker.address)), ("live", .flag(worker.isLive)),
            ("standing", .string(worker.standing.rawValue)),
            ("silent_seconds", worker.silence.map { .number(NumberText.seconds($0)) } ?? .null),
            ("silence_cause", worker.silenceCause.map { .string($0.rawValue) } ?? .null),
            ("may_hold_deleted_faces", .flag(mayHoldDeletedFaces(worker, cluster))),
            ("replicas", .count(worker.replicaCount)), ("failed_replicas", .count(worker.failedReplicaCount)),
            ("faces", .count(worker.faceCount)), ("disk_bytes", .count(worker.diskByteCount)),
            ("free_disk_bytes", .count(worker.freeDiskByteCount)),
            ("resident_bytes", .count(worker.residentByteCount)),
            ("code_bytes", .count(worker.codeByteCount)),
            ("resident_code_bytes", .count(worker.residentCodeByteCount)),
            ("embedding_bytes", .count(worker.rowByteCount)),
            ("resident_embedding_bytes", .count(worker.residentRowByteCount)), ("memory", json(worker.memory)),
            ("kernels", .string(worker.kernelLevel)),
            ("activity", json(worker.activity)), ("successors", .array(worker.successors.map(SuccessorReport.json))),
            ("compared_rows_per_second", .number(worker.comparedRowRate)),
        ])
    }

    private static func json(_ memory: MemoryInfo) -> JSONValue {
        .object([
            ("limit", .string(memory.limit.rawValue)), ("limit_bytes", .count(memory.limitByteCount)),
            ("held_bytes", .count(memory.heldByteCount)), ("reserve_bytes", .count(memory.reserveByteCount)),
            ("short", .flag(memory.isShort)), ("search_queue_bytes", .count(memory.searchQueueByteCount)),
            ("search_buffer_bytes", .count(memory.searchBufferByteCount)),
            ("write_queue_bytes", .count(memory.writeQueueByteCount)), ("log_bytes", .count(memory.logByteCount)),
            ("copy_bytes", .count(memory.copyByteCount)), ("codebook_bytes", .count(memory.codebookByteCount)),
            ("filter_bytes", .count(memory.filterByteCount)), ("training_bytes", .count(memory.trainingByteCount)),
            ("program_bytes", .count(memory.programByteCount)),
            ("fresh_bytes", .count(memory.freshByteCount)), ("map_bytes", .count(memory.mapByteCount)),
        ])
    }

    private static func json(_ activity: NodeActivityInfo) -> JSONValue {
        .object([
            ("uptime_seconds", .number(NumberText.seconds(activity.uptime))),
            ("connections", .count(activity.connectionCount)), ("in_flight", .count(activity.requestsInFlight)),
            ("searches", .count(activity.searchCount)),
            ("search_median_seconds", .number(NumberText.seconds(activity.medianSearchTime))),
            ("search_99th_seconds", .number(NumberText.seconds(activity.search99thTime))),
            ("writes", .count(activity.writeCount)),
            ("write_99th_seconds", .number(NumberText.seconds(activity.write99thTime))),
            ("written_faces", .count(activity.writtenFaceCount)), ("refused", .count(activity.overloadCount)),
            ("queued_searches", .count(activity.queuedSearchCount)), ("queued_rows", .count(activity.queuedRowCount)),
            ("match_recall", activity.matchRecall.map(RecallText.json) ?? .null),
            ("mate_recall", activity.mateRecall.map(RecallText.json) ?? .null),
        ])
    }

    /// What every worker's searches find of the mates; nothing where none was compared.
    private static func recalls(_ workers: [ClusterInfo.Worker]) -> String {
        let lines = workers.sorted { $0.address < $1.address }.compactMap { worker -> String? in
            guard let recall = worker.activity.mateRecall else { return nil }
            return "live recall at \(worker.address): \(RecallText.text(recall, of: "mate"))\n"
        }
        return lines.isEmpty ? "" : "\n" + lines.joined()
    }

    /// - Parameter showsMemory: whether to tell what workers hold memory for.
    static func text(_ cluster: ClusterInfo, showsMemory: Bool = false) -> String {
        let uptime = cluster.uptime < .seconds(1) ? "less than 1 s" : NumberText.duration(cluster.uptime)
        var text = "cluster \(cluster.id)\n"
        text += "coordinator \(cluster.version), up \(uptime), epoch \(cluster.epoch)\n\n"
        if cluster.coordinators.count > 1 { text += coordinators(cluster) + "\n" }
        if cluster.workers.isEmpty {
            text += "no worker has registered yet\n"
        } else {
            text += workers(cluster.workers) + absences(cluster)
            if showsMemory { text += "\n" + memory(cluster.workers) + SuccessorReport.table(cluster) }
            text += recalls(cluster.workers)
        }
        text += "\n"
        text += cluster.collections.isEmpty ? "no collection yet\n" : CollectionReport.table(cluster.collections)
        if !cluster.lossyCollections.isEmpty {
            let names = NumberText.listed(cluster.lossyCollections)
            text += "faces were given up of \(names): 'mien collection losses' tells\n"
        }
        return text
    }

    private static func coordinators(_ cluster: ClusterInfo) -> String {
        var table = TextTable([
            .init("coordinator", widthLimit: 28), .init("role", widthLimit: 12), .init("since", widthLimit: 24),
            .init("", widthLimit: 12),
        ])
        for coordinator in cluster.coordinators.sorted(by: { $0.address < $1.address }) {
            let since = coordinator.controllerSince
            table.append([
                coordinator.address, since == nil ? "routes" : "controller",
                since.map { TimeText.text($0) } ?? "-",
                coordinator.id == cluster.coordinatorID ? "answered" : "",
            ])
        }
        return table.rendered()
    }

    private static func workers(_ workers: [ClusterInfo.Worker]) -> String {
        var table = TextTable([
            .init("worker", widthLimit: 28), .init("state", widthLimit: 36), .init("replicas", .right),
            .init("faces", .right), .init("disk", .right), .init("memory", .right), .init("warm codes", .right),
            .init("warm rows", .right), .init("kernels", widthLimit: 10),
        ])
        for worker in workers.sorted(by: { $0.address < $1.address }) {
            table.append([
                worker.address, state(of: worker), "\(worker.replicaCount)",
                "\(worker.faceCount)", NumberText.bytes(worker.diskByteCount),
                NumberText.bytes(worker.residentByteCount),
                warmth(worker.residentCodeByteCount, of: worker.codeByteCount),
                warmth(worker.residentRowByteCount, of: worker.rowByteCount), worker.kernelLevel,
            ])
        }
        return table.rendered()
    }

    /// What memory is held for that the system cannot take back, and, after it, what lies in files.
    private static func memory(_ workers: [ClusterInfo.Worker]) -> String {
        var table = TextTable([
            .init("memory of", widthLimit: 28), .init("held", .right), .init("of", .right),
            .init("set by", widthLimit: 14), .init("searches", .right), .init("writes", .right),
            .init("copies", .right), .init("codebooks", .right), .init("filters", .right), .init("training", .right),
            .init("program", .right), .init("fresh", .right), .init("maps", .right),
        ])
        for worker in workers.sorted(by: { $0.address < $1.address }) {
            let memory = worker.memory
            table.append([
                worker.address, NumberText.bytes(memory.heldByteCount),
                memory.limitByteCount == 0 ? "-" : NumberText.bytes(memory.limitByteCount), limit(memory.limit),
                NumberText.bytes(memory.searchQueueByteCount &+ memory.searchBufferByteCount),
                NumberText.bytes(memory.writeQueueByteCount &+ memory.logByteCount),
                NumberText.bytes(memory.copyByteCount), NumberText.bytes(memory.codebookByteCount),
                NumberText.bytes(memory.filterByteCount), NumberText.bytes(memory.trainingByteCount),
                NumberText.bytes(memory.programByteCount), NumberText.bytes(memory.freshByteCount),
                NumberText.bytes(memory.mapByteCount),
            ])
        }
        return table.rendered()
    }

    private static func limit(_ limit: MemoryInfo.Limit) -> String {
        switch limit {
        case .unknown: "-"
        case .configuration: "configuration"
        case .controlGroup: "control group"
        case .machine: "machine"
        }
    }

    private static func state(of worker: ClusterInfo.Worker) -> String {
        guard worker.isLive else { return standing(worker, silence(worker)) }
        let want = worker.memory.isShort ? ", short of memory" : isShortOfDisk(worker) ? ", short of disk" : ""
        return standing(worker, "live" + want)
    }

    /// What a worker does, and whether it is to have no replicas.
    static func standing(_ worker: ClusterInfo.Worker, _ state: String) -> String {
        switch worker.standing {
        case .active: state
        case .draining: worker.replicaCount > 0 ? "\(state), draining" : "\(state), drained"
        case .decommissioned: "\(state), decommissioned"
        }
    }

    /// The share that is in memory; nothing for nothing.
    private static func warmth(_ resident: UInt64, of total: UInt64) -> String {
        total == 0 ? "-" : NumberText.percent(Double(resident) / Double(total))
    }

    /// What there is to say of those who are away, beside for how long; nothing of the others.
    private static func absences(_ cluster: ClusterInfo) -> String {
        let lines = cluster.workers.sorted { $0.address < $1.address }.compactMap { worker -> String? in
            guard !worker.isLive, worker.standing != .decommissioned else { return nil }
            let clauses = [
                worker.silenceCause?.clause, mayHoldDeletedFaces(worker, cluster) ? deletedFaces : nil,
            ].compactMap { $0 }
            return clauses.isEmpty ? nil : "\(worker.address): \(clauses.joined(separator: "; it "))\n"
        }
        return lines.isEmpty ? "" : "\n" + lines.joined()
    }

    private static let deletedFaces =
        "may hold faces that were deleted since it was heard: start it, or destroy its disk and decommission it"
    /// After so long what was deleted should be on no disk any more, unless workers are configured otherwise.
    private static let erasurePeriod = Duration.seconds(86_400)

    /// Whether a worker has been away for as long as deleted faces may be on a disk. Of one that was not heard of since
    /// the coordinator's start nothing is known from before.
    private static func mayHoldDeletedFaces(_ worker: ClusterInfo.Worker, _ cluster: ClusterInfo) -> Bool {
        guard !worker.isLive, worker.standing != .decommissioned else { return false }
        guard let silence = worker.silence else { return cluster.uptime > erasurePeriod }
        return silence > erasurePeriod && (worker.replicaCount > 0 || !worker.successors.isEmpty)
    }

    private static func cause(_ worker: ClusterInfo.Worker) -> String {
        worker.silenceCause.map { ": \($0.clause)" } ?? ""
    }

    private static func silence(_ worker: ClusterInfo.Worker) -> String {
        worker.silence.map { "silent \(NumberText.duration($0))" } ?? "not heard of"
    }
}
