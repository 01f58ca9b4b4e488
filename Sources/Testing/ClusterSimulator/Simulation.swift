internal import ClusterModel
package import ShardReplication

/// What happened in a run, counted.
package struct SimulationCounts: Hashable, Sendable {
    package var events = 0
    package var acknowledged = 0
    package var rejected = 0
    package var unknown = 0
    package var reads = 0
    package var refusedReads = 0
    package var crashes = 0
    package var cuts = 0
    package var pauses = 0
    package var wipes = 0
    /// Disks that were full for a while, and replicas that fell silent because of it.
    package var fills = 0
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
    /// Changes of the primary.
    package var epochs = 0
    package var entries: UInt64 = 0

    package init() {}

    package static func += (left: inout SimulationCounts, right: SimulationCounts) {
        left.events += right.events
        left.acknowledged += right.acknowledged
        left.rejected += right.rejected
        left.unknown += right.unknown
        left.reads += right.reads
        left.refusedReads += right.refusedReads
        left.crashes += right.crashes
        left.cuts += right.cuts
        left.pauses += right.pauses
        left.wipes += right.wipes
        left.fills += right.fills
        left.fullSteps += right.fullSteps
        left.rollbacks += right.rollbacks
        left.lossesTold += right.lossesTold
        left.unheardReads += right.unheardReads
        left.unnoticedReads += right.unnoticedReads
        left.copies += right.copies
        left.epochs += right.epochs
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

    package struct Outcome: Sendable {
        /// The promise that was broken; nil when all were kept.
        package var violation: Violation?
        package var counts: SimulationCounts
        /// Of all events in order: equal for equal runs.
        package var traceHash: UInt64
        /// One line per thing that happened, when it was asked for.
        package var trace: [String]
    }

    package func run(keepsTrace: Bool = false) -> Outcome {
        var world = World(seed: seed, settings: settings, keepsTrace: keepsTrace)
        world.run(until: settings.faultTime)
        if world.violation == nil { world.heal() }
        let end = settings.faultTime + settings.healTime
        var checked = settings.faultTime
        // A healed cluster becomes whole long before the time is over; then there is nothing left to see.
        while world.violation == nil, checked < end {
            checked += .milliseconds(500)
            world.run(until: checked)
            if world.isWhole { break }
        }
        if world.violation == nil { world.checkEnd() }
        world.counts.entries = world.history.count
        return Outcome(
            violation: world.violation,
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
            { $0.rollbackInterval = nil }, { $0.wipeInterval = nil }, { $0.handoverInterval = nil },
            { $0.upheavalInterval = nil }, { $0.fillInterval = nil }, { $0.pauseInterval = nil },
            { $0.cutInterval = nil }, { $0.crashInterval = nil }, { $0.repeatRate = 0 }, { $0.lossRate = 0 },
            { $0.slowRate = 0 }, { $0.slowDiskRate = 0 }, { $0.clockError = 0 }, { $0.clientCount = 1 },
            { $0.faultTime = $0.faultTime / 4 }, { $0.faultTime = $0.faultTime / 2 },
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

extension World {
    /// Every fault ends, and what is down starts.
    mutating func heal() {
        note("healed")
        acknowledgedBeforeHealing = counts.acknowledged
        cutLinks.removeAll()
        for index in workers.indices {
            workers[index].pauseEnd = min(workers[index].pauseEnd, now)
            workers[index].fullEnd = min(workers[index].fullEnd, now)
            if !workers[index].isUp { plan(.restart(workers[index].name), after: .milliseconds(10)) }
        }
    }

    /// Whether the group is complete, writes, and all of its replicas are equal.
    var isWhole: Bool { incompleteness == nil }

    private var incompleteness: String? {
        let wanted = min(settings.replicationFactor, workers.count)
        guard group.inSync.count == wanted, group.learners.isEmpty else {
            return "in sync are \(group.inSync.map(\.low)), learners are \(group.learners.map(\.low)), of \(wanted)"
        }
        guard counts.acknowledged > acknowledgedBeforeHealing else { return "nothing has been acknowledged" }
        let members = workers.filter { group.isInSync($0.name) }
        guard members.count == wanted, members.allSatisfy(\.isUp) else { return "a worker is down" }
        for member in members where !member.machine.mayServeReads(now: member.clock(now)) {
            return "\(member.name.low) refuses reads"
        }
        return nil
    }

    mutating func checkEnd() {
        do throws(Violation) {
            if let incompleteness { try fail(.liveness, incompleteness) }
            // Nobody writes any more; what is under way comes to its end.
            quiesce()
            let members = workers.filter { group.isInSync($0.name) }
            for member in members { try history.checkEnd(member.disk.image, of: member.name, at: now) }
            if Set(members.map(\.disk.image)).count > 1 { try fail(.equality, "replicas differ after all") }
        } catch {
            violation = error
            note("VIOLATION \(error)")
        }
    }

    private mutating func quiesce() {
        isQuiet = true
        run(until: now + .seconds(5))
    }
}
