package import ClusterModel
package import FaceModel

/// What every worker last reported, corrected by what this coordinator has done since.
///
/// A report that was on its way while a replica was hosted or a codebook installed does not know of it yet; for a short
/// time such a step counts although the report is behind it. After that the report alone counts.
package struct ReportBook: Sendable {
    private struct Note {
        var epoch: Epoch
        var groupVersion: UInt64
        var generation: UInt32
        var made: Duration
    }

    /// How long a note outweighs reports that are behind it.
    package let overlap: Duration
    package private(set) var observations: [NodeID: WorkerObservation] = [:]
    private var notes: [NodeID: [ShardID: Note]] = [:]

    package init(overlap: Duration) {
        self.overlap = overlap
    }

    package mutating func report(_ observation: WorkerObservation, by worker: NodeID, now: Duration) {
        var observation = observation
        var current = notes[worker] ?? [:]
        for (shard, note) in current {
            let reported = observation.replicas[shard]
            let isBehind =
                reported.map {
                    $0.epoch < note.epoch || $0.groupVersion < note.groupVersion || $0.generation < note.generation
                } ?? true
            guard isBehind, now - note.made <= overlap else {
                current[shard] = nil
                continue
            }
            var replica = reported ?? ReplicaObservation(epoch: note.epoch, state: .serving)
            replica.epoch = max(replica.epoch, note.epoch)
            replica.groupVersion = max(replica.groupVersion, note.groupVersion)
            replica.took(note.generation)
            observation.replicas[shard] = replica
        }
        notes[worker] = current.isEmpty ? nil : current
        observations[worker] = observation
    }

    /// The worker has acknowledged that it hosts the shard and goes by this group.
    package mutating func hosted(_ shard: ShardID, _ group: ReplicaGroup, on worker: NodeID, now: Duration) {
        note(shard, on: worker, now: now) {
            $0.epoch = max($0.epoch, group.epoch)
            $0.groupVersion = max($0.groupVersion, group.version)
        }
    }

    /// The worker has acknowledged the last slice of this codebook.
    package mutating func installed(_ generation: UInt32, in shard: ShardID, on worker: NodeID, now: Duration) {
        note(shard, on: worker, now: now) { $0.generation = max($0.generation, generation) }
    }

    /// The worker has acknowledged that the replica is gone.
    package mutating func dropped(_ shard: ShardID, on worker: NodeID) {
        notes[worker]?[shard] = nil
        observations[worker]?.replicas[shard] = nil
    }

    /// The worker has acknowledged that what it made of the shard is gone.
    package mutating func abandoned(_ shard: ShardID, on worker: NodeID) {
        observations[worker]?.successors[shard] = nil
    }

    /// The worker has acknowledged that it trains a codebook no more, and forgot what came of it.
    package mutating func abandoned(_ generation: UInt32, of collection: CollectionID, on worker: NodeID) {
        observations[worker]?.trainings.removeAll { $0.collection == collection && $0.generation == generation }
    }

    private mutating func note(_ shard: ShardID, on worker: NodeID, now: Duration, _ change: (inout Note) -> Void) {
        let known = observations[worker]?.replicas[shard]
        var note = Note(
            epoch: known?.epoch ?? Epoch(0),
            groupVersion: known?.groupVersion ?? 0,
            generation: known?.generation ?? 0,
            made: now
        )
        change(&note)
        notes[worker, default: [:]][shard] = note
        var replica = known ?? ReplicaObservation(epoch: note.epoch, state: .serving)
        replica.epoch = note.epoch
        replica.groupVersion = note.groupVersion
        replica.took(note.generation)
        observations[worker, default: WorkerObservation()].replicas[shard] = replica
    }
}

extension ReplicaObservation {
    /// It has taken a codebook since it reported: what it said of the one before is no word on this one, and the codes
    /// that it has are still of that.
    fileprivate mutating func took(_ generation: UInt32) {
        guard generation > self.generation else { return }
        olderGeneration = self.generation
        fit = .unknown
        self.generation = generation
    }
}
