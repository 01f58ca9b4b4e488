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
            --restored tells.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Flag(help: "They are back: answers do not tell of them any more.")
    var restored = false
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            let losses = try await calling { () async throws(MienClientError) in
                try await client.losses(of: name, isSettling: restored)
            }
            console.writeOutput(connection.json ? json(losses).document : text(losses))
        }
    }

    private func json(_ losses: [AcceptedLoss]) -> JSONValue {
        .object([
            ("collection", .string(name)),
            (
                "losses",
                .array(
                    losses.map { .object([("time", .string(TimeText.text($0.time))), ("share", .number($0.share))]) }
                )
            ),
        ])
    }

    private func text(_ losses: [AcceptedLoss]) -> String {
        guard !losses.isEmpty else { return "No faces of \(name) are given up.\n" }
        var table = TextTable([.init("given up"), .init("share of the collection", .right)])
        for loss in losses { table.append([TimeText.text(loss.time), NumberText.percent(loss.share)]) }
        return table.rendered()
    }
}
