package import ClusterModel
package import FaceModel

/// What is remembered of trainings between decisions: attempts, failures, pauses. Lost at a restart without harm.
package struct TrainingLedger: Sendable {
    package struct Attempt: Hashable, Sendable {
        package var generation: UInt32
        package var worker: NodeID
        package var began: Duration
    }

    package struct Memory: Hashable, Sendable {
        package fileprivate(set) var attempt: Attempt?
        package fileprivate(set) var failureCount = 0
        package fileprivate(set) var pauseEnd = Duration.zero
        fileprivate var failedWorkers: Set<NodeID> = []

        package func isFailed(_ worker: NodeID) -> Bool { failedWorkers.contains(worker) }
    }

    private var memories: [CollectionID: Memory] = [:]

    package init() {}

    package func memory(of collection: CollectionID) -> Memory { memories[collection] ?? Memory() }

    /// A worker has taken the order. What it failed before is forgotten.
    package mutating func began(_ order: TrainingOrder, now: Duration) {
        memories[order.collection, default: Memory()].attempt = Attempt(
            generation: order.generation,
            worker: order.worker,
            began: now
        )
        memories[order.collection]!.failedWorkers.remove(order.worker)
    }

    /// A training or the fetch of its result failed; another worker is preferred next, after a pause.
    package mutating func failed(
        _ collection: CollectionID,
        on worker: NodeID,
        policy: TrainingPolicy,
        now: Duration
    ) {
        var memory = memory(of: collection)
        memory.attempt = nil
        memory.failureCount = min(memory.failureCount + 1, 30)
        memory.failedWorkers.insert(worker)
        memory.pauseEnd = now + min(policy.firstPause * (1 << (memory.failureCount - 1)), policy.longestPause)
        memories[collection] = memory
    }

    /// Takes note of a heartbeat; returns the collections whose ordered training failed, with the reason.
    package mutating func observe(
        _ worker: NodeID,
        _ observation: WorkerObservation,
        policy: TrainingPolicy,
        now: Duration
    ) -> [(collection: CollectionID, reason: String)] {
        var failures: [(collection: CollectionID, reason: String)] = []
        for training in observation.trainings {
            guard case .failed(let reason) = training.state,
                let attempt = memories[training.collection]?.attempt,
                attempt.worker == worker, attempt.generation == training.generation
            else { continue }
            failed(training.collection, on: worker, policy: policy, now: now)
            failures.append((training.collection, reason))
        }
        return failures
    }

    /// The collection has its codebook, or is gone.
    package mutating func forget(_ collection: CollectionID) {
        memories[collection] = nil
    }
}
