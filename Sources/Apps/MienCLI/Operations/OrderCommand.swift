import ArgumentParser
import MienClient

/// A command that begins an operation. `mien plan` reads the same words and tells what it would do.
protocol OrderCommand: ConsoleCommand {
    var connection: ConnectionOptions { get }
    var order: OrderOptions { get }

    /// - Parameter cluster: the cluster as it is, by which workers are found.
    func request(in cluster: ClusterInfo) throws(CommandFailure) -> OperationRequest
}

/// What all commands that begin an operation take.
struct OrderOptions: ParsableArguments {
    @Flag(help: "Wait until the operation has ended; ends with 1 when it was cancelled.")
    var wait = false
}

extension OrderCommand {
    func run(on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            try await begin(client, console)
        }
    }

    private func begin(_ client: MienClient, _ console: Console) async throws(CommandFailure) {
        let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
        let request = try request(in: cluster)
        var operation = try await calling { () async throws(MienClientError) in try await client.begin(request) }
        if order.wait { operation = try await OperationWait.wait(for: operation, client, console) }
        if connection.json {
            console.writeOutput(OperationReport.json(operation).document)
        } else {
            console.writeOutput(OperationReport.text(operation, in: cluster))
            if !operation.state.hasEnded {
                console.writeOutput("It goes on by itself; 'mien operations --watch' shows how far it is.\n")
            }
        }
        if order.wait, operation.state == .cancelled { throw CommandFailure(.no) }
    }
}

/// Waits for an operation, and tells how far it is.
enum OperationWait {
    static func wait(
        for operation: OperationInfo,
        _ client: MienClient,
        _ console: Console
    ) async throws(CommandFailure) -> OperationInfo {
        var operation = operation
        var progress =
            operation.rollout == nil
            ? ProgressLine(console: console, noun: "steps", total: operation.steps.count)
            : ProgressLine(console: console, noun: "rows", total: nil)
        while !operation.state.hasEnded {
            try? await Task.sleep(for: .milliseconds(250))
            let id = operation.id
            let operations = try await calling { () async throws(MienClientError) in try await client.operations() }
            guard let current = operations.first(where: { $0.id == id }) else {
                throw CommandFailure(.no, "the operation \(id) is not listed any more")
            }
            operation = current
            let codedRowCount = operation.rollout.map { Int(clamping: $0.codedRowCount) }
            progress.update(done: codedRowCount ?? operation.steps.count(where: \.state.hasEnded))
        }
        progress.clear()
        return operation
    }
}

/// Workers as people name them.
enum WorkerName {
    /// The workers' addresses, by their identities.
    static func addresses(of cluster: ClusterInfo) -> [String: String] {
        Dictionary(cluster.workers.map { ($0.id, $0.address) }, uniquingKeysWith: { first, _ in first })
    }

    private static let shortestPrefix = 4

    /// - Parameter text: an address, an identity, or the beginning of one that no other has.
    /// - Returns: the identity.
    static func find(_ text: String, in cluster: ClusterInfo) throws(CommandFailure) -> String {
        let named = cluster.workers.filter { $0.address == text || $0.id == text.lowercased() }
        let found =
            named.isEmpty && text.count >= shortestPrefix
            ? cluster.workers.filter { $0.id.hasPrefix(text.lowercased()) } : named
        guard found.count < 2 else {
            throw CommandFailure(.usage, "'\(text)' names \(found.count) workers; give more of the identity")
        }
        guard let worker = found.first else {
            throw CommandFailure(
                .no,
                "there is no worker '\(text)'; name it by its address or identity, as 'mien status --json' shows them"
            )
        }
        return worker.id
    }
}
