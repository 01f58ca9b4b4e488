import ClusterModel
import FaceModel
import Logging
import PartitionEngine
import ShardReplication
import Threads
import WireProtocol

/// What a replica does for an archive of its shard's log ([why so](docs/decisions/0028-the-log-is-archived.md)).
extension Replica {
    /// Log that a new primary looks through to see whether there are marks of time in it.
    private static let markSearchBytes = 8 << 20

    /// Entries behind those that an archive has. The first question makes a replica that is alone begin a log.
    func archivedEntries(_ request: ReadLog, under epoch: Epoch) throws(WireStatus) -> ArchivedEntries {
        let now = Timestamp.wallClock
        let (applied, until) = try monitor.withLock(waking: .all) { (state) throws(WireStatus) in
            try self.checkWriting(under: epoch, state)
            state.archive.asked(after: request.after?.sequence, now: .now)
            guard let machine = state.replication?.machine else { throw Refusal.logBegins(self.shard) }
            var until = state.archive.until(now: now, applied: machine.applied, last: machine.last.sequence)
            if state.isFrozen {
                // What comes after that may go to the shards that take this one's place, before anybody says so here.
                until = state.frozenSince.flatMap { since in until.map { min($0, since) } }
            }
            return (machine.applied, until)
        }
        var answer = try read(.local) { (partition, _) throws(PartitionError) in
            try partition.archivedEntries(
                after: request.after,
                through: applied,
                now: now,
                byteLimit: ArchivedEntries.byteLimit
            )
        }
        if answer.remainingCount == 0 {
            answer.until = until
        } else {
            // What was ordered in the same millisecond may follow.
            answer.until = Timestamp(milliseconds: max(answer.end.time.milliseconds, 1) - 1)
            answer.remainingByteCount = monitor.withLock { state in
                UInt64(state.replication?.horizon.byteCount(after: answer.end.sequence) ?? 0)
            }
        }
        return answer
    }

    /// Puts writes into the log, behind a mark of the time when somebody archives it.
    func orderMarked(_ writes: [PendingWrite], in partition: Partition) {
        lookForMarks(in: partition)
        let begun = monitor.withLock { state -> (time: Timestamp, place: Replication.Place)? in
            guard let place = state.replication?.place, let time = state.archive.begin(now: .wallClock) else {
                return nil
            }
            return (time, place)
        }
        guard let begun else { return order(writes, in: partition) }
        let mark = PendingWrite(
            batch: WriteBatch(key: .random(), operation: .timeMark(begun.time)),
            epoch: begun.place.epoch,
            rowCount: 0,
            byteCount: 0,
            isAbandoned: { false },
            finish: { _ in }
        )
        order([mark] + writes, in: partition)
        monitor.withLock { state in
            let isOrdered = state.replication.map { $0.machine.last.sequence >= begun.place.sequence } ?? false
            state.archive.ordered(at: isOrdered ? begun.place.sequence : nil)
        }
    }

    /// A primary that is new goes on with marks that the one before made.
    private func lookForMarks(in partition: Partition) {
        let isNew = monitor.withLock { state -> Bool in
            guard !state.archive.isOn, let epoch = state.replication?.place?.epoch.number,
                state.archive.checkedEpoch != epoch
            else { return false }
            state.archive.checkedEpoch = epoch
            return true
        }
        guard isNew else { return }
        do throws(PartitionError) {
            guard try partition.hasRecentTimeMark(byteLimit: Self.markSearchBytes) else { return }
            monitor.withLock { $0.archive.isOn = true }
        } catch {
            logger.warning("a log could not be looked through", metadata: logMetadata(error))
        }
    }
}
