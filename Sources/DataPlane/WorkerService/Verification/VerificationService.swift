import ClusterModel
import CoreMetrics
import FaceModel
import Logging
import Observability
import Synchronization
import Threads
import WireProtocol

/// Reads and verifies all of every partition once in a period, without being asked: one at a time, on a thread of low
/// priority, at the pace of work in the background. What it finds has the consequence of any damage: the replica leaves
/// service.
///
/// Damage that nobody reads is found by this alone. Each partition is read in one transaction, as `mien verify` does
/// it: its file may grow meanwhile.
final class VerificationService: Sendable {
    private enum Outcome: CaseIterable {
        case sound
        case damaged
        /// The replica or the worker was to stop, or the replica was not to be read, or needed address space.
        case stopped

        var label: String {
            switch self {
            case .sound: LabelValue.sound
            case .damaged: LabelValue.damaged
            case .stopped: LabelValue.stopped
            }
        }
    }

    /// Longest time between two looks at whose turn it is.
    private static let longestPause = Duration.seconds(60)

    private let replicas: ReplicaTable
    /// Nil when nothing is verified without being asked.
    private let schedule: VerificationSchedule?
    private let pace: SharedBackgroundPace
    private let counters: [Outcome: Counter]
    private let logger: Logger
    private let isStopping = Atomic(false)

    /// - Parameter period: zero for never.
    init(
        replicas: ReplicaTable,
        period: Duration,
        pace: SharedBackgroundPace,
        registry: MetricRegistry,
        logger: Logger
    ) {
        self.replicas = replicas
        schedule = period > .zero ? VerificationSchedule(period: period) : nil
        self.pace = pace
        self.logger = logger
        counters = Dictionary(
            uniqueKeysWithValues: Outcome.allCases.map {
                ($0, registry.counter(MetricCatalogue.verifications, $0.label))
            }
        )
        // Where nothing is read nothing is late.
        guard period > .zero else { return }
        registry.collect { samples in
            let now = Timestamp.wallClock
            let age = replicas.all.map { $0.timeSinceVerified(now: now) }.max() ?? .zero
            samples.raise(MetricCatalogue.verificationAge, to: age / .seconds(1))
            samples.raise(MetricCatalogue.verificationPeriod, to: period / .seconds(1))
        }
    }

    /// Verifies until cancelled; returns when the thread that reads has left.
    func run() async {
        guard let schedule else { return await idle() }
        let pause = min(Self.longestPause, schedule.period / 4)
        await withTaskCancellationHandler {
            while !Task.isCancelled {
                let serving = replicas.all.filter { $0.figures.state == .serving }
                let turn = Dictionary(uniqueKeysWithValues: serving.map { ($0.shard, $0.lastVerified) })
                var outcome: Outcome?
                if let shard = schedule.next(turn, now: .wallClock), let replica = replicas.find(shard) {
                    outcome = await WorkerThread.run(name: "verify", priority: .background) { self.verify(replica) }
                }
                if let outcome { counters[outcome]?.increment() }
                if outcome != .sound { try? await Task.sleep(for: pause) }
            }
        } onCancel: {
            isStopping.store(true, ordering: .relaxed)
        }
    }

    /// Waits to be cancelled.
    private func idle() async {
        let (never, continuation) = AsyncStream.makeStream(of: Void.self)
        for await _ in never {}
        continuation.finish()
    }

    private func verify(_ replica: Replica) -> Outcome {
        let metadata: Logger.Metadata = [
            "collection": "\(replica.shard.collection)", "shard": "\(replica.shard.index)",
        ]
        let start = ContinuousClock.now
        var steps = Steps(pace: pace)
        do throws(WireStatus) {
            let verified = try replica.verify { steps.rest { self.isStopping.load(ordering: .relaxed) } }
            guard let damage = verified.damage else {
                logger.info(
                    "a partition was read and is sound",
                    metadata: metadata.merging(["took": "\(ContinuousClock.now - start)"]) { $1 }
                )
                return .sound
            }
            logger.error(
                "a partition is damaged; its replica leaves service, 'mien verify --repair' replaces it",
                metadata: metadata.merging(["damage": "\(damage)"]) { $1 }
            )
            return .damaged
        } catch {
            return .stopped
        }
    }

    /// Rests between steps of reading, in proportion to what they took: waiting for the disk counts.
    private struct Steps {
        private static let leastStep = Duration.milliseconds(2)
        /// Longest sleep between two looks at whether to stop.
        private static let longestSleep = Duration.milliseconds(50)

        let pace: SharedBackgroundPace
        private var begun = ContinuousClock.now

        init(pace: SharedBackgroundPace) {
            self.pace = pace
        }

        /// - Returns: whether to stop.
        mutating func rest(unless shouldStop: () -> Bool) -> Bool {
            let now = ContinuousClock.now
            guard now - begun >= Self.leastStep else { return shouldStop() }
            let end = now + pace.rest(after: now - begun, now: now)
            while case let left = end - ContinuousClock.now, left > .zero, !shouldStop() {
                ThreadTime.sleep(for: min(left, Self.longestSleep))
            }
            begun = .now
            return shouldStop()
        }
    }
}
