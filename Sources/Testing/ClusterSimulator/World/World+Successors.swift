import ClusterModel
import ClusterState
import ShardReplication
import VectorMath

/// One attempt of a worker to make one shard: what was planned for another is void.
struct SuccessorLife: Hashable, Sendable {
    var worker: NodeID
    var shard: ShardID
    var session: Int
}

/// A shard that a worker makes to take the place of others, by the rule of the real one: slices, changes, a seal.
struct SimulatedSuccessor: Sendable {
    enum Phase: Hashable, Sendable { case copying, following, sealed, failed }

    /// Slices that a source comes over in: faces of one remainder each.
    static let sliceCount = 4

    let shard: ShardID
    let range: HashRange
    let sources: [ShardID]
    var phase = Phase.copying
    var session = 0
    /// As readers of the partition see it.
    var image = SimulatedDisk.Image()
    /// As the disk has it, if the seal is there.
    var written = SimulatedDisk.Image()
    /// Where each source was when everything of it was here, once that is on disk.
    var places: [ShardID: LogPosition]?
    var nextSlice = 0
    /// Faces that have changed since they came over.
    var changes: [ShardID: Set<Int>] = [:]
    /// The sources' partitions, as they were when it began.
    var partitions: [Int] = []
    /// What is on disk of its taking the others' place, though it could not be done: the marks, and then its record.
    var doneCount = 0
    /// It was found whole when the process started.
    var isFound = false
    /// It is in force, so that the sources are not written to any more, whatever they know.
    var areSourcesRetired = false

    var observation: SuccessorObservation {
        let state: SuccessorObservation.State =
            switch phase {
            case .copying: .copying
            case .following: .following
            case .sealed: .sealed((places ?? [:]).mapValues(\.sequence))
            case .failed: .failed("it begins anew")
            }
        return SuccessorObservation(state: state, rowCount: UInt64(nextSlice), totalRowCount: 8)
    }

    /// Whether it may be in force, for all that its worker knows: it is whole, or was before the disk went back.
    var mayBeInForce: Bool { phase == .sealed || areSourcesRetired }

    /// Whether a face belongs to it.
    func isOwn(_ face: Int) -> Bool { range.contains(SimulatedClient.position(of: face)) }

    /// Begins with nothing.
    mutating func clear() {
        places = nil
        image = SimulatedDisk.Image()
        written = image
        nextSlice = 0
        changes = [:]
    }
}

extension World {
    private static var followInterval: Duration { .milliseconds(25) }
    private static var sealInterval: Duration { .milliseconds(2) }

    /// Where the attempt is, on a worker that is there.
    private mutating func awake(_ life: SuccessorLife, _ event: Event) -> (worker: Int, successor: Int)? {
        guard let index = awake(life.worker, life: nil, event),
            let successor = workers[index].successor(of: life.shard),
            workers[index].successors[successor].session == life.session
        else { return nil }
        return (index, successor)
    }

    mutating func prepare(_ preparation: Succession.Preparation, on index: Int) -> String? {
        guard workers[index].replica(of: preparation.shard) == nil else { return nil }
        guard preparation.sources.allSatisfy({ workers[index].replica(of: $0) != nil }) else {
            return "a source is gone"
        }
        if let known = workers[index].successor(of: preparation.shard) {
            let successor = workers[index].successors[known]
            guard successor.range != preparation.range || successor.sources != preparation.sources else { return nil }
            workers[index].successors.remove(at: known)
        }
        workers[index].successors.append(
            SimulatedSuccessor(shard: preparation.shard, range: preparation.range, sources: preparation.sources)
        )
        startSuccessor(workers[index].successors.count - 1, of: index)
        return nil
    }

    /// Its thread begins, or goes on.
    mutating func startSuccessor(_ successor: Int, of index: Int) {
        workers[index].successors[successor].session = workers[index].nextSession()
        planTurn(successor, of: index, after: .zero)
    }

    private mutating func planTurn(_ successor: Int, of index: Int, after delay: Duration) {
        plan(.successorTurn(life(index, successor: successor)), after: delay)
    }

