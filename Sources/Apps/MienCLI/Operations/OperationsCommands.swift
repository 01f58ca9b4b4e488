import ArgumentParser
import MienClient
import Threads

struct OperationsCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "operations",
        abstract: "List operations and how far they are.",
        discussion: """
            EXAMPLE
              mien operations
              mien operations --watch

            Shows those that are open and the last five that ended; with --all all that are remembered. Copies that \
            come in the place of lost ones follow, which nobody has to ask for, and collections that are being \
            restored from a backup: no operations, since 'mien backup restore' drives them. A line with '!' tells of \
            what has not got on for a minute, and why; in JSON 'standstills' does.
            """
    )

    private static let shownEndedCount = 5

    @Flag(
        help: ArgumentHelp(
            "Show them again every second. Leave with q or Ctrl-C; without a terminal it ends when none is open, or "
                + "with 69 where nobody tells of them for five minutes."
        )
    )
    var watch = false
    @Flag(help: "Show all that have ended, too.")
    var all = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if watch, connection.json { throw ValidationError("--watch shows no JSON.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            if watch {
                try await watch(client, console)
            } else {
                let look = try await look(client)
                console.writeOutput(
                    connection.json
                        ? OperationReport.json(
                            look.operations,
                            replacements: look.replacements,
                            restorations: look.restorations
                        ).document : look.text
                )
            }
        }
    }

    private func watch(_ client: MienClient, _ console: Console) async throws(CommandFailure) {
        guard console.outputIsTerminal, let screen = Screen(console) else {
            var shown = ""
            var patience = Patience()
            while true {
                do throws(CommandFailure) {
                    let look = try await look(client)
                    patience.lookSucceeded()
                    if look.text != shown { console.writeOutput(look.text + "\n") }
                    shown = look.text
                    if look.operations.allSatisfy(\.state.hasEnded), look.replacements.isEmpty { return }
                } catch {
                    try patience.lookFailed(error, console)
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
        defer { screen.close() }
        screen.closeOnSignals()
        var text = ""
        while true {
            do throws(CommandFailure) {
                text = try await look(client).text
            } catch {
                text = "mien: \(error.message.shown())\n"
            }
            screen.draw(text + "\nq leaves")
            let key = await WorkerThread.run(name: "keys") { Screen.key(within: .seconds(1)) }
            if let key, Screen.leavingKeys.contains(key) { return }
        }
    }

    private struct Look {
        var operations: [OperationInfo]
        var replacements: [OperationInfo.Step]
        var cluster: ClusterInfo
        /// Collections that are being restored.
        var restorations: [CollectionInfo]

        var text: String {
            let parts =
                operations.map { OperationReport.text($0, in: cluster) }
                + [OperationReport.text(replacements: replacements, in: cluster)]
                + restorations.compactMap(OperationReport.restoration)
            let text = parts.joined()
            return text.isEmpty ? "no operation yet\n" : text.shown()
        }
    }

    private func look(_ client: MienClient) async throws(CommandFailure) -> Look {
        try await calling { () async throws(MienClientError) in
            let overview = try await client.operationOverview()
            let (operations, replacements) = (overview.operations, overview.replacements)
            let cluster = try await client.status()
            let restorations = try await client.collections().filter { $0.restoredFrom != nil }
            let ended = operations.filter(\.state.hasEnded).suffix(Self.shownEndedCount)
            return Look(
                operations: all || connection.json ? operations : ended + operations.filter { !$0.state.hasEnded },
                replacements: replacements,
                cluster: cluster,
                restorations: restorations
            )
        }
    }
}

struct OperationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "operation",
        abstract: "Pause, resume or cancel an operation.",
        subcommands: [OperationPauseCommand.self, OperationResumeCommand.self, OperationCancelCommand.self]
    )
}

/// What names one operation and changes it.
protocol OperationChangeCommand: ConsoleCommand {
    var id: String { get }
    var connection: ConnectionOptions { get }

    func change(_ id: String, _ client: MienClient) async throws(MienClientError) -> OperationInfo
}

extension OperationChangeCommand {
    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let operations = try await calling { () async throws(MienClientError) in try await client.operations() }
            let found = operations.filter { $0.id.hasPrefix(id.lowercased()) }
            guard found.count == 1, let operation = found.first, !id.isEmpty else {
                throw CommandFailure(
                    found.isEmpty || id.isEmpty ? .no : .usage,
                    "\(found.count) operations have an identity that begins with '\(id)'; 'mien operations' lists them"
                )
            }
            let changed = try await calling { () async throws(MienClientError) in
                try await change(operation.id, client)
            }
            let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
            console.writeOutput(
                connection.json
                    ? OperationReport.json(changed).document : OperationReport.text(changed, in: cluster)
            )
        }
    }
}

