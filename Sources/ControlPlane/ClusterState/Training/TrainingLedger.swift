package import ClusterModel
package import FaceModel

/// What is remembered of trainings between decisions: attempts, failures, pauses. Lost at a restart without harm.
package struct TrainingLedger: Sendable {
    package struct Attempt: Hashable, Sendable {
        package var generation: UInt32
        package var worker: NodeID
        package var origin: CodebookOrigin
        package var began: Duration
    }

    package struct Memory: Hashable, Sendable {
        package fileprivate(set) var attempt: Attempt?
        package fileprivate(set) var failureCount = 0
        package fileprivate(set) var pauseEnd = Duration.zero
        /// Why the last one failed, or was not begun; nil when another has begun since.
        package fileprivate(set) var failure: String?
        /// What is remembered is of trainings of this generation.
        fileprivate var generation: UInt32 = 0
        fileprivate var failedWorkers: Set<NodeID> = []

        package func isFailed(_ worker: NodeID) -> Bool { failedWorkers.contains(worker) }
    }

    private var memories: [CollectionID: Memory] = [:]

    package init() {}

    package func memory(of collection: CollectionID) -> Memory { memories[collection] ?? Memory() }

    /// A worker has taken the order. What it failed before is forgotten.
    package mutating func began(_ order: TrainingOrder, now: Duration) {
        var memory = memory(of: order.collection, generation: order.generation)
        memory.attempt = Attempt(
            generation: order.generation,
            worker: order.worker,
            origin: order.origin,
            began: now
        )
        memory.failedWorkers.remove(order.worker)
        memory.failure = nil
        memories[order.collection] = memory
    }

    /// A training or the fetch of its result failed; another worker is preferred next, after a pause.
    package mutating func failed(
        _ collection: CollectionID,
        generation: UInt32,
        on worker: NodeID,
        reason: String? = nil,
        policy: TrainingPolicy,
        now: Duration
    ) {
        var memory = memory(of: collection, generation: generation)
        // Another may have been asked meanwhile.
        if memory.attempt?.worker == worker { memory.attempt = nil }
        memory.failureCount = min(memory.failureCount + 1, 30)
        memory.failedWorkers.insert(worker)
        memory.failure = reason
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
            failed(
                training.collection,
                generation: training.generation,
                on: worker,
                reason: reason,
                policy: policy,
                now: now
            )
            failures.append((training.collection, reason))
        }
        return failures
    }

    /// The collection has a codebook of this generation: what went before no longer matters.
    package mutating func settled(_ collection: CollectionID, generation: UInt32) {
        if let memory = memories[collection], memory.generation <= generation { memories[collection] = nil }
    }

    /// The collection is gone.
    package mutating func forget(_ collection: CollectionID) {
        memories[collection] = nil
    }

    /// What is remembered of the trainings of one generation.
    private func memory(of collection: CollectionID, generation: UInt32) -> Memory {
        var memory = memory(of: collection)
        if memory.generation != generation {
            memory = Memory()
            memory.generation = generation
        }
        return memory
    }
}