    private func life(_ index: Int, successor: Int) -> SuccessorLife {
        SuccessorLife(
            worker: workers[index].name,
            shard: workers[index].successors[successor].shard,
            session: workers[index].successors[successor].session
        )
    }

    /// The sources' replicas; nil when one of them does not serve.
    private func sources(of successor: Int, on index: Int) -> [SimulatedReplica]? {
        let shards = workers[index].successors[successor].sources
        let replicas = shards.compactMap { shard in workers[index].replica(of: shard) }
            .map { workers[index].replicas[$0] }
        return replicas.count == shards.count && replicas.allSatisfy(\.isServing) ? replicas : nil
    }

    mutating func takeTurn(_ life: SuccessorLife) {
        guard let (index, successor) = awake(life, .successorTurn(life)) else { return }
        let sources = sources(of: successor, on: index)
        let state = workers[index].successors[successor]
        if state.phase == .sealed { return watchSealed(successor, of: index) }
        guard let sources, !isFull(life.worker),
            state.phase == .failed || state.nextSlice == 0 || state.partitions == sources.map(\.partition),
            !diskFails(life.worker)
        else { return failSuccessor(successor, of: index) }
        switch state.phase {
        case .copying where state.nextSlice < sources.count * SimulatedSuccessor.sliceCount:
            copySlice(successor, of: index, sources)
        case .copying:
            follow(successor, of: index, sources)
            workers[index].successors[successor].phase = .following
            note("\(life.worker.low) follows for \(life.shard.index)")
            planTurn(successor, of: index, after: Self.followInterval)
        case .following:
            let isFrozen = state.areSourcesRetired || sources.allSatisfy(\.isFrozen)
            follow(successor, of: index, sources)
            guard isFrozen else { return planTurn(successor, of: index, after: Self.followInterval) }
            seal(successor, of: index, sources)
        case .failed:
            workers[index].successors[successor].clear()
            workers[index].successors[successor].phase = .copying
            planTurn(successor, of: index, after: .zero)
        case .sealed: break
        }
    }

    private mutating func failSuccessor(_ successor: Int, of index: Int) {
        workers[index].successors[successor].phase = .failed
        planTurn(successor, of: index, after: .seconds(1))
    }

    /// What is whole stays, unless something is written to a source: it may be all there is of their faces.
    private mutating func watchSealed(_ successor: Int, of index: Int) {
        let places = workers[index].successors[successor].places ?? [:]
        let hasChanged = workers[index].replicas.contains { replica in
            guard replica.isServing, let place = places[replica.shard] else { return false }
            return replica.disk.image.applied.sequence != place.sequence
        }
        if hasChanged {
            let (name, shard) = (workers[index].name.low, workers[index].successors[successor].shard.index)
            note("\(name) unseals \(shard)")
            if workers[index].successors[successor].isFound {
                workers[index].successors[successor].clear()
                workers[index].successors[successor].phase = .copying
                workers[index].successors[successor].isFound = false
            } else {
                workers[index].successors[successor].places = nil
                workers[index].successors[successor].phase = .following
            }
        }
        planTurn(successor, of: index, after: Self.followInterval)
    }

    private mutating func copySlice(_ successor: Int, of index: Int, _ sources: [SimulatedReplica]) {
        let slice = workers[index].successors[successor].nextSlice
        if slice == 0 {
            workers[index].successors[successor].partitions = sources.map(\.partition)
            // From here on changes are gathered.
            workers[index].successors[successor].changes = Dictionary(
                uniqueKeysWithValues: sources.map { ($0.shard, []) }
            )
        }
        let source = sources[slice / SimulatedSuccessor.sliceCount]
        let remainder = slice % SimulatedSuccessor.sliceCount
        for face in 0..<SimulatedClient.faceCount where face % SimulatedSuccessor.sliceCount == remainder {
            take(face, from: source, successor, of: index)
        }
        workers[index].successors[successor].nextSlice += 1
        planTurn(successor, of: index, after: .milliseconds(2) + diskDelay(workers[index].name))
    }