struct OperationPauseCommand: OperationChangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Begin nothing more of an operation, and hold up what is under way.",
        discussion: """
            A copy stands still where it is and goes on from there when the operation is resumed; what has come of it \
            is kept for a quarter of an hour, and is sent again after that. The training of a codebook stands still as \
            well. Copies of other operations need not wait for it. A shard that is made in the place of others is \
            made all the same, in the background, but does not take their place; and a replica that needs no copy, \
            since the log is enough for it, still catches up.
            """
    )

    @Argument(help: "Identity of the operation, or its beginning.")
    var id: String
    @OptionGroup var connection: ConnectionOptions

    func change(_ id: String, _ client: MienClient) async throws(MienClientError) -> OperationInfo {
        try await client.pauseOperation(id)
    }
}

struct OperationResumeCommand: OperationChangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Let a paused operation go on."
    )

    @Argument(help: "Identity of the operation, or its beginning.")
    var id: String
    @OptionGroup var connection: ConnectionOptions

    func change(_ id: String, _ client: MienClient) async throws(MienClientError) -> OperationInfo {
        try await client.resumeOperation(id)
    }
}

struct OperationCancelCommand: OperationChangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Take an operation back.",
        discussion: """
            Of steps that wait or are under way, replicas that have not left stay, and those that came for them leave \
            again. A step is past its commit point when the replica that leaves does not count any more: it is brought \
            to its end. Steps that are done stay done, but for copies that 'mien collection copies' has added: they \
            leave again. The answer lists what is not taken back; where that is all, the operation is refused.
            """
    )

    @Argument(help: "Identity of the operation, or its beginning.")
    var id: String
    @OptionGroup var connection: ConnectionOptions

    func change(_ id: String, _ client: MienClient) async throws(MienClientError) -> OperationInfo {
        try await client.cancelOperation(id)
    }
}

struct ExplainCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Tell why the replicas of a shard are where they are, and not elsewhere.",
        discussion: """
            EXAMPLES
              mien explain people 0
              mien explain people 0 --worker 10.0.0.5:7401

            'rule' names the rule that decides: operation (one takes the replica away, or brings it), pin (what is \
            pinned stays), stays (a replica stays until an operation takes it, or its worker has been away for \
            coordinator.replace_after), drained (such a worker gets none), live (nor one that is silent, or about to \
            stop), pressure (nor one that holds as much memory as it may), disk and memory (a replica has to fit, with \
            what is on its way), former (what it has of the shard from before is removed first), retry (a copy came to \
            nothing there; for now it comes again only if no other can have it), copies (the shard has as many \
            replicas as its collection has copies).
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: "Number of the shard.")
    var shard: Int
    @Option(help: ArgumentHelp("Tell of this worker alone.", valueName: "worker"))
    var worker: String?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try ArgumentText.checkShards([shard]) }

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
            let id = try worker.map { (text) throws(CommandFailure) in try WorkerName.find(text, in: cluster) }
            let reasons = try await calling { () async throws(MienClientError) in
                try await client.explain(name, shard: shard).filter { id == nil || $0.workerID == id }
            }
            console.writeOutput(connection.json ? Self.json(reasons).document : Self.text(reasons, in: cluster))
        }
    }

    static func json(_ reasons: [PlacementReason]) -> JSONValue {
        .array(
            reasons.map {
                .object([
                    ("worker", .string($0.workerID)), ("replica", .flag($0.hasReplica)), ("pinned", .flag($0.isPinned)),
                    ("rule", .string($0.rule)), ("reason", .string($0.reason)),
                ])
            }
        )
    }

    static func text(_ reasons: [PlacementReason], in cluster: ClusterInfo) -> String {
        let names = WorkerName.addresses(of: cluster)
        var table = TextTable([
            .init("worker", widthLimit: 48), .init("replica"), .init("rule"), .init("why", widthLimit: 160),
        ])
        for reason in reasons.sorted(by: { ($0.hasReplica ? 0 : 1, $0.workerID) < ($1.hasReplica ? 0 : 1, $1.workerID) }
        ) {
            table.append([
                names[reason.workerID] ?? reason.workerID, reason.hasReplica ? "yes" : "no", reason.rule, reason.reason,
            ])
        }
        return table.rendered()
    }
}
