internal import ClusterModel
package import ShardReplication

/// What happened in a run, counted.
package struct SimulationCounts: Hashable, Sendable {
    package var events = 0
    package var acknowledged = 0
    package var rejected = 0
    package var unknown = 0
    /// Rounds of writes that coordinators began, and those that they began anew by a newer map.
    package var routedRounds = 0
    package var routedAnew = 0
    /// Attempts at shards, those of them by an older map than the worker's, and those that were waited for no longer
    /// since the shard had another primary.
    package var routedAttempts = 0
    package var routedStale = 0
    package var routedOvertaken = 0
    /// Times that a merged shard which knew a part of a write ordered the rest of it.
    package var restsOrdered = 0
    /// Calls of clients for writes of unknown outcome, under their keys, and writes that one of them ended.
    package var callsAgain = 0
    package var settledAgain = 0
    /// Calls of clients that died with their coordinator.
    package var routedLost = 0
    package var reads = 0
    package var refusedReads = 0
    package var strongReads = 0
    package var refusedStrongReads = 0
    package var searches = 0
    /// Answered in full, answered in part, and refused since not everything was there.
    package var fullSearches = 0
    package var partialSearches = 0
    package var refusedSearches = 0
    package var crashes = 0
    /// Of these, those at each point of the protocol; one may be at several.
    package var crashPoints: [CrashPoint: Int] = [:]
    package var cuts = 0
    package var pauses = 0
    /// Of coordinators.
    package var controllerPauses = 0
    package var wipes = 0
    /// Replicas that proved damaged, and those that made way for copies.
    package var damages = 0
    package var repairs = 0
    package var fills = 0
    /// Orders to remove something that came a second time.
    package var lateOrders = 0
    /// Times that a coordinator's time of day was set.
    package var leaps = 0
    /// Steps of logs for which there was no room.
    package var fullSteps = 0
    /// Disks that were put back to an earlier state.
    package var rollbacks = 0
    /// Times that a replica told of one.
    package var lossesTold = 0
    /// Reads that a primary answered which had begun anew, while those who might know more were silent.
    package var unheardReads = 0
    /// Reads that a primary answered whose disk had gone back, and that could not know it.
    package var unnoticedReads = 0
    package var copies = 0
    /// Copies that their senders went on with, those that another life of the receiver found, and those that were not
    /// what was sent.
    package var resumedCopies = 0
    package var foundCopies = 0
    package var tornCopies = 0
    /// Steps whose commit failed, and of these those of which something was there.
    package var failedSteps = 0
    package var unknownSteps = 0
    /// Of those that failed, those that a power cut showed to have ended otherwise than it had seemed.
    package var turnedSteps = 0
    /// Of several workers in one instant, or of one.
    package var powerCuts = 0
    /// Changes of the primary.
    package var epochs = 0
    package var operations = 0
    /// Of these, those that nobody asked for, rollouts left out.
    package var operationsBegunAlone = 0
    package var pins = 0
    package var operationsDone = 0
    package var operationsTakenBack = 0
    /// Of these, in runs of the crash matrix, those after which the shards and their ranges were compared with those of
    /// before, and those after which the workers of each shard were, too.
    package var shardsCompared = 0
    /// Operations that were taken back and had split or merged shards before, which stay so.
    package var partsKept = 0
    package var replicasCompared = 0
    /// Times that shards took the place of others.
    package var successions = 0
    package var codebooks = 0
    /// That a coordinator had fetched, and had no room for.
    package var unstoredCodebooks = 0
    package var entries: UInt64 = 0

    package init() {}

    package static func += (left: inout SimulationCounts, right: SimulationCounts) {
        left.events += right.events
        left.acknowledged += right.acknowledged
        left.rejected += right.rejected
        left.unknown += right.unknown
        left.routedRounds += right.routedRounds
        left.routedAnew += right.routedAnew
        left.routedAttempts += right.routedAttempts
        left.routedStale += right.routedStale
        left.routedOvertaken += right.routedOvertaken
        left.restsOrdered += right.restsOrdered
        left.callsAgain += right.callsAgain
        left.settledAgain += right.settledAgain
        left.routedLost += right.routedLost
        left.reads += right.reads
        left.refusedReads += right.refusedReads
        left.strongReads += right.strongReads
        left.refusedStrongReads += right.refusedStrongReads
        left.searches += right.searches
        left.fullSearches += right.fullSearches
        left.partialSearches += right.partialSearches
        left.refusedSearches += right.refusedSearches
        left.crashes += right.crashes
        left.crashPoints.merge(right.crashPoints, uniquingKeysWith: +)
        left.cuts += right.cuts
        left.pauses += right.pauses
        left.controllerPauses += right.controllerPauses
        left.wipes += right.wipes
        left.damages += right.damages
        left.repairs += right.repairs
        left.fills += right.fills
        left.lateOrders += right.lateOrders
        left.leaps += right.leaps
        left.fullSteps += right.fullSteps
        left.unheardReads += right.unheardReads
        left.rollbacks += right.rollbacks
        left.lossesTold += right.lossesTold
        left.unnoticedReads += right.unnoticedReads
        left.copies += right.copies
        left.resumedCopies += right.resumedCopies
        left.foundCopies += right.foundCopies
        left.tornCopies += right.tornCopies
        left.failedSteps += right.failedSteps
        left.unknownSteps += right.unknownSteps
        left.turnedSteps += right.turnedSteps
        left.powerCuts += right.powerCuts
        left.epochs += right.epochs
        left.operations += right.operations
        left.operationsBegunAlone += right.operationsBegunAlone
        left.pins += right.pins
        left.operationsDone += right.operationsDone
        left.operationsTakenBack += right.operationsTakenBack
        left.shardsCompared += right.shardsCompared
        left.partsKept += right.partsKept
        left.replicasCompared += right.replicasCompared
        left.successions += right.successions
        left.codebooks += right.codebooks
        left.unstoredCodebooks += right.unstoredCodebooks
        left.entries += right.entries
    }
}

