import ClusterSimulator
import ShardReplication
import Testing

/// A planted bug, the promise that it breaks, and where it is looked for: a row of `docs/reliability.md`, with a few
/// seeds beside the one there.
struct PlantedRow: Sendable, CustomTestStringConvertible {
    let name: String
    /// One of these: the first that a run comes to. Nearly every bug has its own.
    let promises: Set<Violation.Promise>
    private let seeds: [UInt64]
    private let simulation: @Sendable (UInt64) -> Simulation

    var testDescription: String { name }

    init(
        bug: PlantedBug,
        breaks promises: Set<Violation.Promise>,
        on course: SimulationCourse = SimulationCourse(),
        seeds: [UInt64]
    ) {
        name = bug.rawValue
        self.promises = promises
        self.seeds = seeds
        simulation = { Simulation(seed: $0, course: course, bug: bug) }
    }

    init(
        fault: WorldFault,
        breaks promises: Set<Violation.Promise>,
        on course: SimulationCourse = SimulationCourse(),
        seeds: [UInt64]
    ) {
        name = fault.rawValue
        self.promises = promises
        self.seeds = seeds
        simulation = { Simulation.run(seed: $0, course: course, fault: fault) }
    }

    /// Plays the seeds until one breaks what the bug is to break.
    func expectFound() {
        var others: [String] = []
        for seed in seeds {
            guard let promise = simulation(seed).run().violation?.promise else { continue }
            if promises.contains(promise) { return }
            others.append("\(promise.rawValue) by seed \(seed)")
        }
        let expected = promises.map(\.rawValue).sorted()
        Issue.record("\(name) breaks none of \(expected) in its seeds; what it breaks there is \(others)")
    }

    // MARK: On the first course

    /// With those that find what only one of some hundred does.
    private static let someSeeds: [UInt64] = Array(1...60) + [66, 97, 114, 173, 205]

    /// Those that are found within a few seeds.
    static let bugs: [PlantedRow] = [
        PlantedRow(bug: .applyBeforeCommit, breaks: [.oneLog], seeds: someSeeds),
        PlantedRow(bug: .acknowledgeAfterLocalWrite, breaks: [.deletion], seeds: someSeeds),
        PlantedRow(bug: .acknowledgeBeforeApplied, breaks: [.durability], seeds: someSeeds),
        PlantedRow(bug: .deleteWithoutQuarantine, breaks: [.deletion], seeds: someSeeds),
        PlantedRow(bug: .noPromiseCheck, breaks: [.oneLog], seeds: someSeeds),
        // What was not synced may be the promise, or what the reply is about.
        PlantedRow(bug: .replyBeforeSync, breaks: [.freshness, .memory], seeds: someSeeds),
        PlantedRow(bug: .noTakeOverRetry, breaks: [.liveness], seeds: someSeeds),
        PlantedRow(bug: .shrinkBeforeAnswer, breaks: [.deletion], seeds: someSeeds),
        PlantedRow(bug: .readWithoutLease, breaks: [.deletion], seeds: someSeeds),
        PlantedRow(bug: .leaseFromArrival, breaks: [.deletion], seeds: someSeeds),
        PlantedRow(bug: .noTruncation, breaks: [.oneLog], seeds: someSeeds),
        PlantedRow(bug: .leadWithoutItsEntries, breaks: [.liveness], seeds: someSeeds),
        PlantedRow(bug: .confirmWithoutAsking, breaks: [.strongReads], seeds: someSeeds),
        PlantedRow(bug: .confirmApplied, breaks: [.strongReads], seeds: someSeeds),
        PlantedRow(bug: .readWithoutItsEntries, breaks: [.deletion], seeds: someSeeds),
    ]

    static let faults: [PlantedRow] = [
        PlantedRow(fault: .noDeduplication, breaks: [.equality], seeds: someSeeds),
        PlantedRow(fault: .earlierAttemptsForgotten, breaks: [.rejection], seeds: someSeeds),
        PlantedRow(fault: .electOutsideInSync, breaks: [.fullReplica], seeds: someSeeds),
        PlantedRow(fault: .amnesia, breaks: [.fullReplica], seeds: someSeeds),
        PlantedRow(fault: .shrinkBelowMinimum, breaks: [.minimum], seeds: someSeeds),
        PlantedRow(fault: .tombstonesForgotten, breaks: [.equality], seeds: someSeeds),
        PlantedRow(fault: .tokensIgnored, breaks: [.readYourWrites], seeds: Array(1...60) + [93]),
        PlantedRow(fault: .missingShardsForgotten, breaks: [.coverage], seeds: someSeeds),
        PlantedRow(fault: .replacedShardsMixed, breaks: [.coverage], seeds: Array(1...60) + [454]),
        PlantedRow(fault: .failsOverInTheSameEpoch, breaks: [.onePrimary], seeds: someSeeds),
    ]

    // MARK: Where faults are aimed at them

