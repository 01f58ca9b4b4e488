package import ShardReplication
import VectorMath

/// What one run is like; drawn from its seed.
package struct SimulationSettings: Sendable {
    package var workerCount = 4
    package var shardCount = 1
    /// On the same workers at first.
    package var areShardsTogether = false
    package var controllerCount = 2
    package var replicationFactor = 2
    package var minimumInSync = 2
    package var clientCount = 3
    /// Time with faults; after it everything is healed.
    package var faultTime = Duration.seconds(20)
    /// Time after which a healed cluster must write again, with all replicas equal.
    package var healTime = Duration.seconds(60)
    package var timings = ReplicationTimings()
    /// Shares of messages.
    package var lossRate = 0.0
    package var repeatRate = 0.0
    package var slowRate = 0.0
    /// Of the slow ones, those that take up to 3 s.
    package var lateShare = 0.1
    /// Means of the times between faults; nil for never.
    package var crashInterval: Duration?
    package var cutInterval: Duration?
    package var pauseInterval: Duration?
    package var wipeInterval: Duration?
    package var operationInterval: Duration?
    package var rollbackInterval: Duration?
    package var fillInterval: Duration?
    package var upheavalInterval: Duration?
    package var pinInterval: Duration?
    package var failureInterval: Duration?
    package var powerCutInterval: Duration?
    package var coordinatorDeathInterval: Duration?
    package var controllerPauseInterval: Duration?
    package var damageInterval: Duration?
    /// How long a replica is out of service before a controller has its shard mended; zero for never.
    package var repairTime = Duration.zero
    /// How long workers are uneven before a controller levels them by itself; zero for never.
    package var rebalanceTime = Duration.zero
    /// Faces above which a controller splits a shard by itself; zero for never.
    package var faceLimit: UInt64 = 0
    /// A step that a process leaves behind may be there in part, as far as its first transaction.
    package var hasTornSteps = false
    /// Copies come in parts, of which those that have come outlive the process.
    package var hasCopyParts = false
    /// Codebooks are trained.
    package var hasCodebooks = false
    /// Most that a worker's clock, or a coordinator's, gains or loses, as a share of time.
    package var clockError = 0.0
    package var slowDiskRate = 0.0
    /// Applied entries that a log keeps.
    package var logLength = 64
    package let course: SimulationCourse
    package var bug: PlantedBug?
    package var fault: WorldFault?
    /// What a run of the crash matrix is about; nil for any other run.
    package var cell: MatrixCell?

    /// That its replicas have: where epochs are not raised, that of leading in one that was promised to another, too,
    /// without which no replica would lead.
    var replicaBug: PlantedBug? { fault == .failsOverInTheSameEpoch ? .resumeSameEpoch : bug }

    /// Which faults a run has, and how strong they are, differs from seed to seed.
    init(seed: UInt64, course: SimulationCourse = SimulationCourse()) {
        self.course = course
        var random = SplitMix64(seed: seed ^ 0x5e77_1265)
        workerCount = 3 + random.below(3)
        replicationFactor = 2 + random.below(2)
        minimumInSync = 1 + random.below(2)
        func sometimes(_ share: Double, _ random: inout SplitMix64, _ most: Double) -> Double {
            random.chance(share) ? random.unit() * most : 0
        }
        lossRate = sometimes(0.5, &random, 0.06)
        repeatRate = sometimes(0.5, &random, 0.06)
        slowRate = sometimes(0.5, &random, 0.1)
        func interval(_ share: Double, _ random: inout SplitMix64) -> Duration? {
            random.chance(share) ? .milliseconds(800 + random.below(5000)) : nil
        }
        crashInterval = interval(0.6, &random)
        cutInterval = interval(0.6, &random)
        pauseInterval = interval(0.4, &random)
        wipeInterval = interval(0.3, &random).map { $0 * 2 }
        operationInterval = interval(0.5, &random)
        clockError = sometimes(0.5, &random, 0.009)
        slowDiskRate = sometimes(0.4, &random, 0.2)
        logLength = random.chance(0.5) ? 64 : 4
        if random.chance(0.3) {
            timings.heartbeat = .milliseconds(50 + random.below(300))
            timings.resend = .milliseconds(100 + random.below(600))
        }
        rollbackInterval = interval(0.3, &random)
        // Nobody who comes back is silent for longer.
        timings.patience = faultTime
        shardCount = 1 + random.below(2)
        controllerCount = 1 + random.below(2)
        fillInterval = interval(0.3, &random)
        // Apart, so that nothing else of a seed depends on it.
        var coordinatorRandom = SplitMix64(seed: seed ^ 0x2c68_f5d9)
        controllerPauseInterval = interval(0.4, &coordinatorRandom)
        switch course.aim {
        case .anything: break
        case .divisions:
            (workerCount, replicationFactor, minimumInSync, shardCount) = (4, 3, 1 + random.below(2), 1)
            (crashInterval, pauseInterval, wipeInterval, operationInterval) = (nil, nil, nil, nil)
            (cutInterval, rollbackInterval, controllerPauseInterval) = (.seconds(5), nil, nil)
        case .upheavals:
            (replicationFactor, minimumInSync, shardCount) = (3, 1, 1)
            (wipeInterval, operationInterval, rollbackInterval) = (nil, nil, nil)
            upheavalInterval = .milliseconds(500 + random.below(2000))
            pauseInterval = .milliseconds(1000 + random.below(2000))
            lossRate = 0.05 + random.unit() * 0.2
            (slowRate, lateShare) = (0.1 + random.unit() * 0.3, 0.3)
            slowDiskRate = 0.05 + random.unit() * 0.25
            timings.heartbeat = .milliseconds(50 + random.below(150))
        case .rollouts:
            operationInterval = .milliseconds(800 + random.below(2000))
            hasCodebooks = true
        case .policies:
            operationInterval = .milliseconds(800 + random.below(2000))
            pinInterval = .milliseconds(300 + random.below(1500))
            rebalanceTime = .milliseconds(200 + random.below(2000))
            faceLimit = random.chance(0.6) ? UInt64(2 + random.below(3)) : 0
            workerCount = 4 + random.below(2)
        case .disks:
            failureInterval = .milliseconds(500 + random.below(3000))
            powerCutInterval = .milliseconds(2000 + random.below(6000))
            (hasTornSteps, hasCopyParts) = (true, true)
            // So that more replicas need copies.
            operationInterval = .milliseconds(800 + random.below(2000))
            logLength = 4
        case .routers:
            (controllerCount, shardCount) = (2 + random.below(2), 1 + random.below(3))
            coordinatorDeathInterval = .milliseconds(400 + random.below(2500))
            lossRate = sometimes(0.7, &random, 0.08)
            repeatRate = sometimes(0.7, &random, 0.08)
            slowRate = sometimes(0.7, &random, 0.2)
            upheavalInterval = interval(0.5, &random)
            operationInterval = random.chance(0.6) ? .milliseconds(500 + random.below(2500)) : nil
        case .damage:
            (workerCount, minimumInSync) = (4 + random.below(2), 2)
            (wipeInterval, rollbackInterval) = (nil, nil)
            operationInterval = .milliseconds(800 + random.below(2000))
            damageInterval = .milliseconds(500 + random.below(2500))
            repairTime = .milliseconds(100 + random.below(2000))
        case .orders:
            (workerCount, controllerCount) = (3 + random.below(2), 2 + random.below(2))
            // Where each copy counts, and there are few places to go.
            (replicationFactor, minimumInSync) = (2, 2)
            operationInterval = .milliseconds(500 + random.below(1000))
        }
        // What nobody notices must not happen.
        if course.trustsDisks { rollbackInterval = nil }
    }

    /// Nothing happens but one operation and one fault.
    init(seed: UInt64, cell: MatrixCell) {
        var random = SplitMix64(seed: seed ^ 0x3a7c_51d9)
        course = SimulationCourse()
        self.cell = cell
        workerCount = 5
        shardCount = 2
        areShardsTogether = [.merge, .rebalance, .balance].contains(cell.operation)
        hasCodebooks = cell.operation == .rollout
        if cell.operation == .balance { rebalanceTime = .milliseconds(300) }
        if cell.operation == .growth { faceLimit = 1 }
        controllerCount = 1 + random.below(2)
        // Of two copies one is lost for good, and the other would be struck.
        let isThree = cell.operation == .fewerCopies || cell.operation == .replace
        replicationFactor = isThree ? 3 : 2 + random.below(2)
        minimumInSync = 1 + random.below(2)
        logLength = random.chance(0.5) ? 64 : 4
        // So that somebody is struck between two parts as well; with a log that is too short for who gets a replica.
        hasCopyParts = !seed.isMultiple(of: 2)
        if hasCopyParts { logLength = 4 }
        faultTime = .seconds(90)
        timings.patience = .seconds(30)
    }
}
