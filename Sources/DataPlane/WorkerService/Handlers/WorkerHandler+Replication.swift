import WireProtocol
import WireTransport

extension WorkerHandler {
    /// Answered once the disk has the entries. Stays on the event loop, so that messages are taken in their order.
    func append(_ request: AppendEntries, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            guard call.peerRole == .worker else {
                throw Refusal.invalid("entries of a log are taken from workers only")
            }
            try replicas.replica(request.shard).append(request) { result in
                switch result {
                case .success(let reply): call.reply(reply)
                case .failure(let status): call.fail(status)
                }
            }
        }
    }

    func confirm(_ request: ConfirmShard, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            try replicas.replica(request.route.shard).confirmPosition(under: request.route.epoch) { result in
                switch result {
                case .success(let sequence): call.reply(ShardConfirmed(sequence: sequence))
                case .failure(let status): call.fail(status)
                }
            }
        }
    }

    func receive(_ request: PartitionSlice, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            guard call.peerRole == .worker else { throw Refusal.invalid("partitions are taken from workers only") }
            // One that has begun comes to its end: what it takes is on the disk.
            if request.offset == 0 { try memory.admit() }
            copies.add(request, for: try replicas.replica(request.shard)) { result in
                switch result {
                case .success: call.reply(Acknowledgement())
                case .failure(let status): call.fail(status)
                }
            }
        }
    }

    func receive(_ request: OfferCopy, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            guard call.peerRole == .worker else { throw Refusal.invalid("partitions are taken from workers only") }
            let memory = memory
            copies.stand(
                request,
                for: try replicas.replica(request.shard),
                isRoomInMemory: { () throws(WireStatus) in try memory.admit() },
                finish: { result in
                    switch result {
                    case .success(let standing): call.reply(standing)
                    case .failure(let status): call.fail(status)
                    }
                }
            )
        }
    }
}
