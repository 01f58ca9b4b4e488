import ClusterSimulator
import ShardReplication
import Testing

struct SimulationTests {
    /// Plays the seeds, and tells of each that breaks a promise how to play it again; of the first with its trace.
    private static func expectKept(_ seeds: ClosedRange<UInt64>, on course: SimulationCourse = SimulationCourse()) {
        var isFirst = true
        for seed in seeds {
            let simulation = Simulation(seed: seed, course: course)
            guard let violation = simulation.run().violation else { continue }
            Issue.record("\(violation); \(isFirst ? simulation.report() : simulation.command)")
            isFirst = false
        }
    }

    /// A short run; `docs/reliability.md` has the long ones, which alone say something of rare faults.
    @Test(arguments: 0..<8)
    func everyPromiseIsKept(part: UInt64) {
        Self.expectKept((part * 40 + 1)...(part * 40 + 40))
    }

    @Test(arguments: SimulationCourse.all.filter { $0 != SimulationCourse() })
    func everyPromiseIsKept(on course: SimulationCourse) {
        Self.expectKept(1...40, on: course)
    }

    @Test func aRunDoesWhatItIsSaidToDo() {
        var counts = SimulationCounts()
        for seed in 1...40 { counts += Simulation(seed: UInt64(seed)).run().counts }
        #expect(counts.acknowledged > 1000)
        #expect(counts.reads > 1000 && counts.refusedReads > 0)
        #expect(counts.crashes > 0 && counts.cuts > 0 && counts.pauses > 0 && counts.wipes > 0)
        #expect(counts.copies > 0 && counts.epochs > 40)
        #expect(counts.rollbacks > 0 && counts.lossesTold > 0)
        #expect(counts.fills > 0 && counts.fullSteps > 0)
        #expect(counts.unheardReads > 0)
        #expect(counts.strongReads > 1000 && counts.refusedStrongReads > 0)
        #expect(counts.fullSearches > 1000 && counts.partialSearches > 0 && counts.refusedSearches > 0)
        #expect(counts.leaps > 0 && counts.controllerPauses > 0)
        #expect(counts.operationsDone > 0 && counts.operationsTakenBack > 0 && counts.successions > 0)
    }

    @Test(arguments: [3, 17, 99] as [UInt64])
    func theSameSeedGivesTheSameRun(seed: UInt64) {
        let (first, second) = (Simulation(seed: seed).run(), Simulation(seed: seed).run(keepsTrace: true))
        #expect(first.traceHash == second.traceHash)
        #expect(first.counts == second.counts)
        #expect(first.traceHash != Simulation(seed: seed + 1).run().traceHash)
    }

    /// Most points in runs of the first course; logs are cut off where primaries change all the time.
    @Test func processesEndAtEveryPointOfTheProtocol() {
        var counts = SimulationCounts()
        for seed in 1...40 as ClosedRange<UInt64> { counts += Simulation(seed: seed).run().counts }
        // Two of 150 die with something to be cut off.
        for seed in Array(1...40) + [54, 109] as [UInt64] {
            counts += Simulation(seed: seed, course: SimulationCourse(aim: .upheavals)).run().counts
        }
        for point in CrashPoint.allCases {
            #expect(counts.crashPoints[point, default: 0] > 0, "\(point)")
        }
    }

    // MARK: Planted bugs

    @Test(arguments: PlantedRow.bugs)
    func plantedBugIsFound(row: PlantedRow) { row.expectFound() }

    @Test(arguments: PlantedRow.rareBugs)
    func rareBugIsFound(row: PlantedRow) { row.expectFound() }

    @Test(arguments: PlantedRow.faults)
    func plantedFaultIsFound(row: PlantedRow) { row.expectFound() }

    @Test func shardsThatTakeOthersPlaceAndAnswerAtOnceAreFound() { PlantedRow.successors.expectFound() }

    @Test func groupsThatAreReplacedWhateverTheirVersionAreFound() { PlantedRow.groups.expectFound() }

    @Test func aCodebookWhoseRolloutWasTakenBackIsFound() { PlantedRow.codebooks.expectFound() }

    @Test func twoShardsOfOneNumberAreFound() { PlantedRow.numbers.expectFound() }

    /// Each on the course on which clients write through coordinators.
    @Test(arguments: PlantedRow.coordinatorFaults)
    func plantedFaultOfACoordinatorIsFound(row: PlantedRow) { row.expectFound() }

    @Test func aPartOfAWriteThatIsTakenForAllOfItIsFound() { PlantedRow.parts.expectFound() }

    @Test func aReplicaThatIsRemovedByALateOrderIsFound() { PlantedRow.removals.expectFound() }

    @Test func recordsThatAreToldAsNewWhateverTheirAgeAreFound() { PlantedRow.records.expectFound() }

    @Test func aLogThatIsCutBehindACopyIsFound() { PlantedRow.copies.expectFound() }

    @Test(arguments: PlantedRow.diskFaults)
    func aDiskThatIsTakenAtItsWordIsFound(row: PlantedRow) { row.expectFound() }

    @Test func aPartitionThatIsOpenedAndNotSyncedIsFound() { PlantedRow.openings.expectFound() }

    @Test func aStepThatBeginsBesideAPinIsFound() { PlantedRow.pins.expectFound() }

    /// Each in runs of the crash matrix.
    @Test(arguments: PlantedRow.operationFaults)
    func plantedFaultInAnOperationIsFound(row: PlantedRow) { row.expectFound() }

    @Test func everyPlantedBugIsLookedFor() {
        let names = Set(PlantedBug.allCases.map(\.rawValue) + WorldFault.allCases.map(\.rawValue))
        #expect(Set(PlantedRow.all.map(\.name)) == names)
    }

