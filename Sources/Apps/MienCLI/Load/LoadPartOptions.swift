import ArgumentParser
import Foundation
import LoadGenerator

/// What a process is told that makes a part of a load; only other processes give these.
struct LoadPartOptions: ParsableArguments {
    private static let startLimit = Duration.seconds(120)

    @Option(help: "Where the parts and their parent wait for each other.")
    var folder: String?
    @Option(help: "Number of this part, from 0.")
    var part = 0
    @Option(help: "How many parts there are.")
    var parts = 1

    func validate() throws {
        guard (1...LoadRunCommand.processLimit).contains(parts), (0..<parts).contains(part) else {
            throw ValidationError("There is no such part.")
        }
    }

    func apply(to plan: inout LoadPlan) {
        guard folder != nil else { return }
        plan.part = part
        plan.partCount = parts
        plan.isAlone = false
        plan.seed = plan.seed &+ UInt64(part) &* 0x9E37_79B9_7F4A_7C15
    }

    static func readyFile(_ part: Int, in folder: String) -> String { "\(folder)/ready-\(part)" }
    static func startFile(in folder: String) -> String { "\(folder)/start" }
    static func progressFile(_ part: Int, in folder: String) -> String { "\(folder)/progress-\(part)" }
    static func reportFile(_ part: Int, in folder: String) -> String { "\(folder)/part-\(part).json" }

    /// Says that this part is ready, and waits for the moment at which all begin; nil for a load without parts.
    func start() async throws(CommandFailure) -> ContinuousClock.Instant? {
        guard let folder else { return nil }
        guard FileManager.default.createFile(atPath: Self.readyFile(part, in: folder), contents: nil) else {
            throw CommandFailure(.fileSystem, "\(folder) cannot be written")
        }
        let deadline = ContinuousClock.now + Self.startLimit
        while ContinuousClock.now < deadline {
            if let data = FileManager.default.contents(atPath: Self.startFile(in: folder)),
                let time = Double(String(decoding: data, as: UTF8.self))
            {
                return ContinuousClock.now + .seconds(time - Date().timeIntervalSince1970)
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        throw CommandFailure(.internalError, "the other parts of the load did not get ready")
    }
}