/// One run of the simulator, from its seed: the same seed gives the same run, event by event.
package struct Simulation: Sendable {
    package let seed: UInt64
    package var settings: SimulationSettings

    package init(
        seed: UInt64,
        course: SimulationCourse = SimulationCourse(),
        bug: PlantedBug? = nil,
        fault: WorldFault? = nil
    ) {
        self.seed = seed
        settings = SimulationSettings(seed: seed, course: course)
        settings.bug = bug
        settings.fault = fault
    }

    /// A run that may find a planted bug: of one in operations a run of the crash matrix, with each seed another cell.
    package static func run(
        seed: UInt64,
        course: SimulationCourse = SimulationCourse(),
        fault: WorldFault
    ) -> Simulation {
        let cells = fault.cells
        guard !cells.isEmpty else { return Simulation(seed: seed, course: course, fault: fault) }
        // A prime goes through all of them.
        return Simulation(seed: seed, cell: cells[Int(seed &* 9973) % cells.count], fault: fault)
    }

    /// One run of the crash matrix.
    package init(seed: UInt64, cell: MatrixCell, fault: WorldFault? = nil) {
        self.seed = seed
        settings = SimulationSettings(seed: seed, cell: cell)
        settings.fault = fault
    }

    package struct Outcome: Sendable {
        /// The promise that was broken; nil when all were kept.
        package var violation: Violation?
        /// What came of the operation, in a run of the crash matrix.
        package var operation: MatrixOutcome
        package var counts: SimulationCounts
        /// Of all events in order: equal for equal runs.
        package var traceHash: UInt64
        /// One line per thing that happened, when it was asked for.
        package var trace: [String]
    }

    package func run(keepsTrace: Bool = false) -> Outcome {
        var world = World(seed: seed, settings: settings, keepsTrace: keepsTrace)
        if let cell = settings.cell { world.runOperation(cell) } else { world.run(until: settings.faultTime) }
        if world.violation == nil { world.heal() }
        let end = world.now + settings.healTime
        // A healed cluster becomes whole long before the time is over; then there is nothing left to see.
        while world.violation == nil, world.now < end {
            world.run(until: world.now + .milliseconds(500))
            if world.incompleteness == nil { break }
        }
        if world.violation == nil { world.checkEnd() }
        world.counts.entries = world.history.entryCount
        return Outcome(
            violation: world.violation,
            operation: world.operationOutcome,
            counts: world.counts,
            traceHash: world.traceHash,
            trace: world.trace
        )
    }

    /// A run that breaks the same promise with fewer kinds of faults and in less time.
    package func shrunk() -> Simulation {
        guard let promise = run().violation?.promise else { return self }
        var best = self
        let simpler: [(inout SimulationSettings) -> Void] = [
            { $0.rollbackInterval = nil }, { $0.wipeInterval = nil }, { $0.operationInterval = nil },
            { $0.pinInterval = nil }, { $0.failureInterval = nil }, { $0.powerCutInterval = nil },
            { $0.damageInterval = nil },
            { $0.hasTornSteps = false }, { $0.hasCopyParts = false }, { $0.coordinatorDeathInterval = nil },
            { $0.rebalanceTime = .zero },
            { $0.faceLimit = 0 },
            { $0.upheavalInterval = nil }, { $0.fillInterval = nil }, { $0.pauseInterval = nil },
            { $0.controllerPauseInterval = nil }, { $0.cutInterval = nil },
            { $0.crashInterval = nil }, { $0.repeatRate = 0 }, { $0.lossRate = 0 }, { $0.slowRate = 0 },
            { $0.slowDiskRate = 0 }, { $0.clockError = 0 }, { $0.controllerCount = 1 },
            // A cell of the matrix has the shards that its operation is about.
            { if $0.cell == nil { $0.shardCount = 1 } },
            { $0.clientCount = 1 }, { $0.faultTime = $0.faultTime / 4 }, { $0.faultTime = $0.faultTime / 2 },
            { $0.faultTime = $0.faultTime * 0.75 },
        ]
        for change in simpler {
            var next = best
            change(&next.settings)
            if next.run().violation?.promise == promise { best = next }
        }
        return best
    }
}
