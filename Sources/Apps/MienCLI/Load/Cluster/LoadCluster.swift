import Foundation
import Glibc
import LoadGenerator
import MienClient
import Synchronization

/// A coordinator and workers that a load started, each a process of its own on loopback, with ports that the system
/// chose. They are gone when the load is.
final class LoadCluster: Sendable {
    private static let startLimit = Duration.seconds(60)

    private struct State: Sendable {
        var processes: [FaultSchedule.Node: LoadProcess] = [:]
        /// Once known; a coordinator that is started again must be where clients look for it.
        var address: MienClient.Address?
        var isOver = false
    }

    private let plan: ClusterPlan
    private let folder: String
    private let isTemporary: Bool
    private let state = Mutex(State())

    /// - Parameter folder: for data and output of the nodes, kept; nil for one that is removed at the end.
    init(_ plan: ClusterPlan, folder: String?) throws(CommandFailure) {
        self.plan = plan
        isTemporary = folder == nil
        self.folder =
            folder
            ?? FileManager.default.temporaryDirectory.appendingPathComponent("mien-load-\(UUID().uuidString)").path
        do {
            try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.fileSystem, "\(self.folder) cannot be made")
        }
    }

    /// Starts the coordinator and every worker.
    ///
    /// - Returns: where clients connect.
    func start() async throws(CommandFailure) -> MienClient.Address {
        try await start(.coordinator)
        for number in 1...plan.workerCount { try await start(.worker(number)) }
        return try address()
    }

    private func address() throws(CommandFailure) -> MienClient.Address {
        guard let address = currentAddress else {
            throw CommandFailure(.internalError, "the coordinator did not say where it listens")
        }
        return address
    }

    /// Starts a node on the data it has, and waits until it says that it serves.
    func start(_ node: FaultSchedule.Node) async throws(CommandFailure) {
        let name: String
        var arguments: [String]
        switch node {
        case .coordinator:
            name = "coordinator"
            let listen = state.withLock { $0.address?.description } ?? "127.0.0.1:0"
            arguments = ["coordinator", "--listen", listen] + plan.coordinatorSettings.flatMap { ["--set", $0] }
        case .worker(let number):
            name = "worker-\(number)"
            arguments = ["worker", "--listen", "127.0.0.1:0", "--coordinator", try address().description]
            arguments += plan.workerSettings.flatMap { ["--set", $0] }
        }
        arguments += ["--data", "\(folder)/\(name)", "--log-level", "notice"]
        let process = try await LoadProcess.start(arguments, writingTo: "\(folder)/\(name)")
        let isOver = state.withLock { state in
            if !state.isOver { state.processes[node] = process }
            return state.isOver
        }
        if isOver {
            process.kill()
            throw CommandFailure(.internalError, "the cluster has been stopped")
        }
        let deadline = ContinuousClock.now + Self.startLimit
        while !process.output.contains("Serving:") {
            if let status = process.status {
                throw CommandFailure(
                    .unavailable,
                    "the \(node) ended with status \(status): \(process.error.suffix(800))"
                )
            }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(.unavailable, "the \(node) did not serve within \(Self.startLimit)")
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        if node == .coordinator {
            // The line is "Serving: coordinator on HOST:PORT; data in …".
            let text = process.output
            guard let start = text.range(of: "coordinator on "),
                let end = text[start.upperBound...].firstIndex(of: ";"),
                let address = MienClient.Address(String(text[start.upperBound..<end]))
            else { throw CommandFailure(.internalError, "the coordinator did not say where it listens") }
            state.withLock { $0.address = address }
        }
    }

    func kill(_ node: FaultSchedule.Node) { process(node)?.kill() }
    func stop(_ node: FaultSchedule.Node) { process(node)?.signal(SIGSTOP) }
    func `continue`(_ node: FaultSchedule.Node) { process(node)?.signal(SIGCONT) }

    private func process(_ node: FaultSchedule.Node) -> LoadProcess? { state.withLock { $0.processes[node] } }

    /// Where clients connect; nil before the coordinator has said so.
    var currentAddress: MienClient.Address? { state.withLock { $0.address } }

    /// Nodes that are not running though every fault is over, with what they said last.
    func deaths() -> [String] {
        state.withLock { state in
            state.processes.compactMap { node, process in
                process.status.map { "the \(node) ended with status \($0): \(process.error.suffix(400))" }
            }
        }
    }

    /// Kills every node, and removes the folder if it was made for this.
    func end() {
        let processes = state.withLock { state in
            state.isOver = true
            return Array(state.processes.values)
        }
        for process in processes { process.kill() }
        if isTemporary { try? FileManager.default.removeItem(atPath: folder) }
    }
}
