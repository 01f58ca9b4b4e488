import ClusterModel
import PartitionEngine
import PartitionStore
import ShardReplication
import Threads
import WireProtocol

/// What strong reads ask of the replica that orders writes.
extension Replica {
    private enum Confirmation {
        case confirmed(UInt64)
        case waiting([Replication.Effect])
    }

    /// Answers with a sequence that is behind none that was acknowledged before this call, by whomever: at once where
    /// this replica is the only one, else when the others in sync have obeyed it since.
    ///
    /// - Parameter answer: called once unless this throws.
    func confirmPosition(
        under epoch: Epoch,
        answer: @escaping @Sendable (Result<UInt64, WireStatus>) -> Void
    ) throws(WireStatus) {
        let now = ReplicationClock.now
        let outcome = try monitor.withLock { (state) throws(WireStatus) -> Confirmation in
            let partition = try self.checkWriting(under: epoch, state)
            // Others may order writes of its faces, and it would not be told.
            guard !state.isFrozen else { throw Refusal.frozen(self.shard) }
            guard state.replication != nil else { return .confirmed(partition.committedSequence) }
            if let position = state.replication?.machine.confirmedPosition(since: now) { return .confirmed(position) }
            let caller = Replication.PositionCaller(asked: now, answer: answer)
            guard state.replication?.wait(caller) ?? false else {
                throw Refusal.tooManyStrongReads(self.shard, limit: Replication.positionCallerLimit)
            }
            state.replication?.machine.seekConfirmation(since: now, now: now)
            return .waiting(state.replication?.takeEffects() ?? [])
        }
        switch outcome {
        case .confirmed(let position): answer(.success(position))
        case .waiting(let effects): perform(effects)
        }
    }

    /// Tells those who wait for a position what has become known: call it after whatever the machine was told.
    func answerConfirmed() {
        let now = ReplicationClock.now
        let (confirmed, position, refused) = monitor.withLock {
            state -> (ArraySlice<Replication.PositionCaller>, UInt64, [Replication.PositionCaller]) in
            guard state.replication?.hasPositionCallers ?? false else { return ([], 0, []) }
            // Whoever leads now, or takes its place, is to be asked anew.
            if state.isFrozen || state.replication?.machine.role != .primary {
                return ([], 0, state.replication?.takePositionCallers() ?? [])
            }
            let (confirmed, position) = state.replication?.takeConfirmedCallers() ?? ([], 0)
            let late = state.replication?.takePositionCallers(askedBefore: now - Replication.longestCall) ?? []
            return (confirmed, position, late)
        }
        for caller in confirmed { caller.answer(.success(position)) }
        for caller in refused { caller.answer(.failure(Refusal.notConfirmed(shard))) }
    }
}
