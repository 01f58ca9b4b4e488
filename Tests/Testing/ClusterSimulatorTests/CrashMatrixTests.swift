import ClusterSimulator
import Testing

/// `docs/reliability.md` has the whole matrix; these runs are one fault of each role at each stage, in turn.
struct CrashMatrixTests {
    private static func struck(_ cells: [MatrixCell]) -> [MatrixCell] {
        cells.enumerated().filter { $0.offset % 4 == ($0.offset / 4) % 4 }.map(\.element)
    }

    /// Runs each cell once; tells what was broken, and how many were struck.
    private static func run(_ cells: [MatrixCell]) -> MatrixTally {
        var tally = MatrixTally()
        for (index, cell) in cells.enumerated() {
            let outcome = Simulation(seed: UInt64(index + 1), cell: cell).run().operation
            tally.add(outcome)
            if case .broken(let violation) = outcome {
                Issue.record("seed \(index + 1), \(cell): \(violation)")
            }
        }
        return tally
    }

    @Test(arguments: MatrixOperation.allCases)
    func anOperationThatIsStruckEndsDoneOrTakenBack(operation: MatrixOperation) {
        let tally = Self.run(Self.struck(MatrixCell.all(of: operation)))
        #expect(tally.doneCount > tally.notReachedCount)
    }

    @Test(arguments: MatrixOperation.allCases.filter(\.isRecorded))
    func anOperationThatIsTakenBackLeavesThingsAsTheyWere(operation: MatrixOperation) {
        let alone = operation.stages.map { MatrixCell(operation, $0, intervention: .cancel) }
        let tally = Self.run(alone + Self.struck(MatrixCell.all(of: operation, intervention: .cancel)))
        #expect(tally.takenBackCount > 0)
    }

    @Test(arguments: [MatrixOperation.drain, .decommission])
    func aWorkerThatIsWantedBackWhileItIsDrainedTakesReplicasAgain(operation: MatrixOperation) {
        let alone = operation.stages.map { MatrixCell(operation, $0, intervention: .recommission) }
        let tally = Self.run(alone + Self.struck(MatrixCell.all(of: operation, intervention: .recommission)))
        #expect(tally.takenBackCount > 0)
    }

    @Test func nothingElseIsWantedBack() {
        #expect(MatrixCell.all(of: .split, intervention: .recommission).isEmpty)
        #expect(MatrixCell.all(of: .replace, intervention: .cancel).isEmpty)
    }

    @Test(arguments: [MatrixOperation.split, .merge, .rollout, .decommission])
    func anOperationThatIsHeldUpGoesOn(operation: MatrixOperation) {
        let tally = Self.run(Self.struck(MatrixCell.all(of: operation, intervention: .pause)))
        #expect(tally.doneCount > 0)
    }

    @Test func theSameCellGivesTheSameRun() {
        let cell = MatrixCell(.merge, .sealed, .primary, .kill)
        let (first, second) = (Simulation(seed: 4, cell: cell).run(), Simulation(seed: 4, cell: cell).run())
        #expect(first.traceHash == second.traceHash && first.counts == second.counts)
        #expect(first.operation != .notReached)
    }
}
