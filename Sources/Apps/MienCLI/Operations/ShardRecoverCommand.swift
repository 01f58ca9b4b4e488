import ArgumentParser
import MienClient

struct ShardRecoverCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Go on without what was lost with every replica of a shard.",
        discussion: """
            EXAMPLE
              mien shard recover people 3
              mien shard recover people 3 --accept-data-loss
              mien shard recover people 3 --accept-data-loss --led-by 10.0.0.5:7401@4711

            For a shard of which no replica that had every face will come back: start every worker first that can be \
            started, those above all that it shows as away, which may have more than whoever led last. Where another \
            replica is there it goes on with what that has, otherwise an empty shard takes its place and takes writes \
            again; what comes back of the lost ones later is removed. Answers of searches say from then on that faces \
            were given up, until 'mien collection losses' is told that they are back, from a backup or another source. \
            Deletions are lost with the rest: faces that were deleted after the last write of the replica that leads \
            are found again, until they are deleted again.

            Without --accept-data-loss it tells what would come of it, and changes nothing. Workers come and go \
            between the two: --led-by with the worker that was to lead, and the last write of its replica, refuses \
            where another would lead by then, one that has less, or an empty shard take the place.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Number of the shard.")
    var shard: Int
    @Flag(help: "Do it: what only the lost replicas had is given up.")
    var acceptDataLoss = false
    @Option(
        help: ArgumentHelp("Worker whose replica is to lead, and its last write.", valueName: "worker@write"),
        transform: Leader.read
    )
    var ledBy: Leader?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try ArgumentText.checkShards([shard]) }

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
            let plan = try await calling { () async throws(MienClientError) in
                try await client.recoverShard(of: name, shard: shard, isPlan: true)
            }
            if let ledBy { try ledBy.check(plan, in: cluster) }
            guard acceptDataLoss else { return show(plan, in: cluster, console) }
            let recovery = try await calling { () async throws(MienClientError) in
                try await client.recoverShard(of: name, shard: shard, isPlan: false, confirmed: plan)
            }
            show(recovery, in: cluster, console)
            guard plan.isEmpty || recovery.replicas.areLed(as: plan.replicas) else {
                throw CommandFailure(
                    .internalError,
                    "shard \(shard) was to be led by another replica, or by one that has more: another may lead since; "
                        + "the coordinators' logs tell what was given up"
                )
            }
        }
    }

    private func show(_ recovery: ShardRecovery, in cluster: ClusterInfo, _ console: Console) {
        console.writeOutput(connection.json ? json(recovery).document : text(recovery, in: cluster))
    }

    private func json(_ recovery: ShardRecovery) -> JSONValue {
        .object([
            ("collection", .string(name)), ("shard", .count(shard)), ("done", .flag(acceptDataLoss)),
            ("lost_workers", .array(recovery.lostWorkerIDs.map { .string($0) })),
            ("away_workers", .array(recovery.awayWorkerIDs.map { .string($0) })),
            ("goes_on_as", .count(recovery.shardIndex)), ("empty", .flag(recovery.isEmpty)),
            ("deletions_undone_after", lastWrite(of: recovery).map { .count($0) } ?? .null),
            ("replicas", .array(recovery.replicas.map(\.json))),
        ])
    }

    private func text(_ recovery: ShardRecovery, in cluster: ClusterInfo) -> String {
        let addresses = WorkerName.addresses(of: cluster)
        var table = TextTable([.init("worker"), .init("shard", .right), .init("role"), .init("last write", .right)])
        for id in recovery.lostWorkerIDs { table.append([addresses[id] ?? id, "\(shard)", "is lost", "-"]) }
        for id in recovery.awayWorkerIDs { table.append([addresses[id] ?? id, "\(shard)", "is away", "-"]) }
        for replica in recovery.replicas {
            let role = replica.isPrimary ? "leads" : recovery.isEmpty ? "begins" : "catches up"
            table.append([
                addresses[replica.workerID] ?? replica.workerID, "\(recovery.shardIndex)", role,
                replica.sequence.map { "\($0)" } ?? "-",
            ])
        }
        let what =
            recovery.isEmpty
            ? "No worker that is there has anything of shard \(shard): "
                + "shard \(recovery.shardIndex) takes its place, empty."
            : "Shard \(shard) goes on with what the replica has that leads; what was written after that is lost."
        let leader = recovery.isEmpty ? nil : recovery.replicas.first(where: \.isPrimary)
        let option =
            leader.map { " --led-by \(addresses[$0.workerID] ?? $0.workerID)@\($0.sequence ?? 0)" } ?? ""
        let end =
            acceptDataLoss
            ? "Done. Answers say that faces were given up, until 'mien collection losses \(name) --restored'."
            : "Nothing was changed: --accept-data-loss\(option) does it."
        let remarks = remark(onDeletionsIn: recovery) + remark(onAway: recovery.awayWorkerIDs, addresses)
        return table.rendered() + "\(what)\n\(remarks)\(end)\n"
    }

    /// The last write of the replica that leads; nil for an empty shard.
    private func lastWrite(of recovery: ShardRecovery) -> UInt64? {
        recovery.isEmpty ? nil : recovery.replicas.first(where: \.isPrimary)?.sequence
    }

    /// What becomes of deletions that the replica that leads has not heard of. In an empty shard is nobody.
    private func remark(onDeletionsIn recovery: ShardRecovery) -> String {
        guard !recovery.isEmpty else { return "" }
        let place = lastWrite(of: recovery).map { "after write \($0)" } ?? "after its last write"
        return acceptDataLoss
            ? "Deletions that were acknowledged \(place) are undone: delete those faces again.\n"
            : "Deletions that were acknowledged \(place) would be undone, and those faces found again.\n"
    }

    /// What those may have that were behind by the record, and are silent.
    private func remark(onAway ids: [String], _ addresses: [String: String]) -> String {
        guard !ids.isEmpty else { return "" }
        let names = ids.map { addresses[$0] ?? $0 }.joined(separator: ", ")
        return acceptDataLoss
            ? "What \(names) may have had is given up too: it is removed when it comes back.\n"
            : "Start \(names) first if that can be: what the others had may be there.\n"
    }
}

extension ShardRecoverCommand {
    /// A replica as `--led-by` names it: its worker, and its last write.
    struct Leader {
        var worker: String
        var sequence: UInt64

        @Sendable static func read(_ text: String) throws -> Leader {
            guard let separator = text.lastIndex(of: "@"), separator > text.startIndex,
                let sequence = UInt64(text[text.index(after: separator)...])
            else {
                throw ValidationError("'\(text)' is no replica; write worker@write, as 'mien shard recover' tells it.")
            }
            return Leader(worker: String(text[..<separator]), sequence: sequence)
        }

        /// - Throws: when something else would come of it.
        func check(_ plan: ShardRecovery, in cluster: ClusterInfo) throws(CommandFailure) {
            let id = try WorkerName.find(worker, in: cluster)
            let leader = plan.isEmpty ? nil : plan.replicas.first(where: \.isPrimary)
            guard let leader, leader.workerID == id, leader.sequence ?? 0 >= sequence else {
                throw CommandFailure(
                    .unavailable,
                    "shard \(plan.lostShardIndex) would not be led by '\(worker)' with its writes through \(sequence) "
                        + "now; nothing was changed: ask again without --accept-data-loss and --led-by"
                )
            }
        }
    }
}
