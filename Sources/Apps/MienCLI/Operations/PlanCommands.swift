import ArgumentParser
import MienClient

struct PlanCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Tell what an operation would do, without beginning it.",
        discussion: """
            EXAMPLE
              mien plan drain 10.0.0.5:7401
              mien plan shard move people 0 --from 10.0.0.5:7401
              mien plan collection copies people --copies 3
              mien plan rebalance

            Takes the words of the command that would begin it: drain, decommission, rebalance, shard move, lead, \
            split or merge, collection copies or train. Shows the steps, the bytes that move, the disk and memory that \
            they take on each worker, about how long it takes, and what would hold a step up now. What breaks a rule \
            is refused with the rule. Of several workers each is planned as if it was the only one. 'mien apply' \
            begins just what was shown, of all but a training.
            """
    )

    @Argument(parsing: .captureForPassthrough, help: "The words of the command.")
    var words: [String] = []

    func run(on console: Console) async throws(CommandFailure) {
        guard let command = try PlannedWords.command(words, of: Self.self, console) else { return }
        try await command.connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
            let requests = try command.requests(in: cluster)
            var plans: [OperationPlanInfo] = []
            for request in requests {
                plans.append(try await calling { () async throws(MienClientError) in try await client.plan(request) })
            }
            guard !command.connection.json else {
                let values = plans.map(OperationReport.json)
                return console.writeOutput((plans.count == 1 ? values[0] : .array(values)).document)
            }
            for (plan, request) in zip(plans, requests) {
                if plans.count > 1, let worker = request.worker {
                    console.writeOutput("\(WorkerName.addresses(of: cluster)[worker] ?? worker):\n".shown())
                }
                console.writeOutput(OperationReport.text(plan, in: cluster).shown())
                guard plans.count == 1, !plan.steps.isEmpty, !plan.id.isEmpty else { continue }
                console.writeOutput(
                    "To begin just this: mien apply \(plan.id) \(words.map(ShellWord.quoted).joined(separator: " "))\n"
                )
            }
        }
    }
}

struct ApplyCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Begin an operation if it does what 'mien plan' showed.",
        discussion: """
            EXAMPLE
              mien plan rebalance
              mien apply 5f0e4c2a91d37b68 rebalance --wait

            Takes the identity that 'mien plan' showed, and the same words. Where the cluster has changed since, so \
            that other replicas would move, it is refused and nothing is begun. Without a plan the words \
            alone begin the operation, whatever it does by then.
            """
    )

    @Argument(parsing: .captureForPassthrough, help: "The plan's identity, and the words of the command.")
    var words: [String] = []

    func run(on console: Console) async throws(CommandFailure) {
        let plan = words.first ?? ""
        let isHelp = words.count == 1 && PlannedWords.helpWords.contains(plan)
        guard words.count > 1 || isHelp else {
            throw CommandFailure(.usage, "mien apply takes a plan's identity, which 'mien plan' shows, and its words")
        }
        let command = try PlannedWords.command(isHelp ? words : Array(words.dropFirst()), of: Self.self, console)
        if command is CollectionTrainCommand {
            throw CommandFailure(.usage, "a training has no steps to identify: begin it with 'mien collection train'")
        }
        try await command?.begin(planned: plan, on: console)
    }
}

/// The words of a command that begins an operation, given to another command.
private enum PlannedWords {
    static let helpWords: Set<String> = ["--help", "-h", "-help"]
    private static let commands = [
        ["drain"], ["decommission"], ["recommission"], ["rebalance"], ["shard", "move"], ["shard", "lead"],
        ["shard", "split"], ["shard", "merge"], ["collection", "copies"], ["collection", "train"],
    ]

    /// - Returns: nil when help was asked for, which has been shown.
    static func command<Outer: ConsoleCommand>(
        _ words: [String],
        of outer: Outer.Type,
        _ console: Console
    ) throws(CommandFailure) -> (any OrderCommand)? {
        if words.count == 1, helpWords.contains(words[0]) {
            console.writeOutput(Mien.helpMessage(for: outer) + "\n")
            return nil
        }
        do {
            let parsed = try Mien.parseAsRoot(words)
            if let command = parsed as? any OrderCommand { return command }
        } catch {
            let text = Mien.message(for: error)
            guard Mien.exitCode(for: error).rawValue != 0 else {
                console.writeOutput(Mien.fullMessage(for: error) + "\n")
                return nil
            }
            let name = outer.configuration.commandName ?? ""
            // What another command lacks is of no use here.
            if commands.contains(where: { words.starts(with: $0) }) {
                throw CommandFailure(.usage, text.isEmpty ? "the command after '\(name)' cannot be read" : text)
            }
        }
        throw CommandFailure(
            .usage,
            "mien \(outer.configuration.commandName ?? "") takes the words of what begins an operation: "
                + "drain, decommission, recommission, rebalance, shard move, lead, split or merge, collection copies "
                + "or train"
        )
    }
}

extension OperationRequest {
    /// The one that it is about, where several can be named.
    fileprivate var worker: String? {
        switch self {
        case .drain(let worker), .decommission(let worker), .recommission(let worker): worker
        case .move, .lead, .copies, .rebalance, .split, .merge, .train: nil
        }
    }
}

/// Words as a shell takes them.
private enum ShellWord {
    static func quoted(_ word: String) -> String {
        let isPlain =
            !word.isEmpty
            && word.allSatisfy { character in
                character.isASCII && (character.isLetter || character.isNumber) || "-_.,:/=@%+".contains(character)
            }
        let parts = word.split(separator: "'", omittingEmptySubsequences: false)
        return isPlain ? word : "'\(parts.joined(separator: "'\\''"))'"
    }
}
