import ClusterSimulator
import ShardReplication
import Testing

struct SimulationTests {
    /// A short run; `docs/reliability.md` has the long ones, which alone say something of rare faults.
    @Test(arguments: 0..<8)
    func everyPromiseIsKept(part: UInt64) {
        for seed in (part * 40 + 1)...(part * 40 + 40) {
            let violation = Simulation(seed: seed).run().violation
            #expect(violation == nil, "seed \(seed): run 'mien-simulator replay \(seed) --shrink'")
        }
    }

    @Test(arguments: SimulationCourse.all.filter { $0 != SimulationCourse() })
    func everyPromiseIsKept(on course: SimulationCourse) {
        for seed in 1...40 as ClosedRange<UInt64> {
            let violation = Simulation(seed: seed, course: course).run().violation
            #expect(violation == nil, "seed \(seed) of \(course)")
        }
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
        #expect(counts.leaps > 0)
        #expect(counts.operationsDone > 0 && counts.operationsTakenBack > 0 && counts.successions > 0)
    }

    @Test(arguments: [3, 17, 99] as [UInt64])
    func theSameSeedGivesTheSameRun(seed: UInt64) {
        let (first, second) = (Simulation(seed: seed).run(), Simulation(seed: seed).run(keepsTrace: true))
        #expect(first.traceHash == second.traceHash)
        #expect(first.counts == second.counts)
        #expect(first.traceHash != Simulation(seed: seed + 1).run().traceHash)
    }

    /// Those that are found within a few seeds.
    @Test(arguments: [
        PlantedBug.applyBeforeCommit, .acknowledgeAfterLocalWrite, .acknowledgeBeforeApplied, .deleteWithoutQuarantine,
        .noPromiseCheck, .replyBeforeSync, .resumeSameEpoch, .noTakeOverRetry, .shrinkBeforeAnswer, .growBeforeApplied,
        .readWithoutLease, .leaseFromArrival, .noTruncation, .leadWithoutItsEntries,
        .confirmWithoutAsking, .confirmApplied, .readWithoutItsEntries,
    ])
    func plantedBugIsFound(bug: PlantedBug) {
        // With those that find what only one of some hundred does.
        let seeds: [UInt64] = Array(1...60) + [66, 73, 97, 173, 205]
        #expect(seeds.contains { Simulation(seed: $0, bug: bug).run().violation != nil })
    }

    /// Those whose circumstances are rare unless faults are aimed at them: the seeds are those that long runs found, a
    /// few more beside them.
    @Test(
        arguments: [
            (PlantedBug.promiseNotPersisted, SimulationCourse(trustsDisks: true), 1),
            (.growWithoutUnion, SimulationCourse(), 790),
            (.growBeforeCommitted, SimulationCourse(aim: .upheavals), 210),
            (.leaseWithoutConfirmation, SimulationCourse(aim: .divisions), 1),
            (.matchIsLast, SimulationCourse(aim: .upheavals), 690),
            (.countOldReplies, SimulationCourse(aim: .upheavals), 330),
            (.readUnconfirmed, SimulationCourse(aim: .divisions), 1),
            (.confirmBeforeInherited, SimulationCourse(aim: .divisions), 44),
        ] as [(PlantedBug, SimulationCourse, UInt64)]
    )
    func rareBugIsFound(bug: PlantedBug, course: SimulationCourse, first: UInt64) {
        let seeds = first...(first + 30)
        #expect(seeds.contains { Simulation(seed: $0, course: course, bug: bug).run().violation != nil })
    }

    @Test(arguments: [
        WorldFault.noDeduplication, .earlierAttemptsForgotten, .electOutsideInSync, .amnesia, .shrinkBelowMinimum,
        .tombstonesForgotten, .tokensIgnored, .missingShardsForgotten, .replacedShardsMixed,
    ])
    func plantedFaultIsFound(fault: WorldFault) {
        let seeds: [UInt64] = Array(1...60) + [93, 454]
        #expect(seeds.contains { Simulation(seed: $0, fault: fault).run().violation != nil })
    }

