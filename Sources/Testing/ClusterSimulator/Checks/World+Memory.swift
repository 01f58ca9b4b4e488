import ClusterModel
import ShardReplication

/// What a replica has promised: once it was answered by, no end of its process may undo it. The world remembers apart
/// from the disks; one that is lost or put back takes what was remembered of it along.
extension World {
    /// A replica sends something.
    mutating func noteAnswer(_ message: ReplicaMessage<SimulatedWrite>, _ index: Int, _ replica: Int) {
        guard let epoch = message.promise else { return }
        workers[index].replicas[replica].answered = max(workers[index].replicas[replica].answered, epoch)
    }

    /// A replica is about to begin from what its disk has.
    func checkMemory(_ index: Int, _ replica: Int) throws(Violation) {
        let state = workers[index].replicas[replica]
        guard state.disk.promised < state.answered else { return }
        try fail(
            .memory,
            "\(workers[index].name) has promised epoch \(state.disk.promised.number) of \(state.shard.index), and had "
                + "answered in \(state.answered.number)"
        )
    }
}

extension ReplicaMessage {
    /// The epoch whose promise must be on disk before it is sent; nil for the word that another primary was promised,
    /// which holds without it.
    fileprivate var promise: Epoch? {
        switch self {
        case .append(let request): return request.epoch
        case .reply(let reply):
            if case .fenced = reply.outcome { return nil }
            return reply.epoch
        }
    }
}
