import ClusterModel
import FaceModel
import PartitionEngine
import Threads
import WireProtocol

/// How a primary is cut: writes are held, then a write of nothing goes through the log like any other, and what is
/// applied with it is what the snapshot holds.
///
/// The write of nothing is what makes the cut true. It is acknowledged only if no other replica has become the primary
/// before it; so nothing that was acknowledged when it was ordered is missing here.
extension Replica {
    /// Orders no write for so long. A hold that is there already gives way.
    ///
    /// - Throws: also while other shards are about to take the shard's place: it orders none then, and is not cut.
    func hold(_ hold: WriteHold, under epoch: Epoch) throws(WireStatus) {
        try monitor.withLock(waking: .all) { (state) throws(WireStatus) in
            try self.checkWriting(under: epoch, state)
            guard !state.isFrozen else { throw Refusal.frozen(self.shard) }
            state.hold = hold
        }
    }

    /// Lets writes go on, unless another hold is in force.
    func endHold(of snapshot: SnapshotID) {
        monitor.withLock(waking: .all) { state in
            if state.hold?.snapshot == snapshot { state.hold = nil }
        }
    }

    /// Hands the lane a cut. It is refused there when writes wait for other shards by then.
    func enqueue(_ cut: PendingCut) throws(WireStatus) {
        let replaced = try monitor.withLock(waking: .all) { (state) throws(WireStatus) -> PendingCut? in
            try self.checkWriting(under: cut.epoch, state)
            defer { state.cut = cut }
            return state.cut
        }
        replaced?.finish(.failure(Refusal.holdEnded(shard)))
    }

    /// Orders the write of nothing that a snapshot is taken behind.
    ///
    /// - Returns: the error when it asks for the partition to be closed.
    func begin(_ cut: PendingCut, in partition: Partition, isReplicated: Bool) -> PartitionError? {
        let isHeld = monitor.withLock { $0.activeHold(now: .now)?.snapshot == cut.snapshot }
        guard isHeld else {
            cut.finish(.failure(Refusal.holdEnded(shard)))
            return nil
        }
        let write = PendingWrite(
            batch: WriteBatch(key: .random(), operation: .beginEpoch),
            epoch: cut.epoch,
            rowCount: 0,
            byteCount: 0,
            isAbandoned: { false },
            finish: { result in
                switch result {
                case .success(let receipt): cut.finish(.success(receipt.sequence))
                case .failure(let status): cut.finish(.failure(status))
                }
            }
        )
        guard isReplicated else { return commit([write], to: partition) }
        order([write], in: partition)
        return storeStep(in: partition)
    }
}
