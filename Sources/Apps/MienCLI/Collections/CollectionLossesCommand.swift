import ArgumentParser
import MienClient

struct CollectionLossesCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "losses",
        abstract: "Show which faces of a collection were given up, or say that they are back.",
        discussion: """
            EXAMPLE
              mien collection losses people
              mien collection losses people --restored

            Faces are given up by 'mien shard recover', and by 'mien metadata accept' while a worker is away that may \
            have some. Answers of searches say so until they are enrolled again, from a backup or another source, and \
            --restored tells. That is of those it shows: what is given up meanwhile stays, and is shown behind them.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Flag(help: "They are back: answers do not tell of them any more.")
    var restored = false
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let losses = try await calling { () async throws(MienClientError) in try await client.losses(of: name) }
            guard restored, !losses.isEmpty else {
                let lists = (restored ? [("restored", [])] : []) + [("losses", losses)]
                return console.writeOutput(connection.json ? json(lists).document : text(losses))
            }
            let left = try await calling { () async throws(MienClientError) in
                try await client.settle(losses, of: name)
            }
            let settled = losses.filter { !left.contains($0) }
            console.writeOutput(
                connection.json ? json([("restored", settled), ("losses", left)]).document : text(settled, left)
            )
        }
    }

    private func json(_ lists: [(String, [AcceptedLoss])]) -> JSONValue {
        var fields: [(String, JSONValue)] = [("collection", .string(name))]
        for (key, losses) in lists { fields.append((key, .array(losses.map { json($0) }))) }
        return .object(fields)
    }

    private func json(_ loss: AcceptedLoss) -> JSONValue {
        .object([("time", .string(TimeText.text(loss.time))), ("share", .number(loss.share))])
    }

    private func text(_ losses: [AcceptedLoss]) -> String {
        losses.isEmpty ? "No faces of \(name) are given up.\n" : table(losses)
    }

    private func text(_ settled: [AcceptedLoss], _ left: [AcceptedLoss]) -> String {
        (settled.isEmpty ? "" : "These are back:\n" + table(settled))
            + (left.isEmpty ? text(left) : "These are still given up:\n" + table(left))
    }

    private func table(_ losses: [AcceptedLoss]) -> String {
        var table = TextTable([.init("given up"), .init("share of the collection", .right)])
        for loss in losses { table.append([TimeText.text(loss.time), NumberText.percent(loss.share)]) }
        return table.rendered()
    }
}