    /// A check that nothing can make fail shows nothing.
    @Test func everyPromiseIsBrokenByABug() {
        let broken = PlantedRow.all.filter { $0.promises.count == 1 }.flatMap(\.promises)
        #expect(Set(broken) == Set(Violation.Promise.allCases))
    }

    // MARK: Courses

    @Test func ordersComeLateOnTheirCourse() {
        var counts = SimulationCounts()
        for seed in 1...10 {
            counts += Simulation(seed: UInt64(seed), course: SimulationCourse(aim: .orders)).run().counts
        }
        #expect(counts.lateOrders > 5 && counts.operationsDone > 5)
    }

    @Test func writesGoThroughCoordinatorsOnTheirCourse() {
        var counts = SimulationCounts()
        for seed in 1...20 {
            counts += Simulation(seed: UInt64(seed), course: SimulationCourse(aim: .routers)).run().counts
        }
        #expect(counts.acknowledged > 500 && counts.rejected > 0 && counts.unknown > 0)
        #expect(counts.routedAttempts > counts.routedRounds && counts.routedRounds > counts.acknowledged)
        #expect(counts.routedAnew > 0 && counts.routedLost > 0 && counts.routedOvertaken > 0)
        #expect(counts.routedStale > 0)
        #expect(counts.callsAgain > 0 && counts.settledAgain > 0)
    }

    @Test func codebooksComeOnTheirCourse() {
        var counts = SimulationCounts()
        for seed in 1...10 {
            counts += Simulation(seed: UInt64(seed), course: SimulationCourse(aim: .rollouts)).run().counts
        }
        #expect(counts.codebooks > 10)
    }

    @Test func controllersActByThemselvesOnTheCourseOfPoliciesAndLeaveWhatIsPinned() {
        var counts = SimulationCounts()
        for seed in 1...20 {
            let simulation = Simulation(seed: UInt64(seed), course: SimulationCourse(aim: .policies))
            let outcome = simulation.run()
            if let violation = outcome.violation { Issue.record("\(violation); \(simulation.report())") }
            counts += outcome.counts
        }
        #expect(counts.operationsBegunAlone > 20 && counts.pins > 20)
    }

    @Test func whatIsDamagedIsMadeAnewOnItsCourse() {
        var counts = SimulationCounts()
        for seed in 1...20 {
            let simulation = Simulation(seed: UInt64(seed), course: SimulationCourse(aim: .damage))
            let outcome = simulation.run()
            if let violation = outcome.violation { Issue.record("\(violation); \(simulation.report())") }
            counts += outcome.counts
        }
        #expect(counts.damages > 20 && counts.repairs > 10 && counts.operationsDone > 10)
    }

    /// The course shows nothing if it is all the same whether anything is mended.
    @Test func withoutRepairsNothingBecomesWholeOnThatCourse() {
        let broken = (1...20).count { seed in
            var simulation = Simulation(seed: UInt64(seed), course: SimulationCourse(aim: .damage))
            simulation.settings.repairTime = .zero
            let outcome = simulation.run()
            return outcome.counts.damages > 0 && outcome.violation?.promise == .liveness
        }
        #expect(broken > 10)
    }

    @Test func disksFailAndLosePowerOnTheirCourse() {
        var counts = SimulationCounts()
        // With some in which a copy arrives torn.
        for seed in Array(1...36) + [174, 175, 176, 177] {
            counts += Simulation(seed: UInt64(seed), course: SimulationCourse(aim: .disks)).run().counts
        }
        #expect(counts.powerCuts > 40)
        #expect(counts.failedSteps > counts.unknownSteps && counts.unknownSteps > 40 && counts.turnedSteps > 0)
        #expect(counts.copies > 40 && counts.resumedCopies > 0 && counts.foundCopies > 0 && counts.tornCopies > 0)
        #expect(counts.acknowledged > 1000 && counts.operationsDone > 10)
    }

    @Test func aFailingSeedIsShrunkToWhatItNeeds() throws {
        let simulation = Simulation(seed: 1, bug: .acknowledgeAfterLocalWrite)
        let violation = try #require(simulation.run().violation)
        let shrunk = simulation.shrunk()
        let outcome = shrunk.run(keepsTrace: true)
        #expect(outcome.violation?.promise == violation.promise)
        #expect(outcome.trace.last?.contains("VIOLATION") == true)
        #expect(shrunk.settings.faultTime <= simulation.settings.faultTime)
    }

    @Test func aFailingRunTellsHowItIsPlayedAgain() {
        let simulation = Simulation(seed: 1, bug: .acknowledgeAfterLocalWrite)
        #expect(simulation.command == "mien-simulator replay 1 --bug acknowledgeAfterLocalWrite --shrink")
        let lines = simulation.report().split(separator: "\n")
        #expect(lines.count > 40)
        #expect(lines.first?.hasPrefix("\(simulation.command): deletion") == true)
        #expect(lines.last?.contains("VIOLATION") == true)
    }

    @Test func theCommandOfARunHasItsCourseAndItsCell() {
        let course = SimulationCourse(aim: .disks, trustsDisks: true)
        #expect(
            Simulation(seed: 7, course: course).command
                == "mien-simulator replay 7 --aim disks --trust-disks --shrink"
        )
        let cell = MatrixCell(.merge, .sealed, .primary, .kill, intervention: .cancel)
        #expect(
            Simulation(seed: 4, cell: cell).command
                == "mien-simulator matrix --seed 4 --operation merge --stage sealed --role primary --fault kill "
                + "--intervention cancel --trace 100"
        )
        let planted = Simulation.run(seed: 3, fault: .sealBeforeDurable)
        #expect(planted.command == "mien-simulator replay 3 --bug sealBeforeDurable --shrink")
    }
}
