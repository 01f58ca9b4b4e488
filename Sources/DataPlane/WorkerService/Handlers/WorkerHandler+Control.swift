import ClusterModel
import FaceModel
import Threads
import WireProtocol
import WireTransport

extension WorkerHandler {
    func host(_ request: HostReplica, _ call: ServerCall) {
        onControlThread(call) { () throws(WireStatus) in
            try replicas.host(request)
            return Acknowledgement()
        }
    }

    func drop(_ request: DropReplica, _ call: ServerCall) {
        onControlThread(call) { () throws(WireStatus) in
            try replicas.drop(request)
            installations.drop(request.shard)
            let collection = request.shard.collection
            if !replicas.holdsAny(of: collection) {
                do throws(WorkerError) {
                    try shelf.drop(collection)
                } catch {
                    throw Refusal.folder(error)
                }
            }
            return Acknowledgement()
        }
    }

    func prepare(_ request: PrepareSuccessor, _ call: ServerCall) {
        onControlThread(call) { () throws(WireStatus) in
            try replicas.prepare(request, admit: { () throws(WireStatus) in try memory.admit() })
            return Acknowledgement()
        }
    }

    func abandon(_ request: AbandonSuccessor, _ call: ServerCall) {
        onControlThread(call) { () throws(WireStatus) in
            try replicas.abandon(request)
            return Acknowledgement()
        }
    }

    /// Reads all of the replica on a thread of its own, or joins whoever waits for that.
    func verify(_ request: VerifyReplica, _ call: ServerCall) {
        refusing(call) { () throws(WireStatus) in
            let replica = try replicas.replica(request.shard)
            if let finding = replica.knownDamage { return call.reply(finding) }
            try readings.read(replica, for: call)
        }
    }

    func train(_ request: TrainCodebook, _ call: ServerCall) {
        onControlThread(call) { () throws(WireStatus) in
            try memory.admit()
            try training.order(request, admit: memory.admit(training:))
            return Acknowledgement()
        }
    }

    func abandon(_ request: AbandonTraining, _ call: ServerCall) {
        onControlThread(call) { () throws(WireStatus) in
            do throws(WorkerError) {
                try shelf.abandon(request.collection, generation: request.generation)
            } catch {
                throw Refusal.folder(error)
            }
            return Acknowledgement()
        }
    }

    func fetch(_ request: FetchCodebook, _ call: ServerCall) {
        onControlThread(call) { () throws(WireStatus) in
            // What was trained here comes first: its file is at hand.
            if shelf.has(request) { return try shelf.fetch(request, byteLimit: limits.stagedCodebookBytes) }
            guard let fetched = try installed.fetch(request) else {
                return try shelf.fetch(request, byteLimit: limits.stagedCodebookBytes)
            }
            return fetched
        }
    }

    /// Stages a slice; the last one is answered by the replica's lane, once the codebook is installed.
    func install(_ request: InstallCodebook, _ call: ServerCall) {
        let isQueued = control.submit(
            BoundedExecutor.Job(
                byteCount: request.slice.bytes.count,
                run: {
                    refusing(call) { () throws(WireStatus) in
                        let replica = try replicas.replica(request.shard)
                        _ = try replica.admit(.installing(request.epoch))
                        // Before its bytes come: a lane that does not move is sent it again and again.
                        if request.slice.offset == 0, replica.hasWaitingInstallation {
                            throw Refusal.codebookWaits(request.shard)
                        }
                        guard let bytes = try installations.add(request, to: replica) else {
                            return call.reply(Acknowledgement())
                        }
                        try replica.enqueue(
                            PendingInstallation(
                                bytes: bytes,
                                finish: { result in
                                    switch result {
                                    case .success: call.reply(Acknowledgement())
                                    case .failure(let status): call.fail(status)
                                    }
                                }
                            ),
                            under: request.epoch
                        )
                    }
                },
                abandon: { call.fail(Refusal.stopping) }
            )
        )
        if !isQueued { call.fail(Refusal.controlQueueFull(limit: control.queueLimit)) }
    }
}