    private mutating func take(_ face: Int, from source: SimulatedReplica, _ successor: Int, of index: Int) {
        guard workers[index].successors[successor].isOwn(face),
            source.range.contains(SimulatedClient.position(of: face))
        else { return }
        workers[index].successors[successor].image.faces[face] = source.disk.image.faces[face]
    }

    /// Faces of a replica have changed.
    mutating func noteChanges(_ faces: [Int], of shard: ShardID, on index: Int) {
        for successor in workers[index].successors.indices {
            if settings.fault == .changesBetweenSlicesForgotten,
                workers[index].successors[successor].phase == .copying
            {
                continue
            }
            workers[index].successors[successor].changes[shard]?.formUnion(faces)
        }
    }

    private mutating func follow(_ successor: Int, of index: Int, _ sources: [SimulatedReplica]) {
        for source in sources {
            let faces = workers[index].successors[successor].changes[source.shard] ?? []
            for face in faces.sorted() { take(face, from: source, successor, of: index) }
            workers[index].successors[successor].changes[source.shard] = []
        }
    }

    /// Everything is here; when it is on disk, it is sealed.
    private mutating func seal(_ successor: Int, of index: Int, _ sources: [SimulatedReplica]) {
        let places = Dictionary(uniqueKeysWithValues: sources.map { ($0.shard, $0.disk.image.applied) })
        var image = workers[index].successors[successor].image
        image.receipts = [:]
        image.applied = .start
        let own = FaceSet(within: workers[index].successors[successor].range)
        for source in sources {
            var receipts = source.disk.image.receipts
            if settings.fault != .partsTakenForAll {
                let faces = FaceSet(within: source.range)
                receipts = receipts.mapValues { $0.inherited(from: faces, in: own) }
            }
            image.receipts.merge(receipts) { $0.joined(with: $1, in: own) }
            image.applied.sequence += source.disk.image.applied.sequence
            image.applied.epoch = max(image.applied.epoch, source.disk.image.applied.epoch)
            // What the newest does not code is coded anew.
            image.generation = max(image.generation, source.disk.image.generation)
        }
        workers[index].successors[successor].image = image
        let delay = diskDelay(workers[index].name)
        let life = life(index, successor: successor)
        if settings.fault == .sealBeforeDurable {
            plan(.successorWritten(life, image), after: .milliseconds(50) + diskDelay(workers[index].name))
        }
        plan(.successorSealed(life, places), after: delay)
    }

    mutating func written(_ life: SuccessorLife, _ image: SimulatedDisk.Image) {
        guard let (index, successor) = awake(life, .successorWritten(life, image)) else { return }
        workers[index].successors[successor].written = image
    }

    mutating func sealed(_ life: SuccessorLife, _ places: [ShardID: LogPosition]) {
        guard let (index, successor) = awake(life, .successorSealed(life, places)) else { return }
        guard !isFull(life.worker) else { return failSuccessor(successor, of: index) }
        guard !diskFails(life.worker) else {
            // The record that seals it may be there all the same, and then everything else is.
            if diskRandom.chance(0.5) {
                workers[index].successors[successor].places = places
                workers[index].successors[successor].written = workers[index].successors[successor].image
            }
            return failSuccessor(successor, of: index)
        }
        note("\(life.worker.low) seals \(life.shard.index) at \(places.values.map(\.sequence).sorted())")
        workers[index].successors[successor].places = places
        workers[index].successors[successor].phase = .sealed
        if settings.fault != .sealBeforeDurable {
            workers[index].successors[successor].written = workers[index].successors[successor].image
        }
        // A moment that no other snapshot may hit.
        if isFaulty, settings.rollbackInterval != nil, random.chance(0.3) {
            snapshots[life.worker] = workers[index].files
        }
        planTurn(successor, of: index, after: Self.sealInterval)
    }

    // MARK: Taking the others' place

