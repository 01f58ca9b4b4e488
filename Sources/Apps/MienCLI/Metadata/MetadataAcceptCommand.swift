import ArgumentParser
import MienClient

struct MetadataAcceptCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept",
        abstract: "Go on from a metadata store that was put back to an earlier state.",
        discussion: """
            EXAMPLE
              mien metadata accept people
              mien metadata accept people --shard 0 --yes

            For shards that are left alone because workers go by newer records than the store holds, when those \
            records are lost. In each the replica that has most of the log leads from then on, and the others catch \
            up with it. Nothing that was acknowledged is lost if one of the replicas that are there was in sync; start \
            every worker first that can be started, since what only others have is given up. Deletions are, too: \
            those faces are found again, until they are deleted again. Unless every replica is there, and where those \
            that the store's record has in sync went on by it while others knew better, answers say from then on that \
            faces were given up, until 'mien collection losses' is told that they are back, or that none were.

            Where the record has gone on by itself since it was put back, and a replica has promised a later epoch \
            than it has, the replicas stay as they are under a later epoch, and what only that replica has is given up.

            Tells what would come of it, and without --yes asks for the collection's name before it does anything. \
            What it told is what it does: where the record or the workers are not as they were by then, it refuses. \
            So it does where the coordinators are of an earlier version, which would not look at that. Ends with 1 \
            when no shard is left alone.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Option(help: "Number of the shard; all that are left alone when there is none.")
    var shard: Int?
    @Flag(help: "Do not ask.")
    var yes = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try ArgumentText.checkShards(shard.map { [$0] } ?? []) }

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            try await accept(client, console)
        }
    }

    private func accept(_ client: MienClient, _ console: Console) async throws(CommandFailure) {
        let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
        var planned: [RecordAcceptance] = []
        for index in shard.map({ [$0] }) ?? collection.shards.map(\.index) {
            let plan = try await calling { () async throws(MienClientError) in
                try await client.acceptRecord(of: name, shard: index, isPlan: true)
            }
            if plan.isOlder { planned.append(plan) }
        }
        guard !planned.isEmpty else {
            throw CommandFailure(
                .no,
                "no record of '\(name)' is older than what the workers that are there go by; nothing was changed"
            )
        }
        let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
        if !connection.json {
            console.writeOutput(Self.text(planned, in: cluster))
            console.line("Deletions that only other replicas have would be undone, and those faces found again.")
        }
        if !yes {
            console.writeError("What only other replicas have is given up. Type the collection's name to go on: ")
            guard console.readLine() == name else {
                throw CommandFailure(.no, "nothing was changed, because another name was typed")
            }
        }
        var accepted: [RecordAcceptance] = []
        var surprise: String?
        do throws(CommandFailure) {
            for plan in planned {
                let reply = try await calling { () async throws(MienClientError) in
                    try await client.acceptRecord(of: name, shard: plan.shardIndex, isPlan: false, confirmed: plan)
                }
                accepted.append(reply)
                let sentence = Self.sentence(reply, in: cluster)
                if !connection.json { console.line(sentence) }
                if !reply.replicas.areLed(as: plan.replicas) { surprise = surprise ?? sentence }
            }
        } catch {
            // What is accepted stays so, whatever becomes of the rest.
            if connection.json { console.writeOutput(json(accepted).document) }
            throw error
        }
        if connection.json {
            console.writeOutput(json(accepted).document)
        } else {
            console.line("Deletions that only other replicas have are undone: delete those faces again.")
            console.line("Accepted the records of \(NumberText.counted(planned.count, "shard")) of \(name).")
        }
        if let surprise {
            throw CommandFailure(
                .internalError,
                "that is not what was shown: \(surprise) Another may lead since; the coordinators' logs tell what was "
                    + "given up"
            )
        }
    }

    private func json(_ acceptances: [RecordAcceptance]) -> JSONValue {
        .object([
            ("collection", .string(name)),
            (
                "shards",
                .array(
                    acceptances.map { acceptance in
                        .object([
                            ("index", .count(acceptance.shardIndex)),
                            ("stored_version", .count(acceptance.storedVersion)),
                            ("known_version", .count(acceptance.knownVersion)),
                            ("replicas", .array(acceptance.replicas.map(\.json))),
                        ])
                    }
                )
            ),
        ])
    }

    private static func sentence(_ acceptance: RecordAcceptance, in cluster: ClusterInfo) -> String {
        let leader = acceptance.replicas.first(where: \.isPrimary)
        let worker = leader.map { WorkerName.addresses(of: cluster)[$0.workerID] ?? $0.workerID } ?? "nobody"
        return "Shard \(acceptance.shardIndex) is led by \(worker), which has "
            + (leader?.sequence.map { "its writes through \($0)." } ?? "not told what it has.")
    }

    private static func text(_ acceptances: [RecordAcceptance], in cluster: ClusterInfo) -> String {
        let addresses = WorkerName.addresses(of: cluster)
        var table = TextTable([
            .init("shard", .right), .init("stored", .right), .init("known", .right), .init("worker"), .init("role"),
            .init("sequence", .right),
        ])
        for acceptance in acceptances {
            for replica in acceptance.replicas {
                let role = replica.isPrimary ? "leads" : replica.sequence == nil ? "is away" : "catches up"
                table.append([
                    "\(acceptance.shardIndex)", "\(acceptance.storedVersion)", "\(acceptance.knownVersion)",
                    addresses[replica.workerID] ?? replica.workerID, role,
                    replica.sequence.map { "\($0)" } ?? "-",
                ])
            }
        }
        return table.rendered()
    }
}

extension RecordAcceptance.Replica {
    var json: JSONValue {
        .object([
            ("worker", .string(workerID)), ("primary", .flag(isPrimary)),
            ("sequence", sequence.map { .count($0) } ?? .null),
        ])
    }
}

extension [RecordAcceptance.Replica] {
    /// Whether the replica leads that was to lead, and has what it had, unless its worker is not there now.
    func areLed(as planned: Self) -> Bool {
        let (leader, expected) = (first(where: \.isPrimary), planned.first(where: \.isPrimary))
        guard leader?.workerID == expected?.workerID else { return false }
        guard let sequence = leader?.sequence, let least = expected?.sequence else { return true }
        return sequence >= least
    }
}
