import ClusterModel
import Logging
import PartitionEngine
import ShardReplication
import Synchronization
import Threads
import WireProtocol

/// How a replica answers reads from the moment at which its shard has taken others' place, before this worker has heard
/// of that.
extension Replica {
    /// A replica over a partition that was made to take others' place, before it does.
    ///
    /// It answers reads under any epoch: nobody asks for its shard before the metadata store has it. Nothing is written
    /// to it, and the partition stays its maker's.
    ///
    /// - Parameter time: of ``ReplicationClock``: until when it may, unless ``takePlace(_:of:since:)`` comes.
    static func standingIn(
        for shard: ShardID,
        _ range: HashRange,
        _ partition: Partition,
        until time: Duration,
        directory: String,
        options: ReplicaOptions,
        logger: Logger
    ) -> Replica {
        let record = ReplicaRecord(shard: shard, epoch: Epoch(0), range: range)
        let replica = Replica(record: record, directory: directory, options: options, logger: logger)
        replica.monitor.withLock { state in
            state.phase = .serving(partition)
            state.standsInUntil = time
        }
        return replica
    }

    /// What stood in is in force, by its record, which is on disk: reads go by the group from here on.
    ///
    /// - Parameter time: the metadata store has come to have the group since.
    func takePlace(_ record: ReplicaRecord, of group: ReplicaGroup, since time: Duration) {
        monitor.withLock { state in
            state.record = record
            state.isNew = true
            state.standsInUntil = nil
        }
        take(group, asked: time)
    }

    /// Begins the lane of a replica that has taken its place, with the partition that is open.
    func begin(on lane: ReservedThread) {
        guard case .serving(let partition) = monitor.withLock(\.phase) else { return }
        startLane(partition, on: lane)
    }

    /// Ends standing in. Blocks until nobody reads.
    func endStandingIn() {
        isFenced.store(true, ordering: .releasing)
        monitor.withLock(waking: .all) { state in
            state.isStopping = true
            state.phase = .stopped
        }
        monitor.wait { state in state.readerCount == 0 ? () : nil }
    }
}

extension Replica.State {
    /// Whether a replica that goes by no log yet may answer reads: what is on its disk is all that its group began
    /// with, and was so lately.
    func isConfirmedAsNew(_ node: NodeID, now: Duration, within staleness: Duration) -> Bool {
        guard isNew, let group, group.isInSync(node), let confirmation else { return false }
        return now - confirmation < staleness
    }
}
