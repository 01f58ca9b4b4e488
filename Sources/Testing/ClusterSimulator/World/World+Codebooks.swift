import ClusterModel
import ClusterState
import FaceModel
import VectorMath

/// A codebook that a worker trains, or has trained; a process that ends forgets it.
struct SimulatedTraining: Sendable {
    enum State: Sendable { case running, finished, failed }

    let generation: UInt32
    let session: Int
    var state = State.running

    var observation: TrainingObservation {
        let state: TrainingObservation.State =
            switch state {
            case .running: .running(nil)
            case .finished: .finished
            case .failed: .failed("a source was silent")
            }
        return TrainingObservation(collection: World.collection, generation: generation, state: state)
    }
}

/// Codebooks: workers train them, controllers record them, replicas install them and code their rows again.
///
/// Only some runs have any: see ``SimulationSettings/hasCodebooks``.
extension World {
    /// Few faces are enough, and a few more ask for the next.
    static var trainingPolicy: TrainingPolicy {
        TrainingPolicy(
            minimumFaceCount: 2,
            growthFactor: 1.5,
            reportGrace: .seconds(2),
            firstPause: .milliseconds(200),
            longestPause: .seconds(3)
        )
    }

    /// What collections need, and what becomes of it.
    func codebookActions(_ controller: Int, in view: ClusterView) -> [ReconcileAction] {
        guard settings.hasCodebooks, let record = view.metadata.collections[Self.collection] else {
            return []
        }
        let decision = TrainingPlanner.decide(
            record,
            in: view,
            policy: Self.trainingPolicy,
            ledger: controllers[controller].trainings,
            now: clock(of: controller)
        )
        return [RolloutPlanner.action(for: decision, of: Self.collection, in: view)].compactMap(\.self)
            + RolloutPlanner.abandonments(in: view)
    }

    // MARK: At workers

    mutating func train(_ generation: UInt32, on index: Int) {
        let known = workers[index].trainings.first { $0.generation == generation }
        if let known, known.state != .failed { return }
        workers[index].trainings.removeAll { $0.generation == generation }
        let training = SimulatedTraining(generation: generation, session: workers[index].nextSession())
        workers[index].trainings.append(training)
        let event = Event.trained(workers[index].name, session: training.session)
        let name = workers[index].name
        let time = random.duration(.milliseconds(50), .milliseconds(1500)) + diskDelay(name)
        plan(event, after: time)
    }

    mutating func trained(_ name: NodeID, session: Int) {
        guard let index = awake(name, life: nil, .trained(name, session: session)),
            let training = workers[index].trainings.firstIndex(where: { $0.session == session })
        else { return }
        let hasFailed = isFaulty && (random.chance(0.15) || isFull(name))
        workers[index].trainings[training].state = hasFailed ? .failed : .finished
        let generation = workers[index].trainings[training].generation
        note("\(name.low) has trained \(generation)\(hasFailed ? " in vain" : "")")
    }

    /// - Returns: why it is not installed.
    mutating func install(_ generation: UInt32, in shard: ShardID, on index: Int) -> String? {
        guard let replica = workers[index].replica(of: shard), workers[index].replicas[replica].isServing else {
            return "no replica is here"
        }
        let image = workers[index].replicas[replica].disk.image
        guard image.generation < generation else { return nil }
        guard image.olderGeneration == 0 else { return "it has codes of two codebooks" }
        guard !isFull(workers[index].name) else { return "the disk is full" }
        workers[index].replicas[replica].disk.image.generation = generation
        workers[index].replicas[replica].disk.image.olderGeneration = image.generation
        codeAgain(index, replica)
        return nil
    }

    /// The rows of the codebook before are coded again, if there are any.
    mutating func codeAgain(_ index: Int, _ replica: Int) {
        let state = workers[index].replicas[replica]
        guard state.disk.image.olderGeneration != 0 else { return }
        let name = workers[index].name
        let event = Event.recoded(name, state.shard, generation: state.disk.image.generation)
        let time = random.duration(.milliseconds(20), .milliseconds(800)) + diskDelay(name)
        plan(event, after: time)
    }

    mutating func recoded(_ name: NodeID, _ shard: ShardID, generation: UInt32) {
        guard let index = awake(name, life: nil, .recoded(name, shard, generation: generation)),
            let replica = workers[index].replica(of: shard), workers[index].replicas[replica].isServing,
            workers[index].replicas[replica].disk.image.generation == generation
        else { return }
        guard !isFull(name) else { return codeAgain(index, replica) }
        workers[index].replicas[replica].disk.image.olderGeneration = 0
        note("\(name.low)/\(shard.index) is coded by \(generation)")
    }

    // MARK: At the store

    mutating func beginRollout(_ rollout: CodebookRollout, of controller: Int) {
        guard record.nextGeneration == rollout.generation, metadata.openRollout(of: Self.collection) == nil else {
            return
        }
        let id = newOperationID()
        counts.operations += 1
        note("operation \(id.low) rolls out \(rollout.generation)")
        metadata.operations[id] = Operation(id: id, kind: .rollout(rollout), created: wallTime(of: controller))
    }

    /// From here on the rollout cannot be taken back, and it may just have been.
    mutating func recordCodebook(_ generation: UInt32, _ origin: CodebookOrigin) {
        guard record.nextGeneration == generation,
            let (operation, rollout) = metadata.openRollout(of: Self.collection),
            rollout.generation == generation,
            operation.state == .running || settings.fault == .rolloutsNeverTakenBack
        else { return }
        note("codebook \(generation) is recorded")
        counts.codebooks += 1
        record.codebook = CodebookRecord(
            generation: generation,
            origin: origin,
            digest: [UInt8](repeating: 0, count: CodebookRecord.digestByteCount),
            byteCount: 1 << 20,
            codedDimension: 64,
            codeByteCount: 8,
            listCount: 16,
            energyShare: 1,
            sampleCount: UInt32(clamping: origin.faceCount),
            calibrationProbeCount: 0,
            calibration: []
        )
    }

    /// A codebook is not recorded whose rollout has been taken back.
    func checkRollouts() throws(Violation) {
        let taken = metadata.operations.values.compactMap { operation -> UInt32? in
            guard operation.state == .cancelled, case .rollout(let rollout) = operation.kind else { return nil }
            return rollout.generation
        }
        let done = metadata.operations.values.compactMap { operation -> UInt32? in
            guard operation.state != .cancelled, case .rollout(let rollout) = operation.kind else { return nil }
            return rollout.generation
        }
        guard let generation = record.codebook?.generation, taken.contains(generation), !done.contains(generation)
        else { return }
        try fail(.former, "codebook \(generation) is recorded, and its rollout was taken back")
    }

    /// What is not coded as it has to be; nil when all is.
    var uncoded: String? {
        guard let codebook = record.codebook else { return nil }
        for placement in placements {
            for member in placement.group.inSync {
                guard let index = index(of: member), let replica = workers[index].replica(of: placement.shard) else {
                    continue
                }
                let image = workers[index].replicas[replica].disk.image
                guard image.generation == codebook.generation, image.olderGeneration == 0 else {
                    return "\(member.low)/\(placement.shard.index) is coded by \(image.generation), "
                        + "\(image.olderGeneration) still, of \(codebook.generation)"
                }
            }
        }
        return nil
    }
}