    /// Makes it durable that the shard has taken the sources' place, then stops their replicas.
    mutating func activate(
        _ successor: Int,
        of index: Int,
        _ placement: ShardPlacement,
        _ call: ControlCall
    ) throws(Violation) {
        let name = workers[index].name
        guard workers[index].successors[successor].phase == .sealed else {
            if placement.group.members.count > 1 { workers[index].successors[successor].areSourcesRetired = true }
            return reply(to: call, from: name, failure: "it is not whole")
        }
        let serving = Set(workers[index].successors[successor].sources).filter { shard in
            workers[index].replica(of: shard).map { workers[index].replicas[$0].isServing } ?? false
        }
        guard workers[index].successors.allSatisfy({ $0.phase == .sealed || serving.isDisjoint(with: $0.sources) })
        else { return reply(to: call, from: name, failure: "the other half is not whole") }
        // Its thread has ended.
        workers[index].successors[successor].session = workers[index].nextSession()
        workers[index].activating = placement.shard
        plan(.activated(life(index, successor: successor), placement, call), after: diskDelay(name))
    }

    mutating func activated(
        _ life: SuccessorLife,
        _ placement: ShardPlacement,
        _ call: ControlCall
    ) throws(Violation) {
        guard let (index, successor) = awake(life, .activated(life, placement, call)) else { return }
        workers[index].activating = nil
        guard !isFull(life.worker) else { return reply(to: call, from: life.worker, failure: "the disk is full") }
        guard !diskFails(life.worker) else {
            let doneCount = diskRandom.below(3)
            workers[index].successors[successor].doneCount = max(
                workers[index].successors[successor].doneCount,
                doneCount
            )
            return reply(to: call, from: life.worker, failure: "the disk fails")
        }
        let state = workers[index].successors[successor]
        for shard in state.sources {
            if let replica = workers[index].replica(of: shard) { try stop(index, replica) }
        }
        let sources = state.sources.compactMap(workers[index].replica).map { workers[index].replicas[$0] }
        // Otherwise it may have been in force before, with writes that an earlier state of the disk does not have.
        let isNew = settings.fault == .successorsAlwaysNew || sources.allSatisfy(\.isFrozenInThisLife)
        markSources(of: successor, on: index)
        workers[index].successors.remove(at: successor)
        note("\(life.worker.low) has \(life.shard.index) in the place of \(state.sources.map(\.index))")
        let replica = SimulatedReplica(placement, disk: SimulatedDisk(succeeding: state.image))
        try add(replica, to: index, isNew: isNew && sources.count == state.sources.count, placement.group)
        reply(to: call, from: life.worker, failure: nil)
    }

    private mutating func markSources(of successor: Int, on index: Int) {
        for shard in workers[index].successors[successor].sources {
            guard let replica = workers[index].replica(of: shard) else { continue }
            workers[index].replicas[replica].forgetProcess()
            workers[index].replicas[replica].isSucceeded = true
        }
    }

    /// The process is gone: only what is sealed stays. One that was about to take the others' place may have done so.
    mutating func killSuccessors(of index: Int) {
        for successor in workers[index].successors.indices.reversed() {
            guard workers[index].successors[successor].places != nil, settings.fault != .sealedRemovedAtRestart else {
                workers[index].successors.remove(at: successor)
                continue
            }
            workers[index].successors[successor].image = workers[index].successors[successor].written
            workers[index].successors[successor].isFound = true
            workers[index].successors[successor].phase = .sealed
            workers[index].successors[successor].areSourcesRetired = false
            // The marks come first.
            var doneCount = workers[index].successors[successor].doneCount
            if workers[index].activating == workers[index].successors[successor].shard {
                doneCount = max(doneCount, random.below(3))
            }
            if doneCount > 0 { markSources(of: successor, on: index) }
            guard doneCount > 1 else { continue }
            let state = workers[index].successors.remove(at: successor)
            workers[index].replicas.append(
                SimulatedReplica(
                    SimulatedWorker.ReplicaFiles(
                        shard: state.shard,
                        range: state.range,
                        disk: SimulatedDisk(succeeding: state.image),
                        isSucceeded: false
                    )
                )
            )
        }
    }
}
