import ClusterModel
import FaceModel
import PartitionEngine
import PartitionStore
import WireProtocol
import WireTransport

extension WorkerHandler {
    func enrol(_ request: ShardEnrol, _ call: ServerCall) {
        refusingWrite(call) { () throws(WireStatus) in
            let (replica, terms) = try admit(request.route, isWrite: true)
            try memory.admit()
            guard !request.rows.isEmpty, request.rows.count == request.embeddings.rowCount else {
                let (embeddingCount, rowCount) = (request.embeddings.rowCount, request.rows.count)
                throw Refusal.invalid("an enrol batch needs one embedding a row, not \(embeddingCount) for \(rowCount)")
            }
            try check(request.embeddings.dimension, against: terms, request.route.shard)
            try check(request.rows.lazy.map(\.id), belongTo: request.route.shard, terms.range)
            let metadataBytes = request.rows.reduce(0) { $0 + $1.metadata.wireByteCount }
            let batch = WriteBatch(
                key: request.key,
                operation: .enrol(rows: request.rows, embeddings: request.embeddings)
            )
            try enqueue(
                batch,
                age: request.age,
                on: replica,
                epoch: request.route.epoch,
                rowCount: request.rows.count,
                byteCount: metadataBytes + request.embeddings.values.count * 4,
                call
            ) { receipt -> ShardEnrolled? in
                guard case .enrolled(let outcomes) = receipt.outcome else { return nil }
                return ShardEnrolled(outcomes: outcomes, sequence: receipt.sequence)
            }
        }
    }

    func delete(_ request: ShardDelete, _ call: ServerCall) {
        refusingWrite(call) { () throws(WireStatus) in
            let (replica, terms) = try admit(request.route, isWrite: true)
            guard !request.ids.isEmpty else { throw Refusal.invalid("a delete batch needs at least one id") }
            try check(request.ids, belongTo: request.route.shard, terms.range)
            try enqueue(
                WriteBatch(key: request.key, operation: .delete(request.ids)),
                age: request.age,
                on: replica,
                epoch: request.route.epoch,
                rowCount: request.ids.count,
                byteCount: request.ids.count * 16,
                call
            ) { receipt -> ShardDeleted? in
                guard case .deleted(let outcomes) = receipt.outcome else { return nil }
                return ShardDeleted(outcomes: outcomes, sequence: receipt.sequence)
            }
        }
    }

    /// Queues a write; what it throws before is the answer, and nothing was done.
    private func refusingWrite(_ call: ServerCall, _ body: () throws(WireStatus) -> Void) {
        refusing(call) { () throws(WireStatus) in
            do throws(WireStatus) {
                try body()
            } catch {
                throw error.withoutEffect
            }
        }
    }

    /// - Parameters:
    ///   - age: time since the first attempt under the batch's key; zero for that one.
    ///   - reply: the answer to a receipt; nil when it is of another kind than the write.
    func enqueue<Reply: WireMessage>(
        _ batch: WriteBatch,
        age: Duration = .zero,
        on replica: Replica,
        epoch: Epoch,
        rowCount: Int,
        byteCount: Int,
        _ call: ServerCall,
        reply: @escaping @Sendable (WriteReceipt) -> Reply?
    ) throws(WireStatus) {
        try replica.enqueue(
            PendingWrite(
                batch: batch,
                firstAttempt: age > .zero ? .now - age : nil,
                epoch: epoch,
                rowCount: rowCount,
                byteCount: byteCount,
                isAbandoned: { call.isCancelled || call.deadline.hasPassed },
                finish: { result in
                    switch result {
                    case .failure(let status): call.fail(status)
                    case .success(let receipt):
                        // A receipt is of the write's own kind unless its key was used for another.
                        guard let message = reply(receipt) else {
                            return call.fail(Refusal.keyReused(replica.shard, sequence: receipt.sequence))
                        }
                        call.reply(message)
                    }
                }
            )
        )
    }

    /// A face in the wrong shard would never be found again.
    func check(
        _ ids: some Sequence<FaceID>,
        belongTo shard: ShardID,
        _ range: HashRange
    ) throws(WireStatus) {
        for id in ids where !range.contains(FaceIDHash.hash(id, in: shard.collection)) {
            throw Refusal.outsideRange(shard)
        }
    }
}
