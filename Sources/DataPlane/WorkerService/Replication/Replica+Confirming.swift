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
        let outcome = try monitor.withLock { (state) throws(WireStatus) -> Confirmation in
            // Of two that ask, the one that comes first asked first.
            let now = ReplicationClock.now
            let partition = try self.checkWriting(under: epoch, state)
            // Others may order writes of its faces, and it would not be told.
            guard !state.isFrozen else { throw Refusal.frozen(self.shard) }
            guard state.replication != nil else { return .confirmed(partition.committedSequence) }
            if let position = state.replication?.machine.confirmedPosition(since: now) { return .confirmed(position) }
            let caller = PositionCallers.Caller(asked: now, answer: answer)
            guard state.replication?.positionCallers.wait(caller) ?? false else {
                throw Refusal.tooManyStrongReads(self.shard, limit: PositionCallers.limit)
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
            state -> (ArraySlice<PositionCallers.Caller>, UInt64, [PositionCallers.Caller]) in
            guard !(state.replication?.positionCallers.isEmpty ?? true) else { return ([], 0, []) }
            // Whoever leads now, or takes its place, is to be asked anew.
            if state.isFrozen || state.replication?.machine.role != .primary {
                return ([], 0, state.replication?.positionCallers.take() ?? [])
            }
            let (confirmed, position) = state.replication?.takeConfirmedCallers() ?? ([], 0)
            let late = state.replication?.positionCallers.take(askedBefore: now - Replication.longestCall) ?? []
            return (confirmed, position, late)
        }
        for caller in confirmed { caller.answer(.success(position)) }
        for caller in refused { caller.answer(.failure(Refusal.notConfirmed(shard))) }
    }
}