    @Test func shardsThatTakeOthersPlaceAndAnswerAtOnceAreFound() {
        let course = SimulationCourse(aim: .rollouts)
        let seeds = 405...412 as ClosedRange<UInt64>
        #expect(
            seeds.contains { Simulation(seed: $0, course: course, fault: .successorsAlwaysNew).run().violation != nil }
        )
    }

    @Test func groupsThatAreReplacedWhateverTheirVersionAreFound() {
        let course = SimulationCourse(aim: .divisions)
        let seeds = 777...784 as ClosedRange<UInt64>
        #expect(
            seeds.contains { Simulation(seed: $0, course: course, fault: .noCompareAndSwap).run().violation != nil }
        )
    }

    @Test func aCodebookWhoseRolloutWasTakenBackIsFound() {
        let course = SimulationCourse(aim: .rollouts)
        #expect(
            (1478...1482).contains {
                Simulation(seed: $0, course: course, fault: .rolloutsNeverTakenBack).run().violation != nil
            }
        )
    }

    /// Each on the course on which clients write through coordinators.
    @Test(arguments: [
        WorldFault.unknownToldAsRejected, .otherKeyOnRetry, .earlierRoundsForgotten, .otherPartsForgotten,
        .agesForgotten,
    ])
    func plantedFaultOfACoordinatorIsFound(fault: WorldFault) {
        let course = SimulationCourse(aim: .routers)
        #expect((1...30).contains { Simulation(seed: $0, course: course, fault: fault).run().violation != nil })
    }

    @Test func aPartOfAWriteThatIsTakenForAllOfItIsFound() {
        let course = SimulationCourse(aim: .routers)
        #expect(
            (980...990).contains {
                Simulation(seed: $0, course: course, fault: .partsTakenForAll).run().violation != nil
            }
        )
    }

    @Test func aReplicaThatIsRemovedByALateOrderIsFound() {
        let course = SimulationCourse(aim: .orders)
        #expect(
            (1...40).contains { Simulation(seed: $0, course: course, fault: .dropsByEpochAlone).run().violation != nil }
        )
    }

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
            let outcome = Simulation(seed: UInt64(seed), course: SimulationCourse(aim: .policies)).run()
            if let violation = outcome.violation { Issue.record("seed \(seed): \(violation)") }
            counts += outcome.counts
        }
        #expect(counts.operationsBegunAlone > 20 && counts.pins > 20)
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

    @Test(arguments: [
        WorldFault.failedStepCounted, .failedStepRefused, .stepsMixed, .tornCopyTaken,
    ])
    func aDiskThatIsTakenAtItsWordIsFound(fault: WorldFault) {
        let course = SimulationCourse(aim: .disks)
        // With those that two of them alone are found by.
        let seeds: [UInt64] = Array(1...10) + [157, 174]
        #expect(seeds.contains { Simulation(seed: $0, course: course, fault: fault).run().violation != nil })
    }

    @Test func aPartitionThatIsOpenedAndNotSyncedIsFound() {
        let course = SimulationCourse(aim: .disks)
        #expect(
            (82...86).contains {
                Simulation(seed: $0, course: course, fault: .openedUnsynced).run().violation != nil
            }
        )
    }

    @Test func aStepThatBeginsBesideAPinIsFound() {
        let course = SimulationCourse(aim: .policies)
        #expect(
            (1...10).contains {
                Simulation(seed: $0, course: course, fault: .stepsBesidePins).run().violation?.promise == .pins
            }
        )
    }

    /// Each in runs of the crash matrix.
    @Test(arguments: [
        WorldFault.regroupWhateverOperations, .succeedWhateverVersions, .sealBeforeDurable, .freezeForgotten,
        .sealedRemovedAtRestart, .changesBetweenSlicesForgotten,
    ])
    func plantedFaultInAnOperationIsFound(fault: WorldFault) {
        #expect((1...300).contains { Simulation.run(seed: $0, fault: fault).run().violation != nil })
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
}
