import ClusterModel
import FaceModel
import PartitionEngine
import WireProtocol
import WireTransport

extension WorkerHandler {
    func hold(_ request: HoldWrites, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let replica = try replicas.replica(request.route.shard)
            try snapshots.checkRoom(for: request.snapshot, of: request.route.shard, hosting: replicas.count)
            let hold = WriteHold(snapshot: request.snapshot, end: .now + .milliseconds(request.limit))
            try replica.hold(hold, under: request.route.epoch)
            call.reply(Acknowledgement())
        }
    }

    func cut(_ request: CutShard, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let replica = try replicas.replica(request.route.shard)
            let (snapshot, epoch, node) = (request.snapshot, request.route.epoch, replica.links.node)
            let hostedCount = replicas.count
            let key = try replica.read(.local) { (partition, _) throws(PartitionError) in
                partition.identity.erasureKey
            }
            try replica.enqueue(
                PendingCut(snapshot: snapshot, epoch: epoch) { [snapshots] result in
                    switch result {
                    case .failure(let status):
                        replica.endHold(of: snapshot)
                        call.fail(status)
                    case .success(let sequence):
                        snapshots.make(snapshot, of: replica, hosting: hostedCount, sequence: sequence) { failure in
                            if let failure { return call.fail(failure) }
                            call.reply(ShardCut(worker: node, epoch: epoch, sequence: sequence, erasureKey: key))
                        }
                    }
                }
            )
        }
    }

    func describe(_ request: DescribeSnapshot, _ call: ServerCall) {
        answer(call) { () throws(WireStatus) in try snapshots.describe(request.route) }
    }

    func read(_ request: ReadSnapshot, _ call: ServerCall) {
        snapshots.read(request) { result in
            switch result {
            case .success(let page): call.reply(page)
            case .failure(let status): call.fail(status)
            }
        }
    }

    func release(_ request: ReleaseSnapshot, _ call: ServerCall) {
        // Its writes may be held still, for a cut that does not come.
        (try? replicas.replica(request.route.shard))?.endHold(of: request.route.snapshot)
        snapshots.release(request.route)
        call.reply(Acknowledgement())
    }

    func list(_ request: ShardErasures, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let (replica, _) = try admit(request.route)
            onSearchThread(call, byteCount: 16) { () throws(WireStatus) in
                try replica.read(.reading(request.route.epoch)) { (partition, _) throws(PartitionError) in
                    let page = try partition.erasures(after: request.after, limit: request.limit)
                    return ErasureList(
                        key: partition.identity.erasureKey,
                        erasures: page.erasures,
                        next: page.isLast ? nil : page.last,
                        forgotten: page.forgotten
                    )
                }
            }
        }
    }

    func read(_ request: ReadLog, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let replica = try replicas.replica(request.route.shard)
            onSearchThread(call, byteCount: 64) { () throws(WireStatus) in
                LogRead(entries: try replica.archivedEntries(request, under: request.route.epoch))
            }
        }
    }

    func restore(_ request: ShardRestore, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let (replica, terms) = try admit(request.route, isWrite: true)
            try memory.admit()
            guard request.faces.count > 0 || request.isLast else {
                throw Refusal.invalid("a batch that does not end a restoration needs at least one face")
            }
            try check(request.faces.dimension, against: terms, request.route.shard)
            try check(request.faces.rows.lazy.map(\.id), belongTo: request.route.shard, terms.range)
            let metadataBytes = request.faces.rows.reduce(0) { $0 + $1.metadata.wireByteCount }
            try enqueue(
                WriteBatch(key: .random(), operation: .restore(request.faces, isLast: request.isLast)),
                on: replica,
                epoch: request.route.epoch,
                rowCount: request.faces.count,
                byteCount: metadataBytes + request.faces.embeddings.count,
                call
            ) { receipt -> ShardEnrolled? in
                guard case .enrolled(let outcomes) = receipt.outcome else { return nil }
                return ShardEnrolled(outcomes: outcomes, sequence: receipt.sequence)
            }
        }
    }
}
