import ArgumentParser
import ClusterSimulator
import Synchronization
import Threads

/// Strikes every role at every stage of every operation.
struct Matrix: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Strike each role at each stage of each operation, and print a table of what came of it.",
        discussion: """
            Each run is one cluster of five workers with two shards, in which one operation is asked for. When it \
            reaches the stage one role is struck by one fault, which ends after 0.3 to 8 s. In the table, 'done · \
            taken back · broken' of all runs of the four faults; a dash where nothing could be struck. The command \
            ends with status 1 when something was broken.
            """
    )

    @OptionGroup var options: SeedOptions

    @Option(help: "Only this operation.")
    var operation: MatrixOperation?

    @Option(help: "Only this stage.")
    var stage: OperationStage?

    @Option(help: "Only this role.")
    var role: MatrixRole?

    @Option(help: "Only this fault.")
    var fault: MatrixFault?

    @Option(help: "What an operator thinks better of at that stage: none, cancel, pause or recommission.")
    var intervention = MatrixIntervention.none

    @Option(help: "Print the trace of this seed of the first cell instead, so many lines of its end.")
    var trace: Int?

    func run() throws {
        let all = (operation.map { [$0] } ?? MatrixOperation.allCases).map { operation in
            (operation: operation, cells: MatrixCell.all(of: operation, intervention: intervention))
        }
        let operations = all.filter { !$0.cells.isEmpty }.map(\.operation)
        guard !operations.isEmpty else {
            throw ValidationError("That operation cannot be thought better of so: \(intervention.rawValue).")
        }
        let cells = all.flatMap(\.cells).filter { cell in
            (stage.map { $0 == cell.stage } ?? true) && (role.map { $0 == cell.role } ?? true)
                && (fault.map { $0 == cell.fault } ?? true)
        }
        if let trace, let cell = cells.first {
            return Replay.show(Simulation(seed: options.seed, cell: cell), lines: trace)
        }
        let start = ContinuousClock.now
        let results = Self.run(cells, options)
        for operation in operations { Self.show(operation, results, intervention) }
        let broken = results.filter { if case .broken = $0.outcome { true } else { false } }
        let struck = results.count { $0.outcome != .notReached }
        print("\(results.count) runs, \(struck) struck, \(broken.count) broken, in \(ContinuousClock.now - start)")
        for result in broken.prefix(20) {
            guard case .broken(let violation) = result.outcome else { continue }
            print("seed \(result.seed), \(Self.text(result.cell)): \(violation)")
            print("  \(Simulation(seed: result.seed, cell: result.cell).command)")
        }
        if !broken.isEmpty { throw ExitCode.failure }
    }

    private struct Result {
        var cell: MatrixCell
        var seed: UInt64
        var outcome: MatrixOutcome
    }

    private static func run(_ cells: [MatrixCell], _ options: SeedOptions) -> [Result] {
        let next = Atomic<Int>(0)
        let results = Mutex<[Result]>([])
        let runCount = cells.count * Int(options.seeds)
        let work: @Sendable () -> Void = {
            while true {
                let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard number < runCount else { return }
                let cell = cells[number / Int(options.seeds)]
                let seed = options.seed + UInt64(number) % options.seeds
                let outcome = Simulation(seed: seed, cell: cell).run().operation
                results.withLock { $0.append(Result(cell: cell, seed: seed, outcome: outcome)) }
            }
        }
        let threads = (0..<options.threads).map { WorkerThread(name: "cells-\($0)", work) }
        for thread in threads { thread.join() }
        return results.withLock { $0 }
    }

    /// One table in Markdown: stages down, roles across.
    private static func show(_ operation: MatrixOperation, _ results: [Result], _ intervention: MatrixIntervention) {
        let roles = (intervention == .none ? [] : [nil]) + MatrixRole.allCases.map { Optional($0) }
        let head = [operation.rawValue + text(intervention)] + roles.map { $0?.rawValue ?? "nobody" }
        print("| " + head.joined(separator: " | ") + " |")
        print("|---" + String(repeating: "|---", count: roles.count) + "|")
        for stage in operation.stages {
            let cells = roles.map { role -> String in
                var tally = MatrixTally()
                for result in results
                where result.cell.operation == operation && result.cell.stage == stage && result.cell.role == role {
                    tally.add(result.outcome)
                }
                return tally.text
            }
            print("| \(stage.rawValue) | " + cells.joined(separator: " | ") + " |")
        }
        print("")
    }

    private static func text(_ intervention: MatrixIntervention) -> String {
        switch intervention {
        case .none: ""
        case .cancel: ", cancelled"
        case .pause: ", paused"
        case .recommission: ", recommissioned"
        }
    }

    private static func text(_ cell: MatrixCell) -> String {
        let fault = cell.role.flatMap { role in cell.fault.map { "\(role.rawValue) \($0.rawValue)" } } ?? "nobody"
        return "\(cell.operation.rawValue)\(text(cell.intervention)) at \(cell.stage.rawValue), \(fault)"
    }
}

extension MatrixOperation: ExpressibleByArgument {}
extension OperationStage: ExpressibleByArgument {}
extension MatrixRole: ExpressibleByArgument {}
extension MatrixFault: ExpressibleByArgument {}
extension MatrixIntervention: ExpressibleByArgument {}
