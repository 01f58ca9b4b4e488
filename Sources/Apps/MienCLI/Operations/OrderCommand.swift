import ArgumentParser
import MienClient

/// A command that begins operations, one as a rule. `mien plan` reads the same words and tells what it would do.
protocol OrderCommand: ConsoleCommand {
    var connection: ConnectionOptions { get }
    var order: OrderOptions { get }

    /// What is asked for, one after the other; at least one.
    ///
    /// - Parameter cluster: the cluster as it is, by which workers are found.
    func requests(in cluster: ClusterInfo) throws(CommandFailure) -> [OperationRequest]
}

/// What all commands that begin an operation take.
struct OrderOptions: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Wait until the operation has ended; ends with 1 when it was cancelled, or is not listed any more. Where "
                + "nobody tells how far it is for five minutes, ends with 69; the operation goes on."
        )
    )
    var wait = false
}

extension OrderCommand {
    func run(on console: Console) async throws(CommandFailure) { try await begin(planned: nil, on: console) }

    /// - Parameter plan: identity of a plan; nil for whatever the operation does.
    func begin(planned plan: String?, on console: Console) async throws(CommandFailure) {
        try await connection.withClient(on: console) { (client) async throws(CommandFailure) in
            try await begin(client, planned: plan, console)
        }
    }

    private func begin(
        _ client: MienClient,
        planned plan: String?,
        _ console: Console
    ) async throws(CommandFailure) {
        let cluster = try await calling { () async throws(MienClientError) in try await client.status() }
        let requests = try requests(in: cluster)
        if plan != nil, requests.count > 1 { throw CommandFailure(.usage, "a plan is applied to one worker at a time") }
        var operations: [OperationInfo] = []
        do throws(CommandFailure) {
            for request in requests {
                operations.append(
                    try await calling { () async throws(MienClientError) in
                        try await client.begin(request, planned: plan)
                    }
                )
            }
        } catch {
            // What has begun goes on, whatever becomes of the rest.
            if !operations.isEmpty { show(operations, of: requests.count, in: cluster, console) }
            throw error
        }
        if order.wait {
            do throws(CommandFailure) {
                for index in operations.indices {
                    try await OperationWait.wait(for: &operations[index], client, console)
                }
            } catch {
                let isUnlisted = error.status == .no
                show(operations, of: requests.count, in: cluster, saysTheyGoOn: !isUnlisted, console)
                throw CommandFailure(
                    error.status,
                    (isUnlisted
                        ? "the wait is over; whether what has begun goes on 'mien operations --all' shows\n"
                        : "the wait is over, but what has begun goes on; 'mien operations' shows how far it is\n")
                        + error.message
                )
            }
        }
        show(operations, of: requests.count, in: cluster, console)
        if order.wait, operations.contains(where: { $0.state == .cancelled }) { throw CommandFailure(.no) }
    }

    /// - Parameters:
    ///   - count: that were asked for: as JSON one is an object, several are an array.
    ///   - saysTheyGoOn: whether it is known that those that have not ended do.
    private func show(
        _ operations: [OperationInfo],
        of count: Int,
        in cluster: ClusterInfo,
        saysTheyGoOn: Bool = true,
        _ console: Console
    ) {
        if connection.json {
            let values = operations.map(OperationReport.json)
            console.writeOutput((count == 1 ? values[0] : .array(values)).document)
            return
        }
        for operation in operations { console.writeOutput(OperationReport.text(operation, in: cluster).shown()) }
        for operation in operations where operation.state == .paused {
            console.writeOutput("It is paused; 'mien operation resume \(operation.id)' lets it go on.\n")
        }
        let openCount = operations.count { !$0.state.hasEnded && $0.state != .paused }
        if openCount > 0, saysTheyGoOn {
            console.writeOutput(
                openCount == 1
                    ? "It goes on by itself; 'mien operations --watch' shows how far it is.\n"
                    : "They go on by themselves; 'mien operations --watch' shows how far they are.\n"
            )
        }
    }
}

/// Waits for an operation, and tells how far it is.
enum OperationWait {
    private static let interval = Duration.milliseconds(250)
    private static let intervalOfFailures = Duration.seconds(1)
    /// Looks one after the other that an operation may be missing in: a coordinator that has taken over hears of it a
    /// little later.
    private static let missingLookCount = 8

