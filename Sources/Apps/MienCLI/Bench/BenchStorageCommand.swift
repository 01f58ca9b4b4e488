import ArgumentParser
import Foundation

struct BenchStorageCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage",
        abstract: "Measure LMDB and a partition's upkeep: reads, commits, folds, emptying of chunks.",
        discussion: """
            EXAMPLE
              mien bench storage
              mien bench storage --faces 300000 --folder /var/tmp

            Everything is in a temporary folder and on one thread; times are on the wall, since commits wait for the \
            disk. See 'mien bench churn' for the same under searches, with what is written and what the file grows by.
            """
    )

    @Option(help: "Faces of the partition.")
    var faces = 100_000
    @Option(help: "Passes of each read, of which the median counts.")
    var passes = 5
    @Option(help: ArgumentHelp("Where the files are kept meanwhile.", valueName: "folder"))
    var folder: String?
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard (2000...10_000_000).contains(faces), (1...1000).contains(passes) else {
            throw ValidationError("--faces must be 2000 to 10000000, --passes 1 to 1000.")
        }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let parent = folder ?? FileManager.default.temporaryDirectory.path
        let path = "\(parent)/mien-bench-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let results: [StorageBench.Result]
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            results = try StorageBench(faceCount: faces, folder: path, passCount: passes).run {
                console.writeError("\($0)\n")
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.fileSystem, "\(path) cannot be used: \(error)")
        }
        console.writeOutput(json ? Self.json(results) : Self.text(results))
    }

    private static func text(_ results: [StorageBench.Result]) -> String {
        var table = TextTable([
            .init("what", widthLimit: 60), .init("of", .right), .init("time", .right), .init("", .right),
        ])
        for result in results {
            table.append([result.name, result.amount, NumberText.duration(result.time), result.rate])
        }
        return table.rendered()
    }

    private static func json(_ results: [StorageBench.Result]) -> String {
        JSONValue.array(
            results.map { result in
                .object([
                    ("what", .string(result.name)), ("of", .string(result.amount)),
                    ("seconds", .number(NumberText.seconds(result.time))), ("rate", .string(result.rate)),
                ])
            }
        ).document
    }
}
