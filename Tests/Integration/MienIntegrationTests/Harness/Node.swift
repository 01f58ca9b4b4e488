import Foundation

/// One node of a story, which can be killed and started again on the same data.
final class Node {
    let arguments: [String]
    private let stage: Stage
    private let namespace: NetworkNamespace?
    private(set) var process: ChildProcess?

    /// - Parameter namespace: that it runs in; nil for that of the tests.
    init(_ stage: Stage, _ arguments: [String], in namespace: NetworkNamespace? = nil) {
        self.stage = stage
        self.namespace = namespace
        self.arguments = arguments
    }

    var isRunning: Bool { process.map { $0.status == nil } ?? false }

    /// Starts it and waits until it says that it serves.
    ///
    /// - Parameter variables: of this process, besides those of every process.
    /// - Throws: when it ends instead, with what it said.
    func start(adding variables: [String: String] = [:]) async throws {
        precondition(!isRunning, "the node runs already")
        let process = try await stage.start(arguments, adding: variables, in: namespace)
        self.process = process
        _ = try await eventually("mien \(arguments.joined(separator: " ")) serves", within: .seconds(20)) {
            if let status = process.status {
                throw StoryError("it ended with status \(status): \(process.error.suffix(800))")
            }
            return process.output.contains("Serving:") ? true : nil
        }
    }

    /// `kill -9`.
    func kill() { process?.kill() }

    /// Asks it to stop and waits for that.
    ///
    /// - Returns: its exit status.
    func stop() async throws -> Int32 {
        guard let process else { return 0 }
        process.terminate()
        return try await process.end(within: .seconds(15))
    }
}