    /// - Parameter operation: becomes what is known of it last, also where this throws.
    /// - Throws: why nobody tells how far it is; ``ExitStatus/no`` where it is not listed any more.
    static func wait(
        for operation: inout OperationInfo,
        _ client: MienClient,
        _ console: Console
    ) async throws(CommandFailure) {
        if operation.state == .paused {
            console.writeError("it is paused; 'mien operation resume \(operation.id)' lets it go on\n")
        }
        var progress =
            operation.rollout == nil
            ? ProgressLine(console: console, noun: "steps", total: operation.steps.count)
            : ProgressLine(console: console, noun: "rows", total: nil)
        defer { progress.clear() }
        let id = operation.id
        var patience = Patience()
        var missingCount = 0
        var pause = interval
        while !operation.state.hasEnded {
            try? await Task.sleep(for: pause)
            let operations: [OperationInfo]
            do throws(CommandFailure) {
                operations = try await calling { () async throws(MienClientError) in try await client.operations() }
            } catch {
                progress.clear()
                try patience.lookFailed(error, console)
                pause = intervalOfFailures
                continue
            }
            patience.lookSucceeded()
            pause = interval
            guard let current = operations.first(where: { $0.id == id }) else {
                missingCount += 1
                guard missingCount < missingLookCount else {
                    throw CommandFailure(.no, "the operation \(id) is not listed any more")
                }
                continue
            }
            missingCount = 0
            operation = current
            if let rollout = operation.rollout {
                progress.update(done: Int(clamping: rollout.codedRowCount))
            } else {
                progress.update(
                    done: operation.steps.count(where: \.state.hasEnded),
                    share: operation.steps.map(share).reduce(0, +) / Double(max(1, operation.steps.count))
                )
            }
        }
    }

    /// Of a step, by what has been copied; what follows the copy takes little.
    private static func share(of step: OperationInfo.Step) -> Double {
        if step.state.hasEnded { return 1 }
        guard step.totalByteCount > 0 else { return 0 }
        return Double(min(step.sentByteCount, step.totalByteCount)) / Double(step.totalByteCount)
    }
}

/// Workers as people name them.
enum WorkerName {
    /// The workers' addresses, by their identities.
    static func addresses(of cluster: ClusterInfo) -> [String: String] {
        Dictionary(cluster.workers.map { ($0.id, $0.address) }, uniquingKeysWith: { first, _ in first })
    }

    /// As ``addresses(of:)``; none where the cluster does not tell them, which is no reason not to show the rest.
    static func addresses(by client: MienClient) async -> [String: String] {
        guard let cluster = try? await client.status() else { return [:] }
        return addresses(of: cluster)
    }

    private static let shortestPrefix = 4

    /// As ``find(_:in:passesOverDecommissioned:)`` for each of them, of which none may be named twice.
    static func find(
        _ texts: [String],
        in cluster: ClusterInfo,
        passesOverDecommissioned: Bool = true
    ) throws(CommandFailure) -> [String] {
        var workers: [String] = []
        for text in texts {
            let worker = try find(text, in: cluster, passesOverDecommissioned: passesOverDecommissioned)
            guard !workers.contains(worker) else { throw CommandFailure(.usage, "'\(text)' is named twice") }
            workers.append(worker)
        }
        return workers
    }

    /// - Parameters:
    ///   - text: an address, an identity, or the beginning of one that no other has.
    ///   - passesOverDecommissioned: whether an address means the worker that has it now, and none that had it before
    ///     and was taken out of the cluster.
    /// - Returns: the identity.
    static func find(
        _ text: String,
        in cluster: ClusterInfo,
        passesOverDecommissioned: Bool = true
    ) throws(CommandFailure) -> String {
        var named = cluster.workers.filter { $0.address == text || $0.id == text.lowercased() }
        let remaining = named.filter { $0.standing != .decommissioned }
        if passesOverDecommissioned, remaining.count == 1 { named = remaining }
        let found =
            named.isEmpty && text.count >= shortestPrefix
            ? cluster.workers.filter { $0.id.hasPrefix(text.lowercased()) } : named
        guard found.count < 2 else {
            let workers = found.sorted { $0.id < $1.id }.map { "\($0.id) (\(presence(of: $0)))" }
            throw CommandFailure(
                .usage,
                "'\(text)' names \(found.count) workers: \(workers.joined(separator: ", ")); give the identity"
            )
        }
        guard let worker = found.first else {
            throw CommandFailure(
                .no,
                "there is no worker '\(text)'; name it by its address or identity, as 'mien status --json' shows them"
            )
        }
        return worker.id
    }

    /// What tells workers of one address apart: of one whose disk was replaced the old identity is silent.
    private static func presence(of worker: ClusterInfo.Worker) -> String {
        let presence = worker.isLive ? "live" : "silent"
        return worker.standing == .decommissioned ? presence + ", decommissioned" : presence
    }
}