    /// Those whose circumstances are rare otherwise: the seeds are those that long runs found, a few more beside them.
    static let rareBugs: [PlantedRow] = [
        PlantedRow(
            bug: .promiseNotPersisted,
            breaks: [.memory],
            on: SimulationCourse(trustsDisks: true),
            seeds: Array(1...31)
        ),
        PlantedRow(bug: .growWithoutUnion, breaks: [.deletion], seeds: Array(370...400)),
        PlantedRow(bug: .growBeforeApplied, breaks: [.freshness], seeds: Array(320...350)),
        PlantedRow(bug: .resumeSameEpoch, breaks: [.oneLog], seeds: Array(75...105)),
        PlantedRow(bug: .growBeforeCommitted, breaks: [.oneLog], on: upheavals, seeds: Array(210...240)),
        PlantedRow(bug: .leaseWithoutConfirmation, breaks: [.deletion], on: divisions, seeds: Array(1...31)),
        PlantedRow(bug: .matchIsLast, breaks: [.oneLog], on: upheavals, seeds: Array(690...720)),
        PlantedRow(bug: .countOldReplies, breaks: [.liveness], on: upheavals, seeds: Array(140...170)),
        PlantedRow(bug: .readUnconfirmed, breaks: [.deletion], on: divisions, seeds: Array(1...31)),
        PlantedRow(bug: .confirmBeforeInherited, breaks: [.strongReads], on: divisions, seeds: Array(44...74)),
    ]

    private static let divisions = SimulationCourse(aim: .divisions)
    private static let upheavals = SimulationCourse(aim: .upheavals)
    private static let rollouts = SimulationCourse(aim: .rollouts)
    private static let policies = SimulationCourse(aim: .policies)
    private static let disks = SimulationCourse(aim: .disks)
    private static let routers = SimulationCourse(aim: .routers)

    /// What is missing is what a disk that went back does not have, and who looks first differs.
    static let successors = PlantedRow(
        fault: .successorsAlwaysNew,
        breaks: [.deletion, .freshness, .oneLog],
        on: rollouts,
        seeds: Array(405...412)
    )
    static let groups = PlantedRow(fault: .noCompareAndSwap, breaks: [.liveness], seeds: Array(140...150))
    static let codebooks = PlantedRow(
        fault: .rolloutsNeverTakenBack,
        breaks: [.former],
        on: rollouts,
        seeds: Array(1478...1482)
    )
    static let numbers = PlantedRow(
        fault: .numbersGivenTwice,
        breaks: [.oneOwner],
        seeds: Array(20...60)
    )
    static let pins = PlantedRow(fault: .stepsBesidePins, breaks: [.pins], on: policies, seeds: Array(1...10))
    static let removals = PlantedRow(
        fault: .dropsByEpochAlone,
        breaks: [.liveness],
        on: SimulationCourse(aim: .orders),
        seeds: Array(1...40)
    )

    static let records = PlantedRow(
        fault: .recordsYoungerThanRead,
        breaks: [.deletion, .freshness],
        on: divisions,
        seeds: Array(1...60)
    )

    static let coordinatorFaults: [PlantedRow] = [
        PlantedRow(fault: .unknownToldAsRejected, breaks: [.rejection], on: routers, seeds: Array(1...30)),
        PlantedRow(fault: .otherKeyOnRetry, breaks: [.keys], on: routers, seeds: Array(1...30)),
        PlantedRow(fault: .earlierRoundsForgotten, breaks: [.keys], on: routers, seeds: Array(1...30)),
        PlantedRow(fault: .otherPartsForgotten, breaks: [.durability], on: routers, seeds: Array(1...30)),
        PlantedRow(fault: .agesForgotten, breaks: [.keys], on: routers, seeds: Array(1...30)),
    ]
    static let parts = PlantedRow(fault: .partsTakenForAll, breaks: [.keys], on: routers, seeds: Array(650...660))

    /// With seeds that two of them alone are found by.
    private static let diskSeeds: [UInt64] = Array(1...10) + [157, 174]

    static let diskFaults: [PlantedRow] = [
        // What is counted and not there may be a promise.
        PlantedRow(fault: .failedStepCounted, breaks: [.fullReplica, .memory], on: disks, seeds: diskSeeds),
        PlantedRow(fault: .failedStepRefused, breaks: [.rejection], on: disks, seeds: diskSeeds),
        PlantedRow(fault: .stepsMixed, breaks: [.equality], on: disks, seeds: diskSeeds),
        PlantedRow(fault: .tornCopyTaken, breaks: [.equality], on: disks, seeds: diskSeeds),
    ]
    static let copies = PlantedRow(fault: .logCutBehindCopy, breaks: [.liveness], on: disks, seeds: Array(1...10))
    static let openings = PlantedRow(fault: .openedUnsynced, breaks: [.memory], on: disks, seeds: Array(5...9))

    /// Each in runs of the crash matrix, of which every seed is another.
    static let operationFaults: [PlantedRow] = [
        PlantedRow(fault: .regroupWhateverOperations, breaks: [.former], seeds: Array(1...300)),
        PlantedRow(fault: .succeedWhateverVersions, breaks: [.oneLog], seeds: Array(1...300)),
        PlantedRow(fault: .sealBeforeDurable, breaks: [.freshness], seeds: Array(1...300)),
        PlantedRow(fault: .freezeForgotten, breaks: [.oneLog], seeds: Array(1...300)),
        PlantedRow(fault: .sealedRemovedAtRestart, breaks: [.fullReplica], seeds: Array(1...300)),
        PlantedRow(fault: .changesBetweenSlicesForgotten, breaks: [.equality], seeds: Array(1...300)),
    ]

    static let all: [PlantedRow] = [
        bugs, faults, rareBugs, coordinatorFaults, diskFaults, operationFaults,
        [successors, groups, codebooks, numbers, pins, removals, parts, openings, records, copies],
    ].flatMap { $0 }
}
