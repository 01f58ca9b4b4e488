import ClusterSimulator
import Testing

/// `docs/reliability.md` has the whole matrix; these runs are one fault of each role at each stage, in turn.
struct CrashMatrixTests {
    private static func struck(_ cells: [MatrixCell]) -> [MatrixCell] {
        cells.enumerated().filter { $0.offset % 4 == ($0.offset / 4) % 4 }.map(\.element)
    }

    /// What came of some runs.
    private struct Results {
        var tally = MatrixTally()
        var counts = SimulationCounts()
        /// Runs in which there was somebody to strike.
        var possibleCount = 0

        /// As good as all of them were struck. In the tables all are, but for half of those of one stage of
        /// `balance`: only a primary hands over, and which replica leaves first differs.
        func expectStruck(_ operation: MatrixOperation) {
            let missedCount = possibleCount - tally.struckCount
            let share = operation == .balance || operation == .rebalance ? 6 : 12
            #expect(missedCount * share <= possibleCount, "\(missedCount) of \(possibleCount) were not struck")
        }
    }

    /// Runs each cell once, those that are asked for; tells what was broken.
    private static func run(_ cells: [MatrixCell], where isAskedFor: (MatrixCell) -> Bool = { _ in true }) -> Results {
        var results = Results()
        for (index, cell) in cells.enumerated() where isAskedFor(cell) {
            let simulation = Simulation(seed: UInt64(index + 1), cell: cell)
            let outcome = simulation.run()
            results.tally.add(outcome.operation)
            results.counts += outcome.counts
            if cell.isSomebodys { results.possibleCount += 1 }
            if case .broken(let violation) = outcome.operation {
                Issue.record("\(violation); \(simulation.report())")
            }
        }
        return results
    }

    @Test(arguments: MatrixOperation.allCases)
    func anOperationThatIsStruckEndsDoneOrTakenBack(operation: MatrixOperation) {
        let results = Self.run(Self.struck(MatrixCell.all(of: operation)))
        results.expectStruck(operation)
        #expect(results.tally.doneCount > results.tally.notReachedCount)
    }

    @Test(arguments: MatrixOperation.allCases.filter(\.isRecorded))
    func anOperationThatIsTakenBackLeavesThingsAsTheyWere(operation: MatrixOperation) {
        let alone = operation.stages.map { MatrixCell(operation, $0, intervention: .cancel) }
        let cells = alone + Self.struck(MatrixCell.all(of: operation, intervention: .cancel))
        // Nothing that was taken back goes unlooked at, whoever was struck.
        let quiet = Self.run(cells) { $0.role == nil }
        #expect(quiet.counts.shardsCompared + quiet.counts.partsKept >= quiet.tally.takenBackCount)
        let struck = Self.run(cells) { $0.role != nil }
        struck.expectStruck(operation)
        #expect(struck.tally.takenBackCount > 0)
        #expect(struck.counts.shardsCompared + struck.counts.partsKept >= struck.tally.takenBackCount)
        #expect(struck.counts.shardsCompared > struck.counts.partsKept)
        #expect(struck.counts.replicasCompared > 0)
    }

    @Test(arguments: [MatrixOperation.drain, .decommission])
    func aWorkerThatIsWantedBackWhileItIsDrainedTakesReplicasAgain(operation: MatrixOperation) {
        let alone = operation.stages.map { MatrixCell(operation, $0, intervention: .recommission) }
        let results = Self.run(alone + Self.struck(MatrixCell.all(of: operation, intervention: .recommission)))
        results.expectStruck(operation)
        #expect(results.tally.takenBackCount > 0)
    }

    @Test func nothingElseIsWantedBack() {
        #expect(MatrixCell.all(of: .split, intervention: .recommission).isEmpty)
        #expect(MatrixCell.all(of: .replace, intervention: .cancel).isEmpty)
    }

    @Test(arguments: [MatrixOperation.split, .merge, .rollout, .decommission])
    func anOperationThatIsHeldUpGoesOn(operation: MatrixOperation) {
        let results = Self.run(Self.struck(MatrixCell.all(of: operation, intervention: .pause)))
        results.expectStruck(operation)
        #expect(results.tally.doneCount > 0)
    }

    /// The disk is full for long enough to be met, and not for good.
    @Test func aCodebookThatACoordinatorHasNoRoomForIsRecordedInTheEnd() {
        let isFull = { (cell: MatrixCell) in cell.role == .controller && cell.fault == .fullDisk }
        let cells = MatrixCell.all(of: .rollout).filter { isFull($0) && [.training, .trained].contains($0.stage) }
        let results = Self.run(cells + cells + cells)
        #expect(results.tally.doneCount > 0 && results.counts.unstoredCodebooks > 0)
        #expect(!MatrixCell.all(of: .move).contains(where: isFull), "nothing of it is on that disk")
    }

    /// What every run without somebody to strike is held to: links that are cut, which none of them has, break it.
    @Test func searchesThatLackShardsForLongAreFoundWhereNobodyIsStruck() {
        let details = (1...10 as ClosedRange<UInt64>).compactMap { seed -> String? in
            var simulation = Simulation(seed: seed, cell: MatrixCell(.move, .copying, intervention: .pause))
            simulation.settings.controllerCount = 1
            simulation.settings.cutInterval = .milliseconds(200)
            return simulation.run().violation?.details
        }
        #expect(details.contains { $0.contains("nobody is struck") }, "\(details)")
    }

    /// In some of these runs copies come whole, and in some in parts.
    @Test func copiesComeInPartsInEveryOtherSeed() {
        let cell = MatrixCell(.move, .copying, .target, .kill)
        let arePartial = (1...4 as ClosedRange<UInt64>).map { Simulation(seed: $0, cell: cell).settings.hasCopyParts }
        #expect(arePartial == [true, false, true, false])
        let counts = (1...12 as ClosedRange<UInt64>).map { Simulation(seed: $0, cell: cell).run().counts }
        #expect(counts.contains { $0.foundCopies > 0 }, "another life of the target finds what had come")
    }

    @Test func theSameCellGivesTheSameRun() {
        let cell = MatrixCell(.merge, .sealed, .primary, .kill)
        let (first, second) = (Simulation(seed: 4, cell: cell).run(), Simulation(seed: 4, cell: cell).run())
        #expect(first.traceHash == second.traceHash && first.counts == second.counts)
        #expect(first.operation != .notReached)
    }
}
