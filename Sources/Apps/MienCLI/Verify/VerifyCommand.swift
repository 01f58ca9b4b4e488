import ArgumentParser
import MienClient

struct VerifyCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read every replica of a collection, verify it, and compare the replicas.",
        discussion: """
            EXAMPLE
              mien verify people
              mien verify people --repair

            Reads all that the workers store of the collection: about a second for each GB, beside searches and
            writes. A replica is damaged when a checksum is wrong or its tables contradict each other; it then leaves
            service. It is different when its checksums are right and it holds something else than most, or than the
            primary.

            Replicas that are written to meanwhile are compared behind a later write, that all of them have. One that \
            is catching up is read, and compared where it stands as the others do: 'mien operations' tells how far it \
            is.

            A damaged replica is made anew by itself after coordinator.repair_after, if another one is sound.
            With --repair such a replica is replaced by a copy of a good one. Until the copy is there writes of that
            shard wait if too few copies are left. Where as many replicas hold one thing as another, and the primary
            is none of them, nobody can tell which is right, and none is replaced. Ends with 1 unless every replica
            was read and found equal to the others. Where a shard cannot be asked for it ends there, and shows what it
            found in those before.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Flag(help: "Replace replicas that are damaged or different.")
    var repair = false
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        var connection = connection
        connection.timeout = max(connection.timeout, 3600)
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            try await verify(client, console)
        }
    }

    private func verify(_ client: MienClient, _ console: Console) async throws(CommandFailure) {
        let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
        var shards: [ShardVerification] = []
        do throws(CommandFailure) {
            for shard in collection.shards {
                shards.append(
                    try await calling { () async throws(MienClientError) in
                        try await client.verify(name, shard: shard.index, repairs: repair)
                    }
                )
            }
        } catch {
            // What was found, and is being replaced, stays so, whatever becomes of the rest.
            if !shards.isEmpty { await show(shards, areAll: false, client, console) }
            throw error
        }
        await show(shards, areAll: true, client, console)
        guard shards.allSatisfy(\.isSound) else { throw CommandFailure(.no) }
    }

    /// - Parameter areAll: whether they are all of the collection's shards; otherwise it is not called sound.
    private func show(
        _ shards: [ShardVerification],
        areAll: Bool,
        _ client: MienClient,
        _ console: Console
    ) async {
        if connection.json { return console.writeOutput(json(shards, areAll: areAll).document) }
        let names = await WorkerName.addresses(by: client)
        console.writeOutput(text(shards, names).shown())
    }

    private func json(_ shards: [ShardVerification], areAll: Bool) -> JSONValue {
        .object([
            ("collection", .string(name)), ("sound", .flag(areAll && shards.allSatisfy(\.isSound))),
            (
                "shards",
                .array(
                    shards.map { shard in
                        .object([
                            ("index", .count(shard.shardIndex)), ("replicas", .array(shard.replicas.map(json))),
                        ])
                    }
                )
            ),
        ])
    }

    private func json(_ replica: ShardVerification.Replica) -> JSONValue {
        .object([
            ("worker", .string(replica.workerID)), ("primary", .flag(replica.isPrimary)),
            ("finding", .string(replica.finding.rawValue)), ("faces", .count(replica.faceCount)),
            ("sequence", .count(replica.sequence)), ("detail", .text(replica.detail)),
            ("replaced", .flag(replica.isReplaced)),
        ])
    }

    private func text(_ shards: [ShardVerification], _ names: [String: String]) -> String {
        var table = TextTable([
            .init("shard", .right), .init("worker", widthLimit: 64), .init("role"), .init("finding"),
            .init("faces", .right), .init("sequence", .right), .init("detail", widthLimit: .max),
        ])
        for shard in shards {
            for replica in shard.replicas {
                let detail = [replica.detail, replica.isReplaced ? "Being replaced by a copy." : nil]
                table.append([
                    "\(shard.shardIndex)", names[replica.workerID] ?? replica.workerID,
                    replica.isPrimary ? "primary" : "secondary", replica.finding.rawValue,
                    "\(replica.faceCount)", "\(replica.sequence)",
                    detail.compactMap(\.self).joined(separator: " "),
                ])
            }
        }
        return table.rendered() + remarks(on: shards.flatMap(\.replicas)).map { "\($0)\n" }.joined()
    }

    /// What is to be done about what was found.
    private func remarks(on replicas: [ShardVerification.Replica]) -> [String] {
        let isReplacing = replicas.contains(where: \.isReplaced)
        let isBad = replicas.contains { !$0.isReplaced && ($0.finding == .damaged || $0.finding == .different) }
        return [
            isReplacing ? "'mien operations' shows the copies; verify again when they have come." : nil,
            isBad && !repair ? "'mien verify \(name) --repair' has what is damaged or different made anew." : nil,
        ].compactMap(\.self)
    }
}
