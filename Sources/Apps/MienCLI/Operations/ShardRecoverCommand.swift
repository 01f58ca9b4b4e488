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
              mien shard recover people 3 --accept-data-loss --at-least 4711

            For a shard of which no replica that had every face will come back: start every worker first that can be \
            started. Where another replica is there it goes on with what that has, otherwise an empty shard takes its \
            place and takes writes again; what comes back of the lost ones later is removed. Answers of searches say \
            from then on that faces were given up, until 'mien collection losses' is told that they are back, from a \
            backup or another source.

            Without --accept-data-loss it tells what would come of it, and changes nothing. Workers come and go \
            between the two: --at-least with the last write of the replica that was to lead refuses where one that \
            has less would lead by then, or an empty shard take the place.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Number of the shard.")
    var shard: Int
    @Flag(help: "Do it: what only the lost replicas had is given up.")
    var acceptDataLoss = false
    @Option(help: "Last write that the replica has at least that leads.")
    var atLeast: UInt64?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard shard >= 0 else { throw ValidationError("Shards are numbered from 0.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let recovery = try await calling { () async throws(MienClientError) in
                try await client.recoverShard(of: name, shard: shard, isPlan: !acceptDataLoss, leastSequence: atLeast)
            }
            if connection.json {
                console.writeOutput(json(recovery).document)
                return
            }
            let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
            console.writeOutput(text(recovery, in: cluster))
        }
    }

    private func json(_ recovery: ShardRecovery) -> JSONValue {
        .object([
            ("collection", .string(name)), ("shard", .count(shard)), ("done", .flag(acceptDataLoss)),
            ("lost_workers", .array(recovery.lostWorkerIDs.map { .string($0) })),
            ("goes_on_as", .count(recovery.shardIndex)), ("empty", .flag(recovery.isEmpty)),
            ("replicas", .array(recovery.replicas.map(\.json))),
        ])
    }

    private func text(_ recovery: ShardRecovery, in cluster: ClusterInfo) -> String {
        let addresses = WorkerName.addresses(of: cluster)
        var table = TextTable([.init("worker"), .init("shard", .right), .init("role"), .init("last write", .right)])
        for id in recovery.lostWorkerIDs { table.append([addresses[id] ?? id, "\(shard)", "is lost", "-"]) }
        for replica in recovery.replicas {
            let role = replica.isPrimary ? "leads" : recovery.isEmpty ? "begins" : "catches up"
            table.append([
                addresses[replica.workerID] ?? replica.workerID, "\(recovery.shardIndex)", role,
                replica.sequence.map { "\($0)" } ?? "-",
            ])
        }
        let what =
            recovery.isEmpty
            ? "Nothing is left of shard \(shard): shard \(recovery.shardIndex) takes its place, empty."
            : "Shard \(shard) goes on with what the replica has that leads; what was written after that is lost."
        let sequence = recovery.isEmpty ? nil : recovery.replicas.first(where: \.isPrimary)?.sequence
        let option = sequence.map { " --at-least \($0)" } ?? ""
        let end =
            acceptDataLoss
            ? "Done. Answers say that faces were given up, until 'mien collection losses \(name) --restored'."
            : "Nothing was changed: --accept-data-loss\(option) does it."
        return table.rendered() + "\(what)\n\(end)\n"
    }
}
