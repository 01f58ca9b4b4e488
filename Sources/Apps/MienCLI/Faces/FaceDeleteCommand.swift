import ArgumentParser
import MienClient

struct FaceDeleteCommand: ConsoleCommand {
    /// Ids of one request.
    static let batchCount = 1000
    private static let retryDuration = Duration.seconds(30)

    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete faces; the next search does not find them.",
        discussion: """
            EXAMPLE
              mien face delete people 0b9f2c1e-6d3a-8c41-9a54-3f0c3b7e2d10

            Ends with status 1 when a face was not there. Its deletion is remembered all the same: no restore from a \
            backup that has the face brings it back. Ids go 1000 at a time; where a request fails, what became of \
            those before is told, and in JSON "complete" is false.
            """
    )

    @Argument(help: "Name of the collection.")
    var name: String
    @Argument(help: ArgumentHelp("Ids of the faces (UUIDs).", valueName: "id"), transform: ArgumentText.faceID)
    var ids: [Face.ID]
    @OptionGroup var connection: ConnectionOptions

    func run(on console: Console) async throws(CommandFailure) {
        let client = try connection.client(on: console, retryDuration: Self.retryDuration)
        var tally = Tally()
        do throws(CommandFailure) {
            for first in stride(from: 0, to: ids.count, by: Self.batchCount) {
                let batch = Array(ids[first..<min(ids.count, first + Self.batchCount)])
                let receipt = try await calling { () async throws(MienClientError) in
                    try await client.deleteFaces(batch, from: name)
                }
                tally.count(receipt, of: batch)
            }
        } catch {
            guard tally.answeredCount > 0 else { throw error }
            // What is deleted stays so, whatever becomes of the rest.
            show(tally, console)
            let rest = NumberText.counted(ids.count - tally.answeredCount, "face")
            throw CommandFailure(
                error.status,
                (absences(tally) + [
                    error.message,
                    "\(rest) more may or may not be deleted: the same command again deletes what is left of them",
                ]).joined(separator: "\n")
            )
        }
        await client.close()
        show(tally, console)
        if !tally.absent.isEmpty { throw CommandFailure(.no, absences(tally).joined(separator: "\n")) }
    }

    /// What became of the faces of the requests that were answered.
    private struct Tally {
        var answeredCount = 0
        var absent: [Face.ID] = []
        var hasLoss = false

        mutating func count(_ receipt: DeletionReceipt, of ids: [Face.ID]) {
            answeredCount += ids.count
            absent += zip(ids, receipt.wasPresent).filter { !$0.1 }.map(\.0)
            hasLoss = hasLoss || receipt.hasLoss
        }
    }

    private func show(_ tally: Tally, _ console: Console) {
        let deletedCount = tally.answeredCount - tally.absent.count
        if connection.json {
            let document = JSONValue.object([
                ("deleted", .count(deletedCount)), ("absent", .array(tally.absent.map { .string($0.description) })),
                ("complete", .flag(tally.answeredCount == ids.count)),
            ])
            console.writeOutput(document.document)
        } else {
            console.line("Deleted \(NumberText.counted(deletedCount, "face")) from \(name).")
        }
        if !tally.absent.isEmpty, tally.hasLoss {
            console.warn(
                "faces of \(name) were given up with every copy of them, perhaps those that were not there; "
                    + "a restore leaves them out as deleted"
            )
        }
    }

    private func absences(_ tally: Tally) -> [String] {
        tally.absent.map { "the face \($0) was not in \(name)" }
    }
}
