import ClusterModel
import QueryRouter
import WireProtocol

/// A call of a client's to a coordinator.
struct CoordinatorCall: Hashable, Sendable {
    var client: Int
    var attempt: Int
    /// The connection breaks before the answer, and what was asked for arrives once more.
    var isTorn = false
}

/// One attempt of a coordinator at one shard: what was planned for another is void.
struct PartCall: Hashable, Sendable {
    var write: Int
    /// Of the write: 1 for the first.
    var round: Int
    var part: Int
    /// Attempts at shards that the write had made until then, this one among them.
    var number: Int
    var isTorn = false
}

/// A write that a coordinator does for a client, by the machine of the real router.
struct RoutedWrite: Sendable {
    /// One shard's.
    struct Part: Sendable {
        var batch: BatchPart
        var number = 0
        var worker: NodeID?
        /// Its primary is being asked.
        var isAsking = false
        var isOver = false
    }

    let call: CoordinatorCall
    let write: SimulatedWrite
    let age: Duration
    let controller: Int
    /// When its client does not wait any longer.
    let deadline: Duration
    var life = 0
    /// When the coordinator got it.
    var began = Duration.zero
    var machine: WriteStateMachine
    var parts: [Part] = []
    var round = 0
    var attemptCount = 0

    init(
        _ call: CoordinatorCall,
        _ write: SimulatedWrite,
        age: Duration,
        controller: Int,
        deadline: Duration
    ) {
        (self.call, self.write, self.age, self.controller, self.deadline) = (call, write, age, controller, deadline)
        machine = WriteStateMachine(age: age, options: SimulatedRouter.options)
    }
}

/// A face of a client's write.
struct ArrivalKey: Hashable, Sendable {
    var origin: UInt64
    var face: Int
}

/// The first attempt that reached a worker with it.
struct Arrival: Hashable, Sendable {
    /// Of the client.
    var attempt: Int
    var call: PartCall
}

extension WireStatus {
    /// What a worker answers to a write that it does nothing of.
    static let notPrimary = WireStatus(.staleEpoch, "another worker orders writes").withoutEffect
    static let unknownReplica = WireStatus(.unknownReplica, "no replica").withoutEffect
    static let notConfirmed = WireStatus(.unavailable, "not confirmed", retryAfterMilliseconds: 50).withoutEffect
    /// Nobody was there to connect to.
    static let noProcess = WireStatus(.unavailable, "no process").withoutEffect
    /// What was asked for may have been done.
    static let connectionLost: WireStatus = {
        var status = WireStatus(.unavailable, "the connection was lost")
        status.isLoss = true
        return status
    }()
}
